package dev.holdfast.volume;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What the superblocks of a volume say: the durable truth about its legs.
 *
 * @param storeId the identity of the store
 * @param secret seeds the checksums of records, so that bytes of a value never pass for a record
 * @param sequence counts the writes of the superblock; the higher one is the truth
 * @param epoch the arrangement in force
 * @param previous the one before, by which a half-written change is recognised
 * @param devices the UUIDs of the legs' devices, by index
 * @param marks what is known of each leg, by index
 * @param capacity the bytes of a leg
 * @param sequenceCeiling no record has a higher sequence
 * @param summary what the records are, where the volume was closed in order; null while it is open
 * @param bad the ranges that cannot be read
 * @param losses what no leg holds any more
 */
public record VolumeConfig(
    UUID storeId,
    long secret,
    long sequence,
    Epoch epoch,
    Epoch previous,
    List<UUID> devices,
    List<LegMark> marks,
    long capacity,
    long sequenceCeiling,
    @Nullable Summary summary,
    List<LegRange> bad,
    List<LossRecord> losses) {
  /**
   * A check on the records of a volume that was closed in order.
   *
   * @param records how many there are
   * @param digest the exclusive or of a hash of each
   */
  public record Summary(long records, long digest) {}

  /** Copies the lists: a configuration never changes. */
  public VolumeConfig {
    devices = List.copyOf(devices);
    marks = List.copyOf(marks);
    bad = List.copyOf(bad);
    losses = List.copyOf(losses);
  }

  int legs() {
    return devices.size();
  }

  boolean allInSync() {
    return marks.stream().allMatch(mark -> mark == LegMark.IN_SYNC);
  }

  VolumeConfig withEpoch(Epoch next) {
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        next,
        epoch,
        devices,
        marks,
        capacity,
        sequenceCeiling,
        summary,
        bad,
        losses);
  }

  VolumeConfig withSequence(long next) {
    return new VolumeConfig(
        storeId,
        secret,
        next,
        epoch,
        previous,
        devices,
        marks,
        capacity,
        sequenceCeiling,
        summary,
        bad,
        losses);
  }

  VolumeConfig withMark(int leg, LegMark mark) {
    List<LegMark> changed = new ArrayList<>(marks);
    changed.set(leg, mark);
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        changed,
        capacity,
        sequenceCeiling,
        summary,
        bad,
        losses);
  }

  VolumeConfig withDevice(int leg, UUID device) {
    List<UUID> changed = new ArrayList<>(devices);
    changed.set(leg, device);
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        changed,
        marks,
        capacity,
        sequenceCeiling,
        summary,
        bad,
        losses);
  }

  VolumeConfig withCapacity(long bytes) {
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        marks,
        bytes,
        sequenceCeiling,
        summary,
        bad,
        losses);
  }

  VolumeConfig withSequenceCeiling(long ceiling) {
    return new VolumeConfig(
        storeId, secret, sequence, epoch, previous, devices, marks, capacity, ceiling, summary, bad,
        losses);
  }

  VolumeConfig withSummary(@Nullable Summary closed) {
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        marks,
        capacity,
        sequenceCeiling,
        closed,
        bad,
        losses);
  }

  VolumeConfig withBad(List<LegRange> ranges) {
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        marks,
        capacity,
        sequenceCeiling,
        summary,
        ranges,
        losses);
  }

  /** The same, with other losses. */
  public VolumeConfig withLosses(List<LossRecord> records) {
    return new VolumeConfig(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        marks,
        capacity,
        sequenceCeiling,
        summary,
        bad,
        records);
  }
}
