package dev.holdfast.codec.chronicle;

import dev.holdfast.codec.Codec;
import java.util.Comparator;
import net.openhft.chronicle.bytes.Bytes;

/**
 * A codec of Chronicle {@code Bytes}: those that can be read of them, which stay to be read. It
 * preserves their unsigned lexicographic order. What is decoded lies on the heap, is nobody else's,
 * and need not be released.
 */
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public final class BytesCodec implements Codec<Bytes<?>> {
  private static final BytesCodec CODEC = new BytesCodec();
  private static final Comparator<Bytes<?>> ORDER = BytesCodec::compare;

  private BytesCodec() {}

  /** {@return the codec} */
  public static BytesCodec of() {
    return CODEC;
  }

  @Override
  public byte[] encode(Bytes<?> value) {
    return value.toByteArray();
  }

  @Override
  public Bytes<?> decode(byte[] bytes) {
    return Bytes.wrapForRead(bytes.clone());
  }

  @Override
  public Comparator<Bytes<?>> comparator() {
    return ORDER;
  }

  private static int compare(Bytes<?> a, Bytes<?> b) {
    long most = Math.min(a.readRemaining(), b.readRemaining());
    for (long i = 0; i < most; i++) {
      int order =
          Integer.compare(
              a.readUnsignedByte(a.readPosition() + i), b.readUnsignedByte(b.readPosition() + i));
      if (order != 0) {
        return order;
      }
    }
    return Long.compare(a.readRemaining(), b.readRemaining());
  }
}
