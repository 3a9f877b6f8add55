package dev.holdfast.benchmarks;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * The entries that a benchmark writes, and its own ledger of what was acknowledged: what the store
 * returns is judged by this and by nothing that the store says.
 *
 * <p>A value is its entry's index and version (8 bytes each) and then a piece of a random block
 * that both of them choose, 16 to 2,048 bytes in all, every length as likely. Keys are 16 bytes in
 * random order.
 *
 * <p><b>Threads:</b> many may read, one at a time may write an entry.
 */
final class Dataset {
  static final int KEY_LENGTH = 16;
  static final int MIN_VALUE_LENGTH = 16;
  static final int MAX_VALUE_LENGTH = 2048;

  private static final int BLOCK_LENGTH = 1 << 20;
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final long seed;
  private final byte[] block = new byte[BLOCK_LENGTH];
  private final int entries;
  private final long bytes;

  /** The version of the last put that began. */
  private final AtomicLongArray attempted;

  /** The version of the last put that returned. */
  private final AtomicLongArray acknowledged;

  /** As many entries as make up {@code size} bytes of values in their first version. */
  Dataset(ByteSize size, long seed) {
    this.seed = seed;
    new SplittableRandom(seed).nextBytes(block);
    long total = 0;
    int count = 0;
    while (total < size.bytes()) {
      total += valueLength(count, 1);
      count = Math.incrementExact(count);
    }
    this.entries = count;
    this.bytes = total;
    this.attempted = new AtomicLongArray(count);
    this.acknowledged = new AtomicLongArray(count);
  }

  int entries() {
    return entries;
  }

  /** The bytes of all values in their first version. */
  long bytes() {
    return bytes;
  }

  /** Writes the key of an entry. */
  void key(int index, byte[] into) {
    // The hash spreads the keys, the index keeps them apart.
    LONG.set(into, 0, mix(seed + index));
    LONG.set(into, 8, (long) index);
  }

  /** The index of the entry that has a key; empty if none has. */
  OptionalInt indexOf(byte[] key) {
    if (key.length != KEY_LENGTH) {
      return OptionalInt.empty();
    }
    long index = (long) LONG.get(key, 8);
    boolean isOne = index >= 0 && index < entries && (long) LONG.get(key, 0) == mix(seed + index);
    return isOne ? OptionalInt.of((int) index) : OptionalInt.empty();
  }

  int valueLength(int index, long version) {
    long choices = MAX_VALUE_LENGTH - MIN_VALUE_LENGTH + 1;
    return (int) (MIN_VALUE_LENGTH + Long.remainderUnsigned(hash(index, version), choices));
  }

  /**
   * Writes the value that an entry has in a version.
   *
   * @return its length
   */
  int value(int index, long version, byte[] into) {
    int length = valueLength(index, version);
    LONG.set(into, 0, (long) index);
    LONG.set(into, 8, version);
    System.arraycopy(block, piece(index, version), into, 16, length - 16);
    return length;
  }

  /** Takes down that a put begins; returns the version it is to write. */
  long begin(int index) {
    return attempted.incrementAndGet(index);
  }

  /** Takes down that a put returned. */
  void acknowledge(int index, long version) {
    acknowledged.set(index, version);
  }

  /** The lowest version that a read that begins now may return. */
  long lowest(int index) {
    return acknowledged.get(index);
  }

  /**
   * Whether a read returned what it may: whole, of this entry, not older than {@code lowest} from
   * before the read, and not from the future.
   *
   * @param length what the store returned as the length; -1 is a lost entry
   */
  boolean isRight(int index, byte[] value, long length, long lowest) {
    if (length < MIN_VALUE_LENGTH || length > MAX_VALUE_LENGTH) {
      return false;
    }
    long version = (long) LONG.get(value, 8);
    if ((long) LONG.get(value, 0) != index
        || version < lowest
        || version > attempted.get(index)
        || length != valueLength(index, version)) {
      return false;
    }
    int from = piece(index, version);
    return Arrays.equals(value, 16, (int) length, block, from, from + (int) length - 16);
  }

  private int piece(int index, long version) {
    return (int) ((hash(index, version) >>> 32) % (BLOCK_LENGTH - MAX_VALUE_LENGTH));
  }

  private long hash(int index, long version) {
    return mix(mix(seed ^ version) + index);
  }

  /** <b>Source:</b> the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
