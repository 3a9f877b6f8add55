package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreStats;
import dev.holdfast.health.HealthEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Tells the run to people: what is about to happen, what happened and when, how it went over time.
 *
 * <p><b>Threads:</b> confined to one.
 */
final class Report {
  private final Settings settings;
  private final Console console;
  private final Phases phases;
  private final Timeline timeline;
  private final List<Series> reads = new ArrayList<>();
  private final List<Series> writes = new ArrayList<>();
  private List<Meter> meters = List.of();
  private String inputName = "";
  private long importBegan;

  Report(Settings settings, Console console, Phases phases, Timeline timeline) {
    this.settings = settings;
    this.console = console;
    this.phases = phases;
    this.timeline = timeline;
  }

  void begin(Input input) {
    String name = input.name();
    inputName = name.equals(Inputs.STANDARD_INPUT) ? "standard input" : name;
    console.line(
        String.format(
            Locale.ROOT,
            "plug-pull: %,d entries, %s from %s",
            input.count(),
            ByteSize.show(input.bytes()),
            inputName));
    input.notes().forEach(note -> console.line("  " + note));
    console.line(
        "  "
            + (settings.mirrored() ? "mirror of two legs" : "single leg")
            + ", fault "
            + settings.fault()
            + " at 50 % of the bytes, seed "
            + settings.seed());
  }

  /** Time is drawn from here. */
  void importBegins() {
    importBegan = phases.now();
  }

  void opened(Store store) {
    StoreStats stats = store.stats();
    for (StoreStats.Leg leg : stats.legs()) {
      console.line("  leg " + leg.index() + ": " + leg.name());
    }
    console.line("  persistence " + stats.persistenceMode());
  }

  /** Writes of another process. */
  void addWrites(Series series) {
    writes.add(series);
  }

  void load(Load load) {
    meters = load.meters();
    for (Meter meter : meters) {
      (meter.writes() ? writes : reads).add(meter.series());
    }
    firstGood(false, "first good read after");
    firstGood(true, "first good write after");
    console.line("");
    for (Meter meter : meters) {
      console.line(
          String.format(
              Locale.ROOT,
              "  %-9s %,10d operations before, %,10d after;"
                  + " after: median %s, 99.9 %% %s, longest %s",
              meter.role(),
              meter.countBefore(),
              meter.countAfter(),
              micros(meter.after().getValueAtPercentile(50)),
              micros(meter.after().getValueAtPercentile(99.9)),
              micros(meter.after().getMaxValue())));
    }
    console.line("  of the writes, " + load.overwrites() + " were overwrites");
  }

  private static String micros(long nanos) {
    return nanos < 10_000_000
        ? String.format(Locale.ROOT, "%.1f µs", nanos / 1e3)
        : String.format(Locale.ROOT, "%.1f ms", nanos / 1e6);
  }

  /** The first operation that began when the fault had been noticed, and was good. */
  private void firstGood(boolean writing, String what) {
    if (settings.fault() == FaultChoice.NONE || phases.struckAt() == Phases.NEVER) {
      return;
    }
    long noticed = noticedAt();
    long first = Phases.NEVER;
    for (OperationLog.Operation operation : Chart.operations(meters, writing)) {
      if (operation.good() && operation.start() >= noticed) {
        first = Math.min(first, operation.end());
      }
    }
    if (first != Phases.NEVER) {
      timeline.stamp(first, what, "");
    }
  }

  /**
   * When the store could first know of the fault: it caught one, or was told. Before that, reads
   * and writes still reach pages that the emulated removal has not come to.
   */
  long noticedAt() {
    long noticed = Phases.NEVER;
    for (HealthEvent.Kind kind :
        List.of(HealthEvent.Kind.FAULT_CAUGHT, HealthEvent.Kind.NOTIFIED)) {
      Long at = timeline.first(kind);
      if (at != null) {
        noticed = Math.min(noticed, at);
      }
    }
    return noticed == Phases.NEVER ? phases.struckAt() : noticed;
  }

