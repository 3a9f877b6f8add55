package dev.holdfast.tree;

import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.tree.LeafTable.Row;
import dev.holdfast.tree.LeafTable.Slot;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Reads the leaf table when a store is opened: all copies on all legs, chunk by chunk. Copies that
 * are the same, as they are but for a crash or damage, are taken apart once.
 *
 * <p><b>Threads:</b> one; used once.
 */
final class LeafTableReader {
  private final Volume volume;
  private final long secret;
  private final LegSet set;
  private final CRC32C crc = new CRC32C();
  private final byte[] tailBytes = new byte[4 + Long.BYTES];

  /** The units in use, over all chunks. */
  final BitSet used = new BitSet();

  /** Units that are not zero and belong to no row. */
  final List<Integer> strays = new ArrayList<>();

  /** The first keys of leaves whose rows are damaged in all copies; empty where that is unknown. */
  final List<byte[]> lost = new ArrayList<>();

  /** The chunks whose entries of the root are whole nowhere, by their indexes. */
  final Map<Integer, Head> unnamed = new HashMap<>();

  /** Whether the chunks were found without the root. */
  boolean rootLost;

  LeafTableReader(Volume volume, long secret) {
    this.volume = volume;
    this.secret = secret;
    this.set = volume.legs();
  }

  /** The offsets of the chunks that the root names. */
  List<Long> chunks() {
    byte[][] roots = room(LeafTable.ROOT_BYTES);
    try {
      read(roots, VolumeLayout.TABLE_ROOT_OFFSET, LeafTable.ROOT_BYTES);
    } catch (PoisonedRangeException e) {
      rootLost = true;
      return search(e);
    }
    List<Long> chunks = new ArrayList<>();
    for (int index = 0; index < LeafTable.MAX_CHUNKS; index++) {
      long chunk = chunkOf(roots, index);
      if (chunk < 0) {
        break;
      }
      chunks.add(chunk);
    }
    return chunks;
  }

  private List<Long> search(PoisonedRangeException lost) {
    SortedMap<Integer, Head> found = heads();
    if (found.isEmpty() || found.lastKey() != found.size() - 1) {
      throw lost;
    }
    return found.values().stream().map(Head::first).toList();
  }

  /** Where a chunk begins, and its generation. */
  record Head(long first, long generation) {}

  /** Looks for chunks at every page: each says itself which it is. */
  private SortedMap<Integer, Head> heads() {
    SortedMap<Integer, Head> found = new TreeMap<>();
    byte[] head = new byte[LeafTable.UNIT];
    for (long at = VolumeLayout.RECORDS_OFFSET;
        at + PageMap.PAGE <= volume.capacity();
        at += PageMap.PAGE) {
      for (int reader = 0; reader < set.readers(); reader++) {
        if (!read(reader, at, head, 0, LeafTable.UNIT)) {
          continue;
        }
        // Each copy says where the first one lies.
        for (long first = at; first >= at - LeafTable.CHUNK_BYTES; first -= LeafTable.CHUNK_BYTES) {
          if (LeafTable.isHead(head, place(first)) && isInside(first / PageMap.PAGE)) {
            long generation = LeafTable.generationOf(head);
            // One whose entry never came to the root may stand where it was.
            found.merge(
                LeafTable.indexOf(head),
                new Head(first, generation),
                (one, other) -> one.generation >= other.generation ? one : other);
          }
        }
      }
    }
    return found;
  }

  /** Whether a chunk can begin at a page. */
  private boolean isInside(long page) {
    return page * PageMap.PAGE >= VolumeLayout.RECORDS_OFFSET
        && (page + LeafTable.CHUNK_PAGES) * PageMap.PAGE <= volume.capacity();
  }

  /** The rows of the chunks at these offsets, in no order. */
  List<Row> rows(long[] chunks) {
    byte[][] copies = room(LeafTable.CHUNK_BYTES);
    byte[][] one = {copies[0]};
    List<Row> rows = new ArrayList<>();
    for (int index = 0; index < chunks.length; index++) {
      read(copies, chunks[index], LeafTable.CHUNK_BYTES);
      boolean alike = true;
      for (int i = 1; alike && i < copies.length; i++) {
        alike = Arrays.equals(copies[0], copies[i]);
      }
      parse(index, chunks[index], alike ? one : copies, rows);
    }
    return rows;
  }

  // ---------------------------------------------------------------- copies

  private byte[][] room(int length) {
    return new byte[set.readers() * LeafTable.COPIES][length];
  }

