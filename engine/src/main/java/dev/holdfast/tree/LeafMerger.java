package dev.holdfast.tree;

import dev.holdfast.tree.LeafRewriter.Aftermath;
import dev.holdfast.tree.LeafRewriter.Half;
import dev.holdfast.tree.LeafRewriter.Pass;
import dev.holdfast.volume.LegSet;
import org.jspecify.annotations.Nullable;

/**
 * Makes one leaf of two neighbours with little left in them, so that deletes give space back; or a
 * full one and the rest, where leaves are written as full as they can be.
 *
 * <h2>Order of stores</h2>
 *
 * <ol>
 *   <li>the new pages of the left leaf, with what is live in both, durable on every leg; before
 *       them, those of the rest, and a pending row for it, if there is one;
 *   <li>the other slot of the left leaf's row, which <em>absorbs</em> the right leaf: from here on
 *       the new pages count and the right leaf's row does not, both at once;
 *   <li>the row of the rest no longer pending; the right leaf's row is cleared, then the former
 *       slot of the left one;
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

  /** What a leaf has at most in the ordinary form, so that two leaves have room for it. */
  private static final int MOST_PLAIN = 2 * (LeafLayout.MAX_BYTES - 2 * RecordLayout.MAX_RECORD);

  /** Less than so many bytes more are not worth writing a full leaf anew. */
  private static final int LEAST_FILL = 1024;

  private static final int NOBODY = -1;

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

  private static boolean haveRoom(int left, int right) {
    // An empty one goes to any that is not about to be split itself.
    int most = left == 0 || right == 0 ? LeafRewriter.SPLIT_BYTES * 3 / 4 : MOST;
    return left + right <= most;
  }

  /** Two neighbours, under both locks. */
  static final class Neighbours {
    final int left;
    final byte[] low;
    final int right;
    final byte[] middle;

    /**
     * @param low the separator of the left one
     * @param middle that of the right one
     */
    Neighbours(int left, byte[] low, int right, byte[] middle) {
      this.left = left;
      this.low = low;
      this.right = right;
      this.middle = middle;
    }
  }

  /** The two copies of a pass, and how many records of each stay. */
  private record Both(LeafImage first, int fromLeft, LeafImage second, int fromRight) {
    /** How many bytes of each key are left out, with so many records of the right leaf. */
    int prefix(byte[] low, int taken) {
      LeafImage last = taken > 0 ? second : first;
      int index = taken > 0 ? taken - 1 : fromLeft - 1;
      return LeafRewriter.common(last, last.newest[index], low);
    }
  }

  /**
   * Merges two neighbours, if what they have leaves room in one leaf.
   *
   * @return whether it was done
   */
  boolean merge(Scratch s, LegSet set, Neighbours of, LeafRewriter.Order order) {
    Both both = load(s, set, of, order);
    if (both == null) {
      return false;
    }
    int leftBytes = LeafRewriter.bytes(both.first, 0, both.fromLeft, LeafRewriter.PLAIN);
    int rightBytes = LeafRewriter.bytes(both.second, 0, both.fromRight, LeafRewriter.PLAIN);
    if (!haveRoom(leftBytes, rightBytes)) {
      return false; // Tombstones that have to stay.
    }
    int pages = rewriter.pagesFor(of.low.length, leftBytes + rightBytes, 0, false);
    Pass pass = new Pass();
    pass.leftPage = parts.allocator.allocate(pages, true);
    pass.leftPages = pages;
    if (pass.leftPage < 0) {
      return false;
    }
    Half left = new Half(of.left, pass.leftPage, pages, parts.nextSequence(), of.low, s.writer());
    write(set, of, both, both.fromRight, pass, left, null);
    return true;
  }

  /** What {@link #fill} did. */
  enum Filled {
    /** Nothing. */
    NOTHING,
    /** The right leaf is a part of the left one now. */
    ALL,
    /** The left one is full; to its right there is a leaf with the rest. */
    SOME
  }

  /**
   * Fills the left of two neighbours with records of the right one, in the short form, until it is
   * full or there are none left.
   */
  Filled fill(Scratch s, LegSet set, Neighbours of, LeafRewriter.Order order) {
    Both both = load(s, set, of, order);
    if (both == null) {
      return Filled.NOTHING;
    }
    long generation = parts.nextSequence();
    boolean packs =
        both.fromLeft + both.fromRight > 0
            && parts.hasNoPins()
            && rewriter.mayBePacked(both.first, of.left, both.fromLeft)
            && rewriter.mayBePacked(both.second, of.right, both.fromRight);
    int taken = packs ? fitting(of.low, both) : plainFitting(of.low, both);
    boolean all = taken == both.fromRight;
    if (!all && (!packs || taken <= 0 || isFull(of, both, taken))) {
      return Filled.NOTHING;
    }
    int prefix = packs ? both.prefix(of.low, taken) : LeafRewriter.PLAIN;
    Pass pass = new Pass();
    int bytes =
        LeafRewriter.bytes(both.first, 0, both.fromLeft, prefix)
            + LeafRewriter.bytes(both.second, 0, taken, prefix);
    pass.leftPages = LeafRewriter.tightPages(of.low.length, bytes);
    Half rest = all ? null : rest(s, both, taken, pass);
    if (!all && rest == null) {
      return Filled.NOTHING;
    }
    pass.leftPage = parts.allocator.allocateLow(pass.leftPages, true);
    if (pass.leftPage < 0) {
      giveBackRest(pass);
      return Filled.NOTHING;
    }
    Half left = new Half(of.left, pass.leftPage, pass.leftPages, generation, of.low, s.writer());
    left.prefix = prefix;
    write(set, of, both, taken, pass, left, rest);
    return all ? Filled.ALL : Filled.SOME;
  }

  /** Whether what the left leaf would get is not worth writing it anew. */
  private boolean isFull(Neighbours of, Both both, int taken) {
    return parts.leaves.is(of.left, Leaves.PACKED)
        && LeafRewriter.bytes(both.second, 0, taken, 0) < LEAST_FILL;
  }

  /**
   * How many records of the right leaf have room in the left one, in the short form; -1 if not even
   * those of the left one have. In the ordinary form they would fit into two leaves, since the next
   * write to the leaf makes it these.
   */
  private static int fitting(byte[] low, Both both) {
    int room = LeafLayout.MAX_BYTES - LeafLayout.firstRecord(low.length);
    int plain = LeafRewriter.bytes(both.first, 0, both.fromLeft, LeafRewriter.PLAIN);
    int prefix = Integer.MAX_VALUE;
    int bytes = 0;
    int taken = 0;
    while (true) {
      int now = taken + both.fromLeft == 0 ? prefix : both.prefix(low, taken);
      if (now != prefix) {
        // Less can be left out of all of them.
        prefix = now;
        bytes =
            LeafRewriter.bytes(both.first, 0, both.fromLeft, prefix)
                + LeafRewriter.bytes(both.second, 0, taken, prefix);
      } else if (taken > 0) {
        bytes += LeafRewriter.sizeOf(both.second, both.second.newest[taken - 1], prefix);
      }
      if (taken > 0) {
        plain += RecordLayout.size(both.second.bytes, both.second.newest[taken - 1]);
      }
      if (bytes > room || (taken > 0 && plain > MOST_PLAIN)) {
        return taken - 1;
      }
      if (taken == both.fromRight) {
        return taken;
      }
      taken++;
    }
  }

  private static int plainFitting(byte[] low, Both both) {
    int bytes =
        LeafRewriter.bytes(both.first, 0, both.fromLeft, LeafRewriter.PLAIN)
            + LeafRewriter.bytes(both.second, 0, both.fromRight, LeafRewriter.PLAIN);
    return LeafRewriter.isOneLeaf(low.length, bytes) ? both.fromRight : -1;
  }

  /** A leaf for the records of the right one that have no room in the left one. */
  private @Nullable Half rest(Scratch s, Both both, int taken, Pass pass) {
    LeafImage image = both.second;
    byte[] separator = image.separator(image.newest[taken - 1], image.newest[taken]);
    int prefix = LeafRewriter.common(image, image.newest[both.fromRight - 1], separator);
    int pages =
        LeafRewriter.tightPages(
            separator.length, LeafRewriter.bytes(image, taken, both.fromRight, prefix));
    int leaf = parts.table.allocate(separator.length);
    long page = leaf == NOBODY ? NOBODY : parts.allocator.allocateLow(pages, true);
    if (page < 0) {
      if (leaf != NOBODY) {
        parts.table.release(leaf, separator.length);
      }
      return null;
    }
    pass.right = leaf;
    pass.rightPage = page;
    pass.rightPages = pages;
    pass.rightSeparatorLength = separator.length;
    pass.rightUnits = LeafTable.unitsFor(separator.length);
    // Behind the number: a row that once took in a leaf of this number has a lower one.
    long generation = parts.nextSequence();
    if (!parts.hasNoPins()) {
      giveBackRest(pass);
      return null; // Somebody began to read at a lower one.
    }
    Half rest = new Half(leaf, page, pages, generation, separator, s.secondWriter());
    rest.prefix = prefix;
    rest.from = taken;
    rest.to = both.fromRight;
    return rest;
  }

  private void giveBackRest(Pass pass) {
    if (pass.right != NOBODY) {
      parts.table.release(pass.right, pass.rightSeparatorLength);
      parts.allocator.free(pass.rightPage, pass.rightPages);
    }
  }

  /** Reads both leaves; null if they are not to be merged now. */
  private @Nullable Both load(Scratch s, LegSet set, Neighbours of, LeafRewriter.Order order) {
    rewriter.settle(set, of.left);
    rewriter.settle(set, of.right);
    if (rewriter.isBusy(of.left) || rewriter.isBusy(of.right)) {
      return null;
    }
    LeafImage first = s.image();
    LeafImage second = s.secondImage();
    first.load(parts.asKnown(set, of.left));
    second.load(parts.asKnown(set, of.right));
    if (!first.holes.isEmpty() || !second.holes.isEmpty()) {
      return null; // Who reads or rewrites the leaf names what is lost.
    }
    int fromLeft = rewriter.survivors(first, of.left, order);
    int fromRight = rewriter.survivors(second, of.right, order);
    // Versions for snapshots may be among them; they go again.
    boolean versions = first.pins != null || second.pins != null;
    return versions ? null : new Both(first, fromLeft, second, fromRight);
  }

  private void write(
      LegSet set, Neighbours of, Both both, int taken, Pass pass, Half half, @Nullable Half rest) {
    rewriter.begin(of.left, pass);
    rewriter.begin(of.right, pass);
    if (rest != null) {
      store(
          "rest of a merged leaf",
          set,
          rest,
          () -> add(rest, both.second, taken, both.fromRight, of.right));
    }
    store(
        "merged leaf",
        set,
        half,
        () -> {
          add(half, both.first, 0, both.fromLeft, of.left);
          add(half, both.second, 0, taken, of.right);
        });
    parts.volume.requireCurrent(set);
    switchTo(set, of, pass, half, rest);
    Aftermath after =
        new Aftermath(
            parts.leaves.is(of.left, Leaves.SECOND_SLOT) ? 1 : 0,
            parts.leaves.page(of.left),
            parts.leaves.pages(of.left),
            rest == null ? NOBODY : rest.leaf,
            rest == null ? null : rest.slot(0),
            new LeafRewriter.Absorbed(
                of.right,
                of.middle.length,
                parts.leaves.page(of.right),
                parts.leaves.pages(of.right)));
    publish(of, both, taken, half, rest);
    rewriter.published(set, of.left, after);
  }

  private void store(String site, LegSet set, Half half, Runnable records) {
    half.writer.begin(
        parts.secret,
        half.page * PageMap.PAGE,
        half.pages,
        half.leaf,
        half.generation,
        half.separator);
    records.run();
    half.writer.end();
    parts.durability.store(
        site, set, half.page * PageMap.PAGE, half.writer.bytes, 0, half.writer.length());
  }

  private void add(Half half, LeafImage image, int from, int to, int leaf) {
    long offset = parts.offset(leaf);
    long generation = parts.leaves.generation(leaf);
    for (int i = from; i < to; i++) {
      int at = image.newest[i];
      int place = RecordLayout.place(parts.secret, offset + image.place(at), generation);
      half.add(image, at, place, false);
    }
  }

  private void switchTo(LegSet set, Neighbours of, Pass pass, Half half, @Nullable Half rest) {
    int index = parts.leaves.is(of.left, Leaves.SECOND_SLOT) ? 0 : 1;
    LeafTable.Slot slot = half.slot(LeafTable.ABSORBS, of.right);
    if (parts.durability.defers()) {
      PendingSwitch change =
          PendingSwitch.of(
                  of.left, slot, index, parts.leaves.page(of.left), parts.leaves.pages(of.left))
              .absorbing(
                  of.right,
                  of.middle.length,
                  parts.leaves.page(of.right),
                  parts.leaves.pages(of.right));
      if (rest != null) {
        // Where its row is once it is tidied.
        parts.leaves.set(rest.leaf, Leaves.SECOND_SLOT, true);
        change = change.with(rest.leaf, rest.slot(0), rest.separator);
      }
      rewriter.handOver(change);
      return;
    }
    pass.stored = true;
    if (rest != null) {
      parts.table.writeNew(
          "pending row of the rest",
          set,
          rest.leaf,
          rest.separator,
          of.left,
          half.generation,
          rest.slot(LeafTable.PENDING));
      parts.volume.requireCurrent(set);
    }
    parts.table.writeSlot("switch that absorbs", set, of.left, index, slot);
    parts.volume.requireCurrent(set);
  }

  private void publish(Neighbours of, Both both, int taken, Half half, @Nullable Half rest) {
    Leaves leaves = parts.leaves;
    leaves.changing(of.left);
    leaves.changing(of.right);
    try {
      if (rest != null) {
        leaves.prefix(rest.leaf, rest.separator);
        parts.pages.setLeaf(rest.page, rest.pages, rest.leaf, rest.generation);
        int live = lead(rest, firstOf(rest), both.second, taken, both.fromRight, of.right);
        place(rest, live);
      }
      parts.pages.setLeaf(half.page, half.pages, half.leaf, half.generation);
      long to = firstOf(half);
      int live = lead(half, to, both.first, 0, both.fromLeft, of.left);
      for (int i = 0; i < both.fromLeft; i++) {
        to += half.sizeOf(both.first, both.first.newest[i]);
      }
      live += lead(half, to, both.second, 0, taken, of.right);
      place(half, live);
      parts.order.remove(of.middle);
      if (rest != null) {
        parts.order.insert(rest.separator, rest.leaf);
      }
      leaves.drop(of.right);
    } finally {
      leaves.changed(of.left);
      leaves.changed(of.right);
    }
  }

  private static long firstOf(Half half) {
    return half.page * PageMap.PAGE + LeafLayout.firstRecord(half.separator.length);
  }

  private void place(Half half, int live) {
    Leaves leaves = parts.leaves;
    leaves.set(half.leaf, Leaves.BUILT, true); // Before it is there: nobody builds it once more.
    leaves.place(half.leaf, half.page, half.pages, half.generation);
    leaves.tail(half.leaf, half.writer.tail);
    leaves.durableTail(half.leaf, half.writer.tail);
    leaves.live(half.leaf, live, half.writer.tail - LeafLayout.firstRecord(half.separator.length));
    leaves.set(half.leaf, Leaves.BLOBS, half.blobs);
    leaves.set(half.leaf, Leaves.PACKED, half.prefix != LeafRewriter.PLAIN);
    leaves.set(half.leaf, Leaves.SETTLED, false);
  }

  /** Moves the slots of what is live among records of one of the leaves; how many there are. */
  private int lead(Half half, long first, LeafImage image, int begin, int end, int leaf) {
    long from = parts.offset(leaf);
    long to = first;
    int live = 0;
    for (int i = begin; i < end; i++) {
      int at = image.newest[i];
      if (RecordLayout.type(image.bytes, at) != RecordLayout.TOMBSTONE) {
        long hash = image.hash(at, parts.secret);
        int check = RecordLayout.check(half.sequenceOf(image, at));
        long old = from + image.place(at);
        if (!parts.points.move(hash, RecordLayout.address(old), RecordLayout.address(to), check)) {
          throw new IllegalStateException(
              "leaf " + leaf + ": expected a slot for the record at " + old);
        }
        if (RecordLayout.type(image.bytes, at) == RecordLayout.BLOB) {
          rewriter.moveBlob(image, at, half.leaf);
        }
        live++;
      }
      to += half.sizeOf(image, at);
    }
    return live;
  }
}
