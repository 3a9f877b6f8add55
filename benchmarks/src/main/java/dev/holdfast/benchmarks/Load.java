package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Readers and writers that work on a store back to back, each on random entries, and check every
 * value they get.
 *
 * <p>An operation is measured from the end of the one before: a pause between two of them, as for a
 * garbage collection, delays the second, and is counted. An operation over one second counts as
 * failed, as does one that throws.
 *
 * <p><b>Threads:</b> one thread drives it. <b>Failure:</b> a worker that dies makes every method
 * throw that waits for it.
 */
final class Load implements AutoCloseable {
  static final Duration LONGEST_OPERATION = Duration.ofSeconds(1);

  private static final long WORKER_WAIT_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final Store store;
  private final Dataset data;
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLongArray completedAt;
  private final AtomicLong operations = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong wrong = new AtomicLong();
  private final AtomicReference<@Nullable String> firstProblem = new AtomicReference<>();
  private final AtomicReference<@Nullable Throwable> death = new AtomicReference<>();
  private volatile @Nullable MeasuredWindow window;
  private volatile boolean stopping;

  private interface Operation {
    void perform();
  }

  private Load(Store store, Dataset data, int workers) {
    this.store = store;
    this.data = data;
    this.completedAt = new AtomicLongArray(workers);
  }

  /** Starts the workers. Several writers share the entries out by remainder. */
  static Load start(Store store, Dataset data, int readers, int writers, long seed) {
    Load load = new Load(store, data, readers + writers);
    SplittableRandom seeds = new SplittableRandom(seed);
    for (int i = 0; i < readers; i++) {
      load.add("reader-" + i, load.reader(seeds.split()));
    }
    for (int i = 0; i < writers; i++) {
      load.add("writer-" + i, load.writer(seeds.split(), i, writers));
    }
    load.threads.forEach(Thread::start);
    return load;
  }

  private void add(String name, Operation operation) {
    int worker = threads.size();
    completedAt.set(worker, System.nanoTime());
    threads.add(Thread.ofPlatform().name(name).daemon().unstarted(() -> work(worker, operation)));
  }

  private Operation reader(SplittableRandom random) {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    return () -> {
      int index = random.nextInt(data.entries());
      data.key(index, key);
      long lowest = data.lowest(index);
      long length = store.get(keySegment, valueSegment);
      if (!data.isRight(index, value, length, lowest)) {
        wrong.incrementAndGet();
        problem("entry " + index + ": wrong value of " + length + " bytes");
      }
    };
  }

  private Operation writer(SplittableRandom random, int remainder, int writers) {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    int own = (data.entries() - remainder + writers - 1) / writers;
    return () -> {
      int index = random.nextInt(own) * writers + remainder;
      data.key(index, key);
      long version = data.begin(index);
      int length = data.value(index, version, value);
      store.put(keySegment, valueSegment.asSlice(0, length));
      data.acknowledge(index, version);
    };
  }

  private void work(int worker, Operation operation) {
    try {
      long done = 0;
      long from = System.nanoTime();
      while (!stopping) {
        boolean threw = false;
        try {
          operation.perform();
        } catch (RuntimeException | InternalError e) {
          threw = true;
          problem(Thread.currentThread().getName() + ": " + e);
        }
        long to = System.nanoTime();
        if (threw || isTooLong(to - from)) {
          failed.incrementAndGet();
        }
        MeasuredWindow measured = window;
        if (measured != null) {
          measured.record(worker, from, to);
        }
        completedAt.setRelease(worker, to);
        from = to;
        done++;
      }
      operations.addAndGet(done);
    } catch (Throwable e) {
      death.compareAndSet(null, e);
    }
  }

  static boolean isTooLong(long nanos) {
    return nanos > LONGEST_OPERATION.toNanos();
  }

  private void problem(String text) {
    firstProblem.compareAndSet(null, text);
  }

  /** Lets the workers run for a while, unmeasured. */
  void run(Duration duration) {
    parkUntil(System.nanoTime() + duration.toNanos());
    requireAlive();
  }

  /** Begins to measure. */
  MeasuredWindow open() {
    if (window != null) {
      throw new IllegalStateException("window: expected none, is one open");
    }
    MeasuredWindow opened = new MeasuredWindow(threads.size(), System.nanoTime());
    window = opened;
    return opened;
  }

  /**
   * Ends the measuring once the window is {@code length} old and every worker has ended the
   * operation it was in then.
   *
   * @throws IllegalStateException if a worker does not come back from an operation
   */
  void close(MeasuredWindow opened, Duration length) {
    parkUntil(opened.openedAt() + length.toNanos());
    long now = System.nanoTime();
    opened.close(now);
    for (int i = 0; i < threads.size(); i++) {
      while (completedAt.getAcquire(i) - now < 0) {
        requireAlive();
        if (System.nanoTime() - now > WORKER_WAIT_NANOS) {
          throw new IllegalStateException(
              threads.get(i).getName() + ": in one operation for more than 30 s");
        }
        LockSupport.parkNanos(1_000_000);
      }
    }
    window = null;
  }

  static void parkUntil(long nanoTime) {
    for (long left; (left = nanoTime - System.nanoTime()) > 0; ) {
      LockSupport.parkNanos(left);
    }
  }

  private void requireAlive() {
    Throwable cause = death.get();
    if (cause != null) {
      throw new IllegalStateException("a worker died: " + cause, cause);
    }
  }

  /** Operations that failed so far. */
  long failed() {
    return failed.get();
  }

  /** Reads so far that returned what they may not. */
  long wrong() {
    return wrong.get();
  }

  /** What went wrong first, for people; null if nothing did. */
  @Nullable String firstProblem() {
    return firstProblem.get();
  }

  /** Operations of all workers; complete once closed. */
  long operations() {
    return operations.get();
  }

  /** Ends the workers and waits for them. */
  @Override
  public void close() {
    stopping = true;
    boolean interrupted = false;
    for (Thread thread : threads) {
      try {
        thread.join(WORKER_WAIT_NANOS / 1_000_000);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
