package dev.holdfast.volume;

import dev.holdfast.pmem.FaultInjector;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The ranges that single legs are not used for, in DRAM: bad ones are neither read nor written,
 * those under repair are written and not read. Immutable; there are few, or the leg would be
 * faulted.
 */
final class Exclusions {
  private static final long[] BORDERS = {
    VolumeLayout.DIRTY_MAP_OFFSET, VolumeLayout.RECORDS_OFFSET
  };

  private final List<LegRange> bad;
  private final List<LegRange> writeOnly;

  private Exclusions(List<LegRange> bad, List<LegRange> writeOnly) {
    this.bad = List.copyOf(bad);
    this.writeOnly = List.copyOf(writeOnly);
  }

  /** Null for none at all, so that the usual case costs one comparison. */
  static @Nullable Exclusions of(List<LegRange> bad, List<LegRange> writeOnly) {
    return bad.isEmpty() && writeOnly.isEmpty() ? null : new Exclusions(bad, writeOnly);
  }

  static List<LegRange> bad(@Nullable Exclusions exclusions) {
    return exclusions == null ? List.of() : exclusions.bad;
  }

  static List<LegRange> writeOnly(@Nullable Exclusions exclusions) {
    return exclusions == null ? List.of() : exclusions.writeOnly;
  }

  /**
   * Adds a range as whole pages below {@code limit}, cut where another kind of content begins: what
   * is done about superblocks is not done about records.
   */
  static void addPages(List<LegRange> bad, int leg, long offset, long length, long limit) {
    int page = FaultInjector.pageSize();
    long from = offset / page * page;
    long end = Math.min(limit, Math.ceilDiv(offset + length, page) * (long) page);
    while (from < end) {
      long next = end;
      for (long border : BORDERS) {
        if (from < border) {
          next = Math.min(next, border);
        }
      }
      List<LegRange> merged = with(bad, new LegRange(leg, from, next - from));
      bad.clear();
      bad.addAll(merged);
      from = next;
    }
  }

  /**
   * At most {@code most} ranges that cover all of them: neighbours joined, then what lies nearest
   * to each other.
   */
  static List<LegRange> atMost(int most, List<LegRange> ranges) {
    List<LegRange> joined = join(ranges, 0);
    // Few ever are so many: the least gap that is enough is found by trying.
    for (long gap = 1; joined.size() > most; gap *= 2) {
      joined = join(ranges, gap);
    }
    return joined;
  }

  /** The same ranges, neighbours as one. */
  static List<LegRange> joined(List<LegRange> ranges) {
    return join(ranges, 0);
  }

  private static List<LegRange> join(List<LegRange> ranges, long gap) {
    List<LegRange> joined = new ArrayList<>();
    LegRange last = null;
    for (LegRange range :
        ranges.stream()
            .sorted(Comparator.comparingInt(LegRange::leg).thenComparingLong(LegRange::offset))
            .toList()) {
      boolean near =
          last != null
              && last.leg() == range.leg()
              && range.offset() - last.end() <= gap
              && !isCut(last.end(), range.offset());
      if (last != null && near) {
        joined.removeLast();
        long end = Math.max(last.end(), range.end());
        last = new LegRange(last.leg(), last.offset(), end - last.offset());
      } else {
        last = range;
      }
      joined.add(last);
    }
    return joined;
  }

  private static boolean isCut(long from, long to) {
    for (long border : BORDERS) {
      if (from <= border && border <= to) {
        return true;
      }
    }
    return false;
  }

  /** Whether any range of a leg is excluded. */
  static boolean concern(@Nullable Exclusions exclusions, int leg) {
    return Stream.concat(bad(exclusions).stream(), writeOnly(exclusions).stream())
        .anyMatch(range -> range.leg() == leg);
  }

  /** How many ranges of a leg there are, those that touch each other counted once. */
  static int countApart(List<LegRange> ranges, int leg) {
    int count = 0;
    long end = -1;
    for (LegRange range :
        ranges.stream()
            .filter(range -> range.leg() == leg)
            .sorted(Comparator.comparingLong(LegRange::offset))
            .toList()) {
      if (range.offset() > end) {
        count++;
      }
      end = Math.max(end, range.end());
    }
    return count;
  }

  boolean forbidReading(int leg, long offset, long length) {
    return overlap(bad, leg, offset, length) || overlap(writeOnly, leg, offset, length);
  }

  boolean forbidWriting(int leg, long offset, long length) {
    return overlap(bad, leg, offset, length);
  }

  /** Where the first allowed byte at or behind {@code offset} lies, or {@code end}. */
  long skipBad(int leg, long offset, long end) {
    long at = offset;
    for (boolean moved = true; moved && at < end; ) {
      moved = false;
      for (LegRange range : bad) {
        if (range.leg() == leg && range.offset() <= at && at < range.end()) {
          at = range.end();
          moved = true;
        }
      }
    }
    return Math.min(at, end);
  }

  /** Where the first bad byte behind {@code offset} lies, or {@code end}. */
  long nextBad(int leg, long offset, long end) {
    long next = end;
    for (LegRange range : bad) {
      if (range.leg() == leg && range.offset() > offset) {
        next = Math.min(next, range.offset());
      }
    }
    return next;
  }

  private static boolean overlap(List<LegRange> ranges, int leg, long offset, long length) {
    for (LegRange range : ranges) {
      if (range.leg() == leg && range.overlaps(offset, length)) {
        return true;
      }
    }
    return false;
  }

  /** What is left when nothing is done to some legs any more. */
  static @Nullable Exclusions withoutLegs(@Nullable Exclusions exclusions, Set<Integer> legs) {
    return of(
        bad(exclusions).stream().filter(range -> !legs.contains(range.leg())).toList(),
        writeOnly(exclusions).stream().filter(range -> !legs.contains(range.leg())).toList());
  }

  static List<LegRange> without(List<LegRange> ranges, LegRange gone) {
    List<LegRange> rest = new ArrayList<>();
    for (LegRange range : ranges) {
      if (range.leg() != gone.leg() || !range.overlaps(gone.offset(), gone.length())) {
        rest.add(range);
        continue;
      }
      if (range.offset() < gone.offset()) {
        rest.add(new LegRange(range.leg(), range.offset(), gone.offset() - range.offset()));
      }
      if (range.end() > gone.end()) {
        rest.add(new LegRange(range.leg(), gone.end(), range.end() - gone.end()));
      }
    }
    return rest;
  }

  static List<LegRange> with(List<LegRange> ranges, LegRange added) {
    List<LegRange> all = new ArrayList<>(without(ranges, added));
    all.add(added);
    return all;
  }
}
