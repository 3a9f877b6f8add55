package dev.holdfast.pmem;

/** Planted: reads the address of a window outside of the gateway; the rules must find it. */
final class ReadsAnAddress {
  private ReadsAnAddress() {}

  static long address(Window window) {
    return window.address;
  }
}
