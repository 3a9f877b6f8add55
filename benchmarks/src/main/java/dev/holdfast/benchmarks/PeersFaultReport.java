package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What {@code peers-fault} found: for a terminal, for the README, and for programs. */
final class PeersFaultReport {
  private static final List<String> HEADER =
      List.of(
          "store",
          "JVM",
          "acknowledged after the loss",
          "of them gone",
          "from before, gone",
          "wrong or missing",
          "failed puts / gets",
          "longest stall, ms",
          "after the return");

  private PeersFaultReport() {}

  private static List<String> cells(PeersFaultResult result) {
    return List.of(
        result.peer().title(),
        result.alive(),
        Figures.count(result.acknowledgedAfter()),
        Figures.count(result.goneAfter()),
        Figures.count(result.goneBefore()),
        Figures.count(result.wrong()),
        Figures.count(result.failedWrites()) + " / " + Figures.count(result.failedReads()),
        result.stall(),
        result.afterReturn());
  }

  /** A table for each fault. */
  static String table(List<PeersFaultResult> results) {
    StringBuilder text = new StringBuilder();
    for (boolean truncated : new boolean[] {false, true}) {
      TextTable table = new TextTable(HEADER.toArray(String[]::new));
      List<PeersFaultResult> some = of(results, truncated);
      some.forEach(result -> table.row(cells(result).toArray(String[]::new)));
      if (!some.isEmpty()) {
        text.append(title(truncated)).append("\n\n").append(table).append('\n');
      }
    }
    return text.toString();
  }

  /** The same in Markdown. */
  static String markdown(List<PeersFaultResult> results) {
    StringBuilder text = new StringBuilder();
    for (boolean truncated : new boolean[] {false, true}) {
      List<PeersFaultResult> some = of(results, truncated);
      if (some.isEmpty()) {
        continue;
      }
      text.append(title(truncated)).append("\n\n");
      text.append("| ").append(String.join(" | ", HEADER)).append(" |\n");
      text.append("|---|---|--:|--:|--:|--:|--:|--:|---|\n");
      for (PeersFaultResult result : some) {
        List<String> escaped = new ArrayList<>();
        cells(result).forEach(cell -> escaped.add(cell.replace("|", "\\|")));
        text.append("| ").append(String.join(" | ", escaped)).append(" |\n");
      }
      text.append('\n');
    }
    return text.toString();
  }

  private static String title(boolean truncated) {
    return truncated
        ? "The files are truncated, and the XFS under them is shut down:"
        : "The XFS under the files is shut down:";
  }

  private static List<PeersFaultResult> of(List<PeersFaultResult> results, boolean truncated) {
    return results.stream().filter(result -> result.truncated() == truncated).toList();
  }

  static Map<String, @Nullable Object> json(
      PeersFaultRun.Settings settings, List<PeersFaultResult> results) {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("benchmark", "peers-fault");
    json.put("machine", Machine.describe());
    json.put("entries", settings.entries());
    json.put("persistence", settings.persistence().name());
    json.put("secondsBefore", settings.before().toSeconds());
    json.put("secondsAfter", settings.after().toSeconds());
    json.put("results", results.stream().map(PeersFaultResult::json).toList());
    return json;
  }
}
