package dev.holdfast.benchmarks.contender;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * The entries that are measured, and what tells a right value from a wrong one.
 *
 * <p>A value is {@value #VALUE_LENGTH} bytes: the tag of its key, random bytes that do not
 * compress, and at the end the tag plus the value's version. A reader takes the first and the last
 * 8 bytes, which are in different cache lines, and adds them up: that is the value's mark.
 */
public final class Entries {
  /** The bytes of a value. */
  public static final int VALUE_LENGTH = 100;

  /** The mark of an entry that is not there. */
  public static final long NONE = Long.MIN_VALUE;

  /** Where the last 8 bytes of a value begin. */
  static final int LAST_WORD = VALUE_LENGTH - Long.BYTES;

  private static final int FILLER_LENGTH = 1 << 16;
  private static final byte[] FILLER = new byte[FILLER_LENGTH + VALUE_LENGTH];
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
  private static final int ID_MASK = Integer.MAX_VALUE;

  static {
    new SplittableRandom(1).nextBytes(FILLER);
  }

  private Entries() {}

  /** A number ≥ 0 for each index ≥ 0, another for each, in no order. */
  public static int scatteredId(int index) {
    // Each step can be undone within 31 bits, so no two indexes meet.
    int x = index;
    x = (x ^ (x >>> 16)) * 0x45d9f3b & ID_MASK;
    x = (x ^ (x >>> 15)) * 0x2c1b3c6d & ID_MASK;
    return x ^ (x >>> 16);
  }

  /** Writes the key of an id. */
  public static void key(KeyKind kind, int id, byte[] into, int offset) {
    switch (kind) {
      case STRING -> {
        int rest = id;
        for (int at = offset + kind.length() - 1; at >= offset; at--) {
          into[at] = (byte) ('0' + rest % 10);
          rest /= 10;
        }
      }
      case INT -> INT.set(into, offset, id);
    }
  }

  /** The leading bytes of a key as a number whose order without a sign is that of the keys. */
  public static long high(KeyKind kind, byte[] key, int offset) {
    return kind == KeyKind.STRING ? word(key, offset) : (int) INT.get(key, offset) & 0xffff_ffffL;
  }

  /** The bytes of a key behind {@link #high}; 0 if there are none. */
  public static long low(KeyKind kind, byte[] key, int offset) {
    return kind == KeyKind.STRING ? word(key, offset + Long.BYTES) : 0;
  }

  /** What the values of a key begin with. */
  public static long tag(long high, long low) {
    long tag = (high * 0x9e3779b97f4a7c15L ^ low) * 0xbf58476d1ce4e5b9L;
    return tag ^ (tag >>> 29);
  }

  /** Writes the value that a key has in a version. */
  public static void value(long tag, long version, byte[] into, int offset) {
    int from = (int) (tag & (FILLER_LENGTH - 1));
    System.arraycopy(FILLER, from, into, offset, VALUE_LENGTH);
    LONG.set(into, offset, tag);
    LONG.set(into, offset + LAST_WORD, tag + version);
  }

  /** The mark of a value by its first and its last 8 bytes, big-endian. */
  public static long mark(long first, long last) {
    return first + last;
  }

  /** The version of the value that has this mark; nonsense, mostly negative, if it is wrong. */
  public static long version(long tag, long mark) {
    return mark - 2 * tag;
  }

  static long mark(byte[] value) {
    return value.length == VALUE_LENGTH ? mark(word(value, 0), word(value, LAST_WORD)) : NONE;
  }

  static long word(byte[] bytes, int offset) {
    return (long) LONG.get(bytes, offset);
  }
}
