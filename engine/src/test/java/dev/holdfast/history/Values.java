package dev.holdfast.history;

import java.nio.ByteBuffer;

/** Values that tell their number by their first bytes, and by each further byte whether it fits. */
final class Values {
  static final int SHORTEST = 12;

  private Values() {}

  static byte[] of(long number, int length) {
    ByteBuffer bytes = ByteBuffer.allocate(Math.max(SHORTEST, length));
    bytes.putLong(number).putInt(bytes.capacity());
    for (int at = SHORTEST; at < bytes.capacity(); at++) {
      bytes.put(filler(number, at));
    }
    return bytes.array();
  }

  private static byte filler(long number, int at) {
    return (byte) (number * 31 + at * 7L + (at >>> 8));
  }

  /** The number of a value, every byte of which is looked at. */
  static long number(byte[] value) {
    ByteBuffer bytes = ByteBuffer.wrap(value);
    if (value.length < SHORTEST || bytes.getInt(Long.BYTES) != value.length) {
      throw new AssertionError("a value of " + value.length + " bytes that nobody wrote");
    }
    long number = bytes.getLong(0);
    for (int at = SHORTEST; at < value.length; at++) {
      if (value[at] != filler(number, at)) {
        throw new AssertionError("value " + Long.toHexString(number) + ": wrong byte at " + at);
      }
    }
    return number;
  }
}
