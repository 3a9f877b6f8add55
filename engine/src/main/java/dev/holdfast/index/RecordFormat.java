package dev.holdfast.index;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * A record on the device. It begins on a granule; nothing else does that validates.
 *
 * <pre>
 *  0       4           8          16      20        24          28         48      48+k
 *  +-------+-----------+----------+-------+---------+-----------+----------+-------+-------+
 *  | magic | head CRC  | sequence | key   | value   | value CRC | reserved | key   | value |
 *  |       |           |          | length| length  |           | (zero)   |       |       |
 *  +-------+-----------+----------+-------+---------+-----------+----------+-------+-------+
 *                      |&lt;------------ covered by the head CRC ------------------->|
 * </pre>
 *
 * The head CRC begins with the store's secret and the record's offset: neither bytes of a value nor
 * a write that went to another place pass for a record. A record that is overwritten or removed is
 * freed by a head of its own, with another magic and no key.
 */
final class RecordFormat {
  /** Records begin at multiples of this. */
  static final int GRANULE = 64;

  static final int HEADER_LENGTH = 48;
  static final int RECORD_MAGIC = 0x43455248; // "HREC"
  static final int FREED_MAGIC = 0x45524648; // "HFRE"

  static final int MAGIC_AT = 0;
  static final int CRC_AT = 4;
  static final int SEQUENCE_AT = 8;
  static final int KEY_LENGTH_AT = 16;
  static final int VALUE_LENGTH_AT = 20;
  static final int VALUE_CRC_AT = 24;

  static {
    assert HEADER_LENGTH % Long.BYTES == 0 : "a head is whole words";
  }

  private RecordFormat() {}

  /** The bytes that a record takes, in whole granules. */
  static long extentLength(int keyLength, int valueLength) {
    return (HEADER_LENGTH + (long) keyLength + valueLength + GRANULE - 1) / GRANULE * GRANULE;
  }

  /** Makes the head of a record: header and key. */
  static byte[] head(
      long secret, long offset, long sequence, byte[] key, int valueLength, int valueCrc) {
    ByteBuffer head =
        ByteBuffer.allocate(HEADER_LENGTH + key.length).order(ByteOrder.LITTLE_ENDIAN);
    head.putInt(MAGIC_AT, RECORD_MAGIC);
    head.putLong(SEQUENCE_AT, sequence);
    head.putInt(KEY_LENGTH_AT, key.length);
    head.putInt(VALUE_LENGTH_AT, valueLength);
    head.putInt(VALUE_CRC_AT, valueCrc);
    head.put(HEADER_LENGTH, key);
    head.putInt(CRC_AT, headCrc(secret, offset, head.array(), 0, head.capacity()));
    return head.array();
  }

  /** Makes the head that frees a record. */
  static byte[] freed(long secret, long offset, long sequence) {
    ByteBuffer head = ByteBuffer.allocate(HEADER_LENGTH).order(ByteOrder.LITTLE_ENDIAN);
    head.putInt(MAGIC_AT, FREED_MAGIC);
    head.putLong(SEQUENCE_AT, sequence);
    head.putInt(CRC_AT, headCrc(secret, offset, head.array(), 0, HEADER_LENGTH));
    return head.array();
  }

  static int headCrc(long secret, long offset, byte[] bytes, int at, int length) {
    CRC32C crc = new CRC32C();
    byte[] seed = new byte[3 * Long.BYTES];
    ByteBuffer.wrap(seed)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(secret)
        .putLong(offset)
        .putInt(getInt(bytes, at + MAGIC_AT));
    crc.update(seed);
    crc.update(bytes, at + SEQUENCE_AT, length - SEQUENCE_AT);
    return (int) crc.getValue();
  }

  static int crc(byte[] bytes, int at, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, at, length);
    return (int) crc.getValue();
  }

  static int getInt(byte[] bytes, int at) {
    return (bytes[at] & 0xff)
        | (bytes[at + 1] & 0xff) << 8
        | (bytes[at + 2] & 0xff) << 16
        | (bytes[at + 3] & 0xff) << 24;
  }

  static long getLong(byte[] bytes, int at) {
    return (getInt(bytes, at) & 0xffffffffL) | (long) getInt(bytes, at + Integer.BYTES) << 32;
  }
}
