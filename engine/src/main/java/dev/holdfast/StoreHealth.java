package dev.holdfast;

import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.BadRange;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How a store is.
 *
 * @param state its state
 * @param reason why it is not ONLINE, for people; null where it is
 * @param legs its legs, by index; one that was detached is listed as such until another one gets
 *     its place
 * @param lost what no leg holds any more
 * @param batchesAtRisk batches that were not acknowledged and cannot be completed: the log lost
 *     them. Nobody sees a part of one; writes are stopped
 * @param spares places for devices that come in for legs that are away
 * @param leases the leases
 * @param log the LOG volume; null if the store has none, and none was asked for
 * @param bulk the BULK volume; null if the store has none, and none was asked for
 */
public record StoreHealth(
    StoreState state,
    @Nullable String reason,
    List<Leg> legs,
    List<Lost> lost,
    List<BatchAtRisk> batchesAtRisk,
    List<Spare> spares,
    Leases leases,
    @Nullable Log log,
    @Nullable Bulk bulk) {
  /**
   * Of a store that has no spares, and no leases.
   *
   * @param state its state
   * @param reason why it is not ONLINE; null where it is
   * @param legs its legs, by index
   * @param lost what no leg holds any more
   * @param batchesAtRisk batches that the log lost
   */
  public StoreHealth(
      StoreState state,
      @Nullable String reason,
      List<Leg> legs,
      List<Lost> lost,
      List<BatchAtRisk> batchesAtRisk) {
    this(state, reason, legs, lost, batchesAtRisk, List.of(), Leases.NONE, null, null);
  }

  /**
   * Of a store that has no batches at risk, no spares and no leases.
   *
   * @param state its state
   * @param reason why it is not ONLINE; null where it is
   * @param legs its legs, by index
   * @param lost what no leg holds any more
   */
  public StoreHealth(StoreState state, @Nullable String reason, List<Leg> legs, List<Lost> lost) {
    this(state, reason, legs, lost, List.of(), List.of(), Leases.NONE, null, null);
  }

  /**
   * The BULK volume, see {@link StoreBuilder#bulk}.
   *
   * @param state how it is; FAILED where none of its devices is there: large values are offline
   * @param reason why, for people; null where it is ONLINE
   * @param legs its legs, by index
   * @param lost large values that no leg of it holds any more
   */
  public record Bulk(StoreState state, @Nullable String reason, List<Leg> legs, List<Lost> lost) {}

  /**
   * The LOG volume, see {@link StoreBuilder#log}.
   *
   * @param inUse whether batches go there; if not, they go to the log that lies with the entries
   * @param legs its legs, by index; empty where it could not be opened or made
   */
  public record Log(boolean inUse, List<Leg> legs) {}

  /**
   * The leases, see {@link Store#lease}.
   *
   * @param open how many are open
   * @param bytesHeld what a leg keeps for them alone: values that were overwritten or removed since
   * @param gaveWay how many were ended, since the store was opened, because there was no other room
   */
  public record Leases(long open, long bytesHeld, long gaveWay) {
    /** None, ever. */
    public static final Leases NONE = new Leases(0, 0, 0);
  }

  /**
   * A place for a device that comes in for a leg that is away, see {@link StoreBuilder#spare}.
   *
   * @param place where the device is, or would be made
   * @param state what it does
   * @param leg the index of the leg that it is; -1 if it is none
   */
  public record Spare(Path place, SpareState state, int leg) {}

  /** What a spare does. */
  public enum SpareState {
    /** Waits. */
    AVAILABLE,
    /** Is a leg, or is becoming one. */
    IN_USE,
    /** Something was at its place, or no device could be made there, when it was looked at last. */
    UNAVAILABLE
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
   * @param map the name of the map; null for the store's own. Where a range goes over several maps,
   *     each is told of its part; "(dropped)" of one that is being cleared, "(names of maps)" of
   *     what tells which there are
   * @param key the key, or null where it is not known
   * @param low the first key of the range that it is in; null where it has no begin
   * @param high the first key behind that range; null where it has no end
   * @param entries how many entries were lost, in all maps of the range together; -1 where that is
   *     not known: then any key of the range that is not found may be one
   * @param offset the first byte that was lost, volume-relative
   * @param length the number of bytes that were lost
   */
  @SuppressWarnings("ArrayRecordComponent") // a report is read, never compared
  public record Lost(
      @Nullable String map,
      byte @Nullable [] key,
      byte @Nullable [] low,
      byte @Nullable [] high,
      int entries,
      long offset,
      long length) {}
}
