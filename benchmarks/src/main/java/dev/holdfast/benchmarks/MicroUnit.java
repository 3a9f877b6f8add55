package dev.holdfast.benchmarks;

import java.util.Locale;

/** What a figure of a cell counts; less is better. */
enum MicroUnit {
  /** Nanoseconds an operation. */
  NANOS("Nanos"),

  /** Bytes of a leg by bytes of keys and values. */
  FACTOR("Factor");

  private final String suffix;

  MicroUnit(String suffix) {
    this.suffix = suffix;
  }

  /** What its JSON keys end with. */
  String suffix() {
    return suffix;
  }

  /** A figure for people. */
  String text(double value) {
    if (this == FACTOR) {
      return String.format(Locale.ROOT, "%.2f", value);
    }
    return value < 1e6
        ? String.format(Locale.ROOT, value < 100 ? "%.1f ns" : "%,.0f ns", value)
        : String.format(Locale.ROOT, "%,.1f ms", value / 1e6);
  }
}
