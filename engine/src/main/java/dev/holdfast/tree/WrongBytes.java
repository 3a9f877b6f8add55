package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;

/** What happened to bytes that are not what they should be, as far as they tell: pure. */
final class WrongBytes {
  private WrongBytes() {}

  /** What a range is that holds other bytes than the right ones. */
  static ScrubFault kind(byte[] was, byte[] right, int from, int to) {
    if (isZero(was, from, to)) {
      return ScrubFault.LOST_WRITE;
    }
    return isTorn(was, right, from, to) ? ScrubFault.TORN_WRITE : ScrubFault.WRONG_BYTES;
  }

  /** Whether each word is right, or as if it had never been written: a word is never torn. */
  private static boolean isTorn(byte[] was, byte[] right, int from, int to) {
    for (int at = from; at < to; ) {
      int end = Math.min(to, (at / Long.BYTES + 1) * Long.BYTES);
      if (!isZero(was, at, end) && !isSame(was, right, at, end)) {
        return false;
      }
      at = end;
    }
    return true;
  }

  private static boolean isSame(byte[] a, byte[] b, int from, int to) {
    for (int at = from; at < to; at++) {
      if (a[at] != b[at]) {
        return false;
      }
    }
    return true;
  }

  static boolean isZero(byte[] bytes, int from, int to) {
    int bits = 0;
    for (int at = from; at < to; at++) {
      bits |= bytes[at];
    }
    return bits == 0;
  }
}
