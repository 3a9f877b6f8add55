package dev.holdfast.rmap;

/**
 * The size classes of pins. A pin belongs to the smallest class whose regions are as long as the
 * pin, and is kept under the one region it begins in, so that a pin of any length takes one slot. A
 * pin that touches a byte of region r therefore began in r or in r - 1.
 */
final class SizeClass {
  /** Regions of 64 KiB, 1 MiB, 16 MiB, … 1 EiB, and one that holds everything. */
  static final int COUNT = 13;

  /* Small enough that many pins at once lie in many regions: those of one region share a bucket. */
  private static final int SMALLEST_SHIFT = 16;
  private static final int SHIFT_STEP = 4;

  private SizeClass() {}

  static int of(long length) {
    if (length <= 1L << SMALLEST_SHIFT) {
      return 0;
    }
    int bits = Long.SIZE - Long.numberOfLeadingZeros(length - 1);
    return (bits - SMALLEST_SHIFT + SHIFT_STEP - 1) / SHIFT_STEP;
  }

  /** The region that a byte lies in. */
  static long region(int sizeClass, long offset) {
    return offset >>> Math.min(Long.SIZE - 1, SMALLEST_SHIFT + SHIFT_STEP * sizeClass);
  }

  /** The first region that a pin which touches the byte can begin in. */
  static long firstRegion(int sizeClass, long offset) {
    return Math.max(0, region(sizeClass, offset) - 1);
  }

  /** Spreads regions over buckets: the high bits are good. */
  static long hash(int sizeClass, long region) {
    return (region * COUNT + sizeClass) * 0x9E3779B97F4A7C15L;
  }
}
