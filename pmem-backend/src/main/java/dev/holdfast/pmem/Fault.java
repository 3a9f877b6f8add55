package dev.holdfast.pmem;

/**
 * Something that happened to the half-open range {@code [offset, offset + length)} of a device.
 *
 * @param kind what happened
 * @param offset the first byte, device-relative, ≥ 0
 * @param length the number of bytes, ≥ 0
 */
public record Fault(FaultKind kind, long offset, long length) {
  /** Refuses ranges that no device can have. */
  public Fault {
    if (offset < 0 || length < 0 || offset + length < 0) {
      throw new IllegalArgumentException(
          "fault range: expected offset ≥ 0 and length ≥ 0, was [" + offset + ", +" + length + ")");
    }
  }

  /**
   * {@return a fault of the whole device}
   *
   * @param kind what happened
   * @param capacity the bytes of the device
   */
  public static Fault ofDevice(FaultKind kind, long capacity) {
    return new Fault(kind, 0, capacity);
  }
}
