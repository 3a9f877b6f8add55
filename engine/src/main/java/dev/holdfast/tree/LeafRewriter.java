package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;
import java.util.Arrays;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Writes leaves anew: what is live goes to new pages, in the order of the keys, with room for more;
 * a leaf that has grown is split.
 *
 * <h2>Order of stores</h2>
 *
 * <ol>
 *   <li>the new pages, whole, durable on every leg of the write set;
 *   <li>for a split, the row of the right leaf, pending;
 *   <li>the other slot of the leaf's row: from here on the new pages count, all at once;
 *   <li>the right leaf's row no longer pending; the leaf's former slot zeroed;
 *   <li>only now the old pages are given back, once no reader can be in them.
 * </ol>
 *
 * A pass that ends between 3 and 4 with no proof that the switch is on every leg leaves the leaf
 * <em>in doubt</em>: nothing is appended to it before the doubt is resolved, because a crash might
 * find either slot.
 *
 * <p>Where durable takes an msync, a pass flushes nothing and leaves the table alone: it stores the
 * new pages and hands steps 2 to 5 over as a {@link PendingSwitch}, which a {@link GroupCommit}
 * carries out. Memory is switched at once; the leaf can be read and appended to.
 *
 * <p><b>Threads:</b> the holder of the leaf's lock.
 */
final class LeafRewriter {
  /** Done. */
  static final int DONE = 0;

  /** Pages are needed first. */
  static final int NO_ROOM = 1;

  /** A chunk of the leaf table is needed first. */
  static final int NO_ROW = 2;

  /** Something of the leaf is on no leg. */
  static final int DAMAGED = 3;

  /** The former switch is not done with; to be tried again. */
  static final int BUSY = 4;

  /** The former switch waits for a group commit; to be tried again behind one. */
  static final int UNCOMMITTED = 5;

  /** A leaf with more live bytes is split. */
  static final int SPLIT_BYTES = 36 << 10;

  /** The same where pages are short. */
  private static final int SHORT_SPLIT_BYTES = 12 << 10;

  /** A leaf of several keys that has more bytes with the versions that pins need is split, too. */
  private static final int CROWDED_BYTES = LeafLayout.MAX_BYTES / 4 * 3;

  /**
   * A leaf of one key whose versions take more ends the oldest pin: three quarters of the largest,
   * so that there is room to append.
   */
  static final int MOST_BYTES = LeafLayout.LARGEST_PAGES * PageMap.PAGE / 4 * 3;

  private static final int NOBODY = -1;

  /** In the place of a number of bytes to leave out: records have their ordinary form. */
  static final int PLAIN = -1;

  private final Parts parts;

  /** What a failed pass may have left on a leg, by leaf. */
  private final ConcurrentHashMap<Integer, Pass> doubts = new ConcurrentHashMap<>();

  /** What is still to be done after a switch, by leaf. */
  private final ConcurrentHashMap<Integer, Aftermath> untidy = new ConcurrentHashMap<>();

  LeafRewriter(Parts parts) {
    this.parts = parts;
  }

  /** What is asked of a pass. */
  static final class Order {
    /** The bytes of the record that has to fit. */
    int needed;

    /** Its key; null if there is none. */
    byte @Nullable [] key;

    int keyLength;

    /** Whether to leave out what is on no leg: it has been named. */
    boolean tolerant;

    /** Whether what is kept back for overwrites may be used. */
    boolean overwrites;

    /** Whether no room is left for more, in the short form, at the lowest place there is. */
    boolean tight;

    /** Tombstones with a higher sequence are kept. */
    long keepAbove = Long.MAX_VALUE;

    /** Begins with what most ask for: a leaf of the same records, with room for so many bytes. */
    Order begin(int bytesNeeded, long tombstonesAbove) {
      needed = bytesNeeded;
      key = null;
      keyLength = 0;
      tolerant = false;
      overwrites = true;
      tight = false;
      keepAbove = tombstonesAbove;
      return this;
    }
  }

  /** A leaf that is being made. */
  static final class Half {
    final int leaf;
    final long page;
    final int pages;
    final long generation;
    final byte[] separator;
    final LeafWriter writer;
    int from;
    int to;

    /** Whether one of the records leads to extents. */
    boolean blobs;

    /** How many bytes of each key are left out; {@link #PLAIN} if that is not asked. */
    int prefix = PLAIN;

    Half(int leaf, long page, int pages, long generation, byte[] separator, LeafWriter writer) {
      this.leaf = leaf;
      this.page = page;
      this.pages = pages;
      this.generation = generation;
      this.separator = separator;
      this.writer = writer;
    }

    /** Takes over a record of another leaf. */
    void add(LeafImage image, int at, int place, boolean isOld) {
      if (prefix == PLAIN) {
        int _ = writer.add(image.bytes, at, place, isOld);
      } else {
        writer.addPacked(image.bytes, at, prefix);
      }
      blobs |= RecordLayout.type(image.bytes, at) == RecordLayout.BLOB;
    }

