package dev.holdfast.tree;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The redo log: what a batch is going to do, on the device before any of it is done.
 *
 * <p>At a fixed place lies the log table, {@value #PAGES} pages. The first and the last are copies
 * of the <em>head</em>; each of the others is a <em>slot</em>, which has one batch: its records
 * themselves where they fit, else the extents that hold them.
 *
 * <pre>
 *  head:  0         4       8             16             24
 *         +---------+-------+-------------+--------------+
 *         | CRC32C, | magic | generation  | settled up   |
 *         | placed  |       | of the log  | to (sequence)|
 *         +---------+-------+-------------+--------------+
 *
 *  slot:  0         4       8         12        16           24         32          40       48
 *         +---------+-------+---------+---------+------------+----------+-----------+--------+---
 *         | CRC32C, | magic | length  | number  | generation | sequence | number of | bytes  | …
 *         | placed  |       | covered | of      | of the log |          | extents   | of the |
 *         |         |       |         | records |            |          | (4 + 4)   | records|
 *         +---------+-------+---------+---------+------------+----------+-----------+--------+---
 *                                                  … records, or extents: page, pages (4 + 4) each
 * </pre>
 *
 * A record is that of a leaf, see {@link RecordLayout}, checked for its place in the log and the
 * sequence of the batch; records stand in the order of their keys.
 *
 * <h2>Order of stores</h2>
 *
 * <ol>
 *   <li>the records, where they have extents, durable on every leg of the write set;
 *   <li>the slot: once it is durable on every leg the batch is <em>committed</em>;
 *   <li>(the leaves;)
 *   <li>the heads, with the sequence of the batch: it is <em>settled</em>. A slot that is not newer
 *       than the newest head, or of another generation, is never replayed.
 * </ol>
 *
 * A batch ends only when it is settled, and the next one begins only then: at most one slot counts.
 * The generation is another one at each open, so that an old log never replays.
 *
 * <h2>A log of its own</h2>
 *
 * The slots and the records can lie in another volume, a {@link LogHome.Alone}; the heads lie with
 * the leaves in any case, so that it can be told what is settled when that volume is gone. A batch
 * goes to the one or the other: the slot that counts is looked for in both. That there is another
 * one is said by the configuration of the volume with the leaves. {@link #moveHome} takes it out
 * there, durably, while no batch is committed and not settled, and from then on nobody reads there.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class RedoLog {
  static final int PAGES = VolumeLayout.LOG_TABLE_SIZE / PageMap.PAGE;
  private static final int FIRST_SLOT = 1;
  private static final int LAST_SLOT = PAGES - 2;
  private static final int[] HEADS = {0, PAGES - 1};

  private static final int HEAD_MAGIC = 0x48474f4c; // "LOGH"
  private static final int SLOT_MAGIC = 0x53474f4c; // "LOGS"
  private static final int HEAD_BYTES = 64;
  private static final int SLOT_HEADER = 48;
  private static final int EXTENT_BYTES = 8;
  private static final int SEQUENCE_AT = 24;

  /** Records of so many bytes together lie in the slot. */
  private static final int INLINE_BYTES = PageMap.PAGE - SLOT_HEADER;

  private static final int MOST_EXTENTS = INLINE_BYTES / EXTENT_BYTES;
  private static final int BUFFER = 64 << 10;

  /** After so many faults that no leg explains another volume is not asked any more. */
  private static final int UNEXPLAINED_LIMIT = 3;

  private final Volume volume;

  /** The volume with the leaves, where there is always a log table. */
  private final LogHome shared;

  /** The other one; null if there is none, or it is given up. */
  private @Nullable LogHome alone;

  private final long secret;
  private final CRC32C crc = new CRC32C();
  private final byte[] small = new byte[PageMap.PAGE];
  private byte[] large = {};
  private long generation;
  private long settled;
  private int slot = FIRST_SLOT;

  /**
   * @param volume where the leaves and the heads lie, and the slots if they lie nowhere else
   * @param allocator has the pages of that volume
   */
  RedoLog(Volume volume, PageAllocator allocator) {
    this.volume = volume;
    this.shared = new LogHome.Shared(volume, allocator);
    this.secret = volume.config().secret();
  }

  /** Where the records of a batch lie. */
  static final class Entry {
    final LogHome home;
    int slot;
    long sequence;
    int count;
    long bytes;
    final List<long[]> extents = new ArrayList<>();

    Entry(LogHome home) {
      this.home = home;
    }

    boolean isInline() {
      return extents.isEmpty();
    }
  }

  /** What an open found. */
  static final class Found {
    /** The batch that is not settled; null if there is none. */
    @Nullable Entry pending;

    /** Its records; null where they are on no leg. */
    @Nullable BatchOps records;

    /** Whether it cannot be told any more which batch there was. */
    boolean unreadable;
  }

  private static long pageAt(int page) {
    return VolumeLayout.LOG_TABLE_OFFSET + (long) page * PageMap.PAGE;
  }

  /** Up to which sequence everything is settled. */
  long settled() {
    return settled;
  }

  // ---------------------------------------------------------------- room

  /**
   * Takes room for the records of a batch: in the other volume, if there is one that has enough.
   *
   * @return null if there is none
   */
  @Nullable Entry allocate(int count, long bytes) {
    LogHome other = alone;
    Entry entry = other == null ? null : allocate(other, count, bytes);
    return entry == null ? allocateShared(count, bytes) : entry;
  }

  /** Takes room with the leaves; null if there is none. */
  @Nullable Entry allocateShared(int count, long bytes) {
    return allocate(shared, count, bytes);
  }

  private static @Nullable Entry allocate(LogHome home, int count, long bytes) {
    Entry entry = new Entry(home);
    entry.count = count;
    entry.bytes = bytes;
    if (bytes <= INLINE_BYTES) {
      return entry;
    }
    List<long[]> extents = home.take(Math.ceilDiv(bytes, PageMap.PAGE), MOST_EXTENTS);
    if (extents == null) {
      return null;
    }
    entry.extents.addAll(extents);
    return entry;
  }

  /** Gives the room of a batch back: it is settled, or never was committed. Nobody reads there. */
  void free(Entry entry) {
    entry.home.giveBack(entry.extents);
    entry.extents.clear();
  }

  /** Keeps the room of a batch that was found from being used for anything else. */
  void claim(Entry entry) {
    entry.home.claim(entry.extents);
  }

  // ---------------------------------------------------------------- the other volume

  /** Has slots and records lie in another volume, too; nothing is stored by that. */
  void goTo(Volume other) {
    alone = new LogHome.Alone(other);
  }

  /** Whether there is another volume, in whatever state. */
  boolean isApart() {
    return alone != null;
  }

  /** Whether a batch is to be stored in the other volume. */
  boolean isAlone(Entry entry) {
    return entry.home instanceof LogHome.Alone;
  }

  /** Whether there is another volume and it takes no stores any more. */
  boolean isOtherLost() {
    LogHome other = alone;
    return other != null && !other.volume().takesStores();
  }

  /** Has the other volume carry what is flushed at least as far as {@code mode}. */
  void raise(PersistenceMode mode) {
    LogHome other = alone;
    if (other != null && !other.volume().persistenceMode().reaches(mode)) {
      other.volume().raise(mode);
    }
  }

  /**
   * Stores a batch in the other volume, and commits it there.
   *
   * @return false if that volume does not take it: the batch may be committed there or not
   */
  boolean storeAlone(Entry entry, BatchOps ops) {
    Volume other = entry.home.volume();
    int unexplained = 0;
    while (other.takesStores()) {
      DeviceFault fault;
      int entered = other.grace().enter();
      try {
        LegSet set = other.writableLegs();
        if (!isStorable(set, entry) && !takeAnew(entry)) {
          return false;
        }
        storeRecords(set, entry, ops);
        choose(set, entry);
        if (!other.isStorable(set, pageAt(entry.slot), PageMap.PAGE)) {
          return false;
        }
        commit(set, entry, ops);
        return true;
      } catch (DeviceFault e) {
        fault = e;
      } catch (LegSetChanged e) {
        continue;
      } catch (DeviceOfflineException | ReadOnlyStoreException e) {
        return false;
      } finally {
        other.grace().exit(entered);
      }
      if (!other.recover(fault) && ++unexplained >= UNEXPLAINED_LIMIT) {
        return false;
      }
    }
    return false;
  }

  private static boolean takeAnew(Entry entry) {
    List<long[]> extents = entry.home.take(Math.ceilDiv(entry.bytes, PageMap.PAGE), MOST_EXTENTS);
    if (extents == null) {
      return false;
    }
    entry.extents.clear();
    entry.extents.addAll(extents);
    return true;
  }

  /** Says durably that the log lies with the leaves alone. Nothing may be in the other volume. */
  void moveHome() {
    volume.configure(config -> config.withLog(null));
    alone = null;
  }

  /** Whether the room can be stored to. */
  boolean isStorable(LegSet set, Entry entry) {
    for (long[] extent : entry.extents) {
      long offset = extent[0] * PageMap.PAGE;
      if (!entry.home.volume().isStorable(set, offset, extent[1] * PageMap.PAGE)) {
        return false;
      }
    }
    return true;
  }

  // ---------------------------------------------------------------- writing

  /**
   * Stores the records of a batch that do not fit into a slot, durably.
   *
   * @param set of the volume where the batch goes
   */
  void storeRecords(LegSet set, Entry entry, BatchOps ops) {
    if (entry.isInline()) {
      return;
    }
    if (large.length == 0) {
      large = new byte[BUFFER];
    }
    long from = 0;
    int length = 0;
    for (int i = 0; i < ops.distinct(); i++) {
      int size = ops.sizeOf(i);
      if (length + size > BUFFER) {
        storeStream(set, entry, from, large, length);
        from += length;
        length = 0;
      }
      take(ops, i, large, length, offsetOf(entry, from + length), entry.sequence);
      length += size;
    }
    storeStream(set, entry, from, large, length);
    for (long[] extent : entry.extents) {
      long offset = extent[0] * PageMap.PAGE;
      entry.home.volume().flush("log records", set, offset, extent[1] * PageMap.PAGE);
    }
    entry.home.volume().requireCurrent(set);
  }

  private void take(BatchOps ops, int index, byte[] into, int at, long offset, long sequence) {
    System.arraycopy(ops.bytesOf(index), ops.at(index), into, at, ops.sizeOf(index));
    RecordLayout.move(into, at, 0, place(offset, sequence));
  }

  /** A record of the log is none of a leaf: generations are positive. */
  private int place(long offset, long sequence) {
    return RecordLayout.place(secret, offset, -sequence);
  }

  private static long offsetOf(Entry entry, long at) {
    long left = at;
    for (long[] extent : entry.extents) {
      long bytes = extent[1] * PageMap.PAGE;
      if (left < bytes) {
        return extent[0] * PageMap.PAGE + left;
      }
      left -= bytes;
    }
    throw new IllegalArgumentException("log: expected a place in its extents, was " + at);
  }

  private void storeStream(LegSet set, Entry entry, long from, byte[] bytes, int length) {
    int done = 0;
    long skipped = 0;
    for (long[] extent : entry.extents) {
      long end = skipped + extent[1] * PageMap.PAGE;
      long at = from + done;
      if (done < length && at < end) {
        int n = (int) Math.min(length - done, end - at);
        entry
            .home
            .volume()
            .storeChecked(set, extent[0] * PageMap.PAGE + (at - skipped), bytes, done, n);
        done += n;
      }
      skipped = end;
    }
  }

  /** Chooses a slot for a batch: one that every leg can take, if there is one. */
  void choose(LegSet set, Entry entry) {
    for (int i = 0; i <= LAST_SLOT - FIRST_SLOT; i++) {
      if (entry.home.volume().isStorableOnAll(set, pageAt(slot), PageMap.PAGE)) {
        break;
      }
      slot = slot == LAST_SLOT ? FIRST_SLOT : slot + 1;
    }
    entry.slot = slot;
  }

  /** Commits a batch: when this returns, its slot is durable on every leg of the set. */
  void commit(LegSet set, Entry entry, BatchOps ops) {
    long at = pageAt(entry.slot);
    int length = SLOT_HEADER;
    if (entry.isInline()) {
      for (int i = 0; i < ops.distinct(); i++) {
        take(ops, i, small, length, at + length, entry.sequence);
        length += ops.sizeOf(i);
      }
    } else {
      for (long[] extent : entry.extents) {
        RecordLayout.putInt(small, length, (int) extent[0]);
        RecordLayout.putInt(small, length + 4, (int) extent[1]);
        length += EXTENT_BYTES;
      }
    }
    RecordLayout.putInt(small, 4, SLOT_MAGIC);
    RecordLayout.putInt(small, 8, length);
    RecordLayout.putInt(small, 12, entry.count);
    RecordLayout.putLong(small, 16, generation);
    RecordLayout.putLong(small, 24, entry.sequence);
    RecordLayout.putLong(small, 32, entry.extents.size());
    RecordLayout.putLong(small, 40, entry.bytes);
    RecordLayout.putInt(small, 0, checksum(small, length) ^ place(at, 0));
    entry.home.volume().storeDurably("log slot", set, at, small, 0, length);
    entry.home.volume().requireCurrent(set);
  }

  private int checksum(byte[] bytes, int length) {
    crc.reset();
    crc.update(bytes, 4, length - 4);
    return (int) crc.getValue();
  }

  /** Says durably that everything up to a sequence is where it belongs. */
  void settle(LegSet set, long sequence) {
    storeHeads(set, generation, Math.max(settled, sequence));
    settled = Math.max(settled, sequence);
  }

  /** Begins another generation: what the slots have now never counts again. */
  void begin(LegSet set, long upTo) {
    long next = generation + 1;
    long mark = Math.max(settled, upTo);
    storeHeads(set, next, mark);
    generation = next;
    settled = mark;
  }

  private void storeHeads(LegSet set, long newGeneration, long mark) {
    int checksum = encodeHead(newGeneration, mark);
    // One behind the other: a crash leaves one of them whole.
    for (int page : HEADS) {
      RecordLayout.putInt(small, 0, checksum ^ place(pageAt(page), 0));
      volume.storeDurably("log head", set, pageAt(page), small, 0, HEAD_BYTES);
    }
    volume.requireCurrent(set);
  }

  /** Makes a head, but for its checksum, which is returned, not placed. */
  private int encodeHead(long itsGeneration, long mark) {
    Arrays.fill(small, 0, HEAD_BYTES, (byte) 0);
    RecordLayout.putInt(small, 4, HEAD_MAGIC);
    RecordLayout.putLong(small, 8, itsGeneration);
    RecordLayout.putLong(small, 16, mark);
    return checksum(small, HEAD_BYTES);
  }

  // ---------------------------------------------------------------- comparing

  /**
   * What is wrong in the log table while no batch is under way: heads that are not as they were
   * written last, and slots of this generation that a leg lacks. What is older never counts again.
   */
  List<WrongPart> inspect(LegSet set, @Nullable ScrubTally tally) {
    List<WrongPart> wrong = new ArrayList<>();
    if (generation == 0) {
      return wrong; // It was never begun.
    }
    int checksum = encodeHead(generation, settled);
    boolean anyIsRight = false;
    for (int page : HEADS) {
      RecordLayout.putInt(small, 0, checksum ^ place(pageAt(page), 0));
      byte[] expected = Arrays.copyOf(small, HEAD_BYTES);
      MetadataCopies copies = read(set, page, tally);
      anyIsRight |=
          copies.first(copy -> Arrays.equals(copy, 0, HEAD_BYTES, expected, 0, HEAD_BYTES)) != null;
      copies.compare(expected, 0, HEAD_BYTES);
      wrong.addAll(copies.wrong());
    }
    if (!anyIsRight) {
      wrong.replaceAll(
          part -> new WrongPart(part.leg(), part.offset(), part.length(), part.kind(), null));
    }
    for (int index = FIRST_SLOT; index <= LAST_SLOT; index++) {
      MetadataCopies copies = read(set, index, tally);
      byte[] newest = null;
      for (byte[] copy : copies.all()) {
        Entry entry = copies.areSame() ? null : entryOf(copy, index, shared);
        if (entry != null
            && (newest == null || entry.sequence > RecordLayout.getLong(newest, SEQUENCE_AT))) {
          newest = copy;
        }
      }
      if (newest != null) {
        copies.compare(newest, 0, RecordLayout.getInt(newest, 8));
        wrong.addAll(copies.wrong());
      }
    }
    return wrong;
  }

  private MetadataCopies read(LegSet set, int page, @Nullable ScrubTally tally) {
    return MetadataCopies.read(volume, set, new long[] {pageAt(page)}, PageMap.PAGE, tally);
  }

  // ---------------------------------------------------------------- opening

  /**
   * Reads the log.
   *
   * @param mayLack whether a batch may lie in another volume that is not there
   * @param lenient whether it is no matter what cannot be read in the other volume: nothing is
   *     there that counts, or somebody lets it go
   */
  Found open(boolean mayLack, boolean lenient) {
    LegSet set = volume.legs();
    Found found = new Found();
    long known = settled;
    generation = 0;
    settled = 0;
    boolean blank = false;
    byte[] page = new byte[PageMap.PAGE];
    for (int head : HEADS) {
      for (int reader = 0; reader < set.readers(); reader++) {
        if (read(shared, set, reader, pageAt(head), page, 0, PageMap.PAGE)) {
          blank |= isZero(page);
          takeHead(page, pageAt(head));
        }
      }
    }
    if (generation == 0) {
      // Before the first head was written everywhere there is no batch. Where it was, and is gone,
      // the mark is, too.
      found.unreadable = !blank;
      return found;
    }
    settled = Math.max(settled, known);
    found.unreadable = mayLack;
    readSlots(shared, page, found);
    LogHome other = alone;
    if (other != null) {
      int entered = other.volume().grace().enter();
      try {
        boolean before = found.unreadable;
        readSlots(other, page, found);
        found.unreadable = lenient ? before : found.unreadable;
      } finally {
        other.volume().grace().exit(entered);
      }
    }
    Entry pending = found.pending;
    if (pending != null) {
      found.unreadable = false; // There is no other one beside it.
      found.records = readRecords(pending.home.volume().legs(), pending);
      if (found.records == null && lenient && pending.home instanceof LogHome.Alone) {
        found.pending = null;
      }
    }
    return found;
  }

  private void readSlots(LogHome home, byte[] page, Found found) {
    LegSet set = home.volume().legs();
    for (int at = FIRST_SLOT; at <= LAST_SLOT; at++) {
      readSlot(home, set, at, page, found);
    }
  }

  private static boolean isZero(byte[] bytes) {
    for (byte b : bytes) {
      if (b != 0) {
        return false;
      }
    }
    return true;
  }

  private boolean read(
      LogHome home, LegSet set, int reader, long offset, byte[] target, int at, int length) {
    if (!set.canRead(reader, offset, length)) {
      return false;
    }
    try {
      set.deviceOf(reader).read(offset, target, at, length);
      return true;
    } catch (PoisonedRangeException e) {
      return false;
    } catch (DeviceOfflineException e) {
      if (home instanceof LogHome.Shared) {
        throw e; // There is nothing else to open either.
      }
      return false;
    }
  }

  private void takeHead(byte[] page, long offset) {
    boolean right =
        RecordLayout.getInt(page, 4) == HEAD_MAGIC
            && RecordLayout.getInt(page, 0) == (checksum(page, HEAD_BYTES) ^ place(offset, 0));
    if (!right) {
      return;
    }
    long its = RecordLayout.getLong(page, 8);
    long mark = RecordLayout.getLong(page, 16);
    if (its > generation || (its == generation && mark > settled)) {
      generation = its;
      settled = mark;
    }
  }

  private void readSlot(LogHome home, LegSet set, int index, byte[] page, Found found) {
    boolean readable = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (!read(home, set, reader, pageAt(index), page, 0, PageMap.PAGE)) {
        continue;
      }
      readable = true;
      Entry entry = entryOf(page, index, home);
      Entry before = found.pending;
      if (entry != null
          && entry.sequence > settled
          && (before == null || entry.sequence > before.sequence)) {
        found.pending = entry;
      }
    }
    // Committed is what is on every leg: one that can be read tells for the others.
    found.unreadable |= !readable;
  }

  private @Nullable Entry entryOf(byte[] page, int index, LogHome home) {
    int length = RecordLayout.getInt(page, 8);
    if (RecordLayout.getInt(page, 4) != SLOT_MAGIC
        || length < SLOT_HEADER
        || length > PageMap.PAGE
        || RecordLayout.getInt(page, 0) != (checksum(page, length) ^ place(pageAt(index), 0))
        || RecordLayout.getLong(page, 16) != generation) {
      return null;
    }
    Entry entry = new Entry(home);
    entry.slot = index;
    entry.count = RecordLayout.getInt(page, 12);
    entry.sequence = RecordLayout.getLong(page, 24);
    entry.bytes = RecordLayout.getLong(page, 40);
    long extents = RecordLayout.getLong(page, 32);
    long room = (long) length - SLOT_HEADER;
    if (extents != 0) {
      if (extents < 0 || extents > MOST_EXTENTS || extents * EXTENT_BYTES != room) {
        return null;
      }
      room = 0;
      for (int i = 0; i < extents; i++) {
        long first = RecordLayout.getInt(page, SLOT_HEADER + i * EXTENT_BYTES) & 0xffffffffL;
        int pages = RecordLayout.getInt(page, SLOT_HEADER + i * EXTENT_BYTES + 4);
        if (pages <= 0
            || first * PageMap.PAGE < VolumeLayout.RECORDS_OFFSET
            || (first + pages) * PageMap.PAGE > home.volume().capacity()) {
          return null;
        }
        entry.extents.add(new long[] {first, pages});
        room += (long) pages * PageMap.PAGE;
      }
    }
    boolean fits = entry.bytes >= 0 && entry.bytes <= room && entry.count >= 0;
    return fits && entry.sequence > 0 ? entry : null;
  }

  /** The records of a batch, each from a leg where it is whole; null if one is on none. */
  private @Nullable BatchOps readRecords(LegSet set, Entry entry) {
    BatchOps ops = new BatchOps();
    byte[] record = new byte[RecordLayout.MAX_RECORD];
    long at = 0;
    for (int i = 0; i < entry.count; i++) {
      int size = readRecord(set, entry, at, record);
      if (size < 0) {
        return null;
      }
      ops.addRecord(record, 0);
      at += size;
    }
    // They were in order when they were written.
    return at == entry.bytes && ops.arrange() == entry.count ? ops : null;
  }

  private int readRecord(LegSet set, Entry entry, long at, byte[] record) {
    long offset = entry.isInline() ? pageAt(entry.slot) + SLOT_HEADER + at : 0;
    int place = place(entry.isInline() ? offset : offsetOf(entry, at), entry.sequence);
    for (int reader = -1; reader < set.readers(); reader++) {
      if (!readStream(set, reader, entry, at, record, RecordLayout.HEADER)) {
        continue;
      }
      int most = (int) Math.min(entry.bytes - at, RecordLayout.MAX_RECORD);
      if (!RecordLayout.isPlausible(record, 0, most)) {
        continue;
      }
      int size = RecordLayout.size(record, 0);
      if (readStream(set, reader, entry, at, record, size)
          && RecordLayout.isPlausible(record, 0, most)
          && RecordLayout.size(record, 0) == size
          && RecordLayout.isIntact(record, 0, crc, place)
          && RecordLayout.isOfBatch(record, 0)
          && RecordLayout.sequence(record, 0) == entry.sequence) {
        RecordLayout.move(record, 0, place, 0);
        return size;
      }
    }
    return -1;
  }

  /** Reads a part of the records; reader -1 takes each page from whatever leg has it. */
  private boolean readStream(
      LegSet set, int reader, Entry entry, long from, byte[] target, int length) {
    if (from + length > entry.bytes) {
      return false;
    }
    int done = 0;
    while (done < length) {
      long offset =
          entry.isInline()
              ? pageAt(entry.slot) + SLOT_HEADER + from + done
              : offsetOf(entry, from + done);
      int n = Math.min(length - done, (int) (PageMap.PAGE - offset % PageMap.PAGE));
      boolean got = false;
      for (int r = Math.max(0, reader); !got && r < set.readers(); r++) {
        got = read(entry.home, set, r, offset, target, done, n);
        if (reader >= 0) {
          break;
        }
      }
      if (!got) {
        return false;
      }
      done += n;
    }
    return true;
  }
}
