package dev.holdfast.pmem;

/** What a window asks of the device that mapped it. <b>Threads:</b> any. */
interface WindowOwner {
  /** The device itself. */
  PmemDevice device();

  /** Does what {@link Window#populate} says. */
  boolean populate(Window window, long offset, long length);

  /** Does what {@link Window#refusesStores} says. */
  boolean refusesStores(Window window, long offset, long length);

  /** Ends a window; harmless when it has ended. */
  void unmap(Window window);
}
