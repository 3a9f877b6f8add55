package dev.holdfast.tree;

import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * The begin of a leaf on the device. Records follow from the next granule on.
 *
 * <pre>
 *  0        4         8            16     20      22         24       28         48
 *  +--------+---------+------------+------+-------+----------+--------+----------+-----------+
 *  | magic  | CRC32C, | generation | leaf | pages | length of| sorted | reserved | separator |
 *  | "HLEF" | placed  |            |      |       | separator| until  | (zero)   |           |
 *  +--------+---------+------------+------+-------+----------+--------+----------+-----------+
 *                     |&lt;---------------- covered by the checksum ----------------------------&gt;|
 * </pre>
 */
final class LeafLayout {
  /** What a leaf has at most without versions that only pins need. */
  static final int MAX_PAGES = 16;

  /** What it has at most with them: a row of the leaf table has 16 bits for its tail. */
  static final int LARGEST_PAGES = 127;

  static final int MAX_BYTES = MAX_PAGES * PageMap.PAGE;

  /** The bytes of a header without its separator. */
  static final int HEADER = 48;

  private static final int MAGIC = 0x46454c48; // "HLEF"
  private static final int MAGIC_AT = 0;
  private static final int CRC_AT = 4;
  static final int GENERATION_AT = 8;
  private static final int LEAF_AT = 16;
  private static final int PAGES_AT = 20;
  private static final int SEPARATOR_LENGTH_AT = 22;
  private static final int SORTED_END_AT = 24;

  private LeafLayout() {}

  /** Where the first record goes. */
  static int firstRecord(int separatorLength) {
    return RecordLayout.round(HEADER + separatorLength);
  }

  static void seal(
      byte[] out,
      CRC32C crc,
      int place,
      long generation,
      int leaf,
      int pages,
      int sortedEnd,
      byte[] separator) {
    Arrays.fill(out, 0, firstRecord(separator.length), (byte) 0);
    RecordLayout.putInt(out, MAGIC_AT, MAGIC);
    RecordLayout.putLong(out, GENERATION_AT, generation);
    RecordLayout.putInt(out, LEAF_AT, leaf);
    RecordLayout.putShort(out, PAGES_AT, pages);
    RecordLayout.putShort(out, SEPARATOR_LENGTH_AT, separator.length);
    RecordLayout.putInt(out, SORTED_END_AT, sortedEnd);
    System.arraycopy(separator, 0, out, HEADER, separator.length);
    RecordLayout.putInt(out, CRC_AT, checksum(out, separator.length, crc) ^ place);
  }

  private static int checksum(byte[] bytes, int separatorLength, CRC32C crc) {
    crc.reset();
    crc.update(bytes, GENERATION_AT, HEADER + separatorLength - GENERATION_AT);
    return (int) crc.getValue();
  }

  /** Whether the begin of a leaf is what was written for this generation at this place. */
  static boolean isIntact(byte[] bytes, CRC32C crc, int place, long generation) {
    int separatorLength = RecordLayout.getShort(bytes, SEPARATOR_LENGTH_AT);
    return RecordLayout.getInt(bytes, MAGIC_AT) == MAGIC
        && separatorLength <= RecordLayout.MAX_KEY
        && RecordLayout.getLong(bytes, GENERATION_AT) == generation
        && (checksum(bytes, separatorLength, crc) ^ place) == RecordLayout.getInt(bytes, CRC_AT);
  }

  /** The first key of the range of an intact leaf. */
  static byte[] separator(byte[] bytes) {
    return Arrays.copyOfRange(
        bytes, HEADER, HEADER + RecordLayout.getShort(bytes, SEPARATOR_LENGTH_AT));
  }

  /** The length of the separator of an intact leaf. */
  static int separatorLength(byte[] bytes) {
    return RecordLayout.getShort(bytes, SEPARATOR_LENGTH_AT);
  }

  /** Where the first record of an intact leaf is. */
  static int firstRecord(byte[] bytes) {
    return firstRecord(RecordLayout.getShort(bytes, SEPARATOR_LENGTH_AT));
  }

  /** Up to where the records of an intact leaf are in the order of their keys. */
  static int sortedEnd(byte[] bytes) {
    return RecordLayout.getInt(bytes, SORTED_END_AT);
  }
}