    /** The bytes that a record takes in it. */
    int sizeOf(LeafImage image, int at) {
      return LeafRewriter.sizeOf(image, at, prefix);
    }

    /** The sequence that a record has in it. */
    long sequenceOf(LeafImage image, int at) {
      return prefix == PLAIN ? RecordLayout.sequence(image.bytes, at) : generation;
    }

    LeafTable.Slot slot(int flags) {
      return slot(flags, 0);
    }

    LeafTable.Slot slot(int flags, int linked) {
      return new LeafTable.Slot(
          page, generation, pages, flags | (blobs ? LeafTable.BLOBS : 0), writer.tail, linked);
    }
  }

  /** What a pass took, so that it can be given back. */
  static final class Pass {
    /** The leaf that is switched; one that it absorbs is in doubt as long as it is. */
    int owner = NOBODY;

    long leftPage = NOBODY;
    int leftPages;

    /** Fewer than these do not help for long; as many as there are to be, if it is 0. */
    int leftLeast;

    long rightPage = NOBODY;
    int rightPages;
    int rightLeast;
    int right = NOBODY;
    int rightUnits;
    int rightSeparatorLength;

    /** Whether the table may have something of it. */
    boolean stored;
  }

  /** Steps 4 and 5. */
  record Aftermath(
      int formerSlot,
      long oldPage,
      int oldPages,
      int right,
      LeafTable.@Nullable Slot rightSlot,
      @Nullable Absorbed absorbed) {}

  /** A leaf that is one with its left neighbour now: its row ends, its pages are given back. */
  record Absorbed(int leaf, int separatorLength, long page, int pages) {}

  /** Somebody has to want what was loaded. */
  private long prefetched;

  long prefetched() {
    return prefetched;
  }

  /** Pages that the last pass lacked. */
  private volatile int lacked = 1;

  int lacked() {
    return lacked;
  }

  /** Writes a leaf anew. */
  int rewrite(Scratch s, LegSet set, int leaf, Order order) {
    settle(set, leaf);
    int reserved = parts.leaves.reserved(leaf);
    if (isUndone(leaf) || (s.batch == null && reserved > 0)) {
      return BUSY;
    }
    LeafImage image = s.image();
    image.load(parts.asKnown(set, leaf));
    if (!image.holes.isEmpty() && !order.tolerant) {
      return DAMAGED;
    }
    boolean ordered = isOrdered(image);
    int count = survivors(image, leaf, order);
    int bytes = bytes(image, 0, count);
    if (reserved > 0 && parts.commits.isPending(leaf)) {
      return UNCOMMITTED;
    }
    if (reserved > 0) {
      // Its range stays what it is, and so does the room of the batch.
      order.needed = Math.max(order.needed, reserved);
      prefetch(image, count);
      return compact(s, set, leaf, order, separator(set, image, leaf), count, bytes);
    }
    while (bytes + order.needed > MOST_BYTES
        && parts.pins.endOldest(OldVersions.oldest(image, count)) != null) {
      count = survivors(image, leaf, order);
      bytes = bytes(image, 0, count);
    }
    byte[] key = order.key;
    if (key != null
        && ordered
        && count > 0
        && count == image.count
        && image.compare(image.newest[count - 1], key, order.keyLength) < 0
        && image.tail > parts.leaves.pages(leaf) * PageMap.PAGE / 2) {
      return beginNeighbour(s, set, leaf, order, key);
    }
    if (parts.commits.isPending(leaf)) {
      return UNCOMMITTED;
    }
    byte[] separator = separator(set, image, leaf);
    prefetch(image, count);
    if (!image.holes.isEmpty() && image.pins != null) {
      byte[] high = parts.order.higherSeparator(separator);
      parts.pastLosses.add(separator, high, parts.sequence.get());
    }
    boolean fills =
        order.tight
            && image.pins == null
            && isOneLeaf(
                separator.length, bytes(image, 0, count, prefix(image, leaf, separator, count)));
    if (!fills && isToBeSplit(image, count, bytes, order.needed)) {
      return split(s, set, leaf, order, separator, count, bytes);
    }
    int outcome = compact(s, set, leaf, order, separator, count, bytes);
    // A full volume may have no run that is so long, and two that are shorter.
    return outcome == NO_ROOM
            && count >= 2
            && image.pins == null
            && !order.tight
            && parts.allocator.isShort()
        ? split(s, set, leaf, order, separator, count, bytes)
        : outcome;
  }

