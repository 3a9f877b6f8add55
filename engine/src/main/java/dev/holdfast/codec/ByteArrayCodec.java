package dev.holdfast.codec;

import java.util.Arrays;
import java.util.Comparator;

/** {@link Codecs#BYTES}. */
final class ByteArrayCodec implements Codec<byte[]> {
  private static final Comparator<byte[]> ORDER = Arrays::compareUnsigned;

  @Override
  public byte[] encode(byte[] value) {
    return value.clone();
  }

  @Override
  public byte[] decode(byte[] bytes) {
    return bytes.clone();
  }

  @Override
  public Comparator<byte[]> comparator() {
    return ORDER;
  }
}
