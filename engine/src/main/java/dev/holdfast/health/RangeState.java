package dev.holdfast.health;

/** How far a bad range of a device has come. It is neither read nor trusted before CLEARED. */
public enum RangeState {
  /**
   * Found and excluded, and not dealt with: what it means is not decided, what it held is not named
   * though no other copy is left, or nothing can be written any more and so this cannot be either.
   */
  UNACKED,
  /**
   * On record, excluded, and what it held is known to be elsewhere or is named as lost. It waits to
   * be rewritten.
   */
  ACKED,
  /**
   * Rewritten and read back: it serves again. Kept for a time, so that a range that fails again is
   * known for it.
   */
  CLEARED
}
