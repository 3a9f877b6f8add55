package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** What failover runs found, as tables for people and as JSON for programs. */
final class FailoverReport {
  private static final String NOT_SEEN = "not seen";
  private static final String NONE = "-";

  private FailoverReport() {}

  /** What operations met: over the faults of each cell. */
  static String table(List<FailoverResult> results) {
    TextTable table =
        new TextTable(
            "p50 / p99 / max",
            "ops/s",
            "stall",
            "control",
            "stall - control",
            "first good read",
            "first good write",
            "failed",
            "wrong",
            "lost");
    for (FailoverResult result : results) {
      table.row(
          result.title(),
          Figures.count(result.operationsPerSecond()),
          wide(result, round -> round.fault().longestNanos()),
          wide(result, round -> round.control().longestNanos()),
          wide(result, FaultRound::stallMinusControlNanos),
          result.cell().load().readers() == 0
              ? NONE
              : spread(result.steps(FaultRound::firstGoodRead)),
          result.cell().load().writers() == 0
              ? NONE
              : spread(result.steps(FaultRound::firstGoodWrite)),
          Figures.count(result.failed()),
          Figures.count(result.wrong()),
          Figures.count(result.lost()));
    }
    return table.toString();
  }

  /** The steps by which the store took each fault. */
  static String steps(List<FailoverResult> results) {
    TextTable table =
        new TextTable("p50 / max", "fault caught", "read switch", "write switch", "whole again");
    for (FailoverResult result : results) {
      boolean switches = result.cell().fault().takesTheLeg();
      table.row(
          result.title(),
          spread(result.steps(FaultRound::caught)),
          switches ? spread(result.steps(FaultRound::readSwitchAfterCaught)) : NONE,
          switches ? spread(result.steps(FaultRound::writeSwitchAfterCaught)) : NONE,
          spread(Optional.of(result.samples(FaultRound::wholeNanos))));
    }
    return table.toString();
  }

  /** How fast the stores of the cells are, each once. */
  static String rates(List<FailoverResult> results) {
    TextTable table =
        new TextTable(
            "rates, alone / under load",
            "resilver",
            "scrub",
            "get, alone",
            "lease taken and closed, alone",
            "operations, p99",
            "beside resilver",
            "beside scrub");
    Map<String, StoreRates> stores = new LinkedHashMap<>();
    for (FailoverResult result : results) {
      FailoverCell cell = result.cell();
      stores.put(
          "%s %s, %s, %s on %s"
              .formatted(
                  cell.topology(),
                  cell.size(),
                  cell.load().name(),
                  cell.persistence(),
                  result.fileSystem()),
          result.rates());
    }
    stores.forEach((name, rates) ->
        table.row(
            name,
            rate(rates.resilver()) + " / " + rate(rates.resilverUnderLoad()),
            rate(rates.scrub()) + " / " + rate(rates.scrubUnderLoad()),
            nanos(rates.get()),
            nanos(rates.lease()),
            orNone(rates.control()),
            orNone(rates.besideResilver()),
            orNone(rates.besideScrub())));
    return table.toString();
  }

  private static String orNone(@Nullable Foreground foreground) {
    return foreground == null ? NONE : foreground.toString();
  }

  static String rate(OptionalLong bytesPerSecond) {
    return bytesPerSecond.isPresent() ? Figures.rate(bytesPerSecond.getAsLong()) : NONE;
  }

  static String nanos(OptionalLong nanos) {
    return nanos.isPresent() ? Figures.count(nanos.getAsLong()) + " ns" : NONE;
  }

  private static String wide(FailoverResult result, ToLongFunction<FaultRound> figure) {
    Samples of = result.samples(figure);
    return Figures.micros(of.median())
        + " / "
        + Figures.micros(of.percentile(99))
        + " / "
        + Figures.micros(of.max());
  }

  private static String spread(Optional<Samples> samples) {
    return samples
        .map(of -> Figures.micros(of.median()) + " / " + Figures.micros(of.max()))
        .orElse(NOT_SEEN);
  }

  // ---------------------------------------------------------------- JSON

