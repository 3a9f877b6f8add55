package dev.holdfast.examples.tail;

import dev.holdfast.Store;
import dev.holdfast.pmem.EmulatedDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/** One run: events come and expire, somebody looks at the newest, and at the end all is counted. */
final class TailRun {
  private static final List<String> NAMES =
      List.of("orders", "payments", "parcels", "returns", "tickets", "visits", "logins", "alarms");
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(250);
  private static final long LINE_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final Duration SWEEP = Duration.ofMillis(200);
  private static final long SWEPT_NANOS = TimeUnit.SECONDS.toNanos(30);

  /** What an event may still live when it is looked for: less, and the look may come too late. */
  private static final Duration SPARE = Duration.ofMillis(300);

  private final TailSettings settings;
  private final LiveView view;
  private final boolean isTerminal;

  /** What else happens at the time of the fault. */
  private final Consumer<Store> meddler;

  private final List<String> problems = new ArrayList<>();

  TailRun(TailSettings settings, LiveView view, boolean isTerminal) {
    this(settings, view, isTerminal, _ -> {});
  }

  TailRun(TailSettings settings, LiveView view, boolean isTerminal, Consumer<Store> meddler) {
    this.settings = settings;
    this.view = view;
    this.isTerminal = isTerminal;
    this.meddler = meddler;
  }

  /** The name of a topic. */
  static String topic(int number) {
    String name = NAMES.get(number % NAMES.size());
    return number < NAMES.size() ? name : name + "-" + (1 + number / NAMES.size());
  }

  /**
   * Runs it.
   *
   * @return what is not as it must be; empty if all is
   */
  List<String> run(Path directory) throws InterruptedException {
    List<String> topics = new ArrayList<>();
    for (int number = 0; number < settings.topics(); number++) {
      topics.add(topic(number));
    }
    try (Store store = Store.builder(directory).sweepExpiredEvery(SWEEP).open()) {
      EventLog log = new EventLog(store);
      List<Source> sources = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      long began = System.nanoTime();
      long length = settings.length().toNanos();
      for (String topic : topics) {
        Source source =
            new Source(
                log,
                topic,
                settings.rate(),
                settings.timeToLive(),
                () -> System.nanoTime() - began < length);
        sources.add(source);
        threads.add(Thread.ofVirtual().name(topic).start(source));
      }
      watch(store, log, topics, threads, began);
      for (Thread thread : threads) {
        thread.join();
      }
      prove(log, sources);
      awaitSwept(store, log, topics);
      report(sources);
    }
    return problems;
  }

  private void watch(
      Store store, EventLog log, List<String> topics, List<Thread> threads, long began) {
    long length = settings.length().toNanos();
    boolean struck = false;
    String shown = "";
    boolean putBack = !settings.isPulled();
    long gap = isTerminal ? LOOK_NANOS : LINE_NANOS;
    long next = 0;
    while (threads.stream().anyMatch(Thread::isAlive)) {
      long now = System.nanoTime() - began;
      if (!struck && now >= length * 4 / 10) {
        struck = true;
        strike(store, now);
      }
      if (!putBack && now >= length * 7 / 10) {
        putBack = true;
        device(store).faults().reinsert();
        view.note(String.format(Locale.ROOT, "%5.1f s  it is put back", now / 1e9));
      }
      String state = store.health().state().toString();
      if (now >= next || !state.equals(shown)) {
        next = now + gap;
        shown = state;
        view.show(now / 1e9, state, topics, log);
      }
      LockSupport.parkNanos(LOOK_NANOS / 5);
    }
    // Where the machine was too busy to look in time.
    if (!struck) {
      strike(store, System.nanoTime() - began);
    }
    if (!putBack) {
      device(store).faults().reinsert();
    }
  }

  private void strike(Store store, long now) {
    meddler.accept(store);
    if (settings.isPulled()) {
      device(store).faults().remove();
      view.note(
          String.format(Locale.ROOT, "%5.1f s  the device of leg 0 is pulled out", now / 1e9));
    }
  }

  private static EmulatedDevice device(Store store) {
    return (EmulatedDevice) store.devices().getFirst();
  }

  /** What was acknowledged and lives is there; what has expired is not. */
  private void prove(EventLog log, List<Source> sources) {
    long looked = 0;
    for (Source source : sources) {
      if (source.failure() != null) {
        problems.add("topic " + source.topic() + ": " + source.failure());
      }
      for (Source.Event event : source.acknowledged()) {
        // It was written between the two times; the clock is looked at on the side of the question
        // that counts, as anything may take long.
        Instant latest = event.acknowledged().plus(settings.timeToLive());
        boolean hasExpired = Instant.now().isAfter(latest.plus(SPARE));
        boolean has = log.has(source.topic(), event.time(), event.number());
        Instant earliest = event.time().plus(settings.timeToLive());
        boolean lives = Instant.now().plus(SPARE).isBefore(earliest);
        if ((lives && !has) || (hasExpired && has)) {
          problems.add(
              "topic "
                  + source.topic()
                  + ": event "
                  + event.number()
                  + (has ? " is there, and has expired" : " is lost"));
        }
        looked++;
      }
    }
    if (looked == 0) {
      problems.add("expected events, were none");
    }
  }

  /** Once all have expired nothing is left of them, in the store either. */
  private void awaitSwept(Store store, EventLog log, List<String> topics) {
    long deadline = System.nanoTime() + settings.timeToLive().toNanos() + SWEPT_NANOS;
    // The directory of maps has one entry.
    while (store.stats().entries() > 1) {
      if (System.nanoTime() - deadline > 0) {
        problems.add(
            "expected expired events to be removed, were "
                + (store.stats().entries() - 1)
                + " left, of them to be seen "
                + topics.stream().mapToLong(log::count).sum());
        return;
      }
      LockSupport.parkNanos(LOOK_NANOS);
    }
  }

  private void report(List<Source> sources) {
    long all = sources.stream().mapToLong(source -> source.acknowledged().size()).sum();
    view.note(
        String.format(
            Locale.ROOT,
            "%,d events in %d topics; %s",
            all,
            sources.size(),
            problems.isEmpty()
                ? "each was there as long as it lived, and all have expired and are removed"
                : "see below"));
  }
}
