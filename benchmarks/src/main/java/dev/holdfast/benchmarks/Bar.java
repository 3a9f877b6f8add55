package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A figure that must not be above a limit.
 *
 * @param subject what was measured
 * @param figure which figure of it
 * @param measured its value; empty if it could not be measured, which fails the bar
 * @param limit the highest value that passes
 * @param unit the unit of both
 */
record Bar(String subject, String figure, Optional<Double> measured, double limit, Unit unit) {
  /** What a figure counts. */
  enum Unit {
    NANOSECONDS,
    COUNT
  }

  static final double STALL_MINUS_CONTROL_NANOS = 5e6;
  static final double READ_SWITCH_NANOS = 1e6;
  static final double REGISTER_AND_DROP_NANOS = 50;

  boolean passes() {
    return measured.isPresent() && measured.get() <= limit;
  }

  /** The bars of a failover run. Times have bars in PROCESS mode on memory alone. */
  static List<Bar> of(FailoverResult result) {
    List<Bar> bars = new ArrayList<>();
    String subject = result.title();
    if (Place.isMemory(result)) {
      if (result.size().compareTo(ByteSize.GIB) >= 0) {
        bars.add(
            new Bar(
                subject,
                "median stall minus control",
                Optional.of((double) result.samples(FaultRound::stallMinusControlNanos).median()),
                STALL_MINUS_CONTROL_NANOS,
                Unit.NANOSECONDS));
      }
      bars.add(
          new Bar(
              subject,
              "median read switch, from the fault caught",
              result
                  .steps(FaultRound::readSwitchAfterCaught)
                  .map(samples -> (double) samples.median()),
              READ_SWITCH_NANOS,
              Unit.NANOSECONDS));
    }
    bars.add(
        new Bar(
            subject, "failed operations", Optional.of((double) result.failed()), 0, Unit.COUNT));
    bars.add(new Bar(subject, "wrong values", Optional.of((double) result.wrong()), 0, Unit.COUNT));
    return List.copyOf(bars);
  }

  @Override
  public String toString() {
    return "%s  %s: %s %s (bar: ≤ %s)"
        .formatted(
            passes() ? "PASS" : "FAIL",
            subject,
            figure,
            measured.map(this::text).orElse("could not be measured"),
            text(limit));
  }

  private String text(double value) {
    return switch (unit) {
      case NANOSECONDS ->
          value < 1000
              ? String.format(Locale.ROOT, "%.1f ns", value)
              : Figures.micros((long) value);
      case COUNT -> Figures.count((long) value);
    };
  }
}
