package dev.holdfast.tree;

import dev.holdfast.tree.LeafTable.Slot;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Compares the leaf table, each copy on each leg, with what memory knows: each row under the lock
 * of its leaf, and what belongs to no row while none can be taken.
 *
 * <p><b>Threads:</b> one at a time, within an operation.
 */
final class TableScrub {
  private final Parts parts;
  private final LeafTable table;
  private final Volume volume;
  private final LeafRewriter rewriter;
  private final CRC32C crc = new CRC32C();

  TableScrub(Parts parts, LeafRewriter rewriter) {
    this.parts = parts;
    this.table = parts.table;
    this.volume = parts.volume;
    this.rewriter = rewriter;
  }

  // ---------------------------------------------------------------- rows

  /**
   * What of the row of a leaf is wrong; nothing where it is about to be written.
   *
   * @param separator the first key of the leaf's range
   */
  List<WrongPart> row(LegSet set, int leaf, byte[] separator, @Nullable ScrubTally tally) {
    if (rewriter.isBusy(leaf)) {
      return List.of();
    }
    int length = LeafTable.unitsFor(separator.length) * LeafTable.UNIT;
    long at = table.offsetOf(leaf);
    MetadataCopies copies = read(set, at, length, LeafTable.CHUNK_BYTES, tally);
    if (copies.isEmpty()) {
      return List.of();
    }
    int index = parts.leaves.is(leaf, Leaves.SECOND_SLOT) ? 1 : 0;
    byte[] head = copies.first(copy -> isHead(copy, at, separator));
    byte[] current = copies.first(copy -> isCurrent(copy, index, at, leaf));
    if (head == null) {
      copies.compare(null, LeafTable.STATIC_CRC_AT, length);
    }
    if (current == null) {
      copies.compare(null, index * LeafTable.SLOT, (index + 1) * LeafTable.SLOT);
    }
    if (head == null || current == null) {
      return copies.wrong();
    }
    byte[] expected = head.clone();
    Arrays.fill(expected, LeafTable.SEPARATOR_AT + separator.length, length, (byte) 0);
    System.arraycopy(
        current, index * LeafTable.SLOT, expected, index * LeafTable.SLOT, LeafTable.SLOT);
    takeOther(copies, expected, (1 - index) * LeafTable.SLOT);
    takeTail(copies, expected, leaf, at);
    // Each by itself: what is right of a row stays as it is.
    copies.compare(expected, 0, LeafTable.SLOT);
    copies.compare(expected, LeafTable.SLOT, LeafTable.TAIL_AT);
    copies.compare(expected, LeafTable.TAIL_AT, LeafTable.STATIC_CRC_AT);
    copies.compare(expected, LeafTable.STATIC_CRC_AT, length);
    return copies.wrong();
  }

  private MetadataCopies read(
      LegSet set, long at, int length, long apart, @Nullable ScrubTally tally) {
    return MetadataCopies.read(volume, set, new long[] {at, at + apart}, length, tally);
  }

  private boolean isHead(byte[] copy, long at, byte[] separator) {
    int end = LeafTable.SEPARATOR_AT + separator.length;
    return LeafTable.isStatic(copy, 0, crc, place(at + LeafTable.STATIC_CRC_AT))
        && Arrays.equals(copy, LeafTable.SEPARATOR_AT, end, separator, 0, separator.length)
        && RecordLayout.getShort(copy, LeafTable.SEPARATOR_LENGTH_AT) == separator.length;
  }

  private int place(long offset) {
    return RecordLayout.place(parts.secret, offset, 0);
  }

  private boolean isCurrent(byte[] copy, int index, long at, int leaf) {
    int from = index * LeafTable.SLOT;
    Slot slot = LeafTable.slot(copy, from, crc, place(at + from));
    return slot != null
        && slot.page() == parts.leaves.page(leaf)
        && slot.pages() == parts.leaves.pages(leaf)
        && slot.generation() == parts.leaves.generation(leaf);
  }

  /** The slot that does not count is zero. What is there instead on all legs does no harm. */
  private static void takeOther(MetadataCopies copies, byte[] expected, int at) {
    takeIfSame(copies, expected, at, at + LeafTable.SLOT);
  }

  private static void takeIfSame(MetadataCopies copies, byte[] expected, int from, int to) {
    byte[] one = copies.all().getFirst();
    boolean areSame =
        copies.all().stream().allMatch(copy -> Arrays.equals(copy, from, to, one, from, to));
    if (areSame) {
      System.arraycopy(one, from, expected, from, to - from);
    } else {
      Arrays.fill(expected, from, to, (byte) 0);
    }
  }

