package dev.holdfast;

import dev.holdfast.health.ScrubFault;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * What a scrub did. Of one that was begun in a former life of the store: what it did in this one.
 *
 * @param legs how much was read of each leg, by index
 * @param records the records that were checked, each on all legs
 * @param faults what was found, by kind: a record, a large value, a part of the metadata or a page
 *     that is wrong on a leg counts once; of kinds that are not here nothing was found
 * @param repaired how many of them are right now
 * @param lostRanges how many ranges were right on no leg, and were named as lost
 * @param lostEntries how many entries that are, as far as it is known
 * @param duration how long it took
 * @param complete whether it came to the end
 */
public record ScrubReport(
    List<Leg> legs,
    long records,
    Map<ScrubFault, Long> faults,
    long repaired,
    long lostRanges,
    long lostEntries,
    Duration duration,
    boolean complete) {
  /**
   * One leg.
   *
   * @param index its place in the volume
   * @param bytesRead the bytes that were read of it
   */
  public record Leg(int index, long bytesRead) {}

  /** Copies what it is given. */
  public ScrubReport {
    legs = List.copyOf(legs);
    faults = Map.copyOf(faults);
  }

  /** {@return the bytes that were read of all legs} */
  public long bytesRead() {
    return legs.stream().mapToLong(Leg::bytesRead).sum();
  }

  /** {@return how many faults were found} */
  public long allFaults() {
    return faults.values().stream().mapToLong(Long::longValue).sum();
  }
}
