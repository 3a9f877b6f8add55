package dev.holdfast;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;

/**
 * The parts of a dump, as {@code docs/dump.md} has them.
 *
 * <pre>
 *  0      1        9        13                    13 + length
 *  +------+--------+--------+---------------------+---------+
 *  | type | number | length | payload             | CRC32C  |
 *  +------+--------+--------+---------------------+---------+
 * </pre>
 *
 * Little endian. The checksum is over the id of the dump, then all that stands before it.
 */
final class DumpFormat {
  static final byte[] MAGIC = "HOLDFAST".getBytes(StandardCharsets.US_ASCII);
  static final int VERSION = 1;

  /** Of a dump that has named maps. */
  static final int VERSION_WITH_MAPS = 2;

  static final int HEAD = 1;
  static final int ENTRY = 2;
  static final int MORE = 3;
  static final int END = 4;
  static final int MAP = 5;

  static final int PLAIN = 0;
  static final int EXPIRING = 1;

  /** Type, number and length. */
  static final int FRAME_HEAD = 13;

  static final int SUM = 4;

  /** The most bytes of a payload. */
  static final int PAYLOAD_MOST = 64 << 10;

  /** The begin: magic, version, id. */
  static final int BEGIN = 8 + 4 + 16;

  static final int ID_AT = 12;
  static final int ID = 16;

  /** In front of key and value: their lengths. */
  static final int ENTRY_HEAD = 2 + 4;

  static final int END_PAYLOAD = 16;

  private DumpFormat() {}

  static int sum(byte[] id, byte[] frame, int length) {
    CRC32C crc = new CRC32C();
    crc.update(id, 0, ID);
    crc.update(frame, 0, length);
    return (int) crc.getValue();
  }
}
