package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Comparator;

/**
 * {@link Codecs#BIG_INTEGER}: the number of bytes, negative for a negative number, then those of
 * {@link BigInteger#toByteArray}. Of two numbers of the same sign and length these are in order.
 */
final class BigIntegerCodec implements Codec<BigInteger> {
  @Override
  public byte[] encode(BigInteger value) {
    byte[] bits = value.toByteArray();
    return ByteBuffer.allocate(Integer.BYTES + bits.length)
        .putInt((value.signum() < 0 ? -bits.length : bits.length) ^ Integer.MIN_VALUE)
        .put(bits)
        .array();
  }

  @Override
  public BigInteger decode(byte[] bytes) {
    if (bytes.length > Integer.BYTES) {
      BigInteger value = new BigInteger(bytes, Integer.BYTES, bytes.length - Integer.BYTES);
      if (Arrays.equals(encode(value), bytes)) {
        return value;
      }
    }
    throw new InvalidEncodingException(
        "integer: expected its length and as few bytes as it needs, was "
            + bytes.length
            + " bytes that are not");
  }

  @Override
  public Comparator<BigInteger> comparator() {
    return Comparator.naturalOrder();
  }
}
