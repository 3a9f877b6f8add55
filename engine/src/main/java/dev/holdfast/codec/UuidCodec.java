package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.nio.ByteBuffer;
import java.util.Comparator;
import java.util.UUID;

/** {@link Codecs#UUID}. */
final class UuidCodec implements Codec<UUID> {
  private static final Comparator<UUID> ORDER = UuidCodec::compare;

  @Override
  public byte[] encode(UUID value) {
    return ByteBuffer.allocate(2 * Long.BYTES)
        .putLong(value.getMostSignificantBits())
        .putLong(value.getLeastSignificantBits())
        .array();
  }

  @Override
  public UUID decode(byte[] bytes) {
    if (bytes.length != 2 * Long.BYTES) {
      throw new InvalidEncodingException("UUID: expected 16 bytes, was " + bytes.length);
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    return new UUID(buffer.getLong(), buffer.getLong());
  }

  @Override
  public Comparator<UUID> comparator() {
    return ORDER;
  }

  private static int compare(UUID a, UUID b) {
    int order = Long.compareUnsigned(a.getMostSignificantBits(), b.getMostSignificantBits());
    return order != 0
        ? order
        : Long.compareUnsigned(a.getLeastSignificantBits(), b.getLeastSignificantBits());
  }

  @Override
  public int length() {
    return 2 * Long.BYTES;
  }
}
