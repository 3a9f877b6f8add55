package dev.holdfast.tree;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.StoreClosedException;

/**
 * What the leaves take and what of it counts, summed up over their descriptors.
 *
 * <p><b>Threads:</b> any.
 */
final class LeafSpace {
  private static final Tree.Space NOTHING = new Tree.Space(0, 0, 0);

  /** A change of the leg set waits for no more than the look at so many. */
  private static final int AT_ONCE = 4096;

  /** How old the answer may be where there are more leaves: many meters ask at once. */
  private static final long FRESH_NANOS = 1_000_000_000L;

  /** An answer, and when it was found. */
  private record Answer(Tree.Space space, long at) {}

  private final Tree tree;
  private final Leaves leaves;
  private volatile Answer last = new Answer(NOTHING, System.nanoTime() - FRESH_NANOS);

  LeafSpace(Tree tree, Leaves leaves) {
    this.tree = tree;
    this.leaves = leaves;
  }

  /** Nothing once the tree is closed; what was known last while its device is being read again. */
  Tree.Space now() {
    Answer known = last;
    if (leaves.used() > AT_ONCE && System.nanoTime() - known.at < FRESH_NANOS) {
      return known.space;
    }
    long[] sums = new long[3];
    Scratch s = tree.takeScratch();
    try {
      for (int from = 0; from < leaves.used(); from += AT_ONCE) {
        int begin = from;
        long _ = tree.operate(s, (_, _) -> add(begin, sums));
      }
    } catch (StoreClosedException e) {
      return NOTHING;
    } catch (DeviceOfflineException e) {
      return known.space; // The device is back, and read again: it will be answered in a moment.
    } finally {
      tree.giveScratch(s);
    }
    Tree.Space space = new Tree.Space(sums[0], sums[1], sums[2]);
    last = new Answer(space, System.nanoTime());
    return space;
  }

  private long add(int begin, long[] sums) {
    int end = Math.min(leaves.used(), begin + AT_ONCE);
    for (int leaf = begin; leaf < end; leaf++) {
      if (leaves.exists(leaf)) {
        long bytes = (long) leaves.pages(leaf) * PageMap.PAGE;
        sums[0] += bytes;
        if (leaves.is(leaf, Leaves.BUILT)) {
          sums[1] += bytes;
          sums[2] += leaves.liveBytes(leaf);
        }
      }
    }
    return end;
  }
}