  /**
   * Loads the slots that are going to be moved: all the misses, none of which waits for another,
   * while the new pages are written.
   */
  private void prefetch(LeafImage image, int count) {
    long loaded = 0;
    for (int i = 0; i < count; i++) {
      int at = image.newest[i];
      image.hashes[i] =
          KeyHash.of(
              parts.secret,
              image.bytes,
              RecordLayout.keyAt(at),
              RecordLayout.keyLength(image.bytes, at));
      loaded ^= parts.points.prefetch(image.hashes[i]);
    }
    prefetched = loaded;
  }

  /**
   * Makes room for many records of a batch, whose operations {@code [from, to)} belong to the leaf:
   * cuts it where they will go.
   *
   * @param more whether the leaf gets more operations than these
   */
  int rewriteFor(
      Scratch s, LegSet set, int leaf, Order order, BatchRun run, int from, int to, boolean more) {
    settle(set, leaf);
    if (isUndone(leaf)) {
      return BUSY;
    }
    LeafImage image = s.image();
    if (run.freshLeaf == leaf && run.freshTail == parts.leaves.tail(leaf)) {
      image.clear(); // As it was begun: nothing to look at.
    } else {
      image.load(parts.asKnown(set, leaf));
      if (!image.holes.isEmpty() && !order.tolerant) {
        return DAMAGED;
      }
    }
    int count = survivors(image, leaf, order);
    BatchOps ops = run.ops;
    byte[] first = ops.key(from);
    if (count == 0 || image.compare(image.newest[count - 1], first, first.length) < 0) {
      int room = parts.leaves.pages(leaf) * PageMap.PAGE - parts.leaves.tail(leaf);
      int next = from;
      while (next < to && ops.sizeOf(next) <= room) {
        room -= ops.sizeOf(next);
        next++;
      }
      if (next > from ? next < run.count : count > 0) {
        byte[] middle =
            next > from
                ? ops.separatorBefore(next)
                : image.separator(image.newest[count - 1], first, first.length);
        int rest = more ? LeafLayout.MAX_BYTES : bytes(ops, next, to);
        int outcome =
            neighbour(s, set, leaf, order, middle, pagesFor(middle.length, 0, rest, false));
        if (outcome == DONE) {
          run.freshLeaf = parts.order.floor(middle, 0, middle.length);
          run.freshTail = LeafLayout.firstRecord(middle.length);
        }
        return outcome;
      }
    }
    if (parts.commits.isPending(leaf)) {
      return UNCOMMITTED;
    }
    prefetch(image, count);
    int present = bytes(image, 0, count);
    byte[] separator = separator(set, image, leaf);
    if (to - from < 2 || (!more && present + order.needed <= SPLIT_BYTES)) {
      return compact(s, set, leaf, order, separator, count, present);
    }
    int half = from + 1;
    int left = ops.sizeOf(from);
    while (half + 1 < to && left < order.needed / 2) {
      left += ops.sizeOf(half);
      half++;
    }
    byte[] middle = ops.separatorBefore(half);
    int cut = 0;
    while (cut < count && image.compare(image.newest[cut], middle, middle.length) < 0) {
      cut++;
    }
    return splitAt(s, set, leaf, order, separator, count, cut, middle, left, order.needed - left);
  }

  private static int bytes(BatchOps ops, int from, int to) {
    int sum = 0;
    for (int i = from; i < to; i++) {
      sum += ops.sizeOf(i);
    }
    return sum;
  }

  private static int bytes(LeafImage image, int from, int to) {
    return bytes(image, from, to, PLAIN);
  }

  /** The bytes that records take, of whose keys {@code prefix} bytes are left out. */
  static int bytes(LeafImage image, int from, int to, int prefix) {
    int sum = 0;
    for (int i = from; i < to; i++) {
      sum += sizeOf(image, image.newest[i], prefix);
    }
    return sum;
  }

  static int sizeOf(LeafImage image, int at, int prefix) {
    return prefix == PLAIN
        ? RecordLayout.size(image.bytes, at)
        : PackedLayout.sizeOf(image.bytes, at, prefix);
  }

  /**
   * How many bytes the keys of what stays have in common with the separator; {@link #PLAIN} if the
   * records cannot have the short form: it has no place for what it takes to tell versions apart.
   */
  int prefix(LeafImage image, int leaf, byte[] separator, int count) {
    return count > 0 && mayBePacked(image, leaf, count)
        ? common(image, image.newest[count - 1], separator)
        : PLAIN;
  }

  boolean mayBePacked(LeafImage image, int leaf, int count) {
    boolean may =
        image.pins == null && image.holes.isEmpty() && !parts.leaves.is(leaf, Leaves.UNLED);
    for (int i = 0; i < count && may; i++) {
      may = RecordLayout.type(image.bytes, image.newest[i]) != RecordLayout.TOMBSTONE;
    }
    return may;
  }

