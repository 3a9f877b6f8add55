package dev.holdfast.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Runs JMH benchmarks in JVMs of their own. */
final class JmhRun {
  private JmhRun() {}

  /** The options that every run has, or with {@code --quick} the shortest that still run. */
  static ChainedOptionsBuilder options(Class<?> benchmarks, CommonOptions common) {
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("^" + benchmarks.getName().replace(".", "\\.") + "\\.")
            .shouldFailOnError(true)
            // The heap of this JVM is sized for something else.
            .jvmArgs("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow");
    if (common.quick()) {
      options
          .forks(1)
          .warmupIterations(1)
          .warmupTime(TimeValue.milliseconds(200))
          .measurementIterations(2)
          .measurementTime(TimeValue.milliseconds(200));
    }
    return options;
  }

  /** Runs; what it is doing goes to standard error. */
  static Collection<RunResult> run(ChainedOptionsBuilder options) throws RunnerException {
    PrintStream err = new PrintStream(System.err, true, StandardCharsets.UTF_8);
    return new Runner(
            options.build(), OutputFormatFactory.createFormatInstance(err, VerboseMode.NORMAL))
        .run();
  }

  /** Writes JMH's own JSON; null for nowhere. */
  static void write(Collection<RunResult> results, @Nullable Path json) throws IOException {
    if (json == null) {
      return;
    }
    ResultFormatFactory.getInstance(ResultFormatType.JSON, json.toString()).writeOut(results);
    // Where the JDK lies on this machine is nobody's business who reads the figures.
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    Files.writeString(json, Files.readString(json).replace(java.toString(), "java"));
  }

  /** One row a result, in the order of names and parameters. */
  static String table(Collection<RunResult> results) {
    TextTable table = new TextTable("benchmark", "threads", "score", "± 99.9 %", "unit");
    for (RunResult run : results) {
      Result<?> score = run.getPrimaryResult();
      table.row(
          name(run.getParams()),
          Integer.toString(run.getParams().getThreads()),
          String.format(Locale.ROOT, "%,.2f", score.getScore()),
          String.format(Locale.ROOT, "%,.2f", score.getScoreError()),
          score.getScoreUnit());
    }
    return table.toString();
  }

  /** A benchmark's method and parameters. */
  static String name(BenchmarkParams params) {
    String full = params.getBenchmark();
    String method = full.substring(full.lastIndexOf('.') + 1);
    return params.getParamsKeys().isEmpty()
        ? method
        : params.getParamsKeys().stream()
            .map(key -> key + "=" + params.getParam(key))
            .collect(Collectors.joining(", ", method + "(", ")"));
  }
}
