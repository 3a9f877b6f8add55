package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Comparator;

/** {@link Codecs#INSTANT}. */
final class InstantCodec implements Codec<Instant> {
  private static final int LENGTH = Long.BYTES + Integer.BYTES;
  private static final int NANOS_OF_SECOND = 1_000_000_000;

  @Override
  public byte[] encode(Instant value) {
    return ByteBuffer.allocate(LENGTH)
        .putLong(value.getEpochSecond() ^ Long.MIN_VALUE)
        .putInt(value.getNano())
        .array();
  }

  @Override
  public Instant decode(byte[] bytes) {
    if (bytes.length != LENGTH) {
      throw new InvalidEncodingException(
          "instant: expected " + LENGTH + " bytes, was " + bytes.length);
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    long second = buffer.getLong() ^ Long.MIN_VALUE;
    int nano = buffer.getInt();
    if (second < Instant.MIN.getEpochSecond()
        || second > Instant.MAX.getEpochSecond()
        || nano < 0
        || nano >= NANOS_OF_SECOND) {
      throw new InvalidEncodingException(
          "instant: expected one from "
              + Instant.MIN
              + " to "
              + Instant.MAX
              + ", was second "
              + second
              + " and nanosecond "
              + nano);
    }
    return Instant.ofEpochSecond(second, nano);
  }

  @Override
  public Comparator<Instant> comparator() {
    return Comparator.naturalOrder();
  }

  @Override
  public int length() {
    return LENGTH;
  }
}
