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
 * @param aim what it should come to one day; empty if that is the limit
 * @param unit the unit of all
 */
record Bar(
    String subject,
    String figure,
    Optional<Double> measured,
    double limit,
    Optional<Double> aim,
    Unit unit) {
  /** What a figure counts. */
  enum Unit {
    NANOSECONDS,
    COUNT
  }

  static final double STALL_MINUS_CONTROL_NANOS = 2e6;
  static final double STALL_MINUS_CONTROL_AIM_NANOS = 5e5;
  static final double READ_SWITCH_NANOS = 1e6;
  static final double REGISTER_AND_DROP_NANOS = 50;

  /** A bar that is its own aim. */
  Bar(String subject, String figure, Optional<Double> measured, double limit, Unit unit) {
    this(subject, figure, measured, limit, Optional.empty(), unit);
  }

  boolean passes() {
    return measured.isPresent() && measured.get() <= limit;
  }

  /**
   * The bars of a failover run. Times have bars in PROCESS mode on memory alone; a store on one leg
   * may lose what was hit, if it says so.
   */
  static List<Bar> of(FailoverResult result) {
    List<Bar> bars = new ArrayList<>();
    String subject = result.title();
    if (Place.isMemory(result)) {
      if (result.cell().size().compareTo(ByteSize.GIB) >= 0) {
        bars.add(
            new Bar(
                subject,
                "median stall minus control",
                Optional.of((double) result.samples(FaultRound::stallMinusControlNanos).median()),
                STALL_MINUS_CONTROL_NANOS,
                Optional.of(STALL_MINUS_CONTROL_AIM_NANOS),
                Unit.NANOSECONDS));
      }
      if (result.cell().fault().takesTheLeg()) {
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
    }
    bars.add(
        new Bar(
            subject, "failed operations", Optional.of((double) result.failed()), 0, Unit.COUNT));
    bars.add(new Bar(subject, "wrong values", Optional.of((double) result.wrong()), 0, Unit.COUNT));
    if (result.cell().topology().isMirrored()) {
      bars.add(
          new Bar(subject, "lost entries", Optional.of((double) result.lost()), 0, Unit.COUNT));
    }
    return List.copyOf(bars);
  }

  @Override
  public String toString() {
    return "%s  %s: %s %s (bar: ≤ %s%s)"
        .formatted(
            passes() ? "PASS" : "FAIL",
            subject,
            figure,
            measured.map(this::text).orElse("could not be measured"),
            text(limit),
            aim.map(value -> ", aim: ≤ " + text(value)).orElse(""));
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
