package dev.holdfast.codec.chronicle;

import net.openhft.chronicle.bytes.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * The body of a scoped read.
 *
 * @param <R> what it makes of the value
 */
@FunctionalInterface
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public interface BytesReader<R extends @Nullable Object> {
  /**
   * <b>Lifetime:</b> {@code value} is a verified, private copy, valid until this returns; keep
   * nothing of it: it has other bytes then.
   *
   * @param value the value
   * @return what it made of the value
   */
  R read(Bytes<?> value);
}
