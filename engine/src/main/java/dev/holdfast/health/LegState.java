package dev.holdfast.health;

/** The state of a leg, with the meanings that {@code zpool status} gives these words. */
public enum LegState {
  /** Holds everything, is read and written. */
  ONLINE,
  /** Holds everything but ranges that are being repaired; is read and written elsewhere. */
  DEGRADED,
  /** Is being copied to: written, not read. */
  RESILVERING,
  /** Failed too often or refused a flush; not used. */
  FAULTED,
  /** Was taken out of use in order. */
  OFFLINE,
  /** Its device is gone. */
  REMOVED,
  /** Nothing is there, and nothing is missing: its device was taken out for good. */
  DETACHED
}
