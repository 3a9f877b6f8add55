package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.codec.chronicle.BytesView;
import dev.holdfast.error.OutOfSpaceException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import net.openhft.chronicle.bytes.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * One writer that imports and overwrites, and readers that verify what was acknowledged, all the
 * time.
 *
 * <p><b>Threads:</b> started and joined by one; the threads in between are its own.
 */
final class Load {
  private static final int READERS = 2;

  /** One overwrite after so many imports: without them a stale value could not be told. */
  private static final int IMPORTS_PER_OVERWRITE = 8;

  /** Larger values are imported once and read, but not written again and again. */
  static final long LARGEST_OVERWRITTEN = 1 << 18;

  private static final int WARM_UP_PERCENT = 10;

  private final Store store;
  private final Input input;
  private final Ledger ledger;
  private final Phases phases;
  private final Tally tally;
  private final Settings settings;
  private final AcknowledgementSink sink;
  private final long half;
  private final long total;
  private final int first;
  private final Meter writer;
  private final List<Meter> readers = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLong bytesDone = new AtomicLong();
  private final AtomicLong overwrites = new AtomicLong();
  private final AtomicInteger unreadable = new AtomicInteger();
  private volatile boolean halfWay;
  private volatile boolean writerDone;

  private final ReadChoice choice;

  /** The entry that was handed to the store last, or is being handed to it. */
  private volatile int writing = -1;

  private volatile boolean takingDown;
  private final Set<Integer> takenDown = ConcurrentHashMap.newKeySet();

  /**
   * @param first the entry to begin with; those before it were imported already
   * @param done the bytes of those before it
   */
  Load(
      Store store,
      Input input,
      Ledger ledger,
      Phases phases,
      Tally tally,
      Settings settings,
      AcknowledgementSink sink,
      int first,
      long done) {
    this.store = store;
    this.input = input;
    this.ledger = ledger;
    this.choice = new ReadChoice(ledger);
    this.phases = phases;
    this.tally = tally;
    this.settings = settings;
    this.sink = sink;
    this.first = first;
    total = input.bytes();
    half = total / 2;
    bytesDone.set(done);
    halfWay = phases.struckAt() != Phases.NEVER;
    writer = new Meter("writer", true, phases, tally);
    for (int i = 0; i < READERS; i++) {
      readers.add(new Meter("reader " + (i + 1), false, phases, tally));
    }
  }

  void start() {
    threads.add(thread(writer.role(), this::write));
    for (int i = 0; i < READERS; i++) {
      Meter meter = readers.get(i);
      long seed = settings.seed() + i + 1;
      threads.add(thread(meter.role(), () -> read(meter, seed)));
    }
    threads.forEach(Thread::start);
  }

  private Thread thread(String name, Runnable body) {
    Thread thread =
        new Thread(
            () -> {
              try {
                body.run();
              } catch (Throwable t) { // the top frame: a dead thread must not look like a quiet one
                tally.failed(name + " ended with " + t);
                phases.abort(new IllegalStateException(name + " ended with " + t, t));
              }
            },
            "plug-pull " + name);
    thread.setDaemon(true);
    return thread;
  }

  /** Whether half of the bytes were handed over, and the fault may strike. */
  boolean halfWay() {
    return halfWay;
  }

  /** Whether the writer has nothing left to do. */
  boolean writerDone() {
    return writerDone;
  }

  long bytesDone() {
    return bytesDone.get();
  }

  long overwrites() {
    return overwrites.get();
  }

  /** Entries whose source could not be read when its turn came. */
  int unreadable() {
    return unreadable.get();
  }

  /** From now on every entry that is written is taken down. */
  void takeDownWrites() {
    takingDown = true;
    // One whose write is under way may move, too.
    takenDown.add(writing);
  }

  /** The entries that were being written at any time since {@link #takeDownWrites}. */
  Set<Integer> writesTakenDown() {
    takingDown = false;
    return Set.copyOf(takenDown);
  }

  void readMoreOften(int[] entries) {
    choice.prefer(entries);
  }

  List<Meter> meters() {
    List<Meter> all = new ArrayList<>(readers);
    all.addFirst(writer);
    return all;
  }

  /** The fewest operations of any thread before the fault. */
  long fewestBefore() {
    return meters().stream().mapToLong(Meter::countBefore).min().orElse(0);
  }

  /** The fewest operations of any thread after the fault. */
  long fewestAfter() {
    return meters().stream().mapToLong(Meter::countAfter).min().orElse(0);
  }

  /** A thread whose operation does not end, or null. */
  @Nullable String stuck(long nanos) {
    for (int i = 0; i < threads.size(); i++) {
      if (meters().get(i).runningNanos() > nanos) {
        StringBuilder text = new StringBuilder(threads.get(i).getName() + " does not return:");
        for (StackTraceElement frame : threads.get(i).getStackTrace()) {
          text.append("\n    at ").append(frame);
        }
        return text.toString();
      }
    }
    return null;
  }

