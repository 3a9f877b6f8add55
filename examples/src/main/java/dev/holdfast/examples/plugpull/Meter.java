package dev.holdfast.examples.plugpull;

import java.util.concurrent.atomic.AtomicLong;
import org.HdrHistogram.Histogram;

/**
 * Measures the operations of one thread. The loop is closed, each operation begins when the one
 * before has been checked, and every one counts: nothing is omitted while the store stands still,
 * because the operation that stands still is the one measured.
 *
 * <p><b>Threads:</b> its own thread records; the counts may be read by any, the rest once that
 * thread has ended.
 */
final class Meter {
  /**
   * What was done since the sample before.
   *
   * @param nanos how long that is
   * @param bytes of the operations that ended
   * @param longest of these operations, in nanoseconds; 0 where there was none
   */
  record Sample(long nanos, long bytes, long longest) {}

  /** An operation that takes longer has failed. */
  static final long SLOWEST_NANOS = 1_000_000_000L;

  private static final long IDLE = -1;
  private static final long LARGEST_NANOS = 3_600_000_000_000L;

  private final String role;
  private final boolean writes;
  private final Phases phases;
  private final Tally tally;
  private final Histogram control = new Histogram(LARGEST_NANOS, 3);
  private final Histogram after = new Histogram(LARGEST_NANOS, 3);
  private final AtomicLong countBefore = new AtomicLong();
  private final AtomicLong countAfter = new AtomicLong();
  private final AtomicLong controlNanos = new AtomicLong();
  private final AtomicLong running = new AtomicLong(IDLE);
  private final AtomicLong bytesDone = new AtomicLong();
  private final AtomicLong longestOfSample = new AtomicLong();
  private final Series series = new Series();
  private final OperationLog log = new OperationLog();
  private long sampledAt;
  private long sampledBytes;

  Meter(String role, boolean writes, Phases phases, Tally tally) {
    this.role = role;
    this.writes = writes;
    this.phases = phases;
    this.tally = tally;
  }

  /** An operation begins. */
  long begin() {
    long start = phases.now();
    running.setRelease(start);
    return start;
  }

  /** The operation that began at {@code start} ends now. */
  void end(long start, long bytes, boolean good) {
    end(start, phases.now(), bytes, good);
  }

  /** The operation that began at {@code start} ended at {@code end}. */
  void end(long start, long end, long bytes, boolean good) {
    running.setRelease(IDLE);
    boolean afterFault = end >= phases.struckAt();
    if (afterFault) {
      countAfter.lazySet(countAfter.getPlain() + 1);
      after.recordValue(end - start);
    } else {
      countBefore.lazySet(countBefore.getPlain() + 1);
      if (start >= phases.warmAt()) {
        control.recordValue(end - start);
        if (end - start > controlNanos.getPlain()) {
          controlNanos.lazySet(end - start);
        }
      }
    }
    bytesDone.lazySet(bytesDone.getPlain() + bytes);
    if (end - start > longestOfSample.get()) {
      longestOfSample.set(end - start);
    }
    series.add(start, end, bytes);
    log.add(start, end, good, afterFault);
    if (end - start > SLOWEST_NANOS) {
      tally.failed(role + ": an operation took " + (end - start) / 1_000_000 + " ms");
    }
  }

  String role() {
    return role;
  }

  boolean writes() {
    return writes;
  }

  long countBefore() {
    return countBefore.get();
  }

  long countAfter() {
    return countAfter.get();
  }

  /** How long the operation under way has been going on; 0 where there is none. */
  long runningNanos() {
    long start = running.get();
    return start == IDLE ? 0 : phases.now() - start;
  }

  /** The longest operation before the fault, warm-up left out; 0 where there was none. */
  long controlNanos() {
    return controlNanos.get();
  }

  /** What was done since the call before. For one thread, which need not be the meter's own. */
  Sample sample() {
    long now = phases.now();
    long bytes = bytesDone.get();
    Sample sample = new Sample(now - sampledAt, bytes - sampledBytes, longestOfSample.getAndSet(0));
    sampledAt = now;
    sampledBytes = bytes;
    return sample;
  }

  Histogram control() {
    return control;
  }

  Histogram after() {
    return after;
  }

  Series series() {
    return series;
  }

  OperationLog log() {
    return log;
  }
}
