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

  /**
   * Copies a leaf as a get of each of its keys would see it that begins when this does. A writer
   * changes the slot of a key first, which is what a get looks at, and then moves the tail of the
   * leaf behind the record; it may come to a stop in between. So if somebody holds the lock of the
   * leaf the record behind the tail counts, too, if its slot says so. One that is stored later may
   * count or not: it was not before this began.
   */
  static boolean takeAsSlots(Parts parts, LegSet set, int leaf, long version, LeafImage image) {
    Leaves leaves = parts.leaves;
    if ((version & 1) != 0 || !leaves.exists(leaf)) {
      return false;
    }
    // Before the tail is read: who had changed a slot and holds no lock has moved the tail, too.
    boolean isBeingWritten = leaves.lock(leaf).isLocked();
    LeafImage.Request request = parts.asKnown(set, leaf);
    if (leaves.version(leaf) != version) {
      return false;
    }
    image.load(request);
    if (isBeingWritten && image.loadNext(request) && !counts(parts, leaf, request, image)) {
      image.dropLast();
    }
    return leaves.version(leaf) == version;
  }

  /** Whether the record behind the tail was there for a get, at some moment since the begin. */
  private static boolean counts(Parts parts, int leaf, LeafImage.Request request, LeafImage image) {
    int last = image.records[image.count - 1];
    if (RecordLayout.isOfBatch(image.bytes, last)) {
      return false; // All of a batch is seen at once: what it has in the leaf is more than this.
    }
    if (isLed(parts, image, last)) {
      return true;
    }
    // If the tail has moved behind it the slot was changed, and perhaps once more since.
    return parts.leaves.tail(leaf) != request.tail() && image.isStillNext(request);
  }

  /** Whether the slot of a record's key is as it is behind the write of that record. */
  private static boolean isLed(Parts parts, LeafImage image, int last) {
    boolean isTombstone = RecordLayout.type(image.bytes, last) == RecordLayout.TOMBSTONE;
    int record = isTombstone ? image.beforeLast() : last;
    if (record < 0) {
      return true; // There is nothing that it removes.
    }
    long hash = image.hash(record, parts.secret);
    long address = RecordLayout.address(image.offset + image.place(record));
    long seen;
    boolean leads;
    do {
      seen = parts.points.version(hash);
      leads = parts.points.leadsTo(hash, address);
    } while (!parts.points.isCurrent(hash, seen));
    return leads != isTombstone;
  }
}
