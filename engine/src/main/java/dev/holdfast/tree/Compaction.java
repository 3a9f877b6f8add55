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

  /**
   * Which leaves are written anew. Asked within an operation and with no leaf locked; told under
   * the locks of what was written.
   */
  interface Scope {
    /** Whether a leaf may be written anew, and get what its neighbour has. */
    boolean mayFill(int leaf);

    /** Whether a leaf may give what it has to its left neighbour. */
    boolean mayGive(int leaf);

    /** A leaf was written anew. */
    void written(int leaf);

    /** There is nothing more to be done to a leaf. */
    void done(int leaf);

    /** Whether to go on behind a leaf, or a step; outside of an operation, so it may wait. */
    boolean goesOn(boolean wrote);
  }

  /** All leaves, unless the thread is interrupted. */
  static final Scope ALL =
      new Scope() {
        @Override
        public boolean mayFill(int leaf) {
          return true;
        }

        @Override
        public boolean mayGive(int leaf) {
          return true;
        }

        @Override
        public void written(int leaf) {}

        @Override
        public void done(int leaf) {}

        @Override
        public boolean goesOn(boolean wrote) {
          return !Thread.currentThread().isInterrupted();
        }
      };

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
  private final Scope scope;

  /** Whether the last step wrote something. */
  private boolean wrote;

  /** The first key of the leaf that is next. */
  private byte[] at = {};

  private byte @Nullable [] behind;

  /** How often this leaf has waited for a commit. */
  private int commits;

  Compaction(
      Tree tree,
      Parts parts,
      LeafRewriter rewriter,
      LeafMerger merger,
      TreeRoom room,
      Scope scope) {
    this.tree = tree;
    this.parts = parts;
    this.rewriter = rewriter;
    this.merger = merger;
    this.room = room;
    this.scope = scope;
  }

  CompactionState run(Consumer<CompactionState> progress) {
    long leaves = parts.order.size();
    long done = 0;
    Scratch s = tree.takeScratch();
    try {
      s.compaction = this;
      while (true) {
        if (!scope.goesOn(wrote)) {
          return new CompactionState(done, leaves, 0, false);
        }
        wrote = false;
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
    if (!scope.mayFill(leaf)) {
      return NEXT;
    }
    if (parts.commits.isPending(leaf)) {
      return commits < MOST_COMMITS ? UNCOMMITTED : NEXT;
    }
    if (high != null) {
      int right = parts.order.floor(high, 0, high.length);
      if (leaf == right) {
        return AGAIN;
      }
      long merged = scope.mayGive(right) ? mergeRight(s, set, leaf, low, right, high) : NOTHING;
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
      boolean hadUnled = parts.leaves.is(leaf, Leaves.UNLED); // It has none behind a rewrite.
      if (!isFull) {
        // Where there is no room, or what is lost has to be named first, it stays as it is.
        if (rewriter.rewrite(s, set, leaf, order(s)) != LeafRewriter.DONE) {
          return NEXT;
        }
        written(leaf);
      }
      if (!hadUnled && parts.hasNoPins()) {
        scope.done(leaf);
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
        case ALL -> {
          written(left);
          yield MERGED;
        }
        case SOME -> {
          written(left);
          scope.done(left);
          byte[] rest = parts.order.higherSeparator(low);
          if (rest != null) {
            scope.written(parts.order.floor(rest, 0, rest.length));
          }
          behind = rest;
          yield NEXT;
        }
        case NOTHING -> NOTHING;
      };
    } finally {
      parts.leaves.unlockBoth(left, right);
    }
  }

  private void written(int leaf) {
    wrote = true;
    scope.written(leaf);
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
