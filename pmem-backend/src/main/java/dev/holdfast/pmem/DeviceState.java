package dev.holdfast.pmem;

/** The life of a device: {@code LIVE → DYING → DEAD}, and back to LIVE by re-insertion only. */
public enum DeviceState {
  /** Readable, writable, mappable. */
  LIVE,
  /** An orderly removal is under way: readable and writable, but no new window can be mapped. */
  DYING,
  /** Gone: every access fails. */
  DEAD
}
