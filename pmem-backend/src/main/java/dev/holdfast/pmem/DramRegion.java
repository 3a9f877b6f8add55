package dev.holdfast.pmem;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Memory of this process, off the heap, for what is rebuilt from the devices: indexes, locks,
 * descriptors. It never faults, and compare-and-set works on it, which device memory has not.
 *
 * <p>A region is addresses first: it takes memory where it was touched, in huge pages where the
 * kernel has them and they were asked for, and what was never touched is zero.
 *
 * <p><b>Units:</b> offsets are bytes from the begin of the region, multiples of the size accessed.
 * Words are in native order. <b>Threads:</b> any. <b>Lifetime:</b> {@link #close} may be called
 * only when no thread can be inside an access and none will begin one: such an access kills the
 * process.
 */
public final class DramRegion implements AutoCloseable {
  private static final VarHandle LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.nativeOrder()).varHandle();
  private static final VarHandle INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.nativeOrder()).varHandle();

  private final long address;
  private final long size;
  private final boolean huge;

  /**
   * Reserves addresses.
   *
   * @param size bytes, > 0
   * @param hugePages whether to ask for huge pages: a store that holds nearly nothing takes 2 MiB a
   *     region with them, and the time to zero those
   * @throws dev.holdfast.error.DeviceIoException if the process may not have so many addresses
   */
  public DramRegion(long size, boolean hugePages) {
    this.size = Math.ceilDiv(size, Posix.PAGE_SIZE) * (long) Posix.PAGE_SIZE;
    this.address = Posix.mapMemory(this.size);
    this.huge = HugePages.IN_MEMORY && hugePages && Posix.useHugePages(address, this.size);
  }

  /** {@return the bytes that can be addressed} */
  public long size() {
    return size;
  }

  /**
   * {@return whether the kernel was asked for huge pages and agreed; that it has some free is not
   * said}
   */
  public boolean usesHugePages() {
    return huge;
  }

  /**
   * Loads a word.
   *
   * @param offset where, in bytes from the begin
   * @return the word
   */
  public long getLong(long offset) {
    return (long) LONG.get(Gateway.ALL, at(offset, Long.BYTES));
  }

  /**
   * Loads a word; nothing that follows is done before.
   *
   * @param offset where, in bytes from the begin
   * @return the word
   */
  public long getLongAcquire(long offset) {
    return (long) LONG.getAcquire(Gateway.ALL, at(offset, Long.BYTES));
  }

  /**
   * Loads a word that other threads change, in no order with other accesses.
   *
   * @param offset where, in bytes from the begin
   * @return the word
   */
  public long getLongOpaque(long offset) {
    return (long) LONG.getOpaque(Gateway.ALL, at(offset, Long.BYTES));
  }

  /**
   * Stores a word.
   *
   * @param offset where, in bytes from the begin
   * @param value what is stored
   */
  public void setLong(long offset, long value) {
    LONG.set(Gateway.ALL, at(offset, Long.BYTES), value);
  }

  /**
   * Stores a word after everything that was done before.
   *
   * @param offset where, in bytes from the begin
   * @param value what is stored
   */
  public void setLongRelease(long offset, long value) {
    LONG.setRelease(Gateway.ALL, at(offset, Long.BYTES), value);
  }

  /**
   * Stores a word, in one order with all other volatile accesses.
   *
   * @param offset where, in bytes from the begin
   * @param value what is stored
   */
  public void setLongVolatile(long offset, long value) {
    LONG.setVolatile(Gateway.ALL, at(offset, Long.BYTES), value);
  }

  /**
   * Stores a word if it is as expected; whether it was.
   *
   * @param offset where, in bytes from the begin
   * @param expected what is there, if anything is to be done
   * @param value what is stored
   * @return whether it was
   */
  public boolean compareAndSetLong(long offset, long expected, long value) {
    return LONG.compareAndSet(Gateway.ALL, at(offset, Long.BYTES), expected, value);
  }

  /**
   * Loads half a word.
   *
   * @param offset where, in bytes from the begin
   * @return it
   */
  public int getInt(long offset) {
    return (int) INT.get(Gateway.ALL, at(offset, Integer.BYTES));
  }

  /**
   * Loads half a word; nothing that follows is done before.
   *
   * @param offset where, in bytes from the begin
   * @return it
   */
  public int getIntAcquire(long offset) {
    return (int) INT.getAcquire(Gateway.ALL, at(offset, Integer.BYTES));
  }

  /**
   * Stores half a word.
   *
   * @param offset where, in bytes from the begin
   * @param value what is stored
   */
  public void setInt(long offset, int value) {
    INT.set(Gateway.ALL, at(offset, Integer.BYTES), value);
  }

  /**
   * Stores half a word after everything that was done before.
   *
   * @param offset where, in bytes from the begin
   * @param value what is stored
   */
  public void setIntRelease(long offset, int value) {
    INT.setRelease(Gateway.ALL, at(offset, Integer.BYTES), value);
  }

  /**
   * Stores zeros.
   *
   * @param offset where, in bytes from the begin
   * @param length how many bytes
   */
  public void zero(long offset, long length) {
    Gateway.ALL.asSlice(at(offset, length), length).fill((byte) 0);
  }

  private long at(long offset, long length) {
    if ((offset | length) < 0 || offset > size - length) {
      throw new IndexOutOfBoundsException(
          "memory region: expected a range inside [0, "
              + size
              + "), was ["
              + offset
              + ", +"
              + length
              + ")");
    }
    return address + offset;
  }

  @Override
  public void close() {
    Posix.unmap(address, size);
  }
}