  /** Waits for all threads; false if one did not end in time. */
  boolean join(long millis) throws InterruptedException {
    long deadline = System.nanoTime() + millis * 1_000_000;
    for (Thread thread : threads) {
      thread.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
    }
    return threads.stream().noneMatch(Thread::isAlive);
  }

  private void write() {
    try (Writer body = new Writer()) {
      body.importAll();
      body.goOn();
    } finally {
      writerDone = true;
    }
  }

  private void read(Meter meter, long seed) {
    try (Reader body = new Reader(store, input, ledger, tally)) {
      SplittableRandom random = new SplittableRandom(seed);
      while (!phases.stopping()) {
        int index = choice.next(random);
        if (index < 0) {
          LockSupport.parkNanos(10_000);
          continue;
        }
        body.verify(index, meter);
      }
    }
  }

  /** The writer's thread. */
  private final class Writer implements AutoCloseable {
    private final BytesView view = BytesView.of(store);
    private final Reader before = new Reader(store, input, ledger, tally);
    private final Values values = new Values();
    private final SplittableRandom random = new SplittableRandom(settings.seed());
    private final Bytes<?> key = Bytes.allocateElasticDirect();
    private final Bytes<?> value = Bytes.allocateElasticDirect();
    private int smallest = -1;

    void importAll() {
      for (int i = 0; i < first; i++) {
        remember(i);
      }
      for (int i = first; i < input.count() && !phases.stopping(); i++) {
        importOne(i);
        bytesDone.addAndGet(input.length(i));
        if (i % IMPORTS_PER_OVERWRITE == 0) {
          overwriteOne();
        }
        if (phases.warmAt() == Phases.NEVER
            && bytesDone.get() * 100 >= total * (double) WARM_UP_PERCENT) {
          phases.warm();
        }
        if (!halfWay && bytesDone.get() >= half) {
          overwriteUntil(() -> fewestBefore() >= settings.minOperations());
          halfWay = true;
        }
      }
    }

    /** Overwrites until the fault has struck and every thread has done enough after it. */
    void goOn() {
      while (phases.injectedAt() == Phases.NEVER && !phases.stopping()) {
        overwriteOne();
      }
      overwriteUntil(() ->
          fewestAfter() >= settings.minOperations()
              && tally.refusedWrites() >= settings.expectation().leastRefusedWrites());
    }

    private void overwriteUntil(java.util.function.BooleanSupplier enough) {
      long deadline = System.nanoTime() + settings.patience().toNanos();
      while (!enough.getAsBoolean() && System.nanoTime() - deadline < 0 && !phases.stopping()) {
        overwriteOne();
      }
    }

    private void importOne(int index) {
      byte[] digest;
      try {
        digest = values.load(input, index, value);
      } catch (IOException e) {
        unreadable.incrementAndGet();
        return;
      }
      ledger.source(index, value.readRemaining(), digest);
      put(index, 0, digest);
      remember(index);
    }

    private void remember(int index) {
      if (ledger.isAcknowledged(index)
          && (smallest < 0 || ledger.length(index) < ledger.length(smallest))) {
        smallest = index;
      }
    }

    private void overwriteOne() {
      int index = smallest;
      for (int tries = 0; tries < 8 && ledger.frontier() > 0; tries++) {
        int candidate = random.nextInt(ledger.frontier());
        if (ledger.isAcknowledged(candidate) && ledger.length(candidate) <= LARGEST_OVERWRITTEN) {
          index = candidate;
          break;
        }
      }
      if (index < 0) {
        LockSupport.parkNanos(100_000);
        return;
      }
      // A write that was dropped must not be covered up by the next one.
      before.verify(index, null);
      try {
        byte[] digest = values.load(input, index, value);
        if (ledger.digestEquals(index, digest)) {
          int version = ledger.issued(index) + 1;
          Values.version(value, version);
          put(index, version, digest);
          overwrites.incrementAndGet();
        }
      } catch (IOException e) {
        // The source went away since; its entry stays as it was imported.
        unreadable.incrementAndGet();
      }
    }

    private void put(int index, int version, byte[] digest) {
      key.clear();
      key.write(input.key(index));
      writing = index;
      if (takingDown) {
        takenDown.add(index);
      }
      ledger.issue(index, version);
      sink.issued(index, version, ledger.length(index), digest);
      long bytes = value.readRemaining();
      boolean good = false;
      long start = writer.begin();
      long end;
      try {
        view.put(key, value);
        end = phases.now();
        good = true;
        ledger.acknowledge(index, version);
        sink.acknowledged(index, version);
        tally.acknowledged(index, start);
      } catch (OutOfSpaceException e) {
        end = phases.now();
        phases.abort(new BadInputException("no space: " + e.getMessage(), e));
      } catch (Throwable t) { // whatever it is, it is the store's answer, and it is counted
        end = phases.now();
        tally.writeThrew(index, t);
      }
      writer.end(start, end, bytes, good);
    }

    @Override
    public void close() {
      before.close();
      key.releaseLast();
      value.releaseLast();
    }
  }
}
