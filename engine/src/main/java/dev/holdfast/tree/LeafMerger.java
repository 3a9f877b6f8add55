package dev.holdfast.tree;

import dev.holdfast.tree.LeafRewriter.Aftermath;
import dev.holdfast.tree.LeafRewriter.Half;
import dev.holdfast.tree.LeafRewriter.Pass;
import dev.holdfast.volume.LegSet;

/**
 * Makes one leaf of two neighbours with little left in them, so that deletes give space back.
 *
 * <h2>Order of stores</h2>
 *
 * <ol>
 *   <li>the new pages of the left leaf, with what is live in both, durable on every leg;
 *   <li>the other slot of the left leaf's row, which <em>absorbs</em> the right leaf: from here on
 *       the new pages count and the right leaf's row does not, both at once;
 *   <li>the right leaf's row is cleared, then the former slot of the left one;
 *   <li>only now the pages of both, and the right leaf's number, are given back.
 * </ol>
 *
 * Between 1 and 2 both leaves are in doubt: what were appended to the right one, while a leg may
 * show the new slot, would be gone after a crash.
 *
 * <p><b>Threads:</b> the holder of the locks of both leaves.
 */
final class LeafMerger {
  /** What two leaves may have together to be merged: half of what makes a leaf split. */
  static final int MOST = LeafRewriter.SPLIT_BYTES / 2;

  /** A leaf with less in it looks for a neighbour to be merged with. */
  static final int SPARSE = LeafRewriter.SPLIT_BYTES / 4;

  private final Parts parts;
  private final LeafRewriter rewriter;

  LeafMerger(Parts parts, LeafRewriter rewriter) {
    this.parts = parts;
    this.rewriter = rewriter;
  }

  /** Whether a leaf has so little left that it is worth looking at its neighbours, now. */
  boolean isSparse(int leaf) {
    int live = parts.leaves.live(leaf);
    // Not at each delete: where no neighbour has room, every look is in vain.
    return live == 0 || (parts.leaves.liveBytes(leaf) < SPARSE && live % 8 == 0);
  }

  /** Whether two leaves, as they are known, would fit into one with room to spare. */
  boolean fits(int left, int right) {
    Leaves leaves = parts.leaves;
    return leaves.is(left, Leaves.BUILT)
        && leaves.is(right, Leaves.BUILT)
        && haveRoom(leaves.liveBytes(left), leaves.liveBytes(right));
  }

  /** Whether two leaves, as they are known, would fill one. */
  boolean fill(byte[] low, int left, int right) {
    return LeafRewriter.isOneLeaf(
        low.length, parts.leaves.liveBytes(left) + parts.leaves.liveBytes(right));
  }

  private static boolean haveRoom(int left, int right) {
    // An empty one goes to any that is not about to be split itself.
    int most = left == 0 || right == 0 ? LeafRewriter.SPLIT_BYTES * 3 / 4 : MOST;
    return left + right <= most;
  }

  /**
   * Merges two neighbours.
   *
   * @param low the separator of the left one
   * @param middle that of the right one
   * @return whether it was done
   */
  boolean merge(
      Scratch s,
      LegSet set,
      int left,
      byte[] low,
      int right,
      byte[] middle,
      LeafRewriter.Order order) {
    rewriter.settle(set, left);
    rewriter.settle(set, right);
    if (rewriter.isBusy(left) || rewriter.isBusy(right)) {
      return false;
    }
    LeafImage first = s.image();
    LeafImage second = s.secondImage();
    first.load(parts.asKnown(set, left));
    second.load(parts.asKnown(set, right));
    if (!first.holes.isEmpty() || !second.holes.isEmpty()) {
      return false; // Who reads or rewrites the leaf names what is lost.
    }
    int fromLeft = survivors(first, left, order);
    int fromRight = survivors(second, right, order);
    if (first.pins != null || second.pins != null) {
      return false; // Versions for snapshots may be among them; they go again.
    }
    int leftBytes = bytes(first, fromLeft);
    int rightBytes = bytes(second, fromRight);
    int bytes = leftBytes + rightBytes;
    boolean room =
        order.tight ? LeafRewriter.isOneLeaf(low.length, bytes) : haveRoom(leftBytes, rightBytes);
    if (!room) {
      return false; // Tombstones that have to stay.
    }
    int pages =
        order.tight
            ? LeafRewriter.tightPages(low.length, bytes)
            : rewriter.pagesFor(low.length, bytes, 0, false);
    long page =
        order.tight
            ? parts.allocator.allocateLow(pages, true)
            : parts.allocator.allocate(pages, true);
    if (page < 0) {
      return false;
    }
    Pass pass = new Pass();
    pass.leftPage = page;
    pass.leftPages = pages;
    rewriter.begin(left, pass);
    rewriter.begin(right, pass);
    Half half = new Half(left, page, pages, parts.nextSequence(), low, s.writer());
    store(set, half, first, fromLeft, left, second, fromRight, right);
    parts.volume.requireCurrent(set);
    boolean inSecond = parts.leaves.is(left, Leaves.SECOND_SLOT);
    LeafTable.Slot slot = half.slot(LeafTable.ABSORBS, right);
    if (parts.durability.defers()) {
      PendingSwitch change =
          PendingSwitch.of(
              left, slot, inSecond ? 0 : 1, parts.leaves.page(left), parts.leaves.pages(left));
      rewriter.handOver(
          change.absorbing(
              right, middle.length, parts.leaves.page(right), parts.leaves.pages(right)));
    } else {
      pass.stored = true;
      parts.table.writeSlot("switch that absorbs", set, left, inSecond ? 0 : 1, slot);
      parts.volume.requireCurrent(set);
    }
    Aftermath after =
        new Aftermath(
            inSecond ? 1 : 0,
            parts.leaves.page(left),
            parts.leaves.pages(left),
            -1,
            null,
            new LeafRewriter.Absorbed(
                right, middle.length, parts.leaves.page(right), parts.leaves.pages(right)));
    publish(half, first, fromLeft, left, second, fromRight, right, middle);
    rewriter.published(set, left, after);
    return true;
  }