  /**
   * The highest tail counts; of two the one that knows of large values, which was written later.
   * One of the leaf before it was written anew says nothing, and may stand there.
   */
  private void takeTail(MetadataCopies copies, byte[] expected, int leaf, long at) {
    byte[] best = null;
    for (byte[] copy : copies.all()) {
      if (isTail(copy, leaf, at) && (best == null || isNewer(copy, best))) {
        best = copy;
      }
    }
    if (best == null) {
      takeIfSame(copies, expected, LeafTable.TAIL_AT, LeafTable.STATIC_CRC_AT);
    } else {
      System.arraycopy(best, LeafTable.TAIL_AT, expected, LeafTable.TAIL_AT, Long.BYTES);
    }
  }

  private static boolean isNewer(byte[] copy, byte[] than) {
    int tail = RecordLayout.getShort(copy, LeafTable.TAIL_AT);
    int other = RecordLayout.getShort(than, LeafTable.TAIL_AT);
    return tail != other ? tail > other : blobs(copy) > blobs(than);
  }

  private static int blobs(byte[] copy) {
    return RecordLayout.getShort(copy, LeafTable.TAIL_AT + 2) & LeafTable.TAIL_BLOBS;
  }

  private boolean isTail(byte[] copy, int leaf, long at) {
    int tail = RecordLayout.getShort(copy, LeafTable.TAIL_AT) * RecordLayout.GRANULE;
    int placed =
        LeafTable.tailCrc(copy, LeafTable.TAIL_AT, parts.leaves.generation(leaf))
            ^ place(at + LeafTable.TAIL_AT);
    return tail <= parts.leaves.tail(leaf)
        && RecordLayout.getInt(copy, LeafTable.TAIL_AT + 4) == placed;
  }

  // ---------------------------------------------------------------- what is no row

  /** What of the root is wrong, while no chunk is added. */
  List<WrongPart> root(LegSet set, @Nullable ScrubTally tally) {
    long[] chunks = table.chunks();
    long begin = LeafTable.rootEntryAt(0);
    MetadataCopies copies = read(set, begin, LeafTable.ROOT_BYTES, LeafTable.ROOT_BYTES, tally);
    byte[] expected = new byte[LeafTable.ROOT_BYTES];
    for (int index = 0; index < chunks.length && !copies.isEmpty(); index++) {
      int at = index * LeafTable.ROOT_ENTRY;
      long page = chunks[index] / PageMap.PAGE;
      int placed = place(LeafTable.rootEntryAt(index));
      byte[] right = copies.first(copy -> LeafTable.isRootEntry(copy, at, page, crc, placed));
      if (right == null) {
        copies.compare(null, at, at + LeafTable.ROOT_ENTRY);
      } else {
        System.arraycopy(right, at, expected, at, LeafTable.ROOT_ENTRY);
        copies.compare(expected, at, at + LeafTable.ROOT_ENTRY);
      }
    }
    // The entry behind the last one may be that of a chunk which is just being added.
    int end = Math.min((chunks.length + 1) * LeafTable.ROOT_ENTRY, LeafTable.ROOT_BYTES);
    copies.compare(expected, end, LeafTable.ROOT_BYTES);
    return copies.wrong();
  }

  /** What of the head and the free units of a chunk is wrong, while none of them can be taken. */
  List<WrongPart> chunk(LegSet set, int index, @Nullable ScrubTally tally) {
    long begin = table.chunks()[index];
    MetadataCopies copies = read(set, begin, LeafTable.CHUNK_BYTES, LeafTable.CHUNK_BYTES, tally);
    if (copies.isEmpty()) {
      return List.of();
    }
    byte[] head =
        copies.first(
            copy -> LeafTable.isHead(copy, place(begin)) && LeafTable.indexOf(copy) == index);
    copies.compare(
        head == null
            ? null
            : Arrays.copyOf(Arrays.copyOf(head, LeafTable.CHUNK_HEAD), LeafTable.UNIT),
        0,
        LeafTable.UNIT);
    byte[] zeros = new byte[LeafTable.CHUNK_BYTES];
    for (int unit = 1; unit < LeafTable.UNITS; unit++) {
      if (table.isFree(index * LeafTable.UNITS + unit)) {
        int at = unit * LeafTable.UNIT;
        copies.compare(zeros, at, at + LeafTable.UNIT);
      }
    }
    return copies.wrong();
  }

  /** How many chunks there are. */
  int chunks() {
    return table.chunks().length;
  }
}