  /** How many bytes the keys from the separator to that of a record have in common. */
  static int common(LeafImage image, int last, byte[] separator) {
    int most = Math.min(separator.length, PackedLayout.MAX_PREFIX);
    int key = RecordLayout.keyAt(last);
    int end = key + Math.min(most, RecordLayout.keyLength(image.bytes, last));
    int mismatch = Arrays.mismatch(image.bytes, key, end, separator, 0, most);
    return mismatch < 0 ? most : mismatch;
  }

  /** Ends what an earlier pass left over; before anything is appended or switched. */
  void settle(LegSet set, int leaf) {
    if (parts.leaves.is(leaf, Leaves.IN_DOUBT)) {
      resolve(set, leaf);
    }
    Aftermath left = untidy.isEmpty() ? null : untidy.get(leaf);
    if (left != null) {
      tidy(set, leaf, left);
    }
  }

  /** Whether an earlier pass is not done with, though {@link #settle} was asked to. */
  private boolean isUndone(int leaf) {
    return parts.leaves.is(leaf, Leaves.IN_DOUBT) || untidy.containsKey(leaf);
  }

  /** Whether it cannot be written anew now: also because a batch has not done with it. */
  boolean isBusy(int leaf) {
    return isUndone(leaf) || parts.leaves.reserved(leaf) > 0 || parts.commits.isPending(leaf);
  }

  /** Whether every record is newer and has a greater key than the one before. */
  private static boolean isOrdered(LeafImage image) {
    for (int i = 1; i < image.count; i++) {
      if (image.compare(image.records[i - 1], image.records[i]) >= 0) {
        return false;
      }
    }
    return true;
  }

  private boolean isToBeSplit(LeafImage image, int count, int bytes, int needed) {
    if (image.pins == null || bytes + needed <= SPLIT_BYTES) {
      // What is nearly full gets leaves that find room in short runs of pages, as long as it has
      // some.
      int most = parts.allocator.isShort() ? SHORT_SPLIT_BYTES : SPLIT_BYTES;
      return count >= 2 && bytes + needed > most;
    }
    // Versions go again: a leaf is not split for them as long as there is room beside them.
    int newest = 0;
    int keys = 0;
    for (int i = 0; i < count; i++) {
      if (!OldVersions.isOld(image, i, 0)) {
        newest += RecordLayout.size(image.bytes, image.newest[i]);
        keys++;
      }
    }
    return keys >= 2 && (newest + needed > SPLIT_BYTES || bytes + needed > CROWDED_BYTES);
  }

  /** Moves what stays to the front of {@code newest}; how many they are. */
  int survivors(LeafImage image, int leaf, Order order) {
    Pins.View pins = parts.pins.view();
    boolean mayBeUnled = order.tolerant || parts.leaves.is(leaf, Leaves.UNLED);
    if (!pins.isEmpty()) {
      return OldVersions.keep(
          image, pins, order.keepAbove, mayBeUnled ? record -> isLedTo(image, leaf, record) : null);
    }
    image.sort();
    int count = 0;
    for (int i = 0; i < image.newestCount; i++) {
      int record = image.newest[i];
      boolean stays =
          RecordLayout.type(image.bytes, record) == RecordLayout.TOMBSTONE
              ? RecordLayout.sequence(image.bytes, record) > order.keepAbove
              // Behind what is lost an older record of the same key may come to light.
              : !mayBeUnled || isLedTo(image, leaf, record);
      if (stays) {
        image.newest[count++] = record;
      }
    }
    return count;
  }

  private boolean isLedTo(LeafImage image, int leaf, int record) {
    return parts.points.leadsTo(
        image.hash(record, parts.secret),
        RecordLayout.address(parts.offset(leaf) + image.place(record)));
  }

  private byte[] separator(LegSet set, LeafImage image, int leaf) {
    long generation = parts.leaves.generation(leaf);
    int place = RecordLayout.place(parts.secret, parts.offset(leaf), generation);
    if (LeafLayout.isIntact(image.bytes, new CRC32C(), place, generation)) {
      return LeafLayout.separator(image.bytes);
    }
    return parts.table.separator(set, leaf);
  }

  /**
   * How many pages hold so many bytes, with room for more while there is plenty: for as much again
   * where records are overwritten, since each of them is copied the less often, and for five
   * eighths of it where they are new and the leaf will be split.
   */
  int pagesFor(int separatorLength, int bytes, int needed, boolean isHot) {
    int least = LeafLayout.firstRecord(separatorLength) + bytes + needed;
    int slack = isHot ? bytes : bytes * 5 / 8;
    int wanted = parts.allocator.isShort() ? least : Math.max(least, least + slack - needed);
    if (bytes + needed <= CROWDED_BYTES) {
      return Math.min(Math.ceilDiv(wanted, PageMap.PAGE), LeafLayout.MAX_PAGES);
    }
    // Versions that pins need make it so large; to write it anew for each of them costs too much.
    wanted = Math.max(wanted, least + bytes / 4);
    return Math.min(Math.ceilDiv(wanted, PageMap.PAGE), LeafLayout.LARGEST_PAGES);
  }

