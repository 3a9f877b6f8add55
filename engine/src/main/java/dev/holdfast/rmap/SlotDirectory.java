package dev.holdfast.rmap;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Numbers all slots of an index and finds the segment of a number. Numbers are handed out in
 * granules and never come back.
 */
final class SlotDirectory {
  /** Every segment has a multiple of this many slots. */
  static final int GRANULE = 64;

  private static final int GRANULE_SHIFT = 6;
  private static final int LEAF_SHIFT = 11;
  private static final int LEAF_SIZE = 1 << LEAF_SHIFT;
  private static final int GRANULES = 1 << (SlotSegment.NUMBER_BITS - GRANULE_SHIFT);

  private final AtomicInteger granulesUsed = new AtomicInteger();
  private final AtomicReferenceArray<@Nullable AtomicReferenceArray<@Nullable SlotSegment>> leaves =
      new AtomicReferenceArray<>(GRANULES / LEAF_SIZE);

  /** How many slots there are. */
  int slots() {
    return granulesUsed.get() * GRANULE;
  }

  /** A new segment of at least {@code slots} slots, with numbers of its own. */
  SlotSegment newSegment(int slots) {
    int granules = (slots + GRANULE - 1) / GRANULE;
    int first =
        granulesUsed.getAndUpdate(used -> used > GRANULES - granules ? used : used + granules);
    if (first > GRANULES - granules) {
      throw new IllegalStateException(
          "live mappings: expected at most 2^" + SlotSegment.NUMBER_BITS + " at once");
    }
    SlotSegment segment = new SlotSegment(first * GRANULE, granules * GRANULE);
    for (int granule = first; granule < first + granules; granule++) {
      leaf(granule >>> LEAF_SHIFT).set(granule & (LEAF_SIZE - 1), segment);
    }
    return segment;
  }

  /** The segment of the slot with this number, or null if no slot has it. */
  @Nullable SlotSegment find(int number) {
    int granule = number >>> GRANULE_SHIFT;
    AtomicReferenceArray<@Nullable SlotSegment> leaf = leaves.get(granule >>> LEAF_SHIFT);
    return leaf == null ? null : leaf.get(granule & (LEAF_SIZE - 1));
  }

  private AtomicReferenceArray<@Nullable SlotSegment> leaf(int index) {
    AtomicReferenceArray<@Nullable SlotSegment> present = leaves.get(index);
    if (present != null) {
      return present;
    }
    AtomicReferenceArray<@Nullable SlotSegment> fresh = new AtomicReferenceArray<>(LEAF_SIZE);
    AtomicReferenceArray<@Nullable SlotSegment> winner =
        leaves.compareAndExchange(index, null, fresh);
    return winner == null ? fresh : winner;
  }
}
