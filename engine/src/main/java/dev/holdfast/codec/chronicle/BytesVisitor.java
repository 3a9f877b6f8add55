package dev.holdfast.codec.chronicle;

import net.openhft.chronicle.bytes.Bytes;

/**
 * Is shown entries by {@link BytesView#scan}, always in the same two {@code Bytes}.
 *
 * <p><b>Lifetime:</b> they are verified, private copies, the visitor's to read for the time of the
 * call: what it wants to keep it copies.
 */
@FunctionalInterface
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public interface BytesVisitor {
  /**
   * Is shown an entry.
   *
   * @param key its key
   * @param value its value
   * @return whether to go on
   */
  boolean visit(Bytes<?> key, Bytes<?> value);
}
