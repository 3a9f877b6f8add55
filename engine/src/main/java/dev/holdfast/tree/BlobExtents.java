package dev.holdfast.tree;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

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
 * the length. A value in the BULK volume has no extents here: in the place of their number stands
 * -1, behind it the eight bytes that end its {@linkplain BulkSpace place}, and the checksum is 0.
 */
final class BlobExtents {
  private static final int HEAD = 16;
  private static final int EACH = 8;

  /** In the place of the number of extents. */
  private static final int IN_BULK = -1;

  /** The longest key, with the number of its map, whose values can lie in the BULK volume. */
  static final int LONGEST_BULK_KEY = Tree.MAX_KEY_LENGTH - BulkSpace.NUMBER;

  final long length;

  /** Where in the BULK volume it lies; null if it lies in extents. */
  final byte @Nullable [] bulk;

  int checksum;
  int count;
  final long[] page = new long[RecordLayout.MAX_EXTENTS];
  final int[] pages = new int[RecordLayout.MAX_EXTENTS];

  BlobExtents(long length) {
    this(length, null);
  }

  private BlobExtents(long length, byte @Nullable [] bulk) {
    this.length = length;
    this.bulk = bulk;
  }

  /**
   * Of a value in the BULK volume.
   *
   * @param key its key, with the number of its map
   * @param number no other value of the key has it
   */
  static BlobExtents inBulk(long length, byte[] key, int keyAt, int keyLength, long number) {
    byte[] place = Arrays.copyOfRange(key, keyAt, keyAt + keyLength + BulkSpace.NUMBER);
    RecordLayout.putLong(place, keyLength, number);
    return new BlobExtents(length, place);
  }

  /** Whether it takes room anywhere. */
  boolean isNowhere() {
    return count == 0 && bulk == null;
  }

  /** What no other value that is there has: to look it up by. */
  Object identity() {
    byte[] place = bulk;
    return place == null ? (Object) page[0] : ByteBuffer.wrap(place);
  }

  /** The bytes that it takes. */
  long bytes() {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      sum += pages[i];
    }
    return bulk == null ? sum * PageMap.PAGE : length;
  }

  void add(long first, int number) {
    page[count] = first;
    pages[count] = number;
    count++;
  }

  /** Whether it is the same value at the same place. */
  boolean isSame(BlobExtents other) {
    return length == other.length
        && Arrays.equals(bulk, other.bulk)
        && checksum == other.checksum
        && Arrays.equals(page, 0, count, other.page, 0, other.count)
        && Arrays.equals(pages, 0, count, other.pages, 0, other.count);
  }

  int encodedLength() {
    return HEAD + (bulk == null ? count * EACH : BulkSpace.NUMBER);
  }

  void encode(byte[] out, int at) {
    RecordLayout.putLong(out, at, length);
    RecordLayout.putInt(out, at + 8, checksum);
    byte[] place = bulk;
    RecordLayout.putInt(out, at + 12, place == null ? count : IN_BULK);
    if (place != null) {
      System.arraycopy(place, place.length - BulkSpace.NUMBER, out, at + HEAD, BulkSpace.NUMBER);
    }
    for (int i = 0; i < count; i++) {
      RecordLayout.putInt(out, at + HEAD + i * EACH, (int) page[i]);
      RecordLayout.putInt(out, at + HEAD + i * EACH + 4, pages[i]);
    }
  }

  /**
   * Reads what a record that is intact says.
   *
   * @param record where in {@code bytes} it begins, in its ordinary form
   * @param volumePages the pages of the volume: nothing lies behind them
   * @return null if it is not what a store writes
   */
  static @Nullable BlobExtents of(byte[] bytes, int record, long volumePages) {
    int at = RecordLayout.inlineAt(bytes, record);
    int length = RecordLayout.inlineLength(bytes, record);
    if (length < HEAD) {
      return null;
    }
    if (RecordLayout.getInt(bytes, at + 12) == IN_BULK) {
      return ofBulk(bytes, record, at, length);
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

  private static @Nullable BlobExtents ofBulk(byte[] bytes, int record, int at, int length) {
    long valueLength = RecordLayout.getLong(bytes, at);
    int keyLength = RecordLayout.keyLength(bytes, record);
    if (length != HEAD + BulkSpace.NUMBER
        || valueLength < 0
        || valueLength > Tree.MAX_VALUE_LENGTH
        || keyLength > LONGEST_BULK_KEY) {
      return null;
    }
    return inBulk(
        valueLength,
        bytes,
        RecordLayout.keyAt(record),
        keyLength,
        RecordLayout.getLong(bytes, at + HEAD));
  }
}
