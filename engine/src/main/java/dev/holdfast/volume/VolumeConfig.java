package dev.holdfast.volume;

import dev.holdfast.health.RangeOrigin;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
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
 * @param departures what the superblock of each leg said when it went out of the write set, by
 *     index; {@link Departure#NONE} for a leg that is in it
 * @param capacity the bytes of a leg
 * @param sequenceCeiling no record has a higher sequence
 * @param summary what the records are, where the volume was closed in order; null while it is open
 * @param commits whether what was stored became durable by group commits: after a crash what is
 *     torn may lie between what is whole
 * @param compatible the features that a reader may ignore: bits that are not known are kept
 * @param bad the ranges that cannot be read
 * @param losses what no leg holds any more
 * @param history what is on record of the ranges that are bad, and of those that were
 * @param log the volume that has the redo log, or the one whose log this is; null where the redo
 *     log lies in the volume itself
 * @param maps whether keys may belong to maps that have a name
 * @param bulk the volume that has the large values, or the one whose large values these are; null
 *     where they lie in the volume itself
 */
public record VolumeConfig(
    UUID storeId,
    long secret,
    long sequence,
    Epoch epoch,
    Epoch previous,
    List<UUID> devices,
    List<LegMark> marks,
    List<Departure> departures,
    long capacity,
    long sequenceCeiling,
    @Nullable Summary summary,
    boolean commits,
    long compatible,
    List<LegRange> bad,
    List<LossRecord> losses,
    RangeHistory history,
    @Nullable LogLink log,
    boolean maps,
    @Nullable BulkLink bulk) {
  /** Of a volume that has its redo log in itself, and no map but one. */
  VolumeConfig(
      UUID storeId,
      long secret,
      long sequence,
      Epoch epoch,
      Epoch previous,
      List<UUID> devices,
      List<LegMark> marks,
      List<Departure> departures,
      long capacity,
      long sequenceCeiling,
      @Nullable Summary summary,
      boolean commits,
      long compatible,
      List<LegRange> bad,
      List<LossRecord> losses,
      RangeHistory history) {
    this(
        storeId,
        secret,
        sequence,
        epoch,
        previous,
        devices,
        marks,
        departures,
        capacity,
        sequenceCeiling,
        summary,
        commits,
        compatible,
        bad,
        losses,
        history,
        null,
        false,
        null);
  }

  /**
   * Ties a volume with entries to the one that has its redo log, on both sides.
   *
   * @param isLog whether this volume is the log
   * @param other the identity of the other one
   */
  public record LogLink(boolean isLog, UUID other) {}

  /**
   * Ties a volume with entries to the one that has its large values, on both sides.
   *
   * @param isBulk whether this volume has the large values
   * @param other the identity of the other one
   */
  public record BulkLink(boolean isBulk, UUID other) {}

  /**
   * A check on the records of a volume that was closed in order.
   *
   * @param records how many there are
   * @param digest the exclusive or of a hash of each
   */
  public record Summary(long records, long digest) {}

  /**
   * Which superblock a leg had when it went out of the write set. A device that comes back with
   * another one is not as it left: it was put back from a copy, or its file system forgot what it
   * had been given.
   *
   * @param epoch the arrangement that was in force
   * @param sequence of the superblock
   */
  public record Departure(Epoch epoch, long sequence) {
    /** Of a leg that did not go. */
    static final Departure NONE = new Departure(Epoch.NONE, 0);

    boolean isOf(VolumeConfig found) {
      return epoch.equals(found.epoch()) && sequence <= found.sequence();
    }
  }

  /** Copies the lists: a configuration never changes. */
  public VolumeConfig {
    devices = List.copyOf(devices);
    marks = List.copyOf(marks);
    departures = List.copyOf(departures);
    bad = List.copyOf(bad);
    losses = List.copyOf(losses);
  }

  int legs() {
    return devices.size();
  }

  /** Whether every leg that there is holds everything. */
  boolean allInSync() {
    return marks.stream().allMatch(mark -> mark == LegMark.IN_SYNC || mark == LegMark.DETACHED);
  }

  /** What is known of a leg; a place that was never taken is as good as one that was left. */
  LegMark markOf(int leg) {
    return leg < marks.size() ? marks.get(leg) : LegMark.DETACHED;
  }

  /** Whether a device is the one that is known as a leg. */
  boolean isLeg(int leg, UUID device) {
    return markOf(leg) != LegMark.DETACHED && devices.get(leg).equals(device);
  }

  /** The first place that no leg has; it may be the one behind the last. */
  int freePlace() {
    int free = marks.indexOf(LegMark.DETACHED);
    return free < 0 ? legs() : free;
  }

  /** With a device at a free place, that holds nothing yet. */
  VolumeConfig withNewLeg(int leg, UUID device) {
    if (leg < legs()) {
      return withDevice(leg, device).withJoined(leg, LegMark.NOT_IN_SYNC);
    }
    List<UUID> moreDevices = new ArrayList<>(devices);
    moreDevices.add(device);
    List<LegMark> moreMarks = new ArrayList<>(marks);
    moreMarks.add(LegMark.NOT_IN_SYNC);
    List<Departure> moreDepartures = new ArrayList<>(departures);
    moreDepartures.add(Departure.NONE);
    return with(draft -> {
      draft.devices = moreDevices;
      draft.marks = moreMarks;
      draft.departures = moreDepartures;
    });
  }

  /** Without a leg, for good; which device it was stays known. */
  VolumeConfig withDetached(int leg) {
    return withJoined(leg, LegMark.DETACHED)
        .withBad(bad.stream().filter(range -> range.leg() != leg).toList());
  }

  VolumeConfig withEpoch(Epoch next) {
    return withEpoch(epoch, next);
  }

  VolumeConfig withEpoch(Epoch before, Epoch next) {
    return with(draft -> {
      draft.previous = before;
      draft.epoch = next;
    });
  }

  VolumeConfig withSequence(long next) {
    return with(draft -> draft.sequence = next);
  }

  VolumeConfig withMark(int leg, LegMark mark) {
    List<LegMark> changed = new ArrayList<>(marks);
    changed.set(leg, mark);
    return with(draft -> draft.marks = changed);
  }

  /**
   * Notes that a leg is not in the write set any more.
   *
   * @param before the configuration that it has, if it was in the write set
   */
  VolumeConfig withDeparted(int leg, VolumeConfig before) {
    VolumeConfig marked = marks.get(leg) == LegMark.IN_SYNC ? withMark(leg, LegMark.STALE) : this;
    return departures.get(leg).equals(Departure.NONE)
        ? marked.withDeparture(leg, new Departure(before.epoch(), before.sequence()))
        : marked;
  }

  /** Notes that a leg is in the write set. */
  VolumeConfig withJoined(int leg, LegMark mark) {
    return withMark(leg, mark).withDeparture(leg, Departure.NONE);
  }

  private VolumeConfig withDeparture(int leg, Departure departure) {
    List<Departure> changed = new ArrayList<>(departures);
    changed.set(leg, departure);
    return with(draft -> draft.departures = changed);
  }

  VolumeConfig withDevice(int leg, UUID device) {
    List<UUID> changed = new ArrayList<>(devices);
    changed.set(leg, device);
    return with(draft -> draft.devices = changed);
  }

  VolumeConfig withCapacity(long bytes) {
    return with(draft -> draft.capacity = bytes);
  }

  VolumeConfig withSequenceCeiling(long ceiling) {
    return with(draft -> draft.sequenceCeiling = ceiling);
  }

  VolumeConfig withSummary(@Nullable Summary closed) {
    return with(draft -> draft.summary = closed);
  }

  /** The same, with stores that become durable by group commits, or do not. */
  public VolumeConfig withCommits(boolean does) {
    return with(draft -> draft.commits = does);
  }

  VolumeConfig withBad(List<LegRange> ranges) {
    return with(draft -> draft.bad = ranges);
  }

  VolumeConfig withHistory(RangeHistory records) {
    return with(draft -> draft.history = records);
  }

  /**
   * The same, with what is on record of the bad ranges of a leg as {@link #bad} has them.
   *
   * @param now in milliseconds since 1970
   */
  VolumeConfig withHistoryOf(int leg, RangeOrigin origin, long now) {
    List<LegRange> ranges = bad.stream().filter(range -> range.leg() == leg).toList();
    return withHistory(history.agreeing(devices.get(leg), ranges, origin, now));
  }

  /** The same, with other losses. */
  public VolumeConfig withLosses(List<LossRecord> records) {
    return with(draft -> draft.losses = records);
  }

  /** The same, with its redo log elsewhere; in itself where {@code link} is null. */
  public VolumeConfig withLog(@Nullable LogLink link) {
    return with(draft -> draft.log = link);
  }

  /** The same, where keys may belong to maps that have a name. */
  public VolumeConfig withMaps() {
    return with(draft -> draft.maps = true);
  }

  /** The same, with its large values in a BULK volume. */
  public VolumeConfig withBulk(UUID id) {
    return with(draft -> draft.bulk = new BulkLink(false, id));
  }

  private VolumeConfig with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return new VolumeConfig(
        storeId,
        secret,
        draft.sequence,
        draft.epoch,
        draft.previous,
        draft.devices,
        draft.marks,
        draft.departures,
        draft.capacity,
        draft.sequenceCeiling,
        draft.summary,
        draft.commits,
        compatible,
        draft.bad,
        draft.losses,
        draft.history,
        draft.log,
        draft.maps,
        draft.bulk);
  }

  /** What can change about a volume, while it is being changed. */
  private static final class Draft {
    long sequence;
    Epoch epoch;
    Epoch previous;
    List<UUID> devices;
    List<LegMark> marks;
    List<Departure> departures;
    long capacity;
    long sequenceCeiling;
    @Nullable Summary summary;
    boolean commits;
    List<LegRange> bad;
    List<LossRecord> losses;
    RangeHistory history;
    @Nullable LogLink log;
    boolean maps;
    @Nullable BulkLink bulk;

    Draft(VolumeConfig from) {
      sequence = from.sequence;
      epoch = from.epoch;
      previous = from.previous;
      devices = from.devices;
      marks = from.marks;
      departures = from.departures;
      capacity = from.capacity;
      sequenceCeiling = from.sequenceCeiling;
      summary = from.summary;
      commits = from.commits;
      bad = from.bad;
      losses = from.losses;
      history = from.history;
      log = from.log;
      maps = from.maps;
      bulk = from.bulk;
    }
  }
}
