package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.error.DataLostException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Readers and writers that work on a store back to back, each on random entries, and check every
 * value they get.
 *
 * <p>An operation is measured from the end of the one before: a pause between two of them, as for a
 * garbage collection, delays the second, and is counted. An operation over one second counts as
 * failed, as does one that throws; a read that is told that its entry is lost does not, the entry
 * is taken down.
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
  private final List<Worker> workers = new ArrayList<>();
  private final AtomicLongArray completedAt;
  private final AtomicLong operations = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong wrong = new AtomicLong();
  private final Map<Integer, Integer> lost = new ConcurrentHashMap<>();
  private final AtomicReference<@Nullable String> firstProblem = new AtomicReference<>();
  private final AtomicReference<@Nullable Throwable> death = new AtomicReference<>();
  private volatile @Nullable MeasuredWindow window;
  private volatile @Nullable Aim aim;
  private volatile boolean stopping;

  /** What a worker does. */
  enum Kind {
    READ,
    WRITE
  }

  private interface Operation {
    /** Returns whether it did what it should. */
    boolean perform(int index);
  }

  /** One thread of the load, which confines all of this; others look when it has moved on. */
  private static final class Worker {
    final Kind kind;
    final SplittableRandom random;
    final int step;
    final int remainder;
    final int own;
    final Operation operation;
    final GoodOperations good = new GoodOperations();
    Aim.@Nullable Progress progress;

    /** Of those entries whose index leaves {@code remainder} when divided by {@code step}. */
    Worker(
        Kind kind,
        SplittableRandom random,
        int entries,
        int step,
        int remainder,
        Operation operation) {
      this.kind = kind;
      this.random = random;
      this.step = step;
      this.remainder = remainder;
      this.own = (entries - remainder + step - 1) / step;
      this.operation = operation;
    }

    int any() {
      return random.nextInt(own) * step + remainder;
    }

    Aim.Progress progress(Aim aim) {
      Aim.Progress current = progress;
      if (current == null || !current.isOf(aim)) {
        IntPredicate may = index -> index % step == remainder;
        current = new Aim.Progress(aim, may);
        good.clear();
        progress = current;
      }
      return current;
    }
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
      load.add(
          "reader-" + i, new Worker(Kind.READ, seeds.split(), data.entries(), 1, 0, load.reader()));
    }
    for (int i = 0; i < writers; i++) {
      load.add(
          "writer-" + i,
          new Worker(Kind.WRITE, seeds.split(), data.entries(), writers, i, load.writer()));
    }
    load.threads.forEach(Thread::start);
    return load;
  }

  private void add(String name, Worker worker) {
    int number = threads.size();
    completedAt.set(number, System.nanoTime());
    workers.add(worker);
    threads.add(Thread.ofPlatform().name(name).daemon().unstarted(() -> work(number, worker)));
  }

  private Operation reader() {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    return index -> {
      data.key(index, key);
      long lowest = data.lowest(index);
      long length;
      try {
        length = store.get(keySegment, valueSegment);
      } catch (DataLostException e) {
        lost.putIfAbsent(index, data.valueLength(index, lowest));
        return false;
      }
      if (!data.isRight(index, value, length, lowest)) {
        wrong.incrementAndGet();
        problem("entry " + index + ": wrong value of " + length + " bytes");
        return false;
      }
      return true;
    };
  }

  private Operation writer() {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    return index -> {
      data.key(index, key);
      long version = data.begin(index);
      int length = data.value(index, version, value);
      store.put(keySegment, valueSegment.asSlice(0, length));
      data.acknowledge(index, version);
      return true;
    };
  }

  private void work(int number, Worker worker) {
    try {
      long done = 0;
      long from = System.nanoTime();
      while (!stopping) {
        Aim aiming = aim;
        Aim.Progress progress = aiming == null ? null : worker.progress(aiming);
        int aimedAt = progress == null ? -1 : progress.next();
        int index = aimedAt >= 0 ? aimedAt : worker.any();
        boolean threw = false;
        boolean did = false;
        try {
          did = worker.operation.perform(index);
        } catch (RuntimeException | InternalError e) {
          threw = true;
          problem(Thread.currentThread().getName() + ": " + e);
        }
        long to = System.nanoTime();
        boolean late = !threw && isTooLong(to - from);
        if (late) {
          problem(Thread.currentThread().getName() + ": took " + (to - from) / 1_000_000 + " ms");
        }
        if (threw || late) {
          failed.incrementAndGet();
          did = false;
        }
        if (did && aiming != null && progress != null && aiming.hit(index)) {
          worker.good.add(from, to);
          progress.succeeded();
        }
        MeasuredWindow measured = window;
        if (measured != null) {
          measured.record(number, from, to);
        }
        completedAt.setRelease(number, to);
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
    aim = null;
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

  /**
   * Has the workers go for what a fault is about to hit, and takes down what succeeds, until the
   * window is closed that is open.
   */
  void aim(Aim at) {
    aim = at;
  }

  /**
   * When the first operation ended, of those on what was aimed at, that did not begin before a
   * moment and succeeded.
   *
   * <p><b>Threads:</b> once the window is {@linkplain #close(MeasuredWindow, Duration) closed} in
   * which it happened.
   *
   * @param moment by {@link System#nanoTime}, as what is returned
   */
  OptionalLong firstGood(Kind kind, Aim at, long moment) {
    OptionalLong first = OptionalLong.empty();
    for (Worker worker : workers) {
      Aim.Progress progress = worker.progress;
      if (worker.kind == kind && progress != null && progress.isOf(at)) {
        OptionalLong own = worker.good.firstSince(moment);
        if (own.isPresent() && (first.isEmpty() || own.getAsLong() - first.getAsLong() < 0)) {
          first = own;
        }
      }
    }
    return first;
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

  /** The entries that a read was told are lost, each with the length that its value had. */
  Map<Integer, Integer> lost() {
    return Map.copyOf(lost);
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