  /** Reads both copies on each leg. A page that cannot be read is taken from another one. */
  private void read(byte[][] copies, long offset, int length) {
    boolean whole = true;
    for (int i = 0; i < copies.length; i++) {
      long place = offset + (long) (i % LeafTable.COPIES) * length;
      whole &= read(i / LeafTable.COPIES, place, copies[i], 0, length);
    }
    for (int at = 0; !whole && at < length; at += PageMap.PAGE) {
      readPage(copies, offset, length, at);
    }
  }

  private void readPage(byte[][] copies, long offset, int length, int at) {
    byte[] good = null;
    List<byte[]> unread = new ArrayList<>();
    for (int i = 0; i < copies.length; i++) {
      long place = offset + (long) (i % LeafTable.COPIES) * length + at;
      if (read(i / LeafTable.COPIES, place, copies[i], at, PageMap.PAGE)) {
        good = copies[i];
      } else {
        unread.add(copies[i]);
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

  private boolean read(int reader, long offset, byte[] target, int at, int length) {
    try {
      if (set.canRead(reader, offset, length)) {
        set.deviceOf(reader).read(offset, target, at, length);
        return true;
      }
    } catch (PoisonedRangeException e) {
      // Page by page then, or from another copy.
    }
    return false;
  }

  // ---------------------------------------------------------------- the root

  private long chunkOf(byte[][] roots, int index) {
    boolean empty = true;
    int at = index * LeafTable.ROOT_ENTRY;
    for (byte[] root : roots) {
      empty &= isZero(root, at, LeafTable.ROOT_ENTRY);
      int expected = crc(root, at + 4, LeafTable.ROOT_ENTRY - 4);
      long page = RecordLayout.getInt(root, at + 4) & 0xffffffffL;
      if (RecordLayout.getInt(root, at) == (expected ^ place(LeafTable.rootEntryAt(index)))
          && isInside(page)) {
        return page * PageMap.PAGE;
      }
    }
    if (empty) {
      return -1;
    }
    // A crash may have torn it where it was written, or damage took it. Either way there is a
    // chunk:
    // it is on the medium before the root names it.
    @Nullable Head head =
        volume.isDirty(VolumeLayout.TABLE_ROOT_OFFSET) ? heads().get(index) : null;
    if (head == null) {
      throw new InvalidImageException(
          "leaf table: expected entry "
              + index
              + " of its root to be whole on some leg, was on none");
    }
    unnamed.put(index, head);
    return head.first;
  }

  private static boolean isZero(byte[] bytes, int at, int length) {
    int bits = 0;
    for (int i = at; i < at + length; i++) {
      bits |= bytes[i];
    }
    return bits == 0;
  }

  private int place(long offset) {
    return RecordLayout.place(secret, offset, 0);
  }

  private int crc(byte[] bytes, int at, int length) {
    crc.reset();
    crc.update(bytes, at, length);
    return (int) crc.getValue();
  }

  // ---------------------------------------------------------------- rows

  private void parse(int chunk, long offset, byte[][] copies, List<Row> rows) {
    used.set(chunk * LeafTable.UNITS); // its head
    for (int unit = 1; unit < LeafTable.UNITS; ) {
      int leaf = chunk * LeafTable.UNITS + unit;
      int at = unit * LeafTable.UNIT;
      byte[] head = head(copies, at, offset + at);
      if (head == null) {
        if (isDamaged(copies, at, LeafTable.UNIT)) {
          lost.add(new byte[0]);
        }
        for (byte[] copy : copies) {
          if (!used.get(leaf) && !isZero(copy, at, LeafTable.UNIT)) {
            // What is left of a row that was being made or cleared; or damage, which is named.
            used.set(leaf);
            strays.add(leaf);
          }
        }
        unit++;
        continue;
      }
      int units = head[at + LeafTable.UNITS_AT] & 0xff;
      used.set(leaf, leaf + units);
      Row row = row(leaf, at, offset + at, head, copies);
      if (row != null) {
        rows.add(row);
      } else {
        if (isDamaged(copies, at, 2 * LeafTable.SLOT)) {
          int length = RecordLayout.getShort(head, at + LeafTable.SEPARATOR_LENGTH_AT);
          int separatorAt = at + LeafTable.SEPARATOR_AT;
          lost.add(Arrays.copyOfRange(head, separatorAt, separatorAt + length));
        }
        for (int i = 0; i < units; i++) {
          strays.add(leaf + i);
        }
      }
      unit += units;
    }
  }

  /**
   * Whether what does not validate is damaged. What is being made or cleared is zero in the second
   * copy, or in the first: they are stored one behind the other.
   */
  private static boolean isDamaged(byte[][] copies, int at, int length) {
    for (byte[] copy : copies) {
      if (isZero(copy, at, length)) {
        return false;
      }
    }
    return true;
  }

  private byte @Nullable [] head(byte[][] copies, int at, long offset) {
    for (byte[] copy : copies) {
      if (LeafTable.isStatic(copy, at, crc, place(offset + LeafTable.STATIC_CRC_AT))) {
        return copy;
      }
    }
    return null;
  }

  private @Nullable Row row(int leaf, int at, long offset, byte[] head, byte[][] copies) {
    Slot best = null;
    int bestIndex = 0;
    boolean differ = false;
    for (int i = 0; i < copies.length; i++) {
      byte[] copy = copies[i];
      differ |=
          i > 0
              && !Arrays.equals(copy, at, at + LeafTable.UNIT, copies[0], at, at + LeafTable.UNIT);
      for (int index = 0; index < 2; index++) {
        int slotAt = at + index * LeafTable.SLOT;
        if (RecordLayout.getInt(copy, slotAt) == 0 && isZero(copy, slotAt, LeafTable.SLOT)) {
          continue;
        }
        Slot slot = slotOf(copy, slotAt, offset + (long) index * LeafTable.SLOT);
        if (slot != null && (best == null || isNewer(slot, best))) {
          best = slot;
          bestIndex = index;
        }
      }
    }
    if (best == null) {
      return null;
    }
    boolean others = false;
    for (byte[] copy : copies) {
      others |= !isZero(copy, at + (1 - bestIndex) * LeafTable.SLOT, LeafTable.SLOT);
    }
    int length = RecordLayout.getShort(head, at + LeafTable.SEPARATOR_LENGTH_AT);
    int separatorAt = at + LeafTable.SEPARATOR_AT;
    Row row =
        new Row(
            leaf,
            Arrays.copyOfRange(head, separatorAt, separatorAt + length),
            RecordLayout.getInt(head, at + LeafTable.LEFT_AT),
            RecordLayout.getLong(head, at + LeafTable.LEFT_GENERATION_AT),
            RecordLayout.getLong(head, at + LeafTable.BIRTH_AT),
            best,
            bestIndex);
    row.untidy = differ || others;
    row.blobs = (best.flags() & LeafTable.BLOBS) != 0;
    for (byte[] copy : copies) {
      takeTail(row, copy, at + LeafTable.TAIL_AT, offset + LeafTable.TAIL_AT);
    }
    return row;
  }

  /** The higher tail counts, and the number of records up to there. */
  private void takeTail(Row row, byte[] copy, int at, long offset) {
    System.arraycopy(copy, at, tailBytes, 0, 4);
    RecordLayout.putLong(tailBytes, 4, row.slot.generation());
    int expected = crc(tailBytes, 0, tailBytes.length) ^ place(offset);
    int tail = RecordLayout.getShort(copy, at) * RecordLayout.GRANULE;
    if (RecordLayout.getInt(copy, at + 4) != expected || tail > row.slot.pages() * PageMap.PAGE) {
      return;
    }
    int counted = RecordLayout.getShort(copy, at + 2);
    row.blobs |= (counted & LeafTable.TAIL_BLOBS) != 0;
    row.overwritten |= (counted & LeafTable.TAIL_OVERWRITTEN) != 0;
    if (tail >= row.tail) {
      boolean known = (counted & LeafTable.TAIL_COUNTED) != 0;
      if (known || tail > row.tail) {
        row.live = known ? counted & LeafTable.TAIL_LIVE_MASK : LeafTable.UNKNOWN;
      }
      row.tail = tail;
    }
  }

  private static boolean isNewer(Slot a, Slot b) {
    return a.generation() != b.generation()
        ? a.generation() > b.generation()
        : (a.flags() & LeafTable.PENDING) < (b.flags() & LeafTable.PENDING);
  }

  private @Nullable Slot slotOf(byte[] bytes, int at, long offset) {
    Slot slot = LeafTable.slot(bytes, at, crc, place(offset));
    if (slot == null) {
      return null;
    }
    boolean fits =
        slot.generation() > 0
            && slot.pages() >= 1
            && slot.pages() <= LeafLayout.LARGEST_PAGES
            && slot.tail() <= slot.pages() * PageMap.PAGE
            && slot.page() * PageMap.PAGE >= VolumeLayout.RECORDS_OFFSET
            && (slot.page() + slot.pages()) * PageMap.PAGE <= volume.capacity();
    return fits ? slot : null;
  }
}
