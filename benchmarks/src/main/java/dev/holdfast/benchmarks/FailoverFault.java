package dev.holdfast.benchmarks;

import dev.holdfast.health.HealthEvent.Kind;
import java.time.Duration;
import java.util.Locale;

/** What is done to a leg. */
enum FailoverFault {
  /** Its device is pulled out without warning. */
  REMOVE,

  /** One of its pages loses its bytes and faults from then on. */
  POISON,

  /** Its device is removed in order: the store is told first, and has time. */
  ORDERLY,

  /**
   * The file system under it dies: mapped pages read and store on without a fault, whatever asks
   * the medium to write is refused. The heartbeat finds it.
   */
  FS_SHUTDOWN;

  /** How long an orderly removal waits for the store. */
  static final Duration GRACE = Duration.ofSeconds(2);

  /** A store gives a leg up that makes 10 incidents in 10 minutes: one fewer. */
  private static final int MOST_INCIDENTS = 9;

  /** So that a dead file system is found inside the window in which it died. */
  private static final Duration FAST_HEARTBEAT = Duration.ofMillis(20);

  private static final Duration STANDARD_HEARTBEAT = Duration.ofSeconds(1);

  /** Whether the store goes on, so that there is something to measure. */
  boolean isSurvivedBy(FailoverTopology topology) {
    return this == POISON || topology.isMirrored();
  }

  /** Whether the leg is not used any more, so that reads and writes go to others. */
  boolean takesTheLeg() {
    return this != POISON;
  }

  /** The event that tells that the store is done with the fault. */
  Kind lastStep() {
    return takesTheLeg() ? Kind.WRITE_SWITCHED : Kind.RANGE_REPAIRED;
  }

  /** How many faults of this kind one store takes at most, if so many are asked for. */
  int atMost(int faults) {
    return takesTheLeg() ? faults : Math.min(faults, MOST_INCIDENTS);
  }

  /** How often the store asks its legs whether their medium still writes. */
  Duration heartbeat() {
    return this == FS_SHUTDOWN ? FAST_HEARTBEAT : STANDARD_HEARTBEAT;
  }

  /** As on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
