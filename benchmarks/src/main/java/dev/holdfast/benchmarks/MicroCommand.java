package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.ContenderKind;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line of the benchmark beside other stores. */
@Command(
    name = "micro",
    abbreviateSynopsis = true,
    description = {
      "Gets, puts, loads, scans, opens and space, beside six other stores.",
      "",
      "Every contender has a JVM of its own; they take turns, a slice each, and every answer is"
          + " checked. The table gives ours, then of each peer the ratio (peer / ours: above 1 ours"
          + " is faster, or smaller) and in brackets its figure. In the rows \"scaling\" the ratio"
          + " is what two threads do by what one does, by the same of a pointer chase.",
      "",
      "With --json, each cell is written as it is measured, one JSON object a line, and a second"
          + " run with the same file measures only what is not there.",
      ""
    })
final class MicroCommand implements Callable<Integer> {
  private static final String ALLOCATION = "gc.alloc.rate.norm";

  /** Those that something must be reached beside; the others are slow to load. */
  private static final List<ContenderKind> QUICK_PEERS =
      List.of(ContenderKind.CHRONICLE, ContenderKind.LMDB, ContenderKind.ROCKSDB);

  /** Less than a byte an operation is what JMH itself allocates. */
  private static final double MOST_ALLOCATED = 0.5;

  @Spec private @Nullable CommandSpec spec;

  @Mixin private final CommonOptions common = new CommonOptions();

  @Option(
      names = "--cells",
      split = ",",
      paramLabel = "GLOB",
      defaultValue = "*",
      description = "which cells, with * and ? (default: all; with --quick: all but those of 10M)")
  private List<String> cells = List.of();

