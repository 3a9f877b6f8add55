package dev.holdfast.volume;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is known of the bad ranges of a leg: what is on record of its device, and what is excluded
 * without a record, as there is room for {@value RangeHistory#MOST} alone.
 *
 * @param records ascending by offset
 * @param unrecorded what is excluded beyond that
 */
public record RangeLog(List<RangeRecord> records, List<LegRange> unrecorded) {
  /** Copies the lists. */
  public RangeLog {
    records = List.copyOf(records);
    unrecorded = List.copyOf(unrecorded);
  }

  static RangeLog of(List<RangeRecord> records, int leg, @Nullable Exclusions exclusions) {
    List<LegRange> rest = new ArrayList<>();
    Exclusions.bad(exclusions).stream().filter(range -> range.leg() == leg).forEach(rest::add);
    for (RangeRecord record : records) {
      if (record.isLive()) {
        rest =
            new ArrayList<>(
                Exclusions.without(rest, new LegRange(leg, record.offset(), record.length())));
      }
    }
    return new RangeLog(records, Exclusions.joined(rest));
  }
}
