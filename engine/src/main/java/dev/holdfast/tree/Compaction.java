package dev.holdfast.tree;

import dev.holdfast.tree.Tree.CompactionState;
import dev.holdfast.volume.LegSet;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes the leaves anew in the order of their keys, as full as they can be, at the lowest places
 * there are. Operations go on: one leaf, or two neighbours, are locked at a time, and each step is
 * a rewrite or a merge like any other.
 *
 * <p><b>Threads:</b> one.
 */
final class Compaction {
  /** After so many leaves the pages that they left are taken back. */
  private static final int RECLAIM_EVERY = 8;

  private static final long AGAIN = 0;
  private static final long MERGED = 1;
  private static final long NEXT = 2;
  private static final long UNCOMMITTED = 3;
  private static final long NOTHING = 4;

  /** So often one leaf waits for what was changed of it before to be on the medium. */
  private static final int MOST_COMMITS = 64;

  private static final Tree.Attempt STEP =
      (_, s) -> {
        Compaction compaction = s.compaction;
        return compaction == null ? NEXT : compaction.step(s);
      };

  private final Tree tree;
  private final Parts parts;
  private final LeafRewriter rewriter;
  private final LeafMerger merger;
  private final TreeRoom room;

  /** The first key of the leaf that is next. */
  private byte[] at = {};

  private byte @Nullable [] behind;

  /** How often this leaf has waited for a commit. */
  private int commits;

  Compaction(Tree tree, Parts parts, LeafRewriter rewriter, LeafMerger merger, TreeRoom room) {
    this.tree = tree;
    this.parts = parts;
    this.rewriter = rewriter;
    this.merger = merger;
    this.room = room;
  }

  CompactionState run(Consumer<CompactionState> progress) {
    long leaves = parts.order.size();
    long done = 0;
    Scratch s = tree.takeScratch();
    try {
      s.compaction = this;
      while (true) {
        if (Thread.currentThread().isInterrupted()) {
          return new CompactionState(done, leaves, 0, false);
        }
        long outcome = tree.operate(s, STEP);
        done += outcome == MERGED ? 1 : 0;
        if (outcome == UNCOMMITTED) {
          commits++;
          parts.commits.commit();
        }
        if (outcome != NEXT) {
          continue;
        }
        done++;
        if (done % RECLAIM_EVERY == 0) {
          room.takeBack();
          progress.accept(new CompactionState(done, leaves, 0, false));
        }
        byte[] next = behind;
        if (next == null) {
          break;
        }
        at = next;
        commits = 0;
      }
    } finally {
      s.compaction = null;
      tree.giveScratch(s);
    }
    return new CompactionState(done, leaves, 0, true);
  }

  private long step(Scratch s) {
    LegSet set = parts.volume.writableLegs();
    byte[] low = parts.order.floorSeparator(at);
    byte[] high = parts.order.higherSeparator(low);
    int leaf = parts.order.floor(low, 0, low.length);
    behind = high;
    if (parts.commits.isPending(leaf)) {
      return commits < MOST_COMMITS ? UNCOMMITTED : NEXT;
    }
    if (high != null) {
      int right = parts.order.floor(high, 0, high.length);
      long merged = leaf == right ? AGAIN : mergeRight(s, set, leaf, low, right, high);
      if (merged != NOTHING) {
        return merged;
      }
    }
    parts.leaves.lock(leaf).lock();
    try {
      if (!isLeafOf(leaf, low)) {
        return AGAIN;
      }
      boolean _ = tree.ensureBuilt(s, set, leaf);
      boolean isFull =
          (parts.leaves.is(leaf, Leaves.PACKED) || parts.leaves.live(leaf) == 0)
              && LeafRewriter.tightPages(low.length, parts.leaves.liveBytes(leaf))
                  >= parts.leaves.pages(leaf);
      if (!isFull) {
        // Where there is no room, or what is lost has to be named first, it stays as it is.
        int _ = rewriter.rewrite(s, set, leaf, order(s));
      }
      return NEXT;
    } finally {
      parts.leaves.lock(leaf).unlock();
    }
  }

  private long mergeRight(Scratch s, LegSet set, int left, byte[] low, int right, byte[] middle) {
    parts.leaves.lockBoth(left, right);
    try {
      if (!isLeafOf(left, low)
          || !isLeafOf(right, middle)
          || !Arrays.equals(parts.order.higherSeparator(low), middle)) {
        return AGAIN;
      }
      if (!parts.leaves.is(left, Leaves.BUILT) || !parts.leaves.is(right, Leaves.BUILT)) {
        boolean _ = tree.ensureBuilt(s, set, left);
        boolean _ = tree.ensureBuilt(s, set, right);
        return AGAIN; // What is damaged was written anew, perhaps as two leaves.
      }
      LeafMerger.Neighbours both = new LeafMerger.Neighbours(left, low, right, middle);
      return switch (merger.fill(s, set, both, order(s))) {
        case ALL -> MERGED;
        case SOME -> {
          behind = parts.order.higherSeparator(low);
          yield NEXT;
        }
        case NOTHING -> NOTHING;
      };
    } finally {
      parts.leaves.unlockBoth(left, right);
    }
  }

  private boolean isLeafOf(int leaf, byte[] low) {
    return parts.leaves.exists(leaf)
        && Arrays.equals(parts.order.floorSeparator(low), low)
        && parts.order.floor(low, 0, low.length) == leaf;
  }

  private LeafRewriter.Order order(Scratch s) {
    LeafRewriter.Order order = s.order.begin(0, tree.keepAbove());
    order.tight = true;
    return order;
  }
}
