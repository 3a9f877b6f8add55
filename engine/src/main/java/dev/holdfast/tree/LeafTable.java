package dev.holdfast.tree;

import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The leaves of the tree, on the device: where each is, from which key on, and how far it certainly
 * goes. It is what an open reads.
 *
 * <p>The table lies in chunks of {@value #CHUNK_BYTES} bytes anywhere in the volume; the root, at a
 * fixed place, names them. A chunk is units of {@value #UNIT} bytes; a row takes as many as its
 * separator needs:
 *
 * <pre>
 *  0              24             48                  56      60          62     63
 *  +--------------+--------------+-------------------+-------+-----------+------+-------+
 *  | slot         | slot         | tail              | CRC32C| separator | units| (one) |
 *  |              |              |                   | placed| length    |      |       |
 *  +--------------+--------------+-------------------+-------+-----------+------+-------+
 *  64      68       72                80           88
 *  +-------+--------+-----------------+------------+------------------------------------+
 *  | left  | (zero) | generation of   | generation | separator                          |
 *  | leaf  |        | the left leaf   | at birth   |                                    |
 *  +-------+--------+-----------------+------------+------------------------------------+
 *
 *  slot:  0        4        8             16      17      18          20       24
 *         +--------+--------+-------------+-------+-------+-----------+--------+
 *         | CRC32C,| page   | generation  | pages | flags | tail, in  | linked |
 *         | placed |        |             |       |       | granules  | leaf   |
 *         +--------+--------+-------------+-------+-------+-----------+--------+
 *
 *  tail:  0           2         4        8
 *         +-----------+---------+--------+
 *         | tail, in  | live    | CRC32C,|
 *         | granules  | records | placed |   of these and the generation
 *         +-----------+---------+--------+
 * </pre>
 *
 * A leaf is switched to other pages by its other slot: written whole, flushed, and then the former
 * one is zeroed. Of two valid slots the higher generation counts, so a crash at any store leaves
 * one or the other. A row that came of a split is <em>pending</em> until its left leaf's switch is
 * durable: it counts if the left leaf has reached that generation. A slot that <em>absorbs</em> a
 * leaf ends that leaf's row.
 *
 * <p><b>Threads:</b> a row is written by who holds its leaf's lock; allocation has a lock of its
 * own.
 */
final class LeafTable {
  static final int UNIT = 64;

  /** A chunk is there twice on each leg, as the superblock is: what finds all else. */
  static final int COPIES = 2;

  static final int CHUNK_BYTES = 1 << 16;
  static final int CHUNK_PAGES = COPIES * CHUNK_BYTES / PageMap.PAGE;
  private static final int ROOT_BYTES = VolumeLayout.TABLE_ROOT_SIZE / COPIES;
  private static final int UNITS = CHUNK_BYTES / UNIT;

  /** The most chunks that the root can name. */
  static final int MAX_CHUNKS = ROOT_BYTES / 16;

  private static final int ROOT_ENTRY = 16;
  private static final int SLOT = 24;
  private static final int TAIL_AT = 48;
  private static final int STATIC_CRC_AT = 56;
  private static final int SEPARATOR_LENGTH_AT = 60;
  private static final int UNITS_AT = 62;
  private static final int MARK_AT = 63;
  private static final int LEFT_AT = 64;
  private static final int LEFT_GENERATION_AT = 72;
  private static final int BIRTH_AT = 80;
  private static final int SEPARATOR_AT = 88;

  static final int PENDING = 1;
  static final int ABSORBS = 2;

  private final Volume volume;
  private final long secret;
  private final ReentrantLock allocating = new ReentrantLock();

  /** The offset of each chunk; only ever appended to. */
  private volatile long[] chunks = {};

  /** The units in use, over all chunks. */
  private final BitSet used = new BitSet();

  private int nextUnit;

  LeafTable(Volume volume, long secret) {
    this.volume = volume;
    this.secret = secret;
  }

  /** What a slot says. */
  record Slot(long page, long generation, int pages, int flags, int tail, int linked) {}

  /** A row as it was found. */
  static final class Row {
    final int leaf;
    final byte[] separator;
    final int left;
    final long leftGeneration;
    final long birth;
    Slot slot;
    int index;

    /** The other slot is not zero on some leg, or the legs differ. */
    boolean untidy;

    /** What the leaf certainly has, in bytes. */
    int tail;

    int live;

    Row(
        int leaf,
        byte[] separator,
        int left,
        long leftGeneration,
        long birth,
        Slot slot,
        int index) {
      this.leaf = leaf;
      this.birth = birth;
      this.separator = separator;
      this.left = left;
      this.leftGeneration = leftGeneration;
      this.slot = slot;
      this.index = index;
      this.tail = slot.tail;
    }
  }

  // ---------------------------------------------------------------- places

  static int unitsFor(int separatorLength) {
    return 1 + (SEPARATOR_AT - UNIT + separatorLength + UNIT - 1) / UNIT;
  }

  private long offsetOf(int leaf) {
    return chunks[leaf / UNITS] + (long) (leaf % UNITS) * UNIT;
  }

  /** Whether a page belongs to the table. */
  boolean holds(long page) {
    long offset = page * PageMap.PAGE;
    for (long chunk : chunks) {
      if (offset >= chunk && offset < chunk + (long) COPIES * CHUNK_BYTES) {
        return true;
      }
    }
    return false;
  }

  /** The offsets of the chunks. */
  long[] chunks() {
    return chunks.clone();
  }

  /** Takes units for a row; its number, or -1 if a chunk has to be added first. */
  int allocate(int separatorLength) {
    int units = unitsFor(separatorLength);
    allocating.lock();
    try {
      int end = chunks.length * UNITS;
      for (int round = 0; round < 2; round++) {
        int unit = round == 0 ? nextUnit : 0;
        while (true) {
          unit = used.nextClearBit(unit);
          if (unit % UNITS + units > UNITS) {
            unit = (unit / UNITS + 1) * UNITS; // a row lies in one chunk
            continue;
          }
          if (unit + units > end) {
            break;
          }
          int next = used.nextSetBit(unit);
          if (next < 0 || next >= unit + units) {
            used.set(unit, unit + units);
            nextUnit = unit + units;
            return unit;
          }
          unit = next;
        }
      }
      return -1;
    } finally {
      allocating.unlock();
    }
  }

  /** Gives units back that hold nothing on any leg. */
  void release(int leaf, int separatorLength) {
    allocating.lock();
    try {
      used.clear(leaf, leaf + unitsFor(separatorLength));
    } finally {
      allocating.unlock();
    }
  }

  /**
   * Adds a chunk: zeroed first, then named by the root.
   *
   * @param page the first of its pages, which nobody else uses
   */
  void addChunk(LegSet set, long page, long generation) {
    int index = chunks.length;
    if (index >= MAX_CHUNKS) {
      throw new OutOfSpaceException("leaf table: expected at most " + MAX_CHUNKS + " chunks");
    }
    long offset = page * PageMap.PAGE;
    store("table chunk", set, offset, new byte[CHUNK_BYTES], 0, CHUNK_BYTES);
    byte[] entry = new byte[ROOT_ENTRY];
    RecordLayout.putInt(entry, 4, (int) page);
    RecordLayout.putLong(entry, 8, generation);
    long at = rootEntryAt(index);
    RecordLayout.putInt(entry, 0, crc(entry, 4, ROOT_ENTRY - 4) ^ place(at));
    for (int copy = 0; copy < COPIES; copy++) {
      volume.storeDurably("table root", set, at + (long) copy * ROOT_BYTES, entry, 0, ROOT_ENTRY);
    }
    volume.requireCurrent(set);
    appendChunk(offset);
  }

  private void appendChunk(long offset) {
    allocating.lock();
    try {
      long[] more = Arrays.copyOf(chunks, chunks.length + 1);
      more[chunks.length] = offset;
      chunks = more;
    } finally {
      allocating.unlock();
    }
  }

  private static long rootEntryAt(int index) {
    return VolumeLayout.TABLE_ROOT_OFFSET + (long) index * ROOT_ENTRY;
  }

  private int place(long offset) {
    return RecordLayout.place(secret, offset, 0);
  }

  private static int crc(byte[] bytes, int at, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, at, length);
    return (int) crc.getValue();
  }

  // ---------------------------------------------------------------- writing

  /** Stores a part of a chunk to both of its copies, one behind the other. */
  private void store(String site, LegSet set, long offset, byte[] bytes, int at, int length) {
    for (int copy = 0; copy < COPIES; copy++) {
      volume.storeDurably(site, set, offset + (long) copy * CHUNK_BYTES, bytes, at, length);
    }
  }

  /** Writes a row that was not there. */
  void writeNew(
      String site,
      LegSet set,
      int leaf,
      byte[] separator,
      int left,
      long leftGeneration,
      Slot slot) {
    byte[] row = new byte[unitsFor(separator.length) * UNIT];
    long at = offsetOf(leaf);
    encodeSlot(row, 0, slot, at);
    encodeStatic(row, at, separator, left, leftGeneration, slot.generation);
    store(site, set, at, row, 0, row.length);
  }

  private void encodeStatic(
      byte[] row, long at, byte[] separator, int left, long leftGeneration, long birth) {
    RecordLayout.putShort(row, SEPARATOR_LENGTH_AT, separator.length);
    row[UNITS_AT] = (byte) unitsFor(separator.length);
    row[MARK_AT] = 1;
    RecordLayout.putInt(row, LEFT_AT, left);
    RecordLayout.putLong(row, LEFT_GENERATION_AT, leftGeneration);
    RecordLayout.putLong(row, BIRTH_AT, birth);
    System.arraycopy(separator, 0, row, SEPARATOR_AT, separator.length);
    int length = SEPARATOR_AT + separator.length - SEPARATOR_LENGTH_AT;
    RecordLayout.putInt(
        row, STATIC_CRC_AT, crc(row, SEPARATOR_LENGTH_AT, length) ^ place(at + STATIC_CRC_AT));
  }

  private void encodeSlot(byte[] out, int index, Slot slot, long rowAt) {
    int at = index * SLOT;
    RecordLayout.putInt(out, at + 4, (int) slot.page);
    RecordLayout.putLong(out, at + 8, slot.generation);
    out[at + 16] = (byte) slot.pages;
    out[at + 17] = (byte) slot.flags;
    RecordLayout.putShort(out, at + 18, slot.tail / RecordLayout.GRANULE);
    RecordLayout.putInt(out, at + 20, slot.linked);
    RecordLayout.putInt(out, at, crc(out, at + 4, SLOT - 4) ^ place(rowAt + at));
  }

  /** Writes one slot of a row. */
  void writeSlot(String site, LegSet set, int leaf, int index, Slot slot) {
    byte[] bytes = new byte[2 * SLOT];
    long at = offsetOf(leaf);
    encodeSlot(bytes, index, slot, at);
    store(site, set, at + (long) index * SLOT, bytes, index * SLOT, SLOT);
  }

  /** Zeroes one slot of a row. */
  void clearSlot(String site, LegSet set, int leaf, int index) {
    store(site, set, offsetOf(leaf) + (long) index * SLOT, new byte[SLOT], 0, SLOT);
  }

  /** Says how far a leaf certainly goes. */
  void writeTail(LegSet set, int leaf, long generation, int tail, int live) {
    byte[] bytes = new byte[Long.BYTES];
    RecordLayout.putShort(bytes, 0, tail / RecordLayout.GRANULE);
    RecordLayout.putShort(bytes, 2, live);
    long at = offsetOf(leaf) + TAIL_AT;
    RecordLayout.putInt(bytes, 4, tailCrc(bytes, 0, generation) ^ place(at));
    store("tail", set, at, bytes, 0, Long.BYTES);
  }

  private static int tailCrc(byte[] bytes, int at, long generation) {
    byte[] all = new byte[4 + Long.BYTES];
    System.arraycopy(bytes, at, all, 0, 4);
    RecordLayout.putLong(all, 4, generation);
    return crc(all, 0, all.length);
  }

  /** Zeroes a row. */
  void clear(LegSet set, int leaf, int units) {
    // The slots first: a row without one is none, whatever else it has.
    store("row ended", set, offsetOf(leaf), new byte[2 * SLOT], 0, 2 * SLOT);
    byte[] zeros = new byte[units * UNIT];
    store("row cleared", set, offsetOf(leaf), zeros, 0, zeros.length);
  }

  // ---------------------------------------------------------------- opening

  /**
   * Reads the table.
   *
   * @return the rows that count, in no order; null if there is no table yet
   */
  @Nullable List<Row> load() {
    LegSet set = volume.legs();
    List<byte[]> roots = copies(set, VolumeLayout.TABLE_ROOT_OFFSET, ROOT_BYTES);
    for (int index = 0; index < MAX_CHUNKS; index++) {
      long chunk = chunkOf(roots, index);
      if (chunk < 0) {
        break;
      }
      appendChunk(chunk);
    }
    if (chunks.length == 0) {
      return null;
    }
    List<Row> rows = new ArrayList<>();
    for (int index = 0; index < chunks.length; index++) {
      List<byte[]> copies = copies(set, chunks[index], CHUNK_BYTES);
      parse(index, copies, rows);
    }
    return rows;
  }

  private long chunkOf(List<byte[]> roots, int index) {
    boolean empty = true;
    int at = index * ROOT_ENTRY;
    for (byte[] root : roots) {
      for (int i = at; i < at + ROOT_ENTRY; i++) {
        empty &= root[i] == 0;
      }
      int crc = crc(root, at + 4, ROOT_ENTRY - 4) ^ place(rootEntryAt(index));
      long page = RecordLayout.getInt(root, at + 4) & 0xffffffffL;
      if (RecordLayout.getInt(root, at) == crc
          && (page + CHUNK_PAGES) * PageMap.PAGE <= volume.capacity()) {
        return page * PageMap.PAGE;
      }
    }
    if (!empty && !volume.isDirty(VolumeLayout.TABLE_ROOT_OFFSET)) {
      throw new InvalidImageException(
          "leaf table: expected entry "
              + index
              + " of its root to be whole on some leg, was on none");
    }
    return -1;
  }

  /** Both copies on each leg. A page that cannot be read is taken from another one. */
  private List<byte[]> copies(LegSet set, long offset, int length) {
    List<byte[]> copies = new ArrayList<>();
    for (int i = 0; i < set.readers() * COPIES; i++) {
      copies.add(new byte[length]);
    }
    for (int at = 0; at < length; at += PageMap.PAGE) {
      byte[] good = null;
      List<byte[]> unread = new ArrayList<>();
      for (int i = 0; i < copies.size(); i++) {
        long place = offset + (long) (i % COPIES) * length + at;
        if (read(set, i / COPIES, place, copies.get(i), at)) {
          good = copies.get(i);
        } else {
          unread.add(copies.get(i));
        }
      }
      if (good == null) {
        throw new PoisonedRangeException(
            "leaf table: poisoned inside ["
                + (offset + at)
                + ", +"
                + PageMap.PAGE
                + "), and no other copy is left");
      }
      for (byte[] copy : unread) {
        System.arraycopy(good, at, copy, at, PageMap.PAGE);
      }
    }
    return copies;
  }

  private static boolean read(LegSet set, int reader, long offset, byte[] target, int at) {
    try {
      if (set.canRead(reader, offset, PageMap.PAGE)) {
        set.deviceOf(reader).read(offset, target, at, PageMap.PAGE);
        return true;
      }
    } catch (PoisonedRangeException e) {
      Arrays.fill(target, at, at + PageMap.PAGE, (byte) 0);
    }
    return false;
  }

  private void parse(int chunk, List<byte[]> copies, List<Row> rows) {
    for (int unit = 0; unit < UNITS; ) {
      int leaf = chunk * UNITS + unit;
      int at = unit * UNIT;
      byte[] head = null;
      boolean empty = true;
      for (byte[] copy : copies) {
        if (head == null && isStatic(copy, at, chunks[chunk] + at)) {
          head = copy;
        }
        for (int i = at; i < at + UNIT; i++) {
          empty &= copy[i] == 0;
        }
      }
      if (head == null) {
        if (!empty) {
          // What is left of a row that was being made or cleared; or damage, which its leaf shows.
          used.set(leaf);
          strays.add(leaf);
        }
        unit++;
        continue;
      }
      int units = head[at + UNITS_AT] & 0xff;
      used.set(leaf, leaf + units);
      Row row = row(leaf, at, chunks[chunk] + at, head, copies);
      if (row != null) {
        rows.add(row);
      } else {
        for (int i = 0; i < units; i++) {
          strays.add(leaf + i);
        }
      }
      unit += units;
    }
  }

  /** Units that are not zero and belong to no row. */
  private final List<Integer> strays = new ArrayList<>();

  private boolean isStatic(byte[] bytes, int at, long offset) {
    int length = RecordLayout.getShort(bytes, at + SEPARATOR_LENGTH_AT);
    int units = bytes[at + UNITS_AT] & 0xff;
    return bytes[at + MARK_AT] == 1
        && length <= RecordLayout.MAX_KEY
        && units == unitsFor(length)
        && at + units * UNIT <= CHUNK_BYTES
        && RecordLayout.getInt(bytes, at + STATIC_CRC_AT)
            == (crc(bytes, at + SEPARATOR_LENGTH_AT, SEPARATOR_AT + length - SEPARATOR_LENGTH_AT)
                ^ place(offset + STATIC_CRC_AT));
  }

  private @Nullable Row row(int leaf, int at, long offset, byte[] head, List<byte[]> copies) {
    Slot best = null;
    int bestIndex = 0;
    int others = 0;
    boolean differ = false;
    for (byte[] copy : copies) {
      differ |= !Arrays.equals(copy, at, at + UNIT, copies.get(0), at, at + UNIT);
      for (int index = 0; index < 2; index++) {
        Slot slot = slotOf(copy, at + index * SLOT, offset + (long) index * SLOT);
        if (slot != null && (best == null || isNewer(slot, best))) {
          best = slot;
          bestIndex = index;
        }
      }
    }
    if (best == null) {
      return null;
    }
    for (byte[] copy : copies) {
      for (int i = 0; i < SLOT; i++) {
        others |= copy[at + (1 - bestIndex) * SLOT + i];
      }
    }
    int length = RecordLayout.getShort(head, at + SEPARATOR_LENGTH_AT);
    Row row =
        new Row(
            leaf,
            Arrays.copyOfRange(head, at + SEPARATOR_AT, at + SEPARATOR_AT + length),
            RecordLayout.getInt(head, at + LEFT_AT),
            RecordLayout.getLong(head, at + LEFT_GENERATION_AT),
            RecordLayout.getLong(head, at + BIRTH_AT),
            best,
            bestIndex);
    row.untidy = differ || others != 0;
    for (byte[] copy : copies) {
      int crc = tailCrc(copy, at + TAIL_AT, best.generation) ^ place(offset + TAIL_AT);
      int tail = RecordLayout.getShort(copy, at + TAIL_AT) * RecordLayout.GRANULE;
      if (RecordLayout.getInt(copy, at + TAIL_AT + 4) == crc && tail > row.tail) {
        row.tail = tail;
        row.live = RecordLayout.getShort(copy, at + TAIL_AT + 2);
      } else if (RecordLayout.getInt(copy, at + TAIL_AT + 4) == crc && tail == row.tail) {
        row.live = RecordLayout.getShort(copy, at + TAIL_AT + 2);
      }
    }
    return row;
  }

  private static boolean isNewer(Slot a, Slot b) {
    return a.generation != b.generation
        ? a.generation > b.generation
        : (a.flags & PENDING) < (b.flags & PENDING);
  }

  private @Nullable Slot slotOf(byte[] bytes, int at, long offset) {
    if (RecordLayout.getInt(bytes, at) != (crc(bytes, at + 4, SLOT - 4) ^ place(offset))) {
      return null;
    }
    Slot slot =
        new Slot(
            RecordLayout.getInt(bytes, at + 4) & 0xffffffffL,
            RecordLayout.getLong(bytes, at + 8),
            bytes[at + 16] & 0xff,
            bytes[at + 17] & 0xff,
            RecordLayout.getShort(bytes, at + 18) * RecordLayout.GRANULE,
            RecordLayout.getInt(bytes, at + 20));
    boolean fits =
        slot.generation > 0
            && slot.pages >= 1
            && slot.pages <= LeafLayout.MAX_PAGES
            && slot.tail <= slot.pages * PageMap.PAGE
            && slot.page * PageMap.PAGE >= VolumeLayout.RECORDS_OFFSET
            && (slot.page + slot.pages) * PageMap.PAGE <= volume.capacity();
    return fits ? slot : null;
  }

  /**
   * The first key of the range of a leaf that is known to be there.
   *
   * @throws PoisonedRangeException if its row is on no leg any more
   */
  byte[] separator(LegSet set, int leaf) {
    long offset = offsetOf(leaf);
    int most = unitsFor(RecordLayout.MAX_KEY) * UNIT;
    int length = (int) Math.min(most, chunks[leaf / UNITS] + CHUNK_BYTES - offset);
    byte[] bytes = new byte[CHUNK_BYTES];
    for (int i = 0; i < set.readers() * COPIES; i++) {
      long from = offset + (long) (i % COPIES) * CHUNK_BYTES;
      try {
        if (set.canRead(i / COPIES, from, length)) {
          volume.load(set, i / COPIES, from, bytes, 0, length);
          Gateway.barrier();
          if (isStatic(bytes, 0, offset)) {
            int separator = RecordLayout.getShort(bytes, SEPARATOR_LENGTH_AT);
            return Arrays.copyOfRange(bytes, SEPARATOR_AT, SEPARATOR_AT + separator);
          }
        }
      } catch (InternalError e) {
        throw volume.faulted(set, from, length, e);
      }
    }
    throw new PoisonedRangeException(
        "leaf table: expected the row of leaf " + leaf + " to be whole on some leg, was on none");
  }

  /** Leaves one slot of a row, the same on every leg, and not pending. Returns its index. */
  int tidy(LegSet set, Row row) {
    Slot slot = row.slot;
    int index = row.index;
    byte[] head = new byte[unitsFor(row.separator.length) * UNIT];
    long at = offsetOf(row.leaf);
    encodeStatic(head, at, row.separator, row.left, row.leftGeneration, row.birth);
    // The same bytes where they are: a leg that lacks them gets them, the others do not change.
    volume.storeDurably(
        "row adopted", set, at + STATIC_CRC_AT, head, STATIC_CRC_AT, head.length - STATIC_CRC_AT);
    if ((slot.flags & PENDING) != 0) {
      slot =
          new Slot(
              slot.page,
              slot.generation,
              slot.pages,
              slot.flags & ~PENDING,
              slot.tail,
              slot.linked);
      index = 1 - index;
    }
    writeSlot("slot adopted", set, row.leaf, index, slot);
    clearSlot("other slot cleared", set, row.leaf, 1 - index);
    volume.requireCurrent(set);
    row.slot = slot;
    row.index = index;
    row.untidy = false;
    return index;
  }

  /** Zeroes what belongs to no row. */
  void clearStrays(LegSet set) {
    for (int unit : strays) {
      clear(set, unit, 1);
      allocating.lock();
      try {
        used.clear(unit);
      } finally {
        allocating.unlock();
      }
    }
    strays.clear();
  }

  /** Ends rows that do not count. */
  void drop(LegSet set, Row row) {
    int units = unitsFor(row.separator.length);
    clear(set, row.leaf, units);
    release(row.leaf, row.separator.length);
  }
}
