package dev.holdfast.tree;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * A record on the device. It begins on a granule of {@value #GRANULE} bytes, is appended to its
 * leaf and never changed.
 *
 * <pre>
 *  0         4                6              8                  16
 *  +---------+----------------+--------------+------------------+---------+-----------+
 *  | CRC32C, | key length 13, | value length | sequence 56 bits | key     | value, or |
 *  | placed  | flags 3 bits   |              | type 8 bits      |         | blob list |
 *  +---------+----------------+--------------+------------------+---------+-----------+
 *            |&lt;------------------ covered by the checksum ---------------------------&gt;|
 * </pre>
 *
 * The lowest flag says that the record was written by a batch; the others are zero. The checksum is
 * combined, by exclusive or, with a hash of where the record belongs: the store's secret, the
 * offset, the generation of the leaf. So neither bytes of a value, nor a record of another place,
 * nor one of the leaf's former life pass for a record; and moving a record does not take a second
 * pass over its bytes.
 *
 * <p>On the device a record may have a shorter form, see {@link PackedLayout}; in memory it has
 * this one.
 */
final class RecordLayout {
  static final int GRANULE = 8;

  /** Slots of the point index address records in units of so many bytes. */
  static final int UNIT_SHIFT = 2;

  static final int HEADER = 16;

  /** The longest key, with what the store puts in front of the user's. */
  static final int MAX_KEY = 4096 + 8;

  /** Longer values lie in extents of their own, and the record says where. */
  static final int INLINE_LIMIT = 1536;

  /** The most extents that a value has. */
  static final int MAX_EXTENTS = 64;

  /** The bytes of a record at most, in whole granules. */
  static final int MAX_RECORD = round(HEADER + MAX_KEY + INLINE_LIMIT);

  static final int VALUE = 1;
  static final int BLOB = 2;
  static final int TOMBSTONE = 3;

  private static final int KEY_LENGTH_MASK = 0x1fff;

  /**
   * Before this record something of its leaf was overwritten or removed, see {@link LeafDamage}.
   */
  private static final int AFTER_OVERWRITE = 0x8000;

  /** A newer record of the same key was written to the leaf before this one: only pins need it. */
  private static final int OLD = 0x4000;

  /** Flag: written by a batch, see {@link #isOfBatch}. */
  private static final int OF_BATCH = 0x2000;

  private static final int CRC_AT = 0;
  private static final int KEY_LENGTH_AT = 4;
  private static final int VALUE_LENGTH_AT = 6;
  private static final int SEQUENCE_AT = 8;
  private static final int TYPE_BITS = 8;

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);

  private RecordLayout() {}

  /** What a slot of the point index says of a record at an offset of the volume. */
  static long address(long offset) {
    return offset >>> UNIT_SHIFT;
  }

  /** Where the record lies that a slot of the point index leads to. */
  static long offsetOf(long address) {
    return address << UNIT_SHIFT;
  }

  static int round(int bytes) {
    return (bytes + GRANULE - 1) & -GRANULE;
  }

  /** The bytes that a record takes, in whole granules. */
  static int size(int keyLength, int inlineLength) {
    return round(HEADER + keyLength + inlineLength);
  }

  // ---------------------------------------------------------------- fields of a record in memory

  static int keyLength(byte[] bytes, int at) {
    return getShort(bytes, at + KEY_LENGTH_AT) & KEY_LENGTH_MASK;
  }

  static int inlineLength(byte[] bytes, int at) {
    return getShort(bytes, at + VALUE_LENGTH_AT);
  }

  static int keyAt(int at) {
    return at + HEADER;
  }

  static int inlineAt(byte[] bytes, int at) {
    return at + HEADER + keyLength(bytes, at);
  }

  static long sequence(byte[] bytes, int at) {
    return getLong(bytes, at + SEQUENCE_AT) >>> TYPE_BITS;
  }

  static int type(byte[] bytes, int at) {
    return bytes[at + SEQUENCE_AT] & 0xff;
  }

  /** Whether a record is one of several that count together or not at all. */
  static boolean isOfBatch(byte[] bytes, int at) {
    return (getShort(bytes, at + KEY_LENGTH_AT) & OF_BATCH) != 0;
  }

  /** The bytes of a record without its padding. */
  static int used(byte[] bytes, int at) {
    return HEADER + keyLength(bytes, at) + inlineLength(bytes, at);
  }

  static int size(byte[] bytes, int at) {
    return round(used(bytes, at));
  }

  /** The bytes that a record takes where it lies, in either form, by its first word. */
  static int sizeBy(long firstWord) {
    if (PackedLayout.isPacked(firstWord)) {
      return PackedLayout.sizeBy(firstWord);
    }
    return round(
        HEADER
            + ((int) (firstWord >>> 32) & KEY_LENGTH_MASK)
            + ((int) (firstWord >>> 48) & 0xffff));
  }

  /**
   * Whether the lengths and the type could be those of a record that ends before {@code limit};
   * what may be garbage is asked this before anything else.
   */
  static boolean isPlausible(byte[] bytes, int at, int limit) {
    if (limit - at < HEADER) {
      return false;
    }
    int flags =
        getShort(bytes, at + KEY_LENGTH_AT) & ~(KEY_LENGTH_MASK | AFTER_OVERWRITE | OLD | OF_BATCH);
    int keyLength = keyLength(bytes, at);
    int type = type(bytes, at);
    return flags == 0
        && keyLength > 0
        && keyLength <= MAX_KEY
        && inlineLength(bytes, at) <= INLINE_LIMIT
        && type >= VALUE
        && type <= TOMBSTONE
        && size(bytes, at) <= limit - at;
  }

  // ---------------------------------------------------------------- making and checking

  /**
   * Begins a record: the header but for the checksum, and the key. The value goes to {@link
   * #inlineAt}.
   */
  static void begin(
      byte[] out, int at, byte[] key, int keyLength, int inlineLength, long sequence, int type) {
    SHORT.set(out, at + KEY_LENGTH_AT, (short) keyLength);
    SHORT.set(out, at + VALUE_LENGTH_AT, (short) inlineLength);
    LONG.set(out, at + SEQUENCE_AT, sequence << TYPE_BITS | type);
    System.arraycopy(key, 0, out, at + HEADER, keyLength);
  }

  /** Says of a record that is being made that something was overwritten before. */
  static void markAfterOverwrite(byte[] out, int at) {
    SHORT.set(
        out, at + KEY_LENGTH_AT, (short) (getShort(out, at + KEY_LENGTH_AT) | AFTER_OVERWRITE));
  }

  /** Whether something of the leaf was overwritten or removed before the record was appended. */
  static boolean isAfterOverwrite(byte[] bytes, int at) {
    return (getShort(bytes, at + KEY_LENGTH_AT) & AFTER_OVERWRITE) != 0;
  }

  static void markOld(byte[] out, int at) {
    SHORT.set(out, at + KEY_LENGTH_AT, (short) (getShort(out, at + KEY_LENGTH_AT) | OLD));
  }

  /** Whether the leaf was written with a newer record of the same key. */
  static boolean isOld(byte[] bytes, int at) {
    return (getShort(bytes, at + KEY_LENGTH_AT) & OLD) != 0;
  }

  /** Gives a record that was begun the sequence of its batch. */
  static void ofBatch(byte[] out, int at, long sequence) {
    SHORT.set(out, at + KEY_LENGTH_AT, (short) (keyLength(out, at) | OF_BATCH));
    LONG.set(out, at + SEQUENCE_AT, sequence << TYPE_BITS | type(out, at));
  }

  /** Changes the length of what is behind the key of a record that was begun. */
  static void inlineLength(byte[] out, int at, int length) {
    SHORT.set(out, at + VALUE_LENGTH_AT, (short) length);
  }

  /** Changes the length of the key of a record that was begun; it has no flags then. */
  static void keyLength(byte[] out, int at, int length) {
    SHORT.set(out, at + KEY_LENGTH_AT, (short) length);
  }

  /** Takes the flags off a record, and gives it another sequence. */
  static void renew(byte[] out, int at, long sequence) {
    keyLength(out, at, keyLength(out, at));
    LONG.set(out, at + SEQUENCE_AT, sequence << TYPE_BITS | type(out, at));
  }

  /** Ends a record: its padding and its checksum. */
  static void seal(byte[] out, int at, CRC32C crc, int place) {
    pad(out, at);
    INT.set(out, at + CRC_AT, checksum(out, at, crc) ^ place);
  }

  /** Ends a record whose checksum is known. */
  static void sealAs(byte[] out, int at, int placedChecksum) {
    pad(out, at);
    INT.set(out, at + CRC_AT, placedChecksum);
  }

  private static void pad(byte[] out, int at) {
    int used = used(out, at);
    for (int i = at + used; i < at + round(used); i++) {
      out[i] = 0;
    }
  }

  /** Makes the checksum that of another place; the record's was right at {@code from}. */
  static void move(byte[] bytes, int at, int from, int to) {
    INT.set(bytes, at + CRC_AT, getInt(bytes, at + CRC_AT) ^ from ^ to);
  }

  /** Whether the checksum of a plausible record is right. */
  static boolean isIntact(byte[] bytes, int at, CRC32C crc, int place) {
    return (checksum(bytes, at, crc) ^ place) == getInt(bytes, at + CRC_AT);
  }

  /** Of all but itself, the padding included: what is checked can be compared between legs. */
  private static int checksum(byte[] bytes, int at, CRC32C crc) {
    crc.reset();
    crc.update(bytes, at + KEY_LENGTH_AT, size(bytes, at) - KEY_LENGTH_AT);
    return (int) crc.getValue();
  }

  /**
   * What a place adds to the checksums there.
   *
   * <p><b>Source:</b> the finalizer of SplitMix64: G. L. Steele et al., Fast Splittable
   * Pseudorandom Number Generators, OOPSLA 2014.
   */
  static int place(long secret, long offset, long generation) {
    long z = secret ^ mix(offset + 0x9E3779B97F4A7C15L * generation);
    return (int) mix(z);
  }

  private static long mix(long value) {
    long z = value;
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /** The check bits of a slot, from the whole sequence. */
  static int check(long sequence) {
    return (int) (mix(sequence) >>> (Long.SIZE - PointIndex.CHECK_BITS));
  }

  // ---------------------------------------------------------------- words in memory

  static int getShort(byte[] bytes, int at) {
    return (short) SHORT.get(bytes, at) & 0xffff;
  }

  static void putShort(byte[] bytes, int at, int value) {
    SHORT.set(bytes, at, (short) value);
  }

  static int getInt(byte[] bytes, int at) {
    return (int) INT.get(bytes, at);
  }

  static void putInt(byte[] bytes, int at, int value) {
    INT.set(bytes, at, value);
  }

  static long getLong(byte[] bytes, int at) {
    return (long) LONG.get(bytes, at);
  }

  static void putLong(byte[] bytes, int at, long value) {
    LONG.set(bytes, at, value);
  }
}
