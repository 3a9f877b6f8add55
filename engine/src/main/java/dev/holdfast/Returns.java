package dev.holdfast;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * When to try again to bring a leg back whose device is there: at once, then ever less often.
 *
 * <p><b>Threads:</b> those that hold the lock of the {@link FaultResponse}.
 */
final class Returns {
  private static final long FIRST_WAIT_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LONGEST_WAIT_NANOS = Duration.ofMinutes(1).toNanos();

  private final LongSupplier clock;
  private final long[] waits;
  private final long[] failedAt;

  /**
   * @param clock nanoseconds that never go backwards
   */
  Returns(int legs, LongSupplier clock) {
    this.clock = clock;
    waits = new long[legs];
    failedAt = new long[legs];
  }

  boolean isDue(int leg) {
    return waits[leg] == 0 || clock.getAsLong() - failedAt[leg] >= waits[leg];
  }

  void failed(int leg) {
    waits[leg] = Math.clamp(2 * waits[leg], FIRST_WAIT_NANOS, LONGEST_WAIT_NANOS);
    failedAt[leg] = clock.getAsLong();
  }

  void succeeded(int leg) {
    waits[leg] = 0;
  }
}
