package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;

/**
 * Copies a leaf, as it is at one moment, without its lock.
 *
 * <p>Who wants to know that the leaf is still that of a range of keys takes the {@linkplain
 * Leaves#version version} first, asks the order index then, and copies last: a copy that was taken
 * is of the range that was answered.
 *
 * <p><b>Threads:</b> any, within an operation: pages that are replaced meanwhile stay what they
 * are. <b>Source:</b> sequence locks of Linux, {@code include/linux/seqlock.h}.
 */
final class LeafCopy {
  private LeafCopy() {}

  /**
   * Copies a leaf.
   *
   * @param version that of the leaf, taken before anything was concluded from where it lies
   * @return false if the leaf is written anew or was since: to be tried again
   */
  static boolean take(Parts parts, LegSet set, int leaf, long version, LeafImage image) {
    Leaves leaves = parts.leaves;
    if ((version & 1) != 0 || !leaves.exists(leaf)) {
      return false;
    }
    LeafImage.Request request = parts.asKnown(set, leaf);
    // Before the copy, too: half of one place and half of another may be no place at all.
    if (leaves.version(leaf) != version) {
      return false;
    }
    image.load(request);
    return leaves.version(leaf) == version;
  }
}
