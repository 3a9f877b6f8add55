package dev.holdfast.tree;

/**
 * The short form of a record, for leaves that are written as full as they can be. What can be known
 * without it is left out: the begin of the key that it has in common with the first key of its
 * leaf's range, and the sequence, which is the generation of the leaf.
 *
 * <pre>
 *  0         4                6                8
 *  +---------+----------------+----------------+----------------+-----------+
 *  | CRC32C, | key length 13, | value length   | rest of the    | value, or |
 *  | placed  | prefix, lower  | 11, prefix,    | key            | blob list |
 *  |         | 3 bits         | upper 3 bits,  |                |           |
 *  |         |                | large, packed  |                |           |
 *  +---------+----------------+----------------+----------------+-----------+
 * </pre>
 *
 * The key length is that of the whole key; <em>prefix</em> says how many bytes of it are left out.
 * The record begins on {@value #GRANULE} bytes and is padded with zeros to as many. Its checksum is
 * that of the record in its ordinary form ({@link RecordLayout}), placed where the short form lies:
 * so it also covers what is left out, and both forms are checked alike.
 *
 * <p>In memory a record always has its ordinary form: whoever reads the short one makes it that
 * first. Only values are written so, of which no older version is kept: each the newest of its key,
 * with a sequence lower than the generation, and no pin older than that.
 */
final class PackedLayout {
  static final int GRANULE = 4;

  static final int HEADER = 8;

  /** The most that is left out of a key. */
  static final int MAX_PREFIX = Leaves.PREFIX_BYTES;

  private static final int LENGTHS_AT = 4;
  private static final int VALUE_LENGTH_AT = 6;

  private static final int KEY_LENGTH_MASK = 0x1fff;
  private static final int KEY_LENGTH_BITS = 13;
  private static final int VALUE_LENGTH_MASK = 0x7ff;
  private static final int VALUE_LENGTH_BITS = 11;
  private static final int PREFIX_PART_BITS = 3;
  private static final int PREFIX_PART_MASK = 7;
  private static final int LARGE = 0x4000;

  /** No ordinary record has a value of such a length. */
  private static final int PACKED = 0x8000;

  private PackedLayout() {}

  /** Whether what begins here has the short form, if it is a record. */
  static boolean isPacked(byte[] bytes, int at) {
    return (RecordLayout.getShort(bytes, at + VALUE_LENGTH_AT) & PACKED) != 0;
  }

  /** The bytes that a record takes in the short form. */
  static int size(int keyLength, int prefix, int inlineLength) {
    return round(HEADER + keyLength - prefix + inlineLength);
  }

  /** The same for a record in its ordinary form. */
  static int sizeOf(byte[] bytes, int at, int prefix) {
    return size(RecordLayout.keyLength(bytes, at), prefix, RecordLayout.inlineLength(bytes, at));
  }

  private static int round(int bytes) {
    return (bytes + GRANULE - 1) & -GRANULE;
  }

  static int keyLength(byte[] bytes, int at) {
    return RecordLayout.getShort(bytes, at + LENGTHS_AT) & KEY_LENGTH_MASK;
  }

  private static int inlineLength(byte[] bytes, int at) {
    return RecordLayout.getShort(bytes, at + VALUE_LENGTH_AT) & VALUE_LENGTH_MASK;
  }

  /** How many bytes of the key are left out. */
  static int prefix(byte[] bytes, int at) {
    int low = RecordLayout.getShort(bytes, at + LENGTHS_AT) >>> KEY_LENGTH_BITS;
    int high =
        RecordLayout.getShort(bytes, at + VALUE_LENGTH_AT) >>> VALUE_LENGTH_BITS & PREFIX_PART_MASK;
    return high << PREFIX_PART_BITS | low;
  }

  /** The bytes that a record in the short form takes. */
  static int size(byte[] bytes, int at) {
    return size(keyLength(bytes, at), prefix(bytes, at), inlineLength(bytes, at));
  }

  /** The same by its first word, if that says that it has the short form; never less than 0. */
  static int sizeBy(long firstWord) {
    int lengths = (int) (firstWord >>> 32);
    int low = lengths >>> KEY_LENGTH_BITS & PREFIX_PART_MASK;
    int high = lengths >>> (16 + VALUE_LENGTH_BITS) & PREFIX_PART_MASK;
    int prefix = high << PREFIX_PART_BITS | low;
    int keyLength = Math.max(prefix, lengths & KEY_LENGTH_MASK);
    return size(keyLength, prefix, lengths >>> 16 & VALUE_LENGTH_MASK);
  }

  /** Whether a first word says that its record has the short form. */
  static boolean isPacked(long firstWord) {
    return firstWord < 0;
  }

  /** Whether the lengths could be those of a record that ends before {@code limit}. */
  static boolean isPlausible(byte[] bytes, int at, int limit) {
    if (limit - at < HEADER) {
      return false;
    }
    int keyLength = keyLength(bytes, at);
    return isPacked(bytes, at)
        && keyLength > 0
        && keyLength <= RecordLayout.MAX_KEY
        && prefix(bytes, at) <= Math.min(keyLength, MAX_PREFIX)
        && inlineLength(bytes, at) <= RecordLayout.INLINE_LIMIT
        && size(bytes, at) <= limit - at;
  }

  /** Makes the short form of a record that is sealed for the place of its short form. */
  static void pack(byte[] from, int at, byte[] to, int toAt, int prefix) {
    int keyLength = RecordLayout.keyLength(from, at);
    int inlineLength = RecordLayout.inlineLength(from, at);
    int size = size(keyLength, prefix, inlineLength);
    int large = RecordLayout.type(from, at) == RecordLayout.BLOB ? LARGE : 0;
    RecordLayout.putInt(to, toAt, RecordLayout.getInt(from, at));
    RecordLayout.putShort(
        to, toAt + LENGTHS_AT, keyLength | (prefix & PREFIX_PART_MASK) << KEY_LENGTH_BITS);
    RecordLayout.putShort(
        to,
        toAt + VALUE_LENGTH_AT,
        inlineLength | prefix >>> PREFIX_PART_BITS << VALUE_LENGTH_BITS | large | PACKED);
    int rest = keyLength - prefix + inlineLength;
    System.arraycopy(from, RecordLayout.keyAt(at) + prefix, to, toAt + HEADER, rest);
    for (int i = toAt + HEADER + rest; i < toAt + size; i++) {
      to[i] = 0;
    }
  }

  /**
   * Makes the ordinary form of a plausible record: it is right if its checksum is.
   *
   * @param to may be {@code from}, and {@code toAt} {@code at}
   * @param common has at least as many bytes as are left out of the key
   */
  static void unpack(byte[] from, int at, byte[] to, int toAt, byte[] common, long generation) {
    int checksum = RecordLayout.getInt(from, at);
    int keyLength = keyLength(from, at);
    int inlineLength = inlineLength(from, at);
    int prefix = prefix(from, at);
    boolean isLarge = (RecordLayout.getShort(from, at + VALUE_LENGTH_AT) & LARGE) != 0;
    int rest = keyLength - prefix + inlineLength;
    System.arraycopy(from, at + HEADER, to, RecordLayout.keyAt(toAt) + prefix, rest);
    int type = isLarge ? RecordLayout.BLOB : RecordLayout.VALUE;
    RecordLayout.begin(to, toAt, common, prefix, inlineLength, generation, type);
    RecordLayout.keyLength(to, toAt, keyLength);
    RecordLayout.sealAs(to, toAt, checksum);
  }
}