  /** What a whole run has in common. */
  static Map<String, Object> head(FailoverSettings settings) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("run", "failover");
    json.put("machine", Machine.describe());
    json.put("seed", settings.seed());
    json.put("windowMillis", settings.window().toMillis());
    json.put("faultRaisedAfterMillis", settings.lead().toMillis());
    return json;
  }

  /** What was not measured, and why. */
  static Map<String, Object> skipped(FailoverStore store, String why) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("skipped", why);
    json.put("topology", store.topology().toString());
    json.put("size", store.size().toString());
    json.put("bytes", store.size().bytes());
    json.put("persistence", store.persistence().name());
    return json;
  }

  /**
   * One cell: its figures over all faults in microseconds, then every fault, raw, in nanoseconds.
   */
  static Map<String, Object> row(FailoverResult result) {
    FailoverCell cell = result.cell();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("fault", cell.fault().toString());
    json.put("topology", cell.topology().toString());
    json.put("size", cell.size().toString());
    json.put("bytes", cell.size().bytes());
    json.put("load", cell.load().name());
    json.put("readers", cell.load().readers());
    json.put("writers", cell.load().writers());
    json.put("persistence", cell.persistence().name());
    json.put("fileSystem", result.fileSystem());
    json.put("entries", result.entries());
    json.put("faults", result.rounds().size());
    Samples stall = result.samples(round -> round.fault().longestNanos());
    Samples control = result.samples(round -> round.control().longestNanos());
    Samples beyond = result.samples(FaultRound::stallMinusControlNanos);
    json.put("p50StallMicros", micros(stall.median()));
    json.put("p99StallMicros", micros(stall.percentile(99)));
    json.put("maxStallMicros", micros(stall.max()));
    json.put("p50ControlStallMicros", micros(control.median()));
    json.put("p99ControlStallMicros", micros(control.percentile(99)));
    json.put("controlStallMicros", micros(control.max()));
    json.put("p50BeyondControlMicros", micros(beyond.median()));
    json.put("p99BeyondControlMicros", micros(beyond.percentile(99)));
    json.put("maxBeyondControlMicros", micros(beyond.max()));
    json.put("failed", result.failed());
    json.put("wrong", result.wrong());
    json.put("lost", result.lost());
    json.put("firstProblem", Optional.ofNullable(result.firstProblem()));
    put(json, "FirstGoodReadMicros", result.steps(FaultRound::firstGoodRead));
    put(json, "FirstGoodWriteMicros", result.steps(FaultRound::firstGoodWrite));
    put(json, "CaughtMicros", result.steps(FaultRound::caught));
    put(json, "ReadSwitchAfterCaughtMicros", result.steps(FaultRound::readSwitchAfterCaught));
    put(json, "WriteSwitchAfterCaughtMicros", result.steps(FaultRound::writeSwitchAfterCaught));
    put(json, "WholeMicros", Optional.of(result.samples(FaultRound::wholeNanos)));
    json.put("operations", result.operations());
    json.put("operationsPerSecond", result.operationsPerSecond());
    StoreRates rates = result.rates();
    json.put("resilverBytesPerSecond", rates.resilver());
    json.put("resilverUnderLoadBytesPerSecond", rates.resilverUnderLoad());
    json.put("scrubBytesPerSecond", rates.scrub());
    json.put("scrubUnderLoadBytesPerSecond", rates.scrubUnderLoad());
    json.put("getNanos", rates.get());
    json.put("leaseNanos", rates.lease());
    put(json, "control", rates.control());
    put(json, "besideResilver", rates.besideResilver());
    put(json, "besideScrub", rates.besideScrub());
    json.put("bars", Bar.of(result).stream().map(FailoverReport::bar).toList());
    List<Object> rounds = new ArrayList<>();
    for (FaultRound round : result.rounds()) {
      rounds.add(round(round));
    }
    json.put("rounds", rounds);
    return json;
  }

  private static Map<String, Object> round(FaultRound round) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("leg", round.leg());
    json.put("caughtNanos", round.caught());
    json.put("readSwitchNanos", round.readSwitch());
    json.put("markDurableNanos", round.markDurable());
    json.put("writeSwitchNanos", round.writeSwitch());
    json.put("firstGoodReadNanos", round.firstGoodRead());
    json.put("firstGoodWriteNanos", round.firstGoodWrite());
    json.put("stallNanos", round.fault().longestNanos());
    json.put("controlStallNanos", round.control().longestNanos());
    json.put("p999Nanos", round.fault().p999Nanos());
    json.put("controlP999Nanos", round.control().p999Nanos());
    json.put("operations", round.fault().operations());
    json.put("controlOperations", round.control().operations());
    json.put("raisingNanos", round.raisingNanos());
    json.put("wholeNanos", round.wholeNanos());
    json.put("resilverBytesPerSecond", round.resilver());
    return json;
  }

  private static void put(Map<String, Object> json, String name, Optional<Samples> samples) {
    json.put("p50" + name, samples.map(of -> micros(of.median())));
    json.put("max" + name, samples.map(of -> micros(of.max())));
  }

  private static void put(Map<String, Object> json, String name, @Nullable Foreground foreground) {
    Optional<Foreground> measured = Optional.ofNullable(foreground);
    json.put(name + "OperationsPerSecond", measured.map(Foreground::operationsPerSecond));
    json.put(name + "P99Micros", measured.map(of -> micros(of.p99Nanos())));
  }

  private static double micros(long nanos) {
    return nanos / 1e3;
  }

  private static Map<String, Object> bar(Bar bar) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("figure", bar.figure());
    json.put("unit", bar.unit().name());
    json.put("measured", bar.measured());
    json.put("limit", bar.limit());
    json.put("aim", bar.aim());
    json.put("passes", bar.passes());
    return json;
  }
}
