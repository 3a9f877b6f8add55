package dev.holdfast.benchmarks;

import java.util.Arrays;
import java.util.stream.LongStream;

/**
 * Measured values, all of them kept: a few dozen faults need no histogram.
 *
 * <p><b>Units:</b> those of what was put in.
 */
final class Samples {
  private final long[] sorted;

  private Samples(long[] sorted) {
    this.sorted = sorted;
  }

  /**
   * Takes a copy.
   *
   * @throws IllegalArgumentException if there is none
   */
  static Samples of(LongStream values) {
    long[] sorted = values.sorted().toArray();
    if (sorted.length == 0) {
      throw new IllegalArgumentException("samples: expected one or more, was none");
    }
    return new Samples(sorted);
  }

  int count() {
    return sorted.length;
  }

  /** The middle one, or halfway between the two in the middle. */
  long median() {
    long low = sorted[(sorted.length - 1) / 2];
    long high = sorted[sorted.length / 2];
    return low + (high - low) / 2;
  }

  /**
   * The least one that {@code percent} of them do not exceed.
   *
   * @param percent 1 to 100
   */
  long percentile(int percent) {
    return sorted[Math.max(0, Math.ceilDiv(sorted.length * percent, 100) - 1)];
  }

  long min() {
    return sorted[0];
  }

  long max() {
    return sorted[sorted.length - 1];
  }

  @Override
  public String toString() {
    return Arrays.toString(sorted);
  }
}
