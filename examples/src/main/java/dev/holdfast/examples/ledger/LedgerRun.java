package dev.holdfast.examples.ledger;

import dev.holdfast.Snapshot;
import dev.holdfast.Store;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PmemDevice;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/** One run: transfers, audits beside them, a fault, and at the end the proof. */
final class LedgerRun {
  private static final long LINE_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long RETURN_NANOS = TimeUnit.SECONDS.toNanos(30);
  private static final int POISONED_PAGES = 16;

  private final LedgerSettings settings;
  private final PrintStream out;

  /** What else happens at the time of the fault. */
  private final Consumer<Store> meddler;

  private final List<String> problems = new ArrayList<>();
  private long audits;
  private long stallBefore;
  private long stallAfter;

  LedgerRun(LedgerSettings settings, PrintStream out) {
    this(settings, out, _ -> {});
  }

  LedgerRun(LedgerSettings settings, PrintStream out, Consumer<Store> meddler) {
    this.settings = settings;
    this.out = out;
    this.meddler = meddler;
  }

  /**
   * Runs it.
   *
   * @param directory where the store is made
   * @return what is not as it must be; empty if all is
   */
  List<String> run(Path directory) throws InterruptedException {
    long expected = settings.accounts() * Bank.OPENED_CENTS;
    List<Teller> tellers = new ArrayList<>();
    try (Store store = Store.builder(directory).open()) {
      Bank bank = new Bank(store);
      bank.open(settings.accounts());
      line(
          String.format(
              Locale.ROOT,
              "%,d accounts with %s each, %d tellers, a mirror of two legs",
              settings.accounts(),
              money(Bank.OPENED_CENTS),
              settings.tellers()));
      work(store, bank, tellers, expected);
      report(tellers);
      awaitWhole(store);
      prove(store, bank, tellers, expected, "");
    }
    try (Store store = Store.builder(directory).open()) {
      prove(store, new Bank(store), tellers, expected, " behind a close and an open");
    }
    return problems;
  }

  private void work(Store store, Bank bank, List<Teller> tellers, long expected)
      throws InterruptedException {
    long began = System.nanoTime();
    long length = settings.length().toNanos();
    List<Thread> threads = new ArrayList<>();
    for (int number = 0; number < settings.tellers(); number++) {
      Teller teller =
          new Teller(
              bank,
              number,
              settings.accounts(),
              settings.seed(),
              () -> System.nanoTime() - began < length);
      tellers.add(teller);
      threads.add(Thread.ofPlatform().name("teller-" + number).start(teller));
    }
    boolean struck = false;
    boolean putBack = false;
    long nextLine = LINE_NANOS;
    while (threads.stream().anyMatch(Thread::isAlive)) {
      long now = System.nanoTime() - began;
      if (!struck && now >= length * 4 / 10) {
        stallBefore = longest(tellers);
        strike(store, now);
        meddler.accept(store);
        struck = true;
      }
      if (!putBack && now >= length * 7 / 10) {
        putBack(store, now);
        putBack = true;
      }
      audit(bank, expected);
      if (now >= nextLine) {
        nextLine += LINE_NANOS;
        line(
            String.format(
                Locale.ROOT,
                "%5.1f s  %,9d transfers, %,6d audits, %s",
                now / 1e9,
                tellers.stream().mapToLong(Teller::made).sum(),
                audits,
                store.health().state()));
      }
    }
    for (Thread thread : threads) {
      thread.join();
    }
    // Where the machine was too busy to look in time.
    if (!struck) {
      strike(store, System.nanoTime() - began);
      meddler.accept(store);
    }
    if (!putBack) {
      putBack(store, System.nanoTime() - began);
    }
    stallAfter = longest(tellers);
  }

  private void audit(Bank bank, long expected) {
    long total = bank.total();
    audits++;
    if (total != expected) {
      problems.add("audit " + audits + ": expected " + money(expected) + ", was " + money(total));
    }
  }

  private static long longest(List<Teller> tellers) {
    return tellers.stream().mapToLong(Teller::longestNanos).max().orElse(0);
  }

