package dev.holdfast.benchmarks;

import java.util.Arrays;
import java.util.OptionalLong;

/**
 * When the operations of one worker that succeeded began and ended, from a fault on.
 *
 * <p><b>Threads:</b> one writes; read when it has moved on. <b>Units:</b> nanoseconds of {@link
 * System#nanoTime}.
 */
final class GoodOperations {
  /** More than a worker does in a window. */
  private static final int MOST = 1 << 18;

  private long[] began = new long[1 << 10];
  private long[] ended = new long[1 << 10];
  private int count;

  void clear() {
    count = 0;
  }

  /** Takes one down; those beyond the limit are too late to be the first of anything. */
  void add(long from, long to) {
    if (count == began.length) {
      if (count >= MOST) {
        return;
      }
      began = Arrays.copyOf(began, 2 * count);
      ended = Arrays.copyOf(ended, 2 * count);
    }
    began[count] = from;
    ended[count] = to;
    count++;
  }

  /** When the first ended that did not begin before a moment; empty if none did. */
  OptionalLong firstSince(long moment) {
    for (int i = 0; i < count; i++) {
      // nanoTime may wrap: differences only.
      if (began[i] - moment >= 0) {
        return OptionalLong.of(ended[i]);
      }
    }
    return OptionalLong.empty();
  }
}
