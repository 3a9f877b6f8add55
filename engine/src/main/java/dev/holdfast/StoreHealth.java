package dev.holdfast;

import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.volume.LegState;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How a store is.
 *
 * @param state its state
 * @param reason why it is not ONLINE, for people; null where it is
 * @param legs its legs, by index
 * @param lost what no leg holds any more
 * @param batchesAtRisk batches that were not acknowledged and cannot be completed: the log lost
 *     them. Nobody sees a part of one; writes are stopped
 */
public record StoreHealth(
    StoreState state,
    @Nullable String reason,
    List<Leg> legs,
    List<Lost> lost,
    List<BatchAtRisk> batchesAtRisk) {
  /** Of a store that has no batches at risk. */
  public StoreHealth(StoreState state, @Nullable String reason, List<Leg> legs, List<Lost> lost) {
    this(state, reason, legs, lost, List.of());
  }

  /**
   * A batch that was not acknowledged, and that the log no longer has.
   *
   * @param number its number; where it has none any more, the least that it can have
   * @param operations how many operations it had; -1 where it is not known that there was one
   */
  public record BatchAtRisk(long number, int operations) {}

  /**
   * One leg.
   *
   * @param index its place in the volume
   * @param device the UUID of its device
   * @param name where its device lies
   * @param state its state
   * @param badRanges the ranges of it that cannot be read, volume-relative
   */
  public record Leg(
      int index, UUID device, String name, LegState state, List<BadRange> badRanges) {}

  /**
   * Something that was acknowledged once and that no leg holds any more.
   *
   * @param key the key, or null where it is not known
   * @param low the first key of the range that it is in; null where it has no begin
   * @param high the first key behind that range; null where it has no end
   * @param entries how many entries were lost; -1 where that is not known: then any key of the
   *     range that is not found may be one
   * @param offset the first byte that was lost, volume-relative
   * @param length the number of bytes that were lost
   */
  @SuppressWarnings("ArrayRecordComponent") // a report is read, never compared
  public record Lost(
      byte @Nullable [] key,
      byte @Nullable [] low,
      byte @Nullable [] high,
      int entries,
      long offset,
      long length) {}
}