  private int survivors(LeafImage image, int leaf, LeafRewriter.Order order) {
    return rewriter.survivors(image, leaf, order);
  }

  private static int bytes(LeafImage image, int count) {
    int bytes = 0;
    for (int i = 0; i < count; i++) {
      bytes += RecordLayout.size(image.bytes, image.newest[i]);
    }
    return bytes;
  }

  private void store(
      LegSet set,
      Half half,
      LeafImage first,
      int fromLeft,
      int left,
      LeafImage second,
      int fromRight,
      int right) {
    LeafWriter writer = half.writer;
    writer.begin(
        parts.secret,
        half.page * PageMap.PAGE,
        half.pages,
        half.leaf,
        half.generation,
        half.separator);
    add(half, first, fromLeft, left);
    add(half, second, fromRight, right);
    writer.end();
    parts.durability.store(
        "merged leaf", set, half.page * PageMap.PAGE, writer.bytes, 0, writer.length());
  }

  private void add(Half half, LeafImage image, int count, int leaf) {
    long offset = parts.offset(leaf);
    long generation = parts.leaves.generation(leaf);
    for (int i = 0; i < count; i++) {
      int at = image.newest[i];
      int _ =
          half.writer.add(
              image.bytes, at, RecordLayout.place(parts.secret, offset + at, generation), false);
      half.blobs |= RecordLayout.type(image.bytes, at) == RecordLayout.BLOB;
    }
  }

  private void publish(
      Half half,
      LeafImage first,
      int fromLeft,
      int left,
      LeafImage second,
      int fromRight,
      int right,
      byte[] middle) {
    Leaves leaves = parts.leaves;
    leaves.changing(left);
    leaves.changing(right);
    try {
      parts.pages.setLeaf(half.page, half.pages, left, half.generation);
      long to = half.page * PageMap.PAGE + LeafLayout.firstRecord(half.separator.length);
      int live = lead(first, fromLeft, parts.offset(left), to, left);
      to += bytes(first, fromLeft);
      live += lead(second, fromRight, parts.offset(right), to, left);
      leaves.place(left, half.page, half.pages, half.generation);
      leaves.tail(left, half.writer.tail);
      leaves.durableTail(left, half.writer.tail);
      leaves.live(left, live, half.writer.tail - LeafLayout.firstRecord(half.separator.length));
      leaves.set(left, Leaves.BLOBS, half.blobs);
      leaves.set(left, Leaves.SETTLED, false);
      parts.order.remove(middle);
      leaves.drop(right);
    } finally {
      leaves.changed(left);
      leaves.changed(right);
    }
  }

  /** Moves the slots of what is live in one of the leaves; how many there are. */
  private int lead(LeafImage image, int count, long from, long first, int leaf) {
    long to = first;
    int live = 0;
    for (int i = 0; i < count; i++) {
      int at = image.newest[i];
      if (RecordLayout.type(image.bytes, at) != RecordLayout.TOMBSTONE) {
        long hash =
            KeyHash.of(
                parts.secret,
                image.bytes,
                RecordLayout.keyAt(at),
                RecordLayout.keyLength(image.bytes, at));
        int check = RecordLayout.check(RecordLayout.sequence(image.bytes, at));
        boolean moved =
            parts.points.move(
                hash, RecordLayout.address(from + at), RecordLayout.address(to), check);
        if (!moved) {
          throw new IllegalStateException(
              "leaf " + leaf + ": expected a slot for the record at " + (from + at));
        }
        if (RecordLayout.type(image.bytes, at) == RecordLayout.BLOB) {
          rewriter.moveBlob(image, at, leaf);
        }
        live++;
      }
      to += RecordLayout.size(image.bytes, at);
    }
    return live;
  }
}