  @Option(
      names = "--peers",
      split = ",",
      paramLabel = "NAME",
      description =
          "beside which stores (default: chronicle,lmdb,rocksdb,mvstore,mapdb,xodus; with --quick:"
              + " chronicle,lmdb,rocksdb)")
  private @Nullable List<String> peers;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "where the stores lie (default: /dev/shm for PROCESS durability, the directory of"
              + " temporary files for FILE); what is made there is removed")
  private @Nullable Path directory;

  @Option(
      names = "--check",
      description = "exit code 1 if one of those cells that were measured is below what it must be")
  private boolean check;

  @Option(
      names = "--allocation",
      description = "instead of all that: bytes allocated a get and a put (JMH)")
  private boolean allocation;

  private final long begin = System.nanoTime();

  @Override
  public Integer call() throws Exception {
    common.requireWritable();
    if (allocation) {
      return allocation();
    }
    List<ContenderKind> chosenPeers = peers();
    List<MicroCell> chosen = cells();
    if (directory != null && !Files.isDirectory(directory)) {
      throw bad("--dir: expected a directory, was " + directory);
    }

    MicroLedger ledger = MicroLedger.open(common.json());
    MicroRun.Settings settings = common.quick() ? MicroRun.Settings.QUICK : MicroRun.Settings.FULL;
    Map<String, Object> machine = new LinkedHashMap<>();
    Calibration calibration;
    List<String> failures;
    Map<ContenderKind, Long> hugePages;
    try (MicroRun run = new MicroRun(settings, chosenPeers, directory, ledger, this::progress)) {
      calibration = run.calibrate();
      machine.putAll(calibration.json());
      machine.putAll(MicroReport.hugePageSettings());
      machine.putAll(Machine.describe());
      ledger.note(Map.of("run", machine));
      progress(calibration.toString());
      run.run(chosen);
      failures = run.failures();
      hugePages = run.hugePages();
    }
    return report(ledger, chosen, chosenPeers, calibration, failures, hugePages);
  }

  private void progress(String line) {
    long seconds = (System.nanoTime() - begin) / 1_000_000_000;
    common.progress("[%d:%02d] %s".formatted(seconds / 60, seconds % 60, line));
  }

  private int report(
      MicroLedger ledger,
      List<MicroCell> chosen,
      List<ContenderKind> chosenPeers,
      Calibration calibration,
      List<String> failures,
      Map<ContenderKind, Long> hugePages) {
    List<MicroRow> rows = ledger.merged(common.quick());
    PrintWriter out = common.out();
    out.println(MicroReport.table(rows));
    out.println(calibration);
    MicroReport.hugePageSettings().forEach((name, value) -> out.println(name + ": " + value));
    if (!hugePages.isEmpty()) {
      out.println(MicroReport.hugePages(hugePages));
    }
    out.println();
    List<ContenderKind> all = new ArrayList<>();
    all.add(ContenderKind.MIRROR);
    all.add(ContenderKind.SINGLE);
    all.addAll(chosenPeers);
    out.println(MicroReport.setUps(all));
    boolean passed = true;
    for (MicroMust must : musts(chosen, chosenPeers)) {
      Optional<MicroRow> row = must.rowIn(rows);
      passed &= row.isPresent() && must.passes(row.get());
      out.println(must.verdict(row));
    }
    failures.forEach(failure -> out.println("FAILED  " + failure));
    out.flush();
    if (!failures.isEmpty()) {
      return Benchmarks.BROKE_OFF;
    }
    return check && !passed ? 1 : 0;
  }

  /** Those of the table that the chosen cells and peers are to show. */
  static List<MicroMust> musts(List<MicroCell> chosen, List<ContenderKind> peers) {
    List<String> names = chosen.stream().map(MicroCell::name).toList();
    List<String> beside =
        peers.stream()
            .map(ContenderKind::toString)
            .collect(Collectors.toCollection(ArrayList::new));
    beside.add(MicroRow.CHASE);
    return MicroMust.all().stream()
        .filter(must -> names.contains(must.cell()))
        .filter(must -> must.peer().isEmpty() || beside.contains(must.peer().get()))
        .toList();
  }

  private List<ContenderKind> peers() {
    List<ContenderKind> all =
        Arrays.stream(ContenderKind.values()).filter(kind -> !kind.ours()).toList();
    List<String> names = peers;
    if (names == null) {
      return common.quick() ? QUICK_PEERS : all;
    }
    List<ContenderKind> chosen = new ArrayList<>();
    for (String name : names) {
      ContenderKind kind =
          all.stream()
              .filter(k -> k.toString().equals(name.toLowerCase(Locale.ROOT)))
              .findFirst()
              .orElseThrow(() -> bad("--peers: expected some of " + all + ", was '" + name + "'"));
      if (!chosen.contains(kind)) {
        chosen.add(kind);
      }
    }
    return chosen;
  }

  private List<MicroCell> cells() {
    List<MicroCell> all = MicroCell.all(common.quick(), 1);
    List<Pattern> patterns = cells.stream().map(MicroCommand::pattern).toList();
    for (int i = 0; i < patterns.size(); i++) {
      Pattern pattern = patterns.get(i);
      if (all.stream().noneMatch(cell -> pattern.matcher(cell.name()).matches())) {
        throw bad(
            "--cells: no cell is like '%s'; there are %s"
                .formatted(cells.get(i), all.stream().map(MicroCell::name).distinct().toList()));
      }
    }
    return all.stream()
        .filter(cell -> patterns.stream().anyMatch(p -> p.matcher(cell.name()).matches()))
        .toList();
  }

  private static Pattern pattern(String glob) {
    StringBuilder regex = new StringBuilder();
    for (int i = 0; i < glob.length(); i++) {
      char c = glob.charAt(i);
      switch (c) {
        case '*' -> regex.append(".*");
        case '?' -> regex.append('.');
        default -> regex.append(Pattern.quote(String.valueOf(c)));
      }
    }
    return Pattern.compile(regex.toString());
  }

  private int allocation() throws Exception {
    var options =
        JmhRun.options(MicroAllocationBenchmark.class, common).addProfiler(GCProfiler.class);
    List<RunResult> results = List.copyOf(JmhRun.run(options));
    JmhRun.write(results, common.json());
    TextTable table = new TextTable("benchmark", "B/op");
    boolean passed = true;
    for (RunResult run : results) {
      Result<?> allocated = run.getSecondaryResults().get(ALLOCATION);
      passed &= allocated != null && allocated.getScore() <= MOST_ALLOCATED;
      table.row(
          JmhRun.name(run.getParams()),
          allocated == null ? "unknown" : String.format(Locale.ROOT, "%.3f", allocated.getScore()));
    }
    common.out().print(table);
    common.out().flush();
    return check && !passed ? 1 : 0;
  }

  private ParameterException bad(String message) {
    if (spec == null) {
      throw new IllegalStateException("expected to be run by picocli");
    }
    return new ParameterException(spec.commandLine(), message);
  }
}
