package dev.holdfast.codec.chronicle;

import dev.holdfast.codec.Codec;
import dev.holdfast.error.InvalidEncodingException;
import java.nio.BufferOverflowException;
import java.nio.BufferUnderflowException;
import java.util.Comparator;
import java.util.function.Supplier;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.bytes.BytesMarshallable;
import net.openhft.chronicle.core.io.IORuntimeException;
import org.jspecify.annotations.Nullable;

/**
 * A codec of what marshals itself to Chronicle {@code Bytes}. It preserves no order, so that it is
 * one for values.
 *
 * @param <T> the type of the values
 */
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public final class MarshallableCodec<T extends BytesMarshallable> implements Codec<T> {
  private final Supplier<? extends T> fresh;

  private MarshallableCodec(Supplier<? extends T> fresh) {
    this.fresh = fresh;
  }

  /**
   * {@return a codec of a type}
   *
   * @param <T> the type
   * @param fresh makes a value that is then read into
   */
  public static <T extends BytesMarshallable> MarshallableCodec<T> of(Supplier<? extends T> fresh) {
    return new MarshallableCodec<>(fresh);
  }

  @Override
  public byte[] encode(T value) {
    Bytes<byte[]> bytes = Bytes.allocateElasticOnHeap();
    try {
      value.writeMarshallable(bytes);
      return bytes.toByteArray();
    } finally {
      bytes.releaseLast();
    }
  }

  @Override
  public T decode(byte[] encoded) {
    // A copy: what reads itself may keep the bytes.
    Bytes<?> bytes = Bytes.wrapForRead(encoded.clone());
    try {
      T value = fresh.get();
      value.readMarshallable(bytes);
      if (bytes.readRemaining() != 0) {
        throw new InvalidEncodingException(
            value.getClass().getName()
                + ": expected it to read "
                + encoded.length
                + " bytes, read "
                + (encoded.length - bytes.readRemaining()));
      }
      return value;
    } catch (IORuntimeException
        | BufferUnderflowException
        | BufferOverflowException
        | IllegalArgumentException
        | IllegalStateException
        | IndexOutOfBoundsException e) {
      throw new InvalidEncodingException(
          "expected what "
              + fresh.get().getClass().getName()
              + " reads, was "
              + encoded.length
              + " other bytes",
          e);
    } finally {
      bytes.releaseLast();
    }
  }

  @Override
  public @Nullable Comparator<? super T> comparator() {
    return null;
  }
}
