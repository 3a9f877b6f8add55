package dev.holdfast.tree;

import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Brings the tree to memory: first the leaf table, which is small; then, leaf by leaf, in the order
 * they are asked for or as there is time, the slots of their records.
 *
 * <p>After a crash a leaf is reconciled when it is built: what validates on any leg is adopted on
 * all; what was torn at its end is cut; what is damaged is named.
 *
 * <p><b>Threads:</b> {@link #open} one; {@link #build} the holder of the leaf's lock.
 */
final class LeafBuilder {
  private static final System.Logger LOG = System.getLogger(LeafBuilder.class.getName());

  private final Parts parts;

  /** Whether legs may differ, and leaves end behind what the table says. */
  private volatile boolean unclean;

  /** Whether an open behind a crash is under way, which flushes everything at its end. */
  private volatile boolean opens;

  /** Whether pages may have reached the medium in any order. */
  private volatile boolean torn;

  /** Whether the allocator knows already what is in use. */
  private boolean restarted;

  /** Leaves that had never been built when all began to be built anew. */
  private final BitSet unknown = new BitSet();

  private int[] found = {};

  /** While extents are claimed that a leaf leads to: before the first page is handed out. */
  private boolean claims;

  /** Records that the table counts and that were in holes. */
  private long missing;

  private final BlobSpace blobs;

  LeafBuilder(Parts parts) {
    this.parts = parts;
    this.blobs = new BlobSpace(parts);
  }

  /**
   * Reads the leaf table, and tidies it; of the leaves nothing is read.
   *
   * @return what was lost with rows that are on no leg
   */
  List<LossRecord> open(boolean wasUnclean) {
    unclean = wasUnclean;
    opens = wasUnclean;
    torn = parts.volume.config().commits();
    List<LeafTable.Row> rows = parts.table.load();
    if (parts.table.isRootLost()) {
      parts.volume.stopWrites(
          new PoisonedRangeException(
              "leaf table: its root is poisoned, and no other copy is left"));
    }
    boolean writable = parts.volume.readOnlyCause() == null;
    if (rows == null) {
      rows = List.of();
    }
    LeafTable.Row[] live = RowOrder.sorted(counting(rows));
    requireDisjoint(live);
    if (writable) {
      tidy(rows, live);
    }
    for (long chunk : parts.table.chunks()) {
      claim(chunk / PageMap.PAGE, LeafTable.CHUNK_PAGES, "a chunk of the leaf table");
    }
    for (LeafTable.Row row : live) {
      place(row);
    }
    parts.order.load(live.length, i -> live[i].separator, i -> live[i].leaf);
    found = new int[live.length];
    for (int i = 0; i < live.length; i++) {
      found[i] = live[i].leaf;
    }
    List<LossRecord> lost = lossesOfRows(live);
    byte[] first = live.length == 0 ? null : live[0].separator;
    if (first == null || first.length > 0) {
      if (first != null) {
        lost.add(
            new LossRecord(
                new byte[0], first, null, 0, parts.volume.capacity(), parts.sequence.get()));
      }
      if (writable) {
        plant(parts.volume.writableLegs());
      }
    }
    return lost;
  }

  /** Takes pages that are said to be in use; two cannot use the same. */
  private void claim(long page, int count, String what) {
    try {
      parts.allocator.markUsed(page, count);
    } catch (IllegalStateException | IllegalArgumentException e) {
      throw new InvalidImageException(
          "pages [" + page + ", +" + count + ") of " + what + ": " + e.getMessage(), e);
    }
  }

  /** What was lost with rows that are damaged in all copies. */
  private List<LossRecord> lossesOfRows(LeafTable.Row[] live) {
    List<LossRecord> lost = new ArrayList<>();
    long now = parts.sequence.get();
    for (byte[] low : parts.table.lostRows()) {
      byte[] high = null;
      for (int i = live.length - 1; low.length > 0 && i >= 0; i--) {
        if (Arrays.compareUnsigned(live[i].separator, low) > 0) {
          high = live[i].separator;
        }
      }
      lost.add(new LossRecord(low, high, null, 0, parts.volume.capacity(), now));
    }
    return lost;
  }

  /** The leaves that the table had, in the order of their keys. */
  int[] found() {
    return found;
  }

  /**
   * Makes durable on every leg what counts, and only then ends what does not: a switch that is on
   * one leg alone would be lost with it, when what it took the place of is gone on both. From left
   * to right: a leaf that came of a split counts by the switch of its left one.
   */
  private void tidy(List<LeafTable.Row> rows, LeafTable.Row[] live) {
    LegSet set = parts.volume.writableLegs();
    for (LeafTable.Row row : live) {
      if (row.untidy || (row.slot.flags() & LeafTable.PENDING) != 0) {
        parts.table.tidy(set, row);
      }
    }
    if (parts.table.isTidied()) {
      // What counts is durable before what does not is gone.
      for (long chunk : parts.table.chunks()) {
        long bytes = (long) LeafTable.CHUNK_PAGES * PageMap.PAGE;
        parts.volume.flush("rows adopted", set, chunk, bytes);
      }
      parts.volume.requireCurrent(set);
    }
    for (LeafTable.Row row : rows) {
      if (!row.counts) {
        parts.table.drop(set, row);
      }
    }
    parts.table.clearStrays(set);
    parts.table.tidyRoot(set);
    parts.volume.requireCurrent(set);
  }

  /** The rows that count. */
  private static List<LeafTable.Row> counting(List<LeafTable.Row> rows) {
    int links = 0;
    for (LeafTable.Row row : rows) {
      links |= row.slot.flags();
    }
    if ((links & (LeafTable.PENDING | LeafTable.ABSORBS)) == 0) {
      return rows;
    }
    Map<Integer, LeafTable.Row> byLeaf = new HashMap<>();
    rows.forEach(row -> byLeaf.put(row.leaf, row));
    for (LeafTable.Row row : rows) {
      LeafTable.Row left = byLeaf.get(row.left);
      boolean pending = (row.slot.flags() & LeafTable.PENDING) != 0;
      row.counts = !pending || (left != null && left.slot.generation() == row.leftGeneration);
    }
    for (LeafTable.Row row : rows) {
      LeafTable.Row absorbed = byLeaf.get(row.slot.linked());
      if (row.counts
          && (row.slot.flags() & LeafTable.ABSORBS) != 0
          && absorbed != null
          && absorbed.slot.generation() < row.slot.generation()) {
        absorbed.counts = false;
      }
    }
    return rows.stream().filter(row -> row.counts).toList();
  }

  private void requireDisjoint(LeafTable.Row[] live) {
    BitSet taken = new BitSet();
    for (long chunk : parts.table.chunks()) {
      claim(taken, chunk / PageMap.PAGE, LeafTable.CHUNK_PAGES, "a chunk of the leaf table");
    }
    LeafTable.Row before = null;
    for (LeafTable.Row row : live) {
      if (before != null && Arrays.equals(before.separator, row.separator)) {
        throw new InvalidImageException(
            "leaf table: expected one leaf for each range, were "
                + before.leaf
                + " and "
                + row.leaf
                + " for the same");
      }
      before = row;
      claim(taken, row.slot.page(), row.slot.pages(), "leaf");
    }
  }

  private static void claim(BitSet taken, long page, int pages, String what) {
    int next = taken.nextSetBit((int) page);
    if (next >= 0 && next < page + pages) {
      throw new InvalidImageException(
          "leaf table: expected pages of one use each, was page "
              + next
              + " of two, one of them a "
              + what);
    }
    taken.set((int) page, (int) page + pages);
  }

  private void place(LeafTable.Row row) {
    Leaves leaves = parts.leaves;
    LeafTable.Slot slot = row.slot;
    parts.pages.setLeaf(slot.page(), slot.pages(), row.leaf, slot.generation());
    claim(slot.page(), slot.pages(), "leaf " + row.leaf);
    leaves.prefix(row.leaf, row.separator);
    leaves.place(row.leaf, slot.page(), slot.pages(), slot.generation());
    leaves.tail(row.leaf, row.tail);
    leaves.durableTail(row.leaf, row.tail);
    leaves.tableCount(row.leaf, row.live);
    parts.entries.add(Math.max(0, row.live));
    leaves.set(
        row.leaf, Leaves.OVERWRITTEN, unclean || row.overwritten || row.live == LeafTable.UNKNOWN);
    leaves.set(row.leaf, Leaves.SECOND_SLOT, row.index == 1);
    leaves.set(row.leaf, Leaves.BLOBS, row.blobs);
    leaves.set(row.leaf, Leaves.SETTLED, row.live != LeafTable.UNKNOWN);
  }

  /** Makes the first leaf, for all keys up to the next. */
  private void plant(LegSet set) {
    byte[] separator = {};
    int leaf = parts.table.allocate(0);
    if (leaf < 0) {
      long page = parts.allocator.allocate(LeafTable.CHUNK_PAGES, true);
      if (page < 0) {
        throw new InvalidImageException(
            "volume: expected room for a leaf table, was " + parts.volume.capacity() + " bytes");
      }
      parts.table.addChunk(set, page, parts.nextSequence());
      leaf = parts.table.allocate(0);
    }
    int pages = 2;
    long page = parts.allocator.allocate(pages, true);
    long generation = parts.nextSequence();
    LeafWriter writer = new LeafWriter();
    writer.begin(parts.secret, page * PageMap.PAGE, pages, leaf, generation, separator);
    writer.end();
    parts.volume.storeDurably(
        "first leaf", set, page * PageMap.PAGE, writer.bytes, 0, writer.length());
    LeafTable.Slot slot = new LeafTable.Slot(page, generation, pages, 0, writer.tail, 0);
    parts.table.writeNew("first row", set, leaf, separator, 0, 0, slot);
    parts.volume.requireCurrent(set);
    LeafTable.Row row = new LeafTable.Row(leaf, separator, 0, 0, generation, slot, 0);
    parts.pages.setLeaf(page, pages, leaf, generation);
    parts.leaves.prefix(leaf, separator);
    parts.leaves.place(leaf, page, pages, generation);
    parts.leaves.tail(leaf, row.tail);
    parts.leaves.durableTail(leaf, row.tail);
    parts.leaves.live(leaf, 0, 0);
    parts.leaves.set(leaf, Leaves.BUILT, true);
    parts.order.insert(separator, leaf);
  }

  /** The leaves begin to be built anew, each up to its tail: memory knows what they have. */
  void restart() {
    unclean = true;
    torn = parts.volume.config().commits();
    restarted = true;
    unknown.clear();
    for (int leaf : leaves()) {
      unknown.set(leaf, !parts.leaves.is(leaf, Leaves.BUILT));
      parts.leaves.set(leaf, Leaves.BUILT, false);
      parts.leaves.durableTail(leaf, parts.leaves.tail(leaf));
    }
  }

  /** Whether memory knew what a leaf has when all began to be built anew. */
  boolean wasKnown(int leaf) {
    return !unknown.get(leaf);
  }

  /** Whether leaves may have more than the table says. */
  boolean isUnclean() {
    return unclean;
  }

  /** Whether the extents that leaves lead to are claimed; while it is opened, one thread. */
  void claiming(boolean on) {
    claims = on;
  }

  /** All leaves, in the order of their keys. */
  List<Integer> leaves() {
    return parts.order.leaves();
  }

  /**
   * Gives the records of a leaf their slots, and reconciles it.
   *
   * @param image to work in
   * @param tolerant whether what is on no leg was named already
   * @param known what led to the records before, if that is known
   * @return whether it is built; if not, something of it is on no leg, and {@code image} has it
   */
  boolean build(
      LegSet set, int leaf, LeafImage image, boolean tolerant, @Nullable PointIndex known) {
    Volume volume = parts.volume;
    Leaves leaves = parts.leaves;
    long offset = parts.offset(leaf);
    int length = leaves.pages(leaf) * PageMap.PAGE;
    // Dirty bits are cleared while the table does not yet say how far a leaf goes: so all leaves.
    boolean settles = unclean;
    image.load(
        new LeafImage.Request(
            volume,
            set,
            parts.secret,
            leaves,
            leaf,
            offset,
            length,
            leaves.generation(leaf),
            leaves.durableTail(leaf),
            settles,
            torn));
    if (!image.holes.isEmpty() && !tolerant) {
      return false;
    }
    boolean differs = settles || !image.differing.isEmpty();
    if (differs && volume.readOnlyCause() == null) {
      reconcile(set, offset, length, image);
    }
    // What is written next to the leaf is newer than all it has, also than what somebody put there
    // who knows the secret.
    parts.sequence.accumulateAndGet(image.highestSequence() + 1, Math::max);
    int doubtful = damageOf(leaf, image).doubtfulBefore();
    image.sort();
    int live = 0;
    int bytes = 0;
    boolean unled = false;
    boolean strangers = hasStrangers(leaf, image);
    // A pass before this one may have ended half-way.
    boolean again = leaves.is(leaf, Leaves.PARTIAL);
    leaves.set(leaf, Leaves.PARTIAL, true);
    for (int i = 0; i < image.newestCount; i++) {
      int at = image.newest[i];
      if (RecordLayout.type(image.bytes, at) == RecordLayout.TOMBSTONE) {
        continue;
      }
      if (!RecordLayout.isOld(image.bytes, at)
          && (!strangers || isOwn(leaf, image, at))
          && (image.holes.isEmpty() || isNewest(known, offset, image, at, doubtful))) {
        insert(set, leaf, offset, image, at, again);
        live++;
        bytes += image.size(at);
      } else {
        unled = true;
      }
    }
    if (!image.holes.isEmpty()) {
      missing += Math.max(0, leaves.tableCount(leaf) - live);
    }
    leaves.set(leaf, Leaves.UNLED, unled);
    leaves.set(leaf, Leaves.OVERWRITTEN, isOverwritten(image, leaves.generation(leaf)));
    leaves.set(leaf, Leaves.PACKED, !unled && image.isPacked());
    leaves.tail(leaf, Math.max(image.tail, settles ? 0 : leaves.tail(leaf)));
    leaves.live(leaf, live, bytes);
    parts.entries.add(live - Math.max(0, leaves.tableCount(leaf)));
    leaves.tableCount(leaf, live);
    leaves.set(leaf, Leaves.PARTIAL, false);
    leaves.set(leaf, Leaves.BUILT, true);
    return true;
  }

  /**
   * Whether a leaf has records of keys that belong into another one, which only somebody who knows
   * the secret can put there. Nothing leads to them, and the next rewrite leaves them out.
   */
  private boolean hasStrangers(int leaf, LeafImage image) {
    return image.newestCount > 0
        && !(isOwn(leaf, image, image.newest[0])
            && isOwn(leaf, image, image.newest[image.newestCount - 1]));
  }

  private boolean isOwn(int leaf, LeafImage image, int at) {
    int keyLength = RecordLayout.keyLength(image.bytes, at);
    return parts.order.floor(image.bytes, RecordLayout.keyAt(at), keyLength) == leaf;
  }

  /** Whether no newer record of the same key can be in a hole. */
  private boolean isNewest(
      @Nullable PointIndex known, long offset, LeafImage image, int at, int doubtful) {
    return known == null
        ? image.place(at) >= doubtful
        : known.leadsTo(
            image.hash(at, parts.secret), RecordLayout.address(offset + image.place(at)));
  }

  private static boolean isOverwritten(LeafImage image, long generation) {
    boolean overwritten = !image.holes.isEmpty();
    for (int i = 0; i < image.count && !overwritten; i++) {
      int at = image.records[i];
      overwritten =
          RecordLayout.sequence(image.bytes, at) > generation
              && RecordLayout.isAfterOverwrite(image.bytes, at);
    }
    return overwritten;
  }

  /** How many records the table counted that were in holes: they are named as lost. */
  long missing() {
    return missing;
  }

  private void insert(LegSet set, int leaf, long offset, LeafImage image, int at, boolean again) {
    byte[] bytes = image.bytes;
    long hash = image.hash(at, parts.secret);
    int check = RecordLayout.check(RecordLayout.sequence(bytes, at));
    long address = RecordLayout.address(offset + image.place(at));
    if (again && parts.points.leadsTo(hash, address)) {
      return;
    }
    parts.points.insert(hash, address, check);
    if (RecordLayout.type(bytes, at) == RecordLayout.BLOB) {
      BlobExtents extents = BlobExtents.of(bytes, at, parts.volume.capacity() / PageMap.PAGE);
      if (extents == null || extents.bulk != null) {
        return;
      }
      if (!unclean && !parts.leaves.is(leaf, Leaves.BLOBS)) {
        throw new InvalidImageException(
            "leaf " + leaf + ": expected no large values, as the leaf table says, was one");
      }
      for (int i = 0; i < extents.count; i++) {
        if (claims && !parts.claimed.contains(extents.page[i])) {
          claim(extents.page[i], extents.pages[i], "a large value");
        } else if (restarted) {
          // Memory has them, but for those of a put of which nobody knew whether it was stored.
          parts.allocator.claim(extents.page[i], extents.pages[i]);
        }
        parts.pages.setExtent(extents.page[i], extents.pages[i], leaf);
      }
      if (unclean && parts.volume.readOnlyCause() == null) {
        blobs.reconcile(set, extents);
      }
    }
  }

  /** Behind a crash an open ends with a flush of all, which is one for all leaves. */
  private void storeReconciled(String site, LegSet set, long offset, byte[] bytes, int length) {
    if (opens) {
      parts.volume.storeChecked(set, offset, bytes, 0, length);
    } else {
      parts.volume.storeDurably(site, set, offset, bytes, 0, length);
    }
  }

  /** What was found is durable now: what is made equal from here on is flushed by itself. */
  void opened() {
    opens = false;
  }

  /** Makes the legs agree: the same records on all, and nothing behind them. */
  private void reconcile(LegSet set, long offset, int length, LeafImage image) {
    Volume volume = parts.volume;
    if (!image.differing.isEmpty()) {
      LOG.log(Level.DEBUG, "leaf at " + offset + ": the legs differ, and are made equal");
      storeReconciled("leaf adopted", set, offset, image.bytes, image.tail);
    }
    if (image.littered) {
      int rest = length - image.tail;
      storeReconciled("leaf cut", set, offset + image.tail, new byte[rest], rest);
    }
    volume.requireCurrent(set);
  }

  /**
   * What may be said of a leaf of which something is on no leg.
   *
   * @param fingerprints of what led there; null if nobody knows
   */
  List<LossRecord> lossesOf(int leaf, LeafImage image, LegSet set, long @Nullable [] fingerprints) {
    byte[] low = parts.table.separator(set, leaf);
    byte[] high = parts.order.higherSeparator(low);
    long now = parts.sequence.get();
    if (fingerprints == null) {
      return damageOf(leaf, image).losses(parts.offset(leaf), low, high, now);
    }
    int from = image.holes.getFirst();
    int to = image.holes.getLast();
    return List.of(
        new LossRecord(low, high, fingerprints, parts.offset(leaf) + from, to - from, now));
  }

  private LeafDamage damageOf(int leaf, LeafImage image) {
    return new LeafDamage(
        image, parts.leaves.generation(leaf), parts.leaves.is(leaf, Leaves.OVERWRITTEN));
  }
}
