package dev.holdfast.health;

/** Who found out that a range is bad. */
public enum RangeOrigin {
  /** An operation that touched it. */
  ACCESS,
  /** The scrub. */
  SCRUB,
  /** The device, which told of it. */
  NOTIFICATION,
  /** The device's own list of bad blocks, looked at when the store was opened or later. */
  DEVICE_LIST,
  /** A copy to the leg: no other leg could be read there, so what lies there is no copy. */
  RESILVER
}
