package dev.holdfast.pmem;

/**
 * Who owns a device and is told of its faults.
 *
 * <p><b>Source:</b> {@code dax_holder_operations.notify_failure} of Linux, which has range and
 * flags where this has a {@link Fault}.
 */
@FunctionalInterface
public interface DeviceHolder {
  /**
   * Tells that something happened to the device.
   *
   * <p><b>Threads:</b> any, several at once; the device holds no lock while it calls. Duplicate,
   * overlapping and out-of-range faults can come and must be harmless. <b>Failure:</b> what this
   * throws is ignored by the device, but for the answer below.
   *
   * @param device the device
   * @param fault what happened to which range
   * @throws dev.holdfast.error.RemovalRefusedException to {@link FaultKind#PRE_REMOVE} alone: the
   *     device is needed, and stays LIVE. A holder that returns has let go of it. Both count only
   *     in the time that the holder was given
   */
  void notifyFailure(PmemDevice device, Fault fault);
}
