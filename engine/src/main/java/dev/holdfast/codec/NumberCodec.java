package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.util.Comparator;
import java.util.function.LongFunction;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * A codec of values that are up to 8 bytes, the most significant one first, so arranged that their
 * order is that of numbers without a sign.
 *
 * @param what what the values are, for people
 * @param length the bytes of each
 * @param toBits the bits of a value, in the lowest bytes
 * @param ofBits the value of bits; null if they are those of none
 */
record NumberCodec<T extends Comparable<T>>(
    String what, int length, ToLongFunction<T> toBits, LongFunction<@Nullable T> ofBits)
    implements Codec<T> {
  @Override
  public byte[] encode(T value) {
    byte[] bytes = new byte[length];
    long bits = toBits.applyAsLong(value);
    for (int at = length - 1; at >= 0; at--, bits >>>= Byte.SIZE) {
      bytes[at] = (byte) bits;
    }
    return bytes;
  }

  @Override
  public T decode(byte[] bytes) {
    if (bytes.length != length) {
      throw new InvalidEncodingException(
          what + ": expected " + length + " bytes, was " + bytes.length);
    }
    long bits = 0;
    for (byte each : bytes) {
      bits = bits << Byte.SIZE | Byte.toUnsignedLong(each);
    }
    T value = ofBits.apply(bits);
    if (value == null) {
      throw new InvalidEncodingException(
          what + ": expected the bits of a value, was 0x" + Long.toHexString(bits));
    }
    return value;
  }

  @Override
  public Comparator<T> comparator() {
    return Comparator.naturalOrder();
  }
}
