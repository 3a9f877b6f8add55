package dev.holdfast;

import java.util.function.LongSupplier;

/**
 * How fast a scrub in the background may read: it owes time for what it has read, and waits that
 * time out between two leaves. Time in which it was kept from reading is not made up for.
 *
 * <p><b>Threads:</b> one.
 */
final class ScrubPace {
  /** What is owed less than this is waited for later: a wait costs something itself. */
  static final long LEAST_NANOS = 1_000_000L;

  /** So far it may be behind. */
  private static final long MOST_BEHIND_NANOS = 100_000_000L;

  private static final double NANOS = 1e9;

  private final double bytesPerSecond;
  private final LongSupplier clock;
  private long due;

  /**
   * @param bytesPerSecond of all legs together
   * @param clock nanoseconds that never go backwards
   */
  ScrubPace(long bytesPerSecond, LongSupplier clock) {
    this.bytesPerSecond = bytesPerSecond;
    this.clock = clock;
    this.due = clock.getAsLong();
  }

  /** How many nanoseconds to wait, now that so many more bytes were read. */
  long after(long bytes) {
    long now = clock.getAsLong();
    due = Math.max(due, now - MOST_BEHIND_NANOS);
    due += (long) (bytes * NANOS / bytesPerSecond);
    long left = due - now;
    return left < LEAST_NANOS ? 0 : left;
  }
}
