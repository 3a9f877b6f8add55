package dev.holdfast.pmem;

import org.jspecify.annotations.Nullable;

/**
 * A mapping of a device. It hands out no address and no segment: device memory is reached through
 * {@link Gateway} alone, because most of what a program does to memory kills the JVM when the page
 * under it is gone.
 *
 * <p><b>Threads:</b> any. <b>Lifetime:</b> accesses fault once the device died or returned after
 * the window was mapped; mapping again is the way back. {@link #close} may be called only when no
 * thread can be inside an access and none will begin one.
 */
public final class Window implements AutoCloseable {
  private final WindowOwner owner;
  private final long generation;
  final long address;
  final long reserve;

  /** Who is told of stores; null but in tests of power loss. */
  final @Nullable DeviceTracker tracker;

  Window(
      WindowOwner owner,
      long generation,
      long address,
      long reserve,
      @Nullable DeviceTracker tracker) {
    this.owner = owner;
    this.generation = generation;
    this.address = address;
    this.reserve = reserve;
    this.tracker = tracker;
  }

  /** {@return the device under this window} */
  public PmemDevice device() {
    return owner.device();
  }

  /** {@return the generation of the device in which the window was mapped} */
  public long generation() {
    return generation;
  }

  /**
   * {@return how many bytes of address space the window covers; what lies beyond the capacity
   * faults}
   */
  public long reserve() {
    return reserve;
  }

  /**
   * Has pages mapped before somebody stores to them. It changes nothing but time, and does nothing
   * where the kernel cannot, or where pages are gone.
   *
   * @param offset bytes, and {@code length} too: a range inside the device's capacity
   * @param length the number of bytes
   * @return whether it was done
   */
  public boolean populate(long offset, long length) {
    return owner.populate(this, offset, length);
  }

  /**
   * Whether a page can be read, perhaps, but takes no stores: what it lies on was shut down. It
   * changes nothing, and waits for nothing but the kernel.
   *
   * @param offset bytes, and {@code length} too: a range inside the device's capacity
   * @param length the number of bytes
   * @return whether that is known; false where the kernel cannot tell
   */
  public boolean refusesStores(long offset, long length) {
    return owner.refusesStores(this, offset, length);
  }

  /** Unmaps the window. An access after this kills the process: see the lifetime above. */
  @Override
  public void close() {
    owner.unmap(this);
  }

  @Override
  public String toString() {
    return owner.device().name() + "@" + generation;
  }
}