  void end(Result result, Verdict verdict, Verdict.Facts facts, List<String> messages) {
    if (settings.fault() != FaultChoice.NONE) {
      console.line("");
      console.line("What happened, since the fault was raised:");
      for (Timeline.Moment moment : timeline.moments()) {
        console.line(
            String.format(
                Locale.ROOT,
                "  %+12.3f ms  %-24s %s",
                (moment.nanos() - phases.struckAt()) / 1e6,
                moment.what(),
                moment.detail()));
      }
    }
    sparklines();
    console.line("");
    console.line(
        String.format(
            Locale.ROOT,
            "%,d of %,d entries acknowledged: lost %d, wrong %d, failed operations %d; state %s",
            result.acknowledged(),
            result.entries(),
            result.lost(),
            result.wrong(),
            result.failed(),
            result.state()));
    console.line(
        String.format(
            Locale.ROOT,
            "faults caught %d; longest operation %.3f ms after the fault, %.3f ms before",
            result.faultsCaught(),
            result.longestStallMicros() / 1e3,
            result.controlStallMicros() / 1e3));
    if (facts.refusedReads() + facts.refusedWrites() > 0) {
      console.line(
          "refused with a typed exception, as it must be: "
              + facts.refusedReads()
              + " reads, "
              + facts.refusedWrites()
              + " writes; close took "
              + facts.closeMillis()
              + " ms");
    }
    messages.forEach(message -> console.line("  " + message));
    verdict.unmet().forEach(unmet -> console.line("NOT MET: " + unmet));
    console.line(
        switch (verdict.exitCode()) {
          case Verdict.GOOD ->
              settings.expectation() == Expectation.NAMED_LOSS
                  ? "good: what was lost was named, and overwriting healed it"
                  : settings.expectation() == Expectation.READ_ONLY
                      ? "good: reads went on, every write was refused with the cause"
                      : "good: nothing was lost";
          case Verdict.UNAVAILABLE ->
              "unavailable, as it must be with every copy gone; all there once the devices"
                  + " returned";
          case Verdict.TOO_FEW_OPERATIONS ->
              "too few operations of a thread: expected at least "
                  + settings.minOperations()
                  + " on each side of the fault, was "
                  + facts.fewestBefore()
                  + " before, "
                  + facts.fewestAfter()
                  + " after";
          default -> "DAMAGED";
        });
  }

  private void sparklines() {
    int columns = console.sparklineColumns();
    long until = until();
    if (until <= importBegan) {
      return;
    }
    console.line("");
    row("reads, MB/s ", reads, columns, until, false);
    row("writes, MB/s", writes, columns, until, false);
    List<Series> all = new ArrayList<>(reads);
    all.addAll(writes);
    row("longest, ms ", all, columns, until, true);
    if (settings.fault() != FaultChoice.NONE && phases.struckAt() < until) {
      int at = (int) ((phases.struckAt() - importBegan) * (double) columns / (until - importBegan));
      console.line("  " + " ".repeat(12 + 2 + at) + console.faultMark() + " fault");
    }
  }

  private void row(String name, List<Series> series, int columns, long until, boolean longest) {
    double[] values = new double[columns];
    for (Series one : series) {
      double[] part =
          longest
              ? one.longestNanos(columns, importBegan, until)
              : one.bytesPerSecond(columns, importBegan, until);
      for (int i = 0; i < columns; i++) {
        values[i] = longest ? Math.max(values[i], part[i]) : values[i] + part[i];
      }
    }
    double most = Arrays.stream(values).max().orElse(0) / 1e6;
    console.line(
        String.format(Locale.ROOT, "  %s  %s  max %.1f", name, console.sparkline(values), most));
  }

  private long until() {
    long until = importBegan;
    for (List<Series> some : List.of(reads, writes)) {
      for (Series one : some) {
        until = Math.max(until, one.end());
      }
    }
    return until;
  }

  /**
   * Draws the run.
   *
   * @throws BadInputException if the file cannot be written
   */
  void chart(Path file, Result result) {
    boolean struck = settings.fault() != FaultChoice.NONE && phases.struckAt() != Phases.NEVER;
    @Nullable Long fault = struck ? phases.struckAt() : null;
    long until = until();
    if (until <= importBegan) {
      return;
    }
    String stall =
        String.format(
            Locale.ROOT,
            "longest operation %.1f ms after the fault, %.1f ms before",
            result.longestStallMicros() / 1e3,
            result.controlStallMicros() / 1e3);
    List<Timeline.Moment> moments =
        timeline.moments().stream().filter(m -> m.nanos() <= until).toList();
    Chart.Data data =
        new Chart.Data(
            "plug-pull: fault "
                + settings.fault()
                + (settings.mirrored() ? ", mirror" : ", single leg"),
            String.format(
                Locale.ROOT,
                "%,d entries, %s; lost %d, wrong %d, failed %d; %s",
                result.entries(),
                ByteSize.show(result.bytes()),
                result.lost(),
                result.wrong(),
                result.failed(),
                stall),
            reads,
            writes,
            Chart.operations(meters, false),
            Chart.operations(meters, true),
            importBegan,
            until,
            fault,
            settings.fault().option(),
            moments);
    try {
      Chart.write(data, file);
      console.line("chart of " + inputName + ": " + file);
    } catch (IOException e) {
      throw new BadInputException("--chart " + file + ": cannot be written: " + e, e);
    }
  }
}