  /** How many of so many pages do, where no place is long enough: those with a part of the room. */
  private static int leastFor(int pages, int separatorLength, int bytes) {
    int full = Math.min(pages, tightPages(separatorLength, bytes));
    return full + (pages - full + 3) / 4;
  }

  /** How many pages hold so many bytes, and nothing more. */
  static int tightPages(int separatorLength, int bytes) {
    return Math.ceilDiv(LeafLayout.firstRecord(separatorLength) + bytes, PageMap.PAGE);
  }

  /** Whether so many bytes fit into the largest leaf. */
  static boolean isOneLeaf(int separatorLength, int bytes) {
    return LeafLayout.firstRecord(separatorLength) + bytes <= LeafLayout.MAX_BYTES;
  }

  /** Whether a good part of what a leaf holds was overwritten. */
  private static boolean isHot(LeafImage image, int liveBytes) {
    return image.tail - liveBytes > liveBytes / 4;
  }

  // ---------------------------------------------------------------- the three ways

  private int compact(
      Scratch s, LegSet set, int leaf, Order order, byte[] separator, int count, int bytes) {
    Pass pass = new Pass();
    long generation = parts.nextSequence();
    int prefix =
        order.tight && parts.hasNoPins() ? prefix(s.image(), leaf, separator, count) : PLAIN;
    pass.leftPages =
        order.tight
            ? tightPages(separator.length, bytes(s.image(), 0, count, prefix))
            : pagesFor(separator.length, bytes, order.needed, isHot(s.image(), bytes));
    pass.leftLeast = leastFor(pass.leftPages, separator.length, bytes + order.needed);
    if (!takeLeft(pass, order.tight, order.overwrites)) {
      lacked = pass.leftPages;
      return NO_ROOM;
    }
    begin(leaf, pass);
    Half left = new Half(leaf, pass.leftPage, pass.leftPages, generation, separator, s.writer());
    left.prefix = prefix;
    left.to = count;
    store(set, s.image(), left, parts.offset(leaf), parts.leaves.generation(leaf));
    switchTo(set, leaf, pass, left, null);
    Aftermath after = aftermath(leaf, null);
    parts.leaves.changing(leaf);
    try {
      publish(s.image(), left, parts.offset(leaf));
    } finally {
      parts.leaves.changed(leaf);
    }
    published(set, leaf, after);
    return DONE;
  }

  private int split(
      Scratch s, LegSet set, int leaf, Order order, byte[] separator, int count, int bytes) {
    LeafImage image = s.image();
    int cut = cut(image, count, bytes);
    byte[] middle = image.separator(image.newest[cut - 1], image.newest[cut]);
    return splitAt(s, set, leaf, order, separator, count, cut, middle, order.needed, order.needed);
  }

  private int splitAt(
      Scratch s,
      LegSet set,
      int leaf,
      Order order,
      byte[] separator,
      int count,
      int cut,
      byte[] middle,
      int leftNeeded,
      int rightNeeded) {
    LeafImage image = s.image();
    Pass pass = new Pass();
    int leftBytes = bytes(image, 0, cut);
    int rightBytes = bytes(image, cut, count);
    boolean isHot = isHot(image, leftBytes + rightBytes);
    pass.leftPages = pagesFor(separator.length, leftBytes, leftNeeded, isHot);
    pass.leftLeast = leastFor(pass.leftPages, separator.length, leftBytes + leftNeeded);
    pass.rightPages = pagesFor(middle.length, rightBytes, rightNeeded, isHot);
    pass.rightLeast = leastFor(pass.rightPages, middle.length, rightBytes + rightNeeded);
    if (!take(pass, middle, order.overwrites)) {
      return pass.right == NOBODY ? NO_ROW : NO_ROOM;
    }
    begin(leaf, pass);
    Half right =
        new Half(
            pass.right,
            pass.rightPage,
            pass.rightPages,
            parts.nextSequence(),
            middle,
            s.secondWriter());
    right.from = cut;
    right.to = count;
    Half left =
        new Half(leaf, pass.leftPage, pass.leftPages, parts.nextSequence(), separator, s.writer());
    left.to = cut;
    long oldOffset = parts.offset(leaf);
    long oldGeneration = parts.leaves.generation(leaf);
    store(set, image, right, oldOffset, oldGeneration);
    store(set, image, left, oldOffset, oldGeneration);
    switchTo(set, leaf, pass, left, right);
    Aftermath after = aftermath(leaf, right);
    // Nobody may see the left half alone and take the range for the former one.
    parts.leaves.changing(leaf);
    try {
      publish(image, right, oldOffset);
      parts.order.insert(middle, right.leaf);
      publish(image, left, oldOffset);
    } finally {
      parts.leaves.changed(leaf);
    }
    published(set, leaf, after);
    return DONE;
  }

