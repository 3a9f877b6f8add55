package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;
import org.jspecify.annotations.Nullable;

/**
 * Finds the version of a key that was in force at a sequence: of the records of the key that have
 * none higher, the one of the highest. It looks at all records of the key's leaf, in a copy.
 *
 * <p>The index leads to the newest version only; so this is the way to every other one, and the way
 * to find that there is none. It finds what leaves still hold: who relies on it has a pin at the
 * sequence, from before the version was replaced until behind the walk.
 *
 * <p><b>Threads:</b> any, within an operation; it takes no lock.
 */
final class VersionWalk {
  /** The record is in the scratch, its place too; it may be a tombstone. */
  static final int FOUND = 0;

  /** The leaf has no version so old. */
  static final int ABSENT = 1;

  /** The leaf was written anew meanwhile: to be tried again. */
  static final int AGAIN = 2;

  /** A part of the leaf is on no leg: whatever was found, another version may have been there. */
  static final int DAMAGED = 3;

  /** The leaf has not been read since the tree was opened: to be built first. */
  static final int UNBUILT = 4;

  private final Parts parts;

  VersionWalk(Parts parts) {
    this.parts = parts;
  }

  /**
   * Looks for the key of the scratch, which has its leaf in {@code fullLeaf} then.
   *
   * @param limit the highest sequence that counts
   */
  int find(Scratch s, LegSet set, long limit) {
    return find(s, set, limit, null);
  }

  /**
   * Looks for the key of the scratch, which has its leaf in {@code fullLeaf} then.
   *
   * @param limit the highest sequence that counts
   * @param hidden a batch whose records do not count; it keeps what was before them in the leaf
   */
  int find(Scratch s, LegSet set, long limit, @Nullable InFlightBatch hidden) {
    int leaf = parts.order.floor(s.key, 0, s.keyLength);
    long version = parts.leaves.version(leaf);
    LeafImage image = s.image();
    s.fullLeaf = leaf;
    if (!parts.leaves.is(leaf, Leaves.BUILT)) {
      return parts.leaves.exists(leaf) ? UNBUILT : AGAIN;
    }
    // Asked again behind the version: of a leaf that was split before, the key may have gone.
    if (parts.order.floor(s.key, 0, s.keyLength) != leaf
        || !LeafCopy.take(parts, set, leaf, version, image)) {
      return AGAIN;
    }
    if (!image.holes.isEmpty()) {
      return DAMAGED;
    }
    if (hidden != null) {
      image.hide(hidden);
    }
    int at = newest(image, s.key, s.keyLength, limit);
    if (at < 0) {
      return ABSENT;
    }
    System.arraycopy(image.bytes, at, s.record, 0, RecordLayout.size(image.bytes, at));
    s.offset = image.offset + image.place(at);
    s.recordSize = image.size(at);
    return FOUND;
  }

  /**
   * Where in a copy of its leaf the newest record of a key up to a sequence is; -1 if there is
   * none.
   */
  static int newest(LeafImage image, byte[] key, int keyLength, long limit) {
    int best = -1;
    long highest = -1;
    for (int i = 0; i < image.count; i++) {
      int at = image.records[i];
      long sequence = RecordLayout.sequence(image.bytes, at);
      // The higher sequence wins, whatever the order in which they were appended.
      if (sequence <= limit
          && sequence > highest
          && RecordLayout.keyLength(image.bytes, at) == keyLength
          && image.compare(at, key, keyLength) == 0) {
        best = at;
        highest = sequence;
      }
    }
    return best;
  }
}
