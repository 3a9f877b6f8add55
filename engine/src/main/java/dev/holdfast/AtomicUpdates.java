package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.Keys;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.LockSupport;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Reads, modifies and writes the value of a key as one, out of what a map has: a read and writes
 * that depend on the value that was read.
 *
 * <p><b>Threads:</b> any. No lock is held while a function of the user runs.
 */
final class AtomicUpdates {
  /** So often the next round begins at once; then others may go first. */
  private static final int SPINS = 64;

  private static final long PAUSE_NANOS = 1_000;

  private final RawMap map;
  private final Acknowledgement acknowledgement;

  /** Waits until what a key has is as durable as a mode says. */
  @FunctionalInterface
  interface Acknowledgement {
    void await(byte[] key, PersistenceMode mode);
  }

  /** The value that a key had, and the one that it has. */
  @SuppressWarnings("ArrayRecordComponent") // taken apart at once, never compared
  record Update(byte @Nullable [] former, byte @Nullable [] value) {}

  AtomicUpdates(RawMap map, Acknowledgement acknowledgement) {
    this.map = map;
    this.acknowledgement = acknowledgement;
  }

  /**
   * Sets a key to what a function makes of its value.
   *
   * @param function must leave what it is given as it is; where it returns the very same, nothing
   *     is written
   */
  Update update(byte[] key, UnaryOperator<byte @Nullable []> function, PersistenceMode mode) {
    for (int round = 0; ; round++) {
      byte[] former = map.get(key);
      byte[] value = function.apply(former);
      if (isDone(key, former, value, mode)) {
        return new Update(former, value);
      }
      if (round < SPINS) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(PAUSE_NANOS);
      }
    }
  }

  @SuppressWarnings("ReferenceEquality") // the very same is what the function did not change
  private boolean isDone(
      byte[] key, byte @Nullable [] former, byte @Nullable [] value, PersistenceMode mode) {
    if (value == former) {
      acknowledgement.await(key, mode);
      return true;
    }
    if (value != null) {
      return former == null
          ? map.putIfAbsent(key, value, mode)
          : map.replace(key, former, value, mode);
    }
    return former != null && map.remove(key, former, mode);
  }

  /** Adds to a counter; the sum. */
  long add(byte[] key, long delta, PersistenceMode mode) {
    byte[] sum =
        update(key, value -> encoded(Math.addExact(decoded(key, value), delta)), mode).value();
    return decoded(key, sum);
  }

  private static byte[] encoded(long number) {
    return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
  }

  private static long decoded(byte[] key, byte @Nullable [] value) {
    if (value == null) {
      return 0;
    }
    if (value.length != Long.BYTES) {
      throw new IllegalStateException(
          "key "
              + Keys.printable(key)
              + ": expected a counter of "
              + Long.BYTES
              + " bytes, was a value of "
              + value.length);
    }
    return ByteBuffer.wrap(value).getLong();
  }
}
