package dev.holdfast.benchmarks;

import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/**
 * A stretch of time in which every operation of every worker is measured, those that were under way
 * at its beginning and at its end included, with their whole length: a stall is not cut off by the
 * edge of a window.
 *
 * <p><b>Threads:</b> one histogram a worker, written by it alone; read when the workers have moved
 * on. <b>Units:</b> nanoseconds.
 */
final class MeasuredWindow {
  private static final long LONGEST_NANOS = TimeUnit.MINUTES.toNanos(10);

  private final Histogram[] histograms;
  private final long openedAt;
  private volatile long closedAt = Long.MAX_VALUE;
  private volatile boolean closed;

  MeasuredWindow(int workers, long openedAt) {
    this.histograms = new Histogram[workers];
    for (int i = 0; i < workers; i++) {
      histograms[i] = new Histogram(LONGEST_NANOS, 3);
    }
    this.openedAt = openedAt;
  }

  long openedAt() {
    return openedAt;
  }

  /** Takes down an operation that has ended. */
  void record(int worker, long from, long to) {
    // nanoTime may wrap: differences only.
    if (to - openedAt >= 0 && (!closed || closedAt - from > 0)) {
      histograms[worker].recordValue(Math.min(to - from, LONGEST_NANOS));
    }
  }

  void close(long at) {
    closedAt = at;
    closed = true;
  }

  /**
   * What was measured, corrected for coordinated omission: a worker that hangs issues no
   * operations, so those it would have issued meanwhile count as waiting, at the mean pace of the
   * worker.
   */
  Histogram operations() {
    Histogram all = new Histogram(LONGEST_NANOS, 3);
    for (Histogram one : histograms) {
      if (one.getTotalCount() > 0) {
        all.addWhileCorrectingForCoordinatedOmission(one, Math.max(1, (long) one.getMean()));
      }
    }
    return all;
  }

  /** How many operations there were. */
  long count() {
    long count = 0;
    for (Histogram one : histograms) {
      count += one.getTotalCount();
    }
    return count;
  }

  /** The longest operation. */
  long longestNanos() {
    long longest = 0;
    for (Histogram one : histograms) {
      longest = Math.max(longest, one.getMaxValue());
    }
    return longest;
  }
}