  /**
   * Begins a leaf to the right for a key behind all others: where keys come in order, full leaves
   * stay as they are.
   */
  private int beginNeighbour(Scratch s, LegSet set, int leaf, Order order, byte[] key) {
    LeafImage image = s.image();
    byte[] middle = image.separator(image.newest[image.newestCount - 1], key, order.keyLength);
    int pages = parts.allocator.isShort() ? 2 : LeafLayout.MAX_PAGES;
    return neighbour(s, set, leaf, order, middle, pages);
  }

  private int neighbour(Scratch s, LegSet set, int leaf, Order order, byte[] middle, int pages) {
    LeafImage image = s.image();
    Pass pass = new Pass();
    pass.rightPages = pages;
    if (!take(pass, middle, order.overwrites)) {
      return pass.right == NOBODY ? NO_ROW : NO_ROOM;
    }
    // Not a switch: the left leaf stays what it is, and the new row counts as soon as it is whole.
    Half right =
        new Half(
            pass.right,
            pass.rightPage,
            pass.rightPages,
            parts.nextSequence(),
            middle,
            s.secondWriter());
    boolean done = false;
    try {
      begin(leaf, pass);
      store(set, image, right, parts.offset(leaf), parts.leaves.generation(leaf));
      if (parts.durability.defers()) {
        parts.volume.requireCurrent(set);
        parts.commits.queue(PendingSwitch.ofNew(right.leaf, right.slot(0), middle, leaf));
      } else {
        pass.stored = true;
        parts.table.writeNew("neighbour's row", set, right.leaf, middle, leaf, 0, right.slot(0));
        parts.volume.requireCurrent(set);
      }
      done = true;
    } finally {
      if (done) {
        doubts.remove(leaf);
        parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
      }
    }
    publish(image, right, parts.offset(leaf));
    parts.leaves.changing(leaf);
    try {
      parts.order.insert(middle, right.leaf);
    } finally {
      parts.leaves.changed(leaf);
    }
    return DONE;
  }