  private void strike(Store store, long now) {
    if (settings.fault() == LedgerSettings.Fault.NONE
        || !(store.devices().getFirst() instanceof EmulatedDevice device)) {
      return;
    }
    if (settings.fault() == LedgerSettings.Fault.REMOVE) {
      device.faults().remove();
      line(String.format(Locale.ROOT, "%5.1f s  the device of leg 0 is pulled out", now / 1e9));
      return;
    }
    Random random = new Random(settings.seed());
    var records = store.owners(0, device.capacity());
    for (int i = 0; i < POISONED_PAGES; i++) {
      device.faults().poison(records.get(random.nextInt(records.size())).offset(), 1);
    }
    line(
        String.format(
            Locale.ROOT, "%5.1f s  %d pages of leg 0 are poisoned", now / 1e9, POISONED_PAGES));
  }

  private void putBack(Store store, long now) {
    for (PmemDevice device : store.devices()) {
      if (settings.fault() == LedgerSettings.Fault.REMOVE
          && device instanceof EmulatedDevice emulated
          && emulated.state() == DeviceState.DEAD) {
        emulated.faults().reinsert();
        line(String.format(Locale.ROOT, "%5.1f s  it is put back", now / 1e9));
      }
    }
  }

  private void awaitWhole(Store store) {
    long deadline = System.nanoTime() + RETURN_NANOS;
    while (store.health().state() != StoreState.ONLINE) {
      if (System.nanoTime() - deadline > 0) {
        problems.add("the store: expected ONLINE, was " + store.health().state());
        return;
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  private void report(List<Teller> tellers) {
    long made = tellers.stream().mapToLong(Teller::made).sum();
    line(
        String.format(
            Locale.ROOT,
            "%,d transfers were acknowledged, %,.0f a second, and %,d audits found %s",
            made,
            made / (settings.length().toNanos() / 1e9),
            audits,
            problems.isEmpty()
                ? money(settings.accounts() * Bank.OPENED_CENTS)
                : "something else"));
    line(
        String.format(
            Locale.ROOT,
            "the longest transfer took %.1f ms before the fault, %.1f ms from then on",
            stallBefore / 1e6,
            stallAfter / 1e6));
    for (Teller teller : tellers) {
      if (teller.failure() != null) {
        problems.add("teller " + teller.number() + ": " + teller.failure());
      }
      if (teller.made() == 0) {
        problems.add("teller " + teller.number() + ": expected transfers, were none");
      }
    }
  }

  /** All the money is there, each line that was acknowledged, and each account by its lines. */
  private void prove(Store store, Bank bank, List<Teller> tellers, long expected, String when) {
    long before = problems.size();
    try (Snapshot snapshot = store.snapshot()) {
      Map<Integer, Long> cents = bank.cents(snapshot);
      long total = cents.values().stream().mapToLong(Long::longValue).sum();
      if (total != expected) {
        problems.add("total" + when + ": expected " + money(expected) + ", was " + money(total));
      }
      if (!cents.equals(bank.centsByJournal(snapshot, settings.accounts()))) {
        problems.add("accounts" + when + ": expected what the journal says, was something else");
      }
      long made = tellers.stream().mapToLong(Teller::made).sum();
      long lines = bank.lines(snapshot);
      if (lines != made) {
        problems.add("journal" + when + ": expected " + made + " lines, were " + lines);
      }
    }
    for (Teller teller : tellers) {
      for (long number = 0; number < teller.made(); number++) {
        if (!bank.hasLine(teller.number(), number)) {
          problems.add("journal" + when + ": line " + teller.number() + "/" + number + " is lost");
          break;
        }
      }
    }
    if (problems.size() == before) {
      line(
          String.format(
              Locale.ROOT,
              "%s%s, every account as the journal says, no line lost",
              money(expected),
              when));
    }
  }

  private static String money(long cents) {
    return String.format(Locale.ROOT, "%,d.%02d", cents / 100, cents % 100);
  }

  private void line(String text) {
    out.println(text);
    out.flush();
  }
}
