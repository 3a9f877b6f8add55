package dev.holdfast.health.pipeline;

import com.lmax.disruptor.DataProvider;
import dev.holdfast.pmem.FaultKind;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The first stage: takes down what arrived, and merges adjacent and overlapping reports of the same
 * leg and kind.
 *
 * <p>It shares a thread with the second stage: its batch is then all that arrived while the
 * responder was busy, so it merges the more the less the responder keeps up. On a thread of its own
 * it would see reports as they trickle in, and merge next to nothing.
 *
 * <p>A merged report stands where the earliest of its parts stood, and that is harmless for the
 * parts that came later, since a responder looks at the truth when it acts. Nothing is merged
 * across a report of another kind, or other news, of the same leg: POISON, CLEARED, POISON must not
 * become POISON, CLEARED.
 */
final class RecordStage {
  private final DataProvider<Slot> ring;

  RecordStage(DataProvider<Slot> ring) {
    this.ring = ring;
  }

  /** What a leg reported of one kind, with nothing of another kind in between. */
  private static final class Run {
    final @Nullable FaultKind kind;

    /** Disjoint ranges that do not touch, by offset. */
    final NavigableMap<Long, Slot> ranges = new TreeMap<>();

    Run(@Nullable FaultKind kind) {
      this.kind = kind;
    }
  }

  /** Records the batch from {@code first} to {@code last}, both included. */
  void record(long first, long last) {
    if (first == last) {
      ring.get(first).clampRange();
      return;
    }
    Map<Integer, Run> runs = new HashMap<>();
    for (long sequence = first; sequence <= last; sequence++) {
      Slot slot = ring.get(sequence);
      if (slot.reports == 0) {
        continue; // A batch starts over behind an event that threw, and this one was merged before.
      }
      slot.order = sequence;
      slot.clampRange();
      Run run = runs.get(slot.leg);
      if (run == null || run.kind != slot.fault) {
        run = new Run(slot.fault);
        runs.put(slot.leg, run);
      }
      if (slot.fault != null) {
        merge(run.ranges, slot);
      }
    }
  }

  /** Adds a report that is later than all of the run. */
  private static void merge(NavigableMap<Long, Slot> ranges, Slot slot) {
    Slot whole = slot;
    Map.Entry<Long, Slot> below = ranges.floorEntry(slot.offset);
    if (below != null && below.getValue().touches(slot)) {
      whole = below.getValue();
      whole.absorb(slot);
    }
    Map.Entry<Long, Slot> above = ranges.higherEntry(whole.offset);
    while (above != null && above.getValue().touches(whole)) {
      ranges.remove(above.getKey());
      ranges.remove(whole.offset, whole);
      whole = join(whole, above.getValue());
      above = ranges.higherEntry(whole.offset);
    }
    ranges.put(whole.offset, whole);
  }

  private static Slot join(Slot one, Slot other) {
    Slot earlier = one.order <= other.order ? one : other;
    earlier.absorb(earlier == one ? other : one);
    return earlier;
  }
}
