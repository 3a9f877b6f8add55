package dev.holdfast;

import dev.holdfast.health.LegState;
import dev.holdfast.health.RangeState;
import dev.holdfast.pmem.BadBlockAnswer;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.RangeLog;
import dev.holdfast.volume.RangeRecord;
import dev.holdfast.volume.Volume;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;

/** Joins what is on record of the ranges of a leg with what its device says. Takes no lock. */
final class RangeAnswers {
  private RangeAnswers() {}

  static List<BadRanges> of(Volume volume) {
    List<BadRanges> answers = new ArrayList<>();
    for (Leg leg : volume.allLegs()) {
      if (leg.state() == LegState.DETACHED) {
        continue;
      }
      int index = leg.index();
      UUID device = volume.config().devices().get(index);
      List<BadRanges.Range> ranges = ranges(volume.rangesOf(index));
      answers.add(
          switch (leg.device().queryBadBlocks()) {
            case BadBlockAnswer.Listed _ -> new BadRanges.Listed(index, device, ranges);
            case BadBlockAnswer.Unsupported(String why) ->
                new BadRanges.Unsupported(index, device, why, ranges);
            case BadBlockAnswer.Failed(String why) ->
                new BadRanges.Failed(index, device, why, ranges);
          });
    }
    return answers;
  }

  private static List<BadRanges.Range> ranges(RangeLog log) {
    List<BadRanges.Range> ranges = new ArrayList<>();
    for (RangeRecord record : log.records()) {
      ranges.add(
          new BadRanges.Range(
              record.offset(),
              record.length(),
              record.state(),
              record.origin(),
              record.count(),
              Instant.ofEpochMilli(record.firstSeen()),
              Instant.ofEpochMilli(record.lastSeen()),
              Instant.ofEpochMilli(record.since())));
    }
    for (LegRange range : log.unrecorded()) {
      ranges.add(
          new BadRanges.Range(
              range.offset(), range.length(), RangeState.UNACKED, null, 0, null, null, null));
    }
    ranges.sort(Comparator.comparingLong(BadRanges.Range::offset));
    return ranges;
  }
}
