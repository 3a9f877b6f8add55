package dev.holdfast.volume;

import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;

/**
 * What is on record of the bad ranges of the devices of a volume: those that are bad, and those
 * that were, for a time. It lies in the superblocks, and says more about {@link VolumeConfig#bad},
 * which alone keeps operations from a range: what is not on record here is excluded all the same.
 *
 * <p>Ranges of a device are ascending and disjoint. There are at most {@link #MOST}: where there
 * are more, those that were cleared are forgotten first, the oldest ones before others. Immutable.
 */
public final class RangeHistory {
  /** Of a volume whose devices never failed. */
  static final RangeHistory NONE = new RangeHistory(List.of());

  /** The most ranges that are kept: as many as may be bad of a leg before it is given up. */
  static final int MOST = 512;

  private static final Comparator<RangeRecord> ORDER =
      Comparator.comparing(RangeRecord::device).thenComparingLong(RangeRecord::offset);

  private final List<RangeRecord> records;

  private RangeHistory(List<RangeRecord> records) {
    this.records = List.copyOf(records);
  }

  static RangeHistory of(List<RangeRecord> records) {
    return records.isEmpty() ? NONE : new RangeHistory(atMost(MOST, joined(records)));
  }

  List<RangeRecord> records() {
    return records;
  }

  /** What is on record of a device, ascending. */
  public List<RangeRecord> of(UUID device) {
    return records.stream().filter(record -> record.device().equals(device)).toList();
  }

  /** Notes that a range failed. */
  RangeHistory found(UUID device, long offset, long length, RangeOrigin by, long now) {
    return withGaps(device, offset, length, by, now, record -> record.again(by, now));
  }

  /** Notes that a range is bad, which may be known. */
  RangeHistory known(UUID device, long offset, long length, RangeOrigin by, long now) {
    return withGaps(
        device,
        offset,
        length,
        by,
        now,
        record -> record.isLive() ? record : record.again(by, now));
  }

  /** Notes that the store knows what it means that a range is bad. */
  RangeHistory acked(UUID device, long offset, long length, long now) {
    return changed(
        device,
        offset,
        length,
        record -> record.state() == RangeState.UNACKED ? record.in(RangeState.ACKED, now) : record);
  }

  /** Notes that what is bad in a range was rewritten. */
  RangeHistory cleared(UUID device, long offset, long length, long now) {
    return changed(
        device,
        offset,
        length,
        record -> record.isLive() ? record.in(RangeState.CLEARED, now) : record);
  }

  /**
   * Makes what is on record of a device say what the volume excludes of it: what is not excluded
   * any more was rewritten.
   */
  RangeHistory agreeing(UUID device, List<LegRange> bad, RangeOrigin by, long now) {
    RangeHistory next = this;
    for (RangeRecord record : of(device)) {
      if (!record.isLive()) {
        continue;
      }
      List<LegRange> rest = List.of(new LegRange(0, record.offset(), record.length()));
      for (LegRange range : bad) {
        rest = Exclusions.without(rest, new LegRange(0, range.offset(), range.length()));
      }
      for (LegRange gone : rest) {
        next = next.cleared(device, gone.offset(), gone.length(), now);
      }
    }
    for (LegRange range : bad) {
      next = next.known(device, range.offset(), range.length(), by, now);
    }
    return next;
  }

  /**
   * Forgets what was cleared long ago, and what is of devices that are not of the volume any more.
   *
   * @param age in milliseconds
   */
  RangeHistory aged(List<UUID> devices, long now, long age) {
    List<RangeRecord> kept =
        records.stream()
            .filter(record ->
                (record.isLive() && devices.contains(record.device()))
                    || now - Math.max(record.since(), record.lastSeen()) < age)
            .toList();
    return kept.size() == records.size() ? this : of(kept);
  }

  /** The same without what exceeds a number. */
  RangeHistory atMost(int most) {
    return records.size() <= most ? this : new RangeHistory(atMost(most, records));
  }

  private RangeHistory changed(
      UUID device, long offset, long length, UnaryOperator<RangeRecord> change) {
    List<RangeRecord> next = new ArrayList<>();
    long end = offset + length;
    for (RangeRecord record : records) {
      if (!record.overlaps(device, offset, length)) {
        next.add(record);
        continue;
      }
      long from = Math.max(record.offset(), offset);
      long to = Math.min(record.end(), end);
      if (record.offset() < from) {
        next.add(record.part(record.offset(), from));
      }
      next.add(change.apply(record.part(from, to)));
      if (to < record.end()) {
        next.add(record.part(to, record.end()));
      }
    }
    return next.equals(records) ? this : of(next);
  }

  private RangeHistory withGaps(
      UUID device,
      long offset,
      long length,
      RangeOrigin by,
      long now,
      UnaryOperator<RangeRecord> change) {
    List<LegRange> gaps = List.of(new LegRange(0, offset, length));
    for (RangeRecord record : records) {
      if (record.overlaps(device, offset, length)) {
        gaps = Exclusions.without(gaps, new LegRange(0, record.offset(), record.length()));
      }
    }
    RangeHistory there = changed(device, offset, length, change);
    if (gaps.isEmpty()) {
      return there;
    }
    List<RangeRecord> next = new ArrayList<>(there.records);
    for (LegRange gap : gaps) {
      next.add(
          new RangeRecord(
              device, gap.offset(), gap.length(), RangeState.UNACKED, by, 1, now, now, now));
    }
    return of(next);
  }

  private static List<RangeRecord> joined(List<RangeRecord> records) {
    List<RangeRecord> joined = new ArrayList<>();
    for (RangeRecord record : records.stream().sorted(ORDER).toList()) {
      if (!joined.isEmpty() && joined.getLast().goesOnWith(record)) {
        RangeRecord first = joined.removeLast();
        joined.add(first.part(first.offset(), record.end()));
      } else {
        joined.add(record);
      }
    }
    return joined;
  }

  private static List<RangeRecord> atMost(int most, List<RangeRecord> records) {
    if (records.size() <= most) {
      return records;
    }
    return records.stream()
        .sorted(
            Comparator.comparing(RangeRecord::isLive)
                .thenComparingLong(RangeRecord::lastSeen)
                .reversed())
        .limit(most)
        .sorted(ORDER)
        .toList();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RangeHistory history && history.records.equals(records);
  }

  @Override
  public int hashCode() {
    return records.hashCode();
  }

  @Override
  public String toString() {
    return records.toString();
  }
}
