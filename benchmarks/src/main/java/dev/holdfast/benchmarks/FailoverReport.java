package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToLongFunction;

/** What failover runs found, as a table for people and as JSON for programs. */
final class FailoverReport {
  private static final String NOT_SEEN = "not seen";

  private FailoverReport() {}

  /** Median and maximum over the faults of each run. */
  static String table(List<FailoverResult> results) {
    TextTable table =
        new TextTable(
            "p50 / max",
            "ops/s",
            "fault caught",
            "read switch",
            "write switch",
            "longest stall",
            "control",
            "stall - control",
            "failed",
            "wrong");
    for (FailoverResult result : results) {
      table.row(
          result.title(),
          Figures.count(result.operationsPerSecond()),
          spread(result.steps(FaultRound::caught)),
          spread(result.steps(FaultRound::readSwitchAfterCaught)),
          spread(result.steps(FaultRound::writeSwitchAfterCaught)),
          spread(result, round -> round.fault().longestNanos()),
          spread(result, round -> round.control().longestNanos()),
          spread(result, FaultRound::stallMinusControlNanos),
          Figures.count(result.failed()),
          Figures.count(result.wrong()));
    }
    return table.toString();
  }

  private static String spread(FailoverResult result, ToLongFunction<FaultRound> figure) {
    return spread(Optional.of(result.samples(figure)));
  }

  private static String spread(Optional<Samples> samples) {
    return samples
        .map(of -> Figures.micros(of.median()) + " / " + Figures.micros(of.max()))
        .orElse(NOT_SEEN);
  }

  /** Everything, raw. Times are nanoseconds. */
  static Map<String, Object> json(
      FailoverSettings settings, List<FailoverResult> results, List<Bar> bars) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("benchmark", "failover");
    json.put("machine", Machine.describe());
    json.put("seed", settings.seed());
    json.put("readers", settings.readers());
    json.put("writers", settings.writers());
    json.put("windowMillis", settings.window().toMillis());
    json.put("faultRaisedAfterMillis", settings.lead().toMillis());
    json.put("runs", results.stream().map(FailoverReport::run).toList());
    json.put("bars", bars.stream().map(FailoverReport::bar).toList());
    return json;
  }

  private static Map<String, Object> run(FailoverResult result) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("size", result.size().toString());
    json.put("persistence", result.persistence().name());
    json.put("fileSystem", result.fileSystem());
    json.put("entries", result.entries());
    json.put("operations", result.operations());
    json.put("operationsPerSecond", result.operationsPerSecond());
    json.put("failed", result.failed());
    json.put("wrong", result.wrong());
    json.put("firstProblem", Optional.ofNullable(result.firstProblem()));
    json.put(
        "medianStallMinusControlNanos",
        result.samples(FaultRound::stallMinusControlNanos).median());
    json.put("medianCaughtNanos", result.steps(FaultRound::caught).map(Samples::median));
    json.put(
        "medianReadSwitchAfterCaughtNanos",
        result.steps(FaultRound::readSwitchAfterCaught).map(Samples::median));
    json.put(
        "medianWriteSwitchAfterCaughtNanos",
        result.steps(FaultRound::writeSwitchAfterCaught).map(Samples::median));
    List<Object> faults = new ArrayList<>();
    for (FaultRound round : result.rounds()) {
      Map<String, Object> fault = new LinkedHashMap<>();
      fault.put("leg", round.leg());
      fault.put("caughtNanos", round.caught());
      fault.put("readSwitchNanos", round.readSwitch());
      fault.put("markDurableNanos", round.markDurable());
      fault.put("writeSwitchNanos", round.writeSwitch());
      fault.put("stallNanos", round.fault().longestNanos());
      fault.put("controlStallNanos", round.control().longestNanos());
      fault.put("p999Nanos", round.fault().p999Nanos());
      fault.put("controlP999Nanos", round.control().p999Nanos());
      fault.put("operations", round.fault().operations());
      fault.put("controlOperations", round.control().operations());
      fault.put("removalNanos", round.removalNanos());
      fault.put("returnNanos", round.returnNanos());
      faults.add(fault);
    }
    json.put("faults", faults);
    return json;
  }

  private static Map<String, Object> bar(Bar bar) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("subject", bar.subject());
    json.put("figure", bar.figure());
    json.put("unit", bar.unit().name());
    json.put("measured", bar.measured());
    json.put("limit", bar.limit());
    json.put("passes", bar.passes());
    return json;
  }
}
