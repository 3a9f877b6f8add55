package dev.holdfast.volume;

/** Who found out that a range is bad. */
public enum RangeOrigin {
  /** An operation that touched it. */
  ACCESS(0),
  /** The scrub. */
  SCRUB(1),
  /** The device, which told of it. */
  NOTIFICATION(2),
  /** The device's own list of bad blocks, looked at when the store was opened or later. */
  DEVICE_LIST(3),
  /** A copy to the leg: no other leg could be read there, so what lies there is no copy. */
  RESILVER(4);

  /** How the superblock writes it. */
  final byte code;

  RangeOrigin(int code) {
    this.code = (byte) code;
  }

  static RangeOrigin ofCode(int code) {
    for (RangeOrigin each : values()) {
      if (each.code == code) {
        return each;
      }
    }
    throw new IllegalArgumentException("code: was " + code);
  }
}
