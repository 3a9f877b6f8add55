package dev.holdfast;

import java.lang.foreign.MemorySegment;

/**
 * Reads the value that a key had when the lease was taken, where it lies on the legs: nothing is
 * copied but what is asked for, so that it is the way to a part of a value of a gigabyte.
 *
 * <p>It is about one value, not about the key: the key may be overwritten or removed meanwhile.
 * What was verified as a whole when the lease was taken is verified again with each access, in
 * pieces of {@value #CHUNK} bytes, against checksums that the lease has in memory (4 bytes a
 * piece). So no access ever answers with anything but the bytes of that value.
 *
 * <p><b>Lifetime:</b> a lease keeps the pages that its value lies on until it is closed, so it is
 * to be closed; {@link StoreHealth#leases} counts them. It keeps the store from nothing else: not
 * from a close, a failover, a compaction. Where a store has no room left for a write but pages that
 * leases keep of values which were overwritten or removed, the oldest such lease gives way: its
 * accesses throw from then on. One that was forgotten is reported to the log when it is found, and
 * ends. A lease does not outlive its store.
 *
 * <p><b>Threads:</b> all methods are safe for any number of threads at once, virtual ones too,
 * {@link #close} included.
 *
 * <p><b>Failure:</b> an access that meets the loss of a leg goes on with another one, unnoticed.
 * All accessors throw {@link dev.holdfast.error.MappingRevokedException} where no leg has the bytes
 * any more or none can be reached, which its cause tells apart, or where the lease gave way; {@link
 * dev.holdfast.error.StoreClosedException} once the store is closed; {@link IllegalStateException}
 * once the lease is; {@link IndexOutOfBoundsException} for a range that is not inside the value.
 *
 * <p><b>Units:</b> offsets and lengths are bytes, offsets count from the begin of the value. Words
 * are little endian and need no alignment.
 */
public interface Lease extends AutoCloseable {
  /** The bytes of a value that are verified together. */
  int CHUNK = 4096;

  /** {@return the length of the value} It needs no leg: it never throws. */
  long length();

  /**
   * {@return a byte of the value}
   *
   * @param offset the first byte of the value
   */
  byte getByte(long offset);

  /**
   * {@return four bytes of the value}
   *
   * @param offset the first byte of the value
   */
  int getInt(long offset);

  /**
   * {@return eight bytes of the value}
   *
   * @param offset the first byte of the value
   */
  long getLong(long offset);

  /**
   * Copies a part of the value. When it throws, some of the target may have been written: what was,
   * is right.
   *
   * @param offset the first byte of the value to copy
   * @param target gets the bytes
   * @param targetOffset where in it
   * @param length how many, ≥ 0
   */
  void copyTo(long offset, byte[] target, int targetOffset, int length);

  /**
   * As {@link #copyTo(long, byte[], int, int)}, to memory on or off the heap.
   *
   * @param offset the first byte of the value
   * @param target gets the bytes
   * @param targetOffset where they go in it
   * @param length how many bytes
   * @throws IllegalArgumentException if {@code target} is read-only
   * @throws dev.holdfast.error.HoldfastException if the memory of {@code target} faults itself
   */
  void copyTo(long offset, MemorySegment target, long targetOffset, long length);

  /** Lets go of the value. Harmless when it was closed before, or the store was. */
  @Override
  void close();
}
