package dev.holdfast;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * How often each leg made errors that were survived: poison, wrong bytes, slowness. Removal does
 * not come here.
 *
 * <p>What comes close behind an error is the same incident: one bad row of a device is many pages,
 * one misdirected write many records, and a leg is not given up for one of either.
 *
 * <p><b>Threads:</b> those that hold the lock of the {@link FaultResponse}.
 */
final class SoftErrors {
  /** What too many are, for people. */
  static final String LIMIT = "10 incidents in 10 minutes";

  private static final long INCIDENT_NANOS = Duration.ofSeconds(1).toNanos();

  private final Threshold[] thresholds;
  private final long[] last;
  private final boolean[] any;
  private final LongSupplier clock;

  /**
   * @param clock nanoseconds that never go backwards
   */
  SoftErrors(int legs, LongSupplier clock) {
    this.clock = clock;
    thresholds = new Threshold[legs];
    last = new long[legs];
    any = new boolean[legs];
    for (int leg = 0; leg < legs; leg++) {
      thresholds[leg] = Threshold.standard();
    }
  }

  void count(int leg) {
    long now = clock.getAsLong();
    if (any[leg] && now - last[leg] < INCIDENT_NANOS) {
      return;
    }
    any[leg] = true;
    last[leg] = now;
    boolean _ = thresholds[leg].error(now);
  }

  boolean areTooMany(int leg) {
    return thresholds[leg].hasFired();
  }

  /** Forgets the errors of a leg that was copied to as a whole. */
  void forget(int leg) {
    thresholds[leg].reset();
    any[leg] = false;
  }
}
