package dev.holdfast.codec;

import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * Turns values of a type into bytes and back. {@link Codecs} has those of common types.
 *
 * <p>What is encoded is decoded to an equal value. A codec that {@linkplain #comparator preserves
 * order} is one for keys that are to be walked over: it encodes equal values, in the sense of its
 * comparator, to equal bytes, and no two others, so that {@code
 * Integer.signum(comparator().compare(a, b))} is the sign of the unsigned lexicographic comparison
 * of {@code encode(a)} and {@code encode(b)}.
 *
 * <p><b>Threads:</b> codecs are used by any number of threads at once.
 *
 * @param <T> the type of the values
 */
public interface Codec<T> {
  /** The {@link #length} of a codec whose encodings differ in length. */
  int VARIABLE = -1;

  /**
   * {@return the bytes of a value, an array that nobody else has}
   *
   * @param value the value
   * @throws IllegalArgumentException if it is a value that this codec has no bytes for
   */
  byte[] encode(T value);

  /**
   * {@return the value of bytes}
   *
   * @param bytes are not kept, and not changed
   * @throws dev.holdfast.error.InvalidEncodingException if they are those of no value
   */
  T decode(byte[] bytes);

  /** {@return the order that the bytes have; null if they have none that values have} */
  @Nullable Comparator<? super T> comparator();

  /** {@return how many bytes every value takes; {@link #VARIABLE} if that depends on the value} */
  default int length() {
    return VARIABLE;
  }
}
