package dev.holdfast.tree;

import java.util.Arrays;

/**
 * Where a large value lies: its length, its checksum, and its extents in pages; as the record has
 * it.
 *
 * <pre>
 *  0            8         12        16
 *  +------------+---------+---------+--------------+--------------+---
 *  | length     | CRC32C, | number  | page, pages  | page, pages  | …
 *  | in bytes   | placed  | of them | (4 + 4)      |              |
 *  +------------+---------+---------+--------------+--------------+---
 * </pre>
 *
 * The checksum is that of the bytes of the value, combined with the place of the first extent and
 * the length.
 */
final class BlobExtents {
  private static final int HEAD = 16;
  private static final int EACH = 8;

  final long length;
  int checksum;
  int count;
  final long[] page = new long[RecordLayout.MAX_EXTENTS];
  final int[] pages = new int[RecordLayout.MAX_EXTENTS];

  BlobExtents(long length) {
    this.length = length;
  }

  void add(long first, int number) {
    page[count] = first;
    pages[count] = number;
    count++;
  }

  /** Whether it is the same value at the same place. */
  boolean isSame(BlobExtents other) {
    return length == other.length
        && checksum == other.checksum
        && Arrays.equals(page, 0, count, other.page, 0, other.count)
        && Arrays.equals(pages, 0, count, other.pages, 0, other.count);
  }

  int encodedLength() {
    return HEAD + count * EACH;
  }

  void encode(byte[] out, int at) {
    RecordLayout.putLong(out, at, length);
    RecordLayout.putInt(out, at + 8, checksum);
    RecordLayout.putInt(out, at + 12, count);
    for (int i = 0; i < count; i++) {
      RecordLayout.putInt(out, at + HEAD + i * EACH, (int) page[i]);
      RecordLayout.putInt(out, at + HEAD + i * EACH + 4, pages[i]);
    }
  }

  /**
   * Reads what a record that is intact says.
   *
   * @param volumePages the pages of the volume: nothing lies behind them
   * @return null if it is not what a store writes
   */
  static @org.jspecify.annotations.Nullable BlobExtents decode(
      byte[] bytes, int at, int length, long volumePages) {
    if (length < HEAD) {
      return null;
    }
    BlobExtents extents = new BlobExtents(RecordLayout.getLong(bytes, at));
    extents.checksum = RecordLayout.getInt(bytes, at + 8);
    int count = RecordLayout.getInt(bytes, at + 12);
    if (count < 0 || count > RecordLayout.MAX_EXTENTS || length != HEAD + count * EACH) {
      return null;
    }
    long room = 0;
    for (int i = 0; i < count; i++) {
      long first = RecordLayout.getInt(bytes, at + HEAD + i * EACH) & 0xffffffffL;
      int number = RecordLayout.getInt(bytes, at + HEAD + i * EACH + 4);
      if (number <= 0 || first + number > volumePages) {
        return null;
      }
      extents.add(first, number);
      room += (long) number * PageMap.PAGE;
    }
    // No extent twice: a length that the volume cannot have is not even asked memory for.
    boolean fits =
        extents.length >= 0 && extents.length <= Math.min(room, volumePages * PageMap.PAGE);
    return fits && extents.length <= Tree.MAX_VALUE_LENGTH ? extents : null;
  }
}
