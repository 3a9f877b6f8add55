package dev.holdfast.benchmarks;

import java.util.Locale;

/** Figures as people read them. */
final class Figures {
  private Figures() {}

  /** Nanoseconds as microseconds with three digits that mean something. */
  static String micros(long nanos) {
    double micros = nanos / 1e3;
    return String.format(Locale.ROOT, Math.abs(micros) < 100 ? "%,.1f µs" : "%,.0f µs", micros);
  }

  /** A count with its thousands apart. */
  static String count(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }

  /** Bytes a second, as people who sell devices count them. */
  static String rate(long bytesPerSecond) {
    return String.format(Locale.ROOT, "%,.0f MB/s", bytesPerSecond / 1e6);
  }
}
