package dev.holdfast.examples.plugpull;

/**
 * Bytes and the longest operation by time, in a fixed number of buckets: a longer run has wider
 * ones.
 *
 * <p><b>Threads:</b> confined to one; hand over by joining it.
 */
final class Series {
  private static final int BUCKETS = 1 << 13;
  private static final long NARROWEST_NANOS = 2_000_000;

  private final long[] bytes = new long[BUCKETS];
  private final long[] longest = new long[BUCKETS];
  private long width = NARROWEST_NANOS;
  private int used;

  /** The bytes of an operation are spread evenly over the buckets that it touched. */
  void add(long start, long end, long byteCount) {
    add(start, end, byteCount, end - start);
  }

  /** Many operations that ended in {@code [start, end)}; the longest may have begun before it. */
  void add(long start, long end, long byteCount, long longestNanos) {
    while (end / width >= BUCKETS) {
      widen();
    }
    int first = (int) (start / width);
    int last = (int) (end / width);
    int buckets = last - first + 1;
    for (int i = first; i <= last; i++) {
      bytes[i] += byteCount / buckets;
      longest[i] = Math.max(longest[i], longestNanos);
    }
    bytes[last] += byteCount % buckets;
    used = Math.max(used, last + 1);
  }

  private void widen() {
    for (int i = 0; i < BUCKETS; i += 2) {
      bytes[i / 2] = bytes[i] + bytes[i + 1];
      longest[i / 2] = Math.max(longest[i], longest[i + 1]);
    }
    for (int i = BUCKETS / 2; i < BUCKETS; i++) {
      bytes[i] = 0;
      longest[i] = 0;
    }
    width *= 2;
    used = (used + 1) / 2;
  }

  /** When the last operation ended, at most. */
  long end() {
    return used * width;
  }

  /** A value of each of {@code columns} equal parts of {@code [from, until)}. */
  private double[] columns(int columns, long from, long until, long[] values, boolean sum) {
    double[] result = new double[columns];
    double each = (double) (until - from) / columns;
    for (int i = (int) (from / width); i < used; i++) {
      // A bucket belongs to every column it covers: in parts for sums, as a whole for maxima.
      double start = i * (double) width - from;
      double end = start + width;
      for (int c = Math.max(0, (int) (start / each)); c < columns && c * each < end; c++) {
        if (sum) {
          double shared = Math.min(end, (c + 1) * each) - Math.max(start, c * each);
          result[c] += values[i] * Math.max(0, shared) / width;
        } else {
          result[c] = Math.max(result[c], (double) values[i]);
        }
      }
    }
    return result;
  }

  double[] bytesPerSecond(int columns, long from, long until) {
    double[] result = columns(columns, from, until, bytes, true);
    for (int i = 0; i < columns; i++) {
      result[i] *= 1e9 * columns / (until - from);
    }
    return result;
  }

  double[] longestNanos(int columns, long from, long until) {
    return columns(columns, from, until, longest, false);
  }
}
