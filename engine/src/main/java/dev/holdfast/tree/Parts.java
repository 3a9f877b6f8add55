package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.volume.Volume;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** The parts of one tree, as they know each other. */
final class Parts {
  /** The bytes of most records. */
  private static final int TOUCHED = 192;

  final Volume volume;
  final long secret;
  final Tree.DamageListener damage;
  final SeparatorIndex order;
  final PageMap pages;
  final Leaves leaves;
  final Durability durability;
  final LeafTable table;
  final PageAllocator allocator;
  final MemoryBudget budget;
  final GroupCommit commits;
  final AtomicLong sequence;
  final LongAdder entries = new LongAdder();

  /** Who reads at a sequence, and what is kept for them. */
  final Pins pins = new Pins();

  final OldVersions oldVersions = new OldVersions();
  final HeldBlobs heldBlobs;
  final PastLosses pastLosses = new PastLosses();

  /** Made anew when the devices of a running store are read again. */
  volatile PointIndex points;

  /** The batch whose keys nobody else writes; null if there is none. */
  volatile @Nullable InFlightBatch batch;

  /** The batch whose records nobody sees; null if there is none. */
  volatile @Nullable InFlightBatch hidden;

  /** Where large values go; null: to extents beside the leaves. */
  volatile @Nullable BulkSpace bulk;

  /** First pages of extents that a batch in the log leads to, which are in use already. */
  volatile Set<Long> claimed = Set.of();

  /**
   * Whether every leaf has its slots, and has had them since before any operation that is under way
   * began: who found nothing in the index before and sees this afterwards missed nothing.
   */
  volatile boolean allBuilt;

  Parts(
      Volume volume,
      Tree.DamageListener damage,
      SeparatorIndex order,
      PageMap pages,
      Leaves leaves,
      PageAllocator allocator,
      MemoryBudget budget,
      PointIndex points,
      long nextSequence) {
    this.volume = volume;
    this.secret = volume.config().secret();
    this.damage = damage;
    this.order = order;
    this.pages = pages;
    this.leaves = leaves;
    this.durability = new Durability(volume);
    this.table = new LeafTable(volume, durability, secret);
    this.allocator = allocator;
    this.budget = budget;
    this.commits = new GroupCommit(volume, durability, table, allocator);
    this.points = points;
    this.sequence = new AtomicLong(nextSequence);
    this.heldBlobs = new HeldBlobs(pins, new BlobSpace(this), pages);
  }

  /** Records and generations are numbered alike: no number is used twice. */
  long nextSequence() {
    long next = sequence.getAndIncrement();
    if (next >= volume.config().sequenceCeiling()) {
      throw new HoldfastException(
          "sequences: expected fewer than "
              + volume.config().sequenceCeiling()
              + ", was "
              + next
              + "; open the store again",
          null);
    }
    return next;
  }

  /**
   * Whether nobody reads at a sequence that was given out before; who begins to from here on reads
   * at one that is not lower than any that was given out.
   */
  boolean hasNoPins() {
    return pins.view().isEmpty();
  }

  /** Where a leaf begins, in bytes. */
  long offset(int leaf) {
    return leaves.page(leaf) << PageMap.PAGE_SHIFT;
  }

  /**
   * Loads the lines that the next record of a leaf goes to, on each leg: the stores that follow
   * wait for nothing then.
   */
  void touchTail(dev.holdfast.volume.LegSet set, int leaf) {
    volume.touch(set, offset(leaf) + leaves.tail(leaf), TOUCHED);
  }

  /** Asks for a leaf as it is known to be. */
  LeafImage.Request asKnown(dev.holdfast.volume.LegSet set, int leaf) {
    return new LeafImage.Request(
        volume,
        set,
        secret,
        leaves,
        leaf,
        offset(leaf),
        leaves.pages(leaf) * PageMap.PAGE,
        leaves.generation(leaf),
        leaves.tail(leaf),
        false,
        false);
  }
}
