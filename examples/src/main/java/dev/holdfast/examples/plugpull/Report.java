package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.health.HealthEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
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
  private long[] childCounts = {};
  private @Nullable StoreHealth health;
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

  /**
   * What the threads of the killed process did, the writer first.
   *
   * @param series over time
   * @param counts of operations
   */
  void childDied(List<Series> series, long[] counts) {
    writes.add(series.getFirst());
    reads.addAll(series.subList(1, series.size()));
    childCounts = counts;
  }

  /** How the store was when the load ended. */
  void health(StoreHealth now) {
    health = now;
  }

  void load(Load load) {
    meters = load.meters();
    for (Meter meter : meters) {
      (meter.writes() ? writes : reads).add(meter.series());
    }
    firstGood(false, "first good read");
    firstGood(true, "first good write");
    console.line("");
    console.drawing(
        "  operations      before       after   after: median      99.9 %      longest");
    for (int i = 0; i < meters.size(); i++) {
      Meter meter = meters.get(i);
      console.drawing(
          String.format(
              Locale.ROOT,
              "  %-9s %,12d%,12d  %14s %12s %12s",
              meter.role(),
              i < childCounts.length ? childCounts[i] : meter.countBefore(),
              meter.countAfter(),
              millis(meter.after().getValueAtPercentile(50)),
              millis(meter.after().getValueAtPercentile(99.9)),
              millis(meter.after().getMaxValue())));
    }
    console.line(
        String.format(Locale.ROOT, "  of the writes, %,d were overwrites", load.overwrites()));
  }

  private static String millis(long nanos) {
    return String.format(Locale.ROOT, "%.3f ms", nanos / 1e6);
  }

  /** The first operation that began when the fault had been noticed, and was good. */
  private void firstGood(boolean writing, String what) {
    if (settings.fault() == FaultChoice.NONE || phases.struckAt() == Phases.NEVER) {
      return;
    }
    long noticed = noticedAt();
    OperationLog.Operation first = null;
    String role = "";
    for (Meter meter : meters) {
      for (OperationLog.Operation operation : meter.log().operations()) {
        if (meter.writes() == writing
            && operation.good()
            && operation.start() >= noticed
            && (first == null || operation.end() < first.end())) {
          first = operation;
          role = meter.role();
        }
      }
    }
    if (first != null) {
      timeline.stamp(first.end(), what, role + ", took " + millis(first.end() - first.start()));
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
                    moment.detail())
                .stripTrailing());
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
    StoreHealth atEnd = health;
    if (atEnd != null) {
      explain(atEnd).forEach(line -> console.line("  " + line));
    }
    console.line(
        String.format(
            Locale.ROOT,
            "faults caught %d; %s (warm-up left out)",
            result.faultsCaught(),
            stall(result)));
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

  private static String stall(Result result) {
    return "longest operation "
        + millis(TimeUnit.MICROSECONDS.toNanos(result.longestStallMicros()))
        + " after the fault, "
        + millis(TimeUnit.MICROSECONDS.toNanos(result.controlStallMicros()))
        + " before";
  }

  /** Why a store is not ONLINE, a line each; nothing where it is. */
  static List<String> explain(StoreHealth health) {
    List<String> lines = new ArrayList<>();
    if (health.reason() != null) {
      lines.add(health.state() + ": " + health.reason());
    }
    for (StoreHealth.Leg leg : health.legs()) {
      int bad = leg.badRanges().size();
      if (bad > 0) {
        lines.add(
            "leg "
                + leg.index()
                + ": "
                + bad
                + (bad == 1 ? " bad range" : " bad ranges")
                + " not repaired when the import ended");
      }
    }
    return lines;
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
      console.drawing("  " + " ".repeat(12 + 2 + at) + console.faultMark() + " fault");
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
    String max =
        longest
            ? String.format(Locale.ROOT, "max %.3f with warm-up", most)
            : String.format(Locale.ROOT, "max %.1f", most);
    console.drawing("  " + name + "  " + console.sparkline(values) + "  " + max);
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
                stall(result)),
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
