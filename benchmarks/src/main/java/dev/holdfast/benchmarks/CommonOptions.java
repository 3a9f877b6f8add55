package dev.holdfast.benchmarks;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What all benchmarks can be told. */
final class CommonOptions {
  @Spec(Spec.Target.MIXEE)
  private @Nullable CommandSpec spec;

  @Option(
      names = {"--json", "-rff"},
      paramLabel = "FILE",
      description = "where to write the raw figures")
  private @Nullable Path json;

  @Option(
      names = "--quick",
      description = "less of everything: shows that it works, measures little")
  private boolean quick;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "show this and exit")
  @SuppressWarnings("UnusedVariable") // picocli looks at it
  private boolean help;

  boolean quick() {
    return quick;
  }

  @Nullable Path json() {
    return json;
  }

  /** Refuses a file that cannot be written, before minutes went into what it is to hold. */
  void requireWritable() {
    Path file = json;
    if (file == null) {
      return;
    }
    Path parent = file.toAbsolutePath().getParent();
    if (parent == null
        || !Files.isDirectory(parent)
        || Files.isDirectory(file)
        || !Files.isWritable(Files.exists(file) ? file : parent)) {
      throw new ParameterException(
          spec().commandLine(), "--json: expected a file that can be written, was " + file);
    }
  }

  PrintWriter out() {
    return spec().commandLine().getOut();
  }

  /** Tells people how far it is, apart from the results. */
  void progress(String line) {
    PrintWriter err = spec().commandLine().getErr();
    err.println(line);
    err.flush();
  }

  private CommandSpec spec() {
    if (spec == null) {
      throw new IllegalStateException("expected to be run by picocli");
    }
    return spec;
  }
}
