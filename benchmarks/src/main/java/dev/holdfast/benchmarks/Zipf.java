package dev.holdfast.benchmarks;

import java.util.SplittableRandom;

/**
 * Ranks of which the nth is met with a probability in proportion to n to the power of -0.99.
 *
 * <p><b>Source:</b> Gray and others, "Quickly Generating Billion-Record Synthetic Databases",
 * SIGMOD 1994, section 3.2.
 */
final class Zipf {
  private static final double THETA = 0.99;

  private final int count;
  private final double total;
  private final double alpha = 1 / (1 - THETA);
  private final double eta;
  private final double second = 1 + Math.pow(0.5, THETA);

  /**
   * Of so many ranks.
   *
   * @param count > 2
   */
  Zipf(int count) {
    this.count = count;
    double sum = 0;
    for (int i = 1; i <= count; i++) {
      sum += Math.pow(i, -THETA);
    }
    this.total = sum;
    this.eta = (1 - Math.pow(2.0 / count, 1 - THETA)) / (1 - second / sum);
  }

  int count() {
    return count;
  }

  /** A rank, 0 the most frequent. */
  int next(SplittableRandom random) {
    double u = random.nextDouble();
    double scaled = u * total;
    if (scaled < 1) {
      return 0;
    }
    if (scaled < second) {
      return 1;
    }
    return Math.min(count - 1, (int) (count * Math.pow(eta * u - eta + 1, alpha)));
  }
}
