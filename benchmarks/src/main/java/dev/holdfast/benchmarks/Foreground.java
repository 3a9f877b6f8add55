package dev.holdfast.benchmarks;

import org.HdrHistogram.Histogram;

/**
 * What the operations of a load came to while something else went on.
 *
 * @param operationsPerSecond of all workers together
 * @param p99Nanos what one in a hundred took longer than
 */
record Foreground(long operationsPerSecond, long p99Nanos) {
  /** What was measured from when the window was opened until now. */
  static Foreground of(MeasuredWindow window, long nanos) {
    Histogram operations = window.operations();
    return new Foreground(
        Math.round(window.count() / (Math.max(1, nanos) / 1e9)),
        operations.getValueAtPercentile(99));
  }

  /** For people. */
  @Override
  public String toString() {
    return Figures.count(operationsPerSecond) + "/s, " + Figures.micros(p99Nanos);
  }
}