  private static int cut(LeafImage image, int count, int bytes) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
      sum += RecordLayout.size(image.bytes, image.newest[i]);
      if (sum >= bytes / 2 && i + 1 < count && !OldVersions.isOld(image, i + 1, 0)) {
        return i + 1;
      }
    }
    int last = count - 1;
    while (OldVersions.isOld(image, last, 0)) {
      last--;
    }
    return last;
  }

  /** Takes pages and a row for a pass, all of them or none. */
  private boolean take(Pass pass, byte[] separator, boolean overwrites) {
    pass.right = parts.table.allocate(separator.length);
    if (pass.right == NOBODY) {
      return false;
    }
    pass.rightSeparatorLength = separator.length;
    pass.rightUnits = LeafTable.unitsFor(separator.length);
    int wanted = pass.leftPages + pass.rightPages;
    int least = pass.rightLeast == 0 ? pass.rightPages : pass.rightLeast;
    long run = parts.allocator.allocateUpTo(least, pass.rightPages, overwrites);
    boolean enough = run != PageAllocator.NONE;
    if (enough) {
      pass.rightPage = PageAllocator.pageOf(run);
      pass.rightPages = PageAllocator.countOf(run);
      enough = pass.leftPages == 0 || takeLeft(pass, false, overwrites);
    }
    if (!enough) {
      lacked = wanted;
      if (pass.rightPage >= 0) {
        parts.allocator.free(pass.rightPage, pass.rightPages);
      }
      parts.table.release(pass.right, separator.length);
    }
    return enough;
  }

  private boolean takeLeft(Pass pass, boolean tight, boolean overwrites) {
    if (tight) {
      pass.leftPage = parts.allocator.allocateLow(pass.leftPages, true);
      return pass.leftPage >= 0;
    }
    int least = pass.leftLeast == 0 ? pass.leftPages : pass.leftLeast;
    long run = parts.allocator.allocateUpTo(least, pass.leftPages, overwrites);
    if (run == PageAllocator.NONE) {
      return false;
    }
    pass.leftPage = PageAllocator.pageOf(run);
    pass.leftPages = PageAllocator.countOf(run);
    return true;
  }

  /** From here on a leaf may have been switched, for who finds the devices after a crash. */
  void begin(int leaf, Pass pass) {
    pass.owner = pass.owner == NOBODY ? leaf : pass.owner;
    doubts.put(leaf, pass);
    parts.leaves.set(leaf, Leaves.IN_DOUBT, true);
  }

  private void store(LegSet set, LeafImage image, Half half, long oldOffset, long oldGeneration) {
    LeafWriter writer = half.writer;
    writer.begin(
        parts.secret,
        half.page * PageMap.PAGE,
        half.pages,
        half.leaf,
        half.generation,
        half.separator);
    for (int i = half.from; i < half.to; i++) {
      int at = image.newest[i];
      int place = RecordLayout.place(parts.secret, oldOffset + image.place(at), oldGeneration);
      half.add(image, at, place, OldVersions.isOld(image, i, half.from));
    }
    writer.end();
    parts.durability.store("leaf", set, half.page * PageMap.PAGE, writer.bytes, 0, writer.length());
  }

  private void switchTo(LegSet set, int leaf, Pass pass, Half left, @Nullable Half right) {
    parts.volume.requireCurrent(set);
    int other = parts.leaves.is(leaf, Leaves.SECOND_SLOT) ? 0 : 1;
    if (parts.durability.defers()) {
      // Before anybody can append to the new pages: a commit that has the record has the switch.
      queue(leaf, left, other, right);
      return;
    }
    pass.stored = true;
    if (right != null) {
      LeafTable.Slot pending = right.slot(LeafTable.PENDING);
      parts.table.writeNew(
          "pending row", set, right.leaf, right.separator, leaf, left.generation, pending);
      parts.volume.requireCurrent(set);
    }
    parts.table.writeSlot("switch", set, leaf, other, left.slot(0));
    parts.volume.requireCurrent(set);
  }

  private void queue(int leaf, Half left, int index, @Nullable Half right) {
    PendingSwitch change =
        PendingSwitch.of(
            leaf, left.slot(0), index, parts.leaves.page(leaf), parts.leaves.pages(leaf));
    if (right != null) {
      // Where its row is once it is tidied.
      parts.leaves.set(right.leaf, Leaves.SECOND_SLOT, true);
      change = change.with(right.leaf, right.slot(0), right.separator);
    }
    handOver(change);
  }

  /** No doubt any more: nothing was stored in the table, and a commit answers for what will be. */
  void handOver(PendingSwitch change) {
    clearDoubt(change.left);
    clearDoubt(change.absorbed);
    parts.commits.queue(change);
  }

  private void clearDoubt(int leaf) {
    if (leaf != NOBODY) {
      doubts.remove(leaf);
      parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
    }
  }

  /** What is to be done behind a switch that has happened. */
  private Aftermath aftermath(int leaf, @Nullable Half right) {
    int former = parts.leaves.is(leaf, Leaves.SECOND_SLOT) ? 1 : 0;
    return new Aftermath(
        former,
        parts.leaves.page(leaf),
        parts.leaves.pages(leaf),
        right == null ? NOBODY : right.leaf,
        right == null ? null : right.slot(0),
        null);
  }

  /** Makes a leaf known that is durable: pages, descriptor, slots. */
  private void publish(LeafImage image, Half half, long oldOffset) {
    parts.pages.setLeaf(half.page, half.pages, half.leaf, half.generation);
    PointIndex points = parts.points;
    long newOffset = half.page * PageMap.PAGE;
    int to = LeafLayout.firstRecord(half.separator.length);
    int live = 0;
    for (int i = half.from; i < half.to; i++) {
      int at = image.newest[i];
      if (OldVersions.isOld(image, i, half.from)) {
        if (RecordLayout.type(image.bytes, at) == RecordLayout.BLOB) {
          parts.heldBlobs.moved(extents(image, at), half.leaf);
        }
      } else if (RecordLayout.type(image.bytes, at) != RecordLayout.TOMBSTONE) {
        live++;
        long hash = image.hashes[i];
        int check = RecordLayout.check(half.sequenceOf(image, at));
        long address = RecordLayout.address(newOffset + to);
        long from = oldOffset + image.place(at);
        if (!points.move(hash, RecordLayout.address(from), address, check)) {
          throw new IllegalStateException(
              "leaf " + half.leaf + ": expected a slot for the record at " + from);
        }
        if (RecordLayout.type(image.bytes, at) == RecordLayout.BLOB) {
          moveBlob(image, at, half.leaf);
        }
      }
      to += half.sizeOf(image, at);
    }
    Leaves leaves = parts.leaves;
    if (!leaves.exists(half.leaf)) {
      leaves.prefix(half.leaf, half.separator);
    }
    leaves.set(half.leaf, Leaves.BUILT, true); // Before it is there: nobody builds it once more.
    leaves.place(half.leaf, half.page, half.pages, half.generation);
    leaves.tail(half.leaf, half.writer.tail);
    leaves.durableTail(half.leaf, half.writer.tail);
    int old = parts.oldVersions.placed(half.leaf, image, half.from, half.to);
    int first = LeafLayout.firstRecord(half.separator.length);
    leaves.live(half.leaf, live, half.writer.tail - first - old);
    leaves.set(half.leaf, Leaves.BLOBS, half.blobs);
    leaves.set(half.leaf, Leaves.PACKED, half.prefix != PLAIN);
    leaves.set(half.leaf, Leaves.SETTLED, false);
    leaves.set(half.leaf, Leaves.UNLED | Leaves.OVERWRITTEN, false);
  }

  private @Nullable BlobExtents extents(LeafImage image, int at) {
    return BlobExtents.of(image.bytes, at, parts.volume.capacity() / PageMap.PAGE);
  }

  void moveBlob(LeafImage image, int at, int leaf) {
    BlobExtents extents = extents(image, at);
    if (extents != null) {
      for (int i = 0; i < extents.count; i++) {
        parts.pages.moveExtent(extents.page[i], leaf);
      }
    }
  }

  void published(LegSet set, int leaf, Aftermath after) {
    parts.leaves.set(leaf, Leaves.SECOND_SLOT, after.formerSlot == 0);
    if (doubts.remove(leaf) == null) {
      return; // A commit does the rest.
    }
    Absorbed absorbed = after.absorbed;
    if (absorbed != null) {
      doubts.remove(absorbed.leaf);
    }
    parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
    untidy.put(leaf, after);
    tidy(set, leaf, after);
  }

  // ---------------------------------------------------------------- what is left over

  /** Steps 4 and 5; where they fail they are done before the leaf is changed again. */
  private void tidy(LegSet set, int leaf, Aftermath after) {
    LeafTable.Slot rightSlot = after.rightSlot;
    if (rightSlot != null
        && parts.leaves.generation(after.right) == rightSlot.generation()
        && !parts.leaves.is(after.right, Leaves.SECOND_SLOT)) {
      // Its own holder writes its other slot: nobody else may meanwhile.
      if (!parts.leaves.lock(after.right).tryLock()) {
        return;
      }
      try {
        if (parts.leaves.generation(after.right) == rightSlot.generation()) {
          parts.table.writeSlot("row no longer pending", set, after.right, 1, rightSlot);
          parts.volume.requireCurrent(set);
          parts.leaves.set(after.right, Leaves.SECOND_SLOT, true);
          parts.table.clearFormerSlot(set, after.right, 0);
        }
      } finally {
        parts.leaves.lock(after.right).unlock();
      }
    }
    Absorbed absorbed = after.absorbed;
    if (absorbed != null) {
      parts.table.clear(set, absorbed.leaf, LeafTable.unitsFor(absorbed.separatorLength));
    }
    parts.table.clearFormerSlot(set, leaf, after.formerSlot);
    parts.volume.requireCurrent(set);
    untidy.remove(leaf);
    parts.commits.retire(after.oldPage, after.oldPages);
    if (absorbed != null) {
      parts.table.release(absorbed.leaf, absorbed.separatorLength);
      parts.commits.retire(absorbed.page, absorbed.pages);
    }
  }

  /** Takes back what a failed pass left. */
  private void resolve(LegSet set, int leaf) {
    Pass pass = doubts.get(leaf);
    if (pass == null) {
      parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
      return;
    }
    if (pass.owner != leaf) {
      resolveAbsorbed(set, leaf, pass);
      return;
    }
    if (pass.stored) {
      int doubted = parts.leaves.is(leaf, Leaves.SECOND_SLOT) ? 0 : 1;
      parts.table.clearSlot("doubted slot cleared", set, leaf, doubted);
      if (pass.right != NOBODY) {
        parts.table.clear(set, pass.right, pass.rightUnits);
      }
      parts.volume.requireCurrent(set);
    }
    doubts.remove(leaf);
    parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
    if (pass.right != NOBODY) {
      parts.table.release(pass.right, pass.rightSeparatorLength);
    }
    giveBack(pass, pass.leftPage, pass.leftPages);
    giveBack(pass, pass.rightPage, pass.rightPages);
  }

  private void giveBack(Pass pass, long page, int pages) {
    if (page < 0) {
      return;
    }
    if (pass.stored) {
      parts.commits.retire(page, pages);
    } else {
      parts.allocator.free(page, pages);
    }
  }

  /**
   * Takes back a pass that would have ended this leaf: a switch of its neighbour that a crash might
   * find would take its range, and what was appended here since.
   */
  private void resolveAbsorbed(LegSet set, int leaf, Pass pass) {
    ReentrantLock lock = parts.leaves.lock(pass.owner);
    if (!lock.tryLock()) {
      return; // Its holder may wait for this leaf.
    }
    try {
      if (doubts.get(pass.owner) == pass) {
        resolve(set, pass.owner);
      }
      doubts.remove(leaf);
      parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
    } finally {
      lock.unlock();
    }
  }

  /** Forgets what is left over: the devices were read again. */
  void restart() {
    doubts.clear();
    untidy.clear();
  }
}
