package dev.holdfast;

import java.time.Duration;

/**
 * Tells when soft errors come too often: N of them within a time T. It fires once, and again only
 * after {@link #reset}. Removal and poison do not ask it.
 *
 * <p>Time is given, not taken, so that the answer is a function of the calls alone. <b>Units:</b>
 * nanoseconds of one clock that never goes backwards, such as {@link System#nanoTime}; it may wrap.
 * <b>Threads:</b> one at a time.
 *
 * <p><b>Source:</b> the SERD engine of OpenZFS ({@code cmd/zed/agents/fmd_serd.c}); 10 in 600 s are
 * its defaults (vdevprops(7), {@code checksum_n} and {@code checksum_t}).
 */
final class Threshold {
  private final long windowNanos;

  /** When the last errors happened, as a ring. */
  private final long[] times;

  private long recorded;
  private boolean fired;

  /**
   * @param errors how many errors are too many, ≥ 1
   * @param window the time in which that many are too many; the ends of it belong to it
   */
  Threshold(int errors, Duration window) {
    if (errors < 1 || window.isNegative()) {
      throw new IllegalArgumentException(
          "threshold: expected errors ≥ 1 and a window ≥ 0, was " + errors + " in " + window);
    }
    this.times = new long[errors];
    this.windowNanos = window.toNanos();
  }

  /** 10 errors in 10 minutes. */
  static Threshold standard() {
    return new Threshold(10, Duration.ofMinutes(10));
  }

  /**
   * Counts an error.
   *
   * @return true if this is the error that makes them too many; false from then on until {@link
   *     #reset}
   */
  boolean error(long nowNanos) {
    if (fired) {
      return false;
    }
    times[(int) (recorded % times.length)] = nowNanos;
    recorded++;
    if (recorded < times.length) {
      return false;
    }
    long oldest = times[(int) (recorded % times.length)];
    fired = nowNanos - oldest <= windowNanos;
    return fired;
  }

  /** Whether it has fired since it began or was reset. */
  boolean hasFired() {
    return fired;
  }

  /** Forgets all errors, as when a leg is replaced or cleared. */
  void reset() {
    recorded = 0;
    fired = false;
  }
}
