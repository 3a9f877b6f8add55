package dev.holdfast.volume;

/** What the superblocks say of a leg. */
enum LegMark {
  /** It holds everything. */
  IN_SYNC(0),
  /** It was absent while others were written: it may miss acknowledged writes. */
  STALE(1),
  /** It is in a write set and its copy is not verified yet: it never opens alone. */
  NOT_IN_SYNC(2),
  /** Its device was taken out for good: nobody is absent, and the place is free. */
  DETACHED(3);

  /** What stands for it on the device. */
  final byte code;

  LegMark(int code) {
    this.code = (byte) code;
  }

  /** The mark of a code that was checked to be one. */
  static LegMark ofCode(int code) {
    return switch (code) {
      case 0 -> IN_SYNC;
      case 1 -> STALE;
      case 3 -> DETACHED;
      default -> NOT_IN_SYNC;
    };
  }
}
