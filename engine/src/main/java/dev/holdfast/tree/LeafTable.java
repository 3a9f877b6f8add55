package dev.holdfast.tree;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.SecondCopies;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The leaves of the tree, on the device: where each is, from which key on, and how far it certainly
 * goes. It is what an open reads.
 *
 * <p>The table lies in chunks of {@value #CHUNK_BYTES} bytes anywhere in the volume; the root, at a
 * fixed place, names them. A chunk is units of {@value #UNIT} bytes. The first says which chunk it
 * is, so that all are found where the root is lost; a row takes as many as its separator needs:
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
 *  tail:  0           2                    4        8
 *         +-----------+--------------------+--------+
 *         | tail, in  | live records: 12,  | CRC32C,|
 *         | granules  | (zero) 1, over-    | placed |   of these and the generation
 *         |           | written 1, known 1,|        |
 *         |           | blobs 1            |        |
 *         +-----------+--------------------+--------+
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
final class LeafTable implements SecondCopies {
  static final int UNIT = 64;

  /** A chunk is there twice on each leg, as the superblock is: what finds all else. */
  static final int COPIES = 2;

  static final int CHUNK_BYTES = 1 << 16;
  static final int CHUNK_PAGES = COPIES * CHUNK_BYTES / PageMap.PAGE;
  static final int ROOT_BYTES = VolumeLayout.TABLE_ROOT_SIZE / COPIES;
  static final int UNITS = CHUNK_BYTES / UNIT;

  /** The most chunks that the root can name. */
  static final int MAX_CHUNKS = ROOT_BYTES / 16;

  static final int ROOT_ENTRY = 16;
  static final int SLOT = 24;
  static final int TAIL_AT = 48;
  static final int STATIC_CRC_AT = 56;
  static final int SEPARATOR_LENGTH_AT = 60;
  static final int UNITS_AT = 62;
  private static final int MARK_AT = 63;
  static final int LEFT_AT = 64;
  static final int LEFT_GENERATION_AT = 72;
  static final int BIRTH_AT = 80;
  static final int SEPARATOR_AT = 88;

  private static final int CHUNK_MAGIC = 0x4b484348; // "HCHK"

  /** The bytes of the head of a chunk that say something; behind them its unit is zero. */
  static final int CHUNK_HEAD = 24;

  static final int PENDING = 1;
  static final int ABSORBS = 2;

  /** Records of the leaf may lead to extents: it is read before pages are handed out. */
  static final int BLOBS = 4;

  /** In the place of a number of records: it is not known. */
  static final int UNKNOWN = -1;

  static final int TAIL_LIVE_MASK = 0x0fff;
  static final int TAIL_OVERWRITTEN = 0x2000;
  static final int TAIL_COUNTED = 0x4000;
  static final int TAIL_BLOBS = 0x8000;

  private final Volume volume;
  private final Durability durability;
  private final long secret;
  private final ReentrantLock allocating = new ReentrantLock();

  /** Shared by who stores to both copies, one behind the other. */
  private final ReentrantReadWriteLock storing = new ReentrantReadWriteLock();

  /** The offset of each chunk; only ever appended to. */
  private volatile long[] chunks = {};

  /** The units in use, over all chunks. */
  private final BitSet used = new BitSet();

  private int nextUnit;
  private boolean rootLost;
  private Map<Integer, LeafTableReader.Head> unnamed = Map.of();
  private boolean tidied;
  private final List<byte[]> lostRows = new ArrayList<>();

  /** Units that are not zero and belong to no row. */
  private List<Integer> strays = List.of();

  LeafTable(Volume volume, Durability durability, long secret) {
    this.volume = volume;
    this.durability = durability;
    this.secret = secret;
  }

  /** What a slot says. */
  record Slot(long page, long generation, int pages, int flags, int tail, int linked) {
    Slot with(int otherFlags) {
      return new Slot(page, generation, pages, otherFlags, tail, linked);
    }
  }

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

    /** How many live records it has; or {@link #UNKNOWN}. */
    int live = UNKNOWN;

    /** Whether it may have large values. */
    boolean blobs;

    /** Whether it is a leaf of the tree, and not what a crash left of one. */
    boolean counts = true;

    /** Whether something up to the tail was overwritten or removed. */
    boolean overwritten;

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

  /** Where the first copy of a row begins. */
  long offsetOf(int leaf) {
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

  /** Keeps units from being taken and given back while {@code body} runs. */
  void whileNoneIsTaken(Runnable body) {
    allocating.lock();
    try {
      body.run();
    } finally {
      allocating.unlock();
    }
  }

  /** Whether a unit is nobody's; while none is taken. */
  boolean isFree(int unit) {
    return !used.get(unit);
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
    byte[] chunk = new byte[CHUNK_BYTES];
    encodeHead(chunk, index, generation, place(offset));
    for (int copy = 0; copy < COPIES; copy++) {
      // At once, whoever defers what: the root must not lead to what was here before.
      volume.storeDurably(
          "table chunk", set, offset + (long) copy * CHUNK_BYTES, chunk, 0, CHUNK_BYTES);
    }
    name(set, index, page, generation);
    volume.requireCurrent(set);
    appendChunk(offset);
  }

  /** Writes the entry of the root that names a chunk. */
  private void name(LegSet set, int index, long page, long generation) {
    byte[] entry = new byte[ROOT_ENTRY];
    RecordLayout.putInt(entry, 4, (int) page);
    RecordLayout.putLong(entry, 8, generation);
    long at = rootEntryAt(index);
    RecordLayout.putInt(entry, 0, crc(entry, 4, ROOT_ENTRY - 4) ^ place(at));
    storeTwice("table root", set, at, ROOT_BYTES, entry, 0, ROOT_ENTRY);
  }

  /** Has the root name the chunks again that were found without it. */
  void tidyRoot(LegSet set) {
    unnamed.forEach(
        (index, head) -> name(set, index, head.first() / PageMap.PAGE, head.generation()));
    unnamed = Map.of();
  }

  private static void encodeHead(byte[] out, int index, long generation, int place) {
    RecordLayout.putInt(out, 0, CHUNK_MAGIC);
    RecordLayout.putInt(out, 8, index);
    RecordLayout.putLong(out, 16, generation);
    RecordLayout.putInt(out, 4, crc(out, 8, CHUNK_HEAD - 8) ^ place);
  }

  /** Whether an entry of the root names a page as the first of its chunk. */
  static boolean isRootEntry(byte[] bytes, int at, long page, CRC32C crc, int place) {
    crc.reset();
    crc.update(bytes, at + 4, ROOT_ENTRY - 4);
    return (RecordLayout.getInt(bytes, at + 4) & 0xffffffffL) == page
        && RecordLayout.getInt(bytes, at) == ((int) crc.getValue() ^ place);
  }

  /** What a slot of a row says; null if it is not whole. Its numbers are not checked. */
  static @Nullable Slot slot(byte[] row, int at, CRC32C crc, int place) {
    crc.reset();
    crc.update(row, at + 4, SLOT - 4);
    if (RecordLayout.getInt(row, at) != ((int) crc.getValue() ^ place)) {
      return null;
    }
    return new Slot(
        RecordLayout.getInt(row, at + 4) & 0xffffffffL,
        RecordLayout.getLong(row, at + 8),
        row[at + 16] & 0xff,
        row[at + 17] & 0xff,
        RecordLayout.getShort(row, at + 18) * RecordLayout.GRANULE,
        RecordLayout.getInt(row, at + 20));
  }

  /** Whether bytes are the head of the chunk that begins at a place. */
  static boolean isHead(byte[] bytes, int place) {
    return RecordLayout.getInt(bytes, 0) == CHUNK_MAGIC
        && RecordLayout.getInt(bytes, 4) == (crc(bytes, 8, CHUNK_HEAD - 8) ^ place)
        && RecordLayout.getInt(bytes, 8) >= 0
        && RecordLayout.getInt(bytes, 8) < MAX_CHUNKS;
  }

  /** The generation that a head gives its chunk. */
  static long generationOf(byte[] head) {
    return RecordLayout.getLong(head, 16);
  }

  /** Which chunk a head says that it begins. */
  static int indexOf(byte[] head) {
    return RecordLayout.getInt(head, 8);
  }

  private void appendChunk(long offset) {
    allocating.lock();
    try {
      used.set(chunks.length * UNITS); // its head
      long[] more = Arrays.copyOf(chunks, chunks.length + 1);
      more[chunks.length] = offset;
      chunks = more;
    } finally {
      allocating.unlock();
    }
  }

  static long rootEntryAt(int index) {
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

  /**
   * Makes or ends a row: durably in one copy before the other is begun, whoever defers what. What
   * does not validate in any copy, and is zero in none, is damage.
   */
  private void storeInOrder(String site, LegSet set, long offset, byte[] row) {
    storing.readLock().lock();
    try {
      for (int copy = 0; copy < COPIES; copy++) {
        volume.storeDurably(site, set, offset + (long) copy * CHUNK_BYTES, row, 0, row.length);
      }
    } finally {
      storing.readLock().unlock();
    }
  }

  /** Stores a part of a chunk to both of its copies, one behind the other. */
  private void store(String site, LegSet set, long offset, byte[] bytes, int at, int length) {
    storeTwice(site, set, offset, CHUNK_BYTES, bytes, at, length);
  }

  private void storeTwice(
      String site, LegSet set, long offset, long apart, byte[] bytes, int at, int length) {
    storing.readLock().lock();
    try {
      for (int copy = 0; copy < COPIES; copy++) {
        durability.store(site, set, offset + copy * apart, bytes, at, length);
      }
    } finally {
      storing.readLock().unlock();
    }
  }

  @Override
  public long of(long offset) {
    if (offset >= VolumeLayout.TABLE_ROOT_OFFSET && offset < VolumeLayout.RECORDS_OFFSET) {
      boolean isSecond = offset >= VolumeLayout.TABLE_ROOT_OFFSET + ROOT_BYTES;
      return isSecond ? offset - ROOT_BYTES : offset + ROOT_BYTES;
    }
    for (long chunk : chunks) {
      if (offset >= chunk && offset < chunk + (long) COPIES * CHUNK_BYTES) {
        return offset >= chunk + CHUNK_BYTES ? offset - CHUNK_BYTES : offset + CHUNK_BYTES;
      }
    }
    return -1;
  }

  @Override
  public void whileNobodyStores(Runnable body) {
    storing.writeLock().lock();
    try {
      body.run();
    } finally {
      storing.writeLock().unlock();
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
    storeInOrder(site, set, at, row);
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

  /**
   * Zeroes a slot that counts less than the other one, which is durable. A power cut may bring it
   * back, and it counts less then, too: so it is not flushed.
   */
  void clearFormerSlot(LegSet set, int leaf, int index) {
    storeChecked(set, offsetOf(leaf) + (long) index * SLOT, new byte[SLOT]);
  }

  /** Stores to both copies of a part of a chunk; nothing waits for it to be durable. */
  private void storeChecked(LegSet set, long offset, byte[] bytes) {
    for (int copy = 0; copy < COPIES; copy++) {
      volume.storeChecked(set, offset + (long) copy * CHUNK_BYTES, bytes, 0, bytes.length);
    }
  }

  /**
   * Says how far a leaf certainly goes.
   *
   * @param site the name of the flush
   * @param live the live records up to there, or {@link #UNKNOWN}
   * @param blobs whether it may have large values
   * @param overwritten whether something up to there was overwritten or removed
   */
  void writeTail(
      String site,
      LegSet set,
      int leaf,
      long generation,
      int tail,
      int live,
      boolean blobs,
      boolean overwritten) {
    long at = offsetOf(leaf) + TAIL_AT;
    byte[] bytes = tail(generation, tail, live, blobs, overwritten, at);
    store(site, set, at, bytes, 0, Long.BYTES);
  }

  /** Says how far a leaf certainly goes, at a close, which flushes everything in its end. */
  void writeTailAtClose(
      LegSet set,
      int leaf,
      long generation,
      int tail,
      int live,
      boolean blobs,
      boolean overwritten) {
    long at = offsetOf(leaf) + TAIL_AT;
    storeChecked(set, at, tail(generation, tail, live, blobs, overwritten, at));
  }

  private byte[] tail(
      long generation, int tail, int live, boolean blobs, boolean overwritten, long at) {
    byte[] bytes = new byte[Long.BYTES];
    int flags = (blobs ? TAIL_BLOBS : 0) | (overwritten ? TAIL_OVERWRITTEN : 0);
    encodeTail(bytes, 0, generation, tail, live, flags, at);
    return bytes;
  }

  private void encodeTail(
      byte[] out, int at, long generation, int tail, int live, int flags, long offset) {
    int counted = live == UNKNOWN || live > TAIL_LIVE_MASK ? 0 : TAIL_COUNTED | live;
    RecordLayout.putShort(out, at, tail / RecordLayout.GRANULE);
    RecordLayout.putShort(out, at + 2, counted | flags);
    RecordLayout.putInt(out, at + 4, tailCrc(out, at, generation) ^ place(offset));
  }

  /** The checksum of a tail, not placed. */
  static int tailCrc(byte[] bytes, int at, long generation) {
    byte[] all = new byte[4 + Long.BYTES];
    System.arraycopy(bytes, at, all, 0, 4);
    RecordLayout.putLong(all, 4, generation);
    return crc(all, 0, all.length);
  }

  /** Zeroes a row. */
  void clear(LegSet set, int leaf, int units) {
    // Whatever part of the zeros persists: the row is as it was, or it is none any more.
    byte[] zeros = new byte[units * UNIT];
    storeInOrder("row cleared", set, offsetOf(leaf), zeros);
  }

  // ---------------------------------------------------------------- opening

  /**
   * Reads the table.
   *
   * @return the rows that are there, in no order; null if there is no table yet
   */
  @Nullable List<Row> load() {
    LeafTableReader reader = new LeafTableReader(volume, secret);
    chunks = reader.chunks().stream().mapToLong(Long::longValue).toArray();
    if (chunks.length == 0) {
      return null;
    }
    rootLost = reader.rootLost;
    unnamed = reader.unnamed;
    List<Row> rows = reader.rows(chunks);
    lostRows.addAll(reader.lost);
    allocating.lock();
    try {
      used.or(reader.used);
      strays = reader.strays;
    } finally {
      allocating.unlock();
    }
    return rows;
  }

  /** Whether the chunks were found without the root, which is on no leg. */
  boolean isRootLost() {
    return rootLost;
  }

  /** The first keys of leaves whose rows are damaged in all copies; empty where it is not known. */
  List<byte[]> lostRows() {
    return lostRows;
  }

  /** Whether a row begins at {@code at}, whatever its slots say. */
  static boolean isStatic(byte[] bytes, int at, CRC32C crc, int place) {
    int length = RecordLayout.getShort(bytes, at + SEPARATOR_LENGTH_AT);
    int units = bytes[at + UNITS_AT] & 0xff;
    if (bytes[at + MARK_AT] != 1
        || length > RecordLayout.MAX_KEY
        || units != unitsFor(length)
        || at + units * UNIT > CHUNK_BYTES) {
      return false;
    }
    crc.reset();
    crc.update(bytes, at + SEPARATOR_LENGTH_AT, SEPARATOR_AT + length - SEPARATOR_LENGTH_AT);
    return RecordLayout.getInt(bytes, at + STATIC_CRC_AT) == ((int) crc.getValue() ^ place);
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
          if (isStatic(bytes, 0, new CRC32C(), place(offset + STATIC_CRC_AT))) {
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

  /**
   * Leaves one slot of a row, the same on every leg, and not pending. What is stored says what some
   * leg said before, in one line a copy: it may become durable in any order, and is flushed behind
   * the last row, see {@link LeafBuilder}.
   *
   * @return its index
   */
  int tidy(LegSet set, Row row) {
    Slot slot = row.slot;
    int index = row.index;
    byte[] head = new byte[unitsFor(row.separator.length) * UNIT];
    long at = offsetOf(row.leaf);
    encodeStatic(head, at, row.separator, row.left, row.leftGeneration, row.birth);
    // The same bytes where they are: a leg that lacks them gets them, the others do not change.
    byte[] fixed = Arrays.copyOfRange(head, STATIC_CRC_AT, head.length);
    storeChecked(set, at + STATIC_CRC_AT, fixed);
    if ((slot.flags & PENDING) != 0) {
      slot = slot.with(slot.flags & ~PENDING);
      index = 1 - index;
    }
    adopt(set, row, index, slot);
    clearFormerSlot(set, row.leaf, 1 - index);
    volume.requireCurrent(set);
    row.slot = slot;
    row.index = index;
    row.untidy = false;
    tidied = true;
    return index;
  }

  /** Whether a row was made the same everywhere, which is not flushed yet. */
  boolean isTidied() {
    return tidied;
  }

  /** Writes slot and tail of a row: to one copy, and then to the other. */
  private void adopt(LegSet set, Row row, int index, Slot slot) {
    long at = offsetOf(row.leaf);
    byte[] bytes = new byte[2 * SLOT];
    encodeSlot(bytes, index, slot, at);
    byte[] tail =
        tail(slot.generation, row.tail, row.live, row.blobs, row.overwritten, at + TAIL_AT);
    for (int copy = 0; copy < COPIES; copy++) {
      long place = at + (long) copy * CHUNK_BYTES;
      int from = index * SLOT;
      volume.storeChecked(set, place + from, bytes, from, SLOT);
      volume.storeChecked(set, place + TAIL_AT, tail, 0, tail.length);
    }
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
    strays = List.of();
  }

  /** Ends rows that do not count. */
  void drop(LegSet set, Row row) {
    int units = unitsFor(row.separator.length);
    clear(set, row.leaf, units);
    release(row.leaf, row.separator.length);
  }
}
