package dev.holdfast;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;

/**
 * How an entry of an {@link ExpiringMap} is stored: its deadline, in milliseconds since 1970, 8
 * bytes with the most significant one first, and behind it the value.
 */
final class Expiry {
  /** The bytes in front of the value. */
  static final int HEADER = Long.BYTES;

  /** The deadline of what never expires. */
  static final long NEVER = Long.MAX_VALUE;

  private Expiry() {}

  static byte[] encode(long deadline, byte[] value) {
    if (value.length > Store.MAX_VALUE_LENGTH - HEADER) {
      throw new IllegalArgumentException(
          "value: expected at most "
              + (Store.MAX_VALUE_LENGTH - HEADER)
              + " bytes in an expiring map, was "
              + value.length);
    }
    byte[] stored = new byte[HEADER + value.length];
    ByteBuffer.wrap(stored).putLong(deadline);
    System.arraycopy(value, 0, stored, HEADER, value.length);
    return stored;
  }

  static long deadline(byte[] stored) {
    return stored.length < HEADER ? NEVER : ByteBuffer.wrap(stored).getLong();
  }

  static byte[] value(byte[] stored) {
    return stored.length < HEADER ? stored : Arrays.copyOfRange(stored, HEADER, stored.length);
  }

  static boolean isLive(byte[] stored, long now) {
    return now < deadline(stored);
  }

  static boolean isLive(byte[] block, int at, int length, long now) {
    return length < HEADER || now < ByteBuffer.wrap(block).getLong(at);
  }

  /** The deadline of what lives some time longer. */
  static long after(long now, Duration timeToLive) {
    if (timeToLive.isNegative() || timeToLive.isZero()) {
      throw new IllegalArgumentException("time to live: expected more than 0, was " + timeToLive);
    }
    try {
      // A part of a millisecond is none less.
      return Math.addExact(now, timeToLive.plusNanos(999_999).toMillis());
    } catch (ArithmeticException e) {
      return NEVER;
    }
  }

  static long of(Instant deadline) {
    try {
      return deadline.toEpochMilli();
    } catch (ArithmeticException e) {
      return deadline.isAfter(Instant.EPOCH) ? NEVER : Long.MIN_VALUE;
    }
  }

  static Instant instant(long deadline) {
    return deadline == NEVER ? Instant.MAX : Instant.ofEpochMilli(deadline);
  }
}
