package dev.holdfast.volume;

import java.util.concurrent.TimeUnit;

/**
 * Keeps background work to a rate. What was not used does not count later: after a pause it goes on
 * as fast as before, not faster.
 *
 * <p><b>Threads:</b> one.
 */
final class Pace {
  /** As much as there is time for. */
  static final long UNLIMITED = Long.MAX_VALUE;

  private final long bytesPerSecond;
  private long free;
  private boolean begun;

  Pace(long bytesPerSecond) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /**
   * Counts work that was done.
   *
   * @param now by {@code System.nanoTime}
   * @return the nanoseconds until the next should be done; 0 if it may be done at once
   */
  long restAfter(long bytes, long now) {
    if (bytesPerSecond == UNLIMITED) {
      return 0;
    }
    long cost = (long) (bytes * (double) TimeUnit.SECONDS.toNanos(1) / bytesPerSecond);
    free = begun && free - now > -cost ? free + cost : now;
    begun = true;
    return Math.max(0, free - now);
  }
}
