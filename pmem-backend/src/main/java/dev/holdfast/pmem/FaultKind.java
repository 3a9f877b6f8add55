package dev.holdfast.pmem;

/**
 * What happened to a range of a device. The kind is separate from the range because offline is not
 * lost: a removed device still holds its bytes, a poisoned range does not.
 */
public enum FaultKind {
  /** The device is about to be removed; it can still be read and written. */
  PRE_REMOVE,
  /** The device is gone. Its bytes are offline, not lost. */
  REMOVED,
  /** A removed device is back. */
  RETURNED,
  /** The bytes of the range are gone and every access to it faults. */
  POISON,
  /** The range can be read and its bytes are wrong. */
  CHECKSUM,
  /** The device answers, but too slowly. */
  SLOW,
  /** The range was poisoned and is good again. */
  CLEARED
}
