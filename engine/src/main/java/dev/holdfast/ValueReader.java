package dev.holdfast;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The body of a scoped read.
 *
 * @param <R> what it makes of the value
 */
@FunctionalInterface
public interface ValueReader<R extends @Nullable Object> {
  /**
   * <b>Lifetime:</b> {@code value} is a verified, private, read-only copy, valid until this
   * returns; keep nothing of it.
   *
   * @param value the value
   * @return what it made of the value
   */
  R read(MemorySegment value);
}
