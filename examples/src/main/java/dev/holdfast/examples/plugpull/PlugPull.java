package dev.holdfast.examples.plugpull;

import dev.holdfast.StoreBuilder;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The command line of the example. */
@Command(
    name = "examples/run plug-pull",
    sortOptions = false,
    mixinStandardHelpOptions = true,
    usageHelpWidth = 100,
    description = {
      "Imports real files into a store and pulls the memory out from under it half-way, while one"
          + " thread writes and two verify what was acknowledged against the source (SHA-256)."
          + " At the end everything is read back, the store is closed, opened and read back again.",
      ""
    },
    footer = {
      "",
      "Figures: lost, wrong and failed come from the example's own ledger. An operation over 1 s"
          + " has failed. controlStallMicros is the longest operation before the fault, once the"
          + " first 10 %% of the bytes were imported; longestStallMicros the longest that ended"
          + " after it was raised. readSwitchMicros and writeSwitchMicros count from the first"
          + " fault that was caught or told; null if there was no switch. With kill and"
          + " fs-shutdown-kill, faultsCaught is the death of the process.",
      "",
      "Exit codes: 0 all is as it must be (single + poison: what was lost was named and healed;"
          + " single + poison-metadata: read-only); 1 something was lost, wrong or failed; 2 bad"
          + " arguments or input; 3 a thread did fewer than 1,000 operations before or after the"
          + " fault; 4 every copy was gone, the data was unavailable, and nothing else went wrong."
    })
public final class PlugPull implements Callable<Integer> {
  private static final int BAD_INPUT = 2;
  private static final int MIN_OPERATIONS = 1000;
  private static final String NEVER = "none";

  @Option(
      names = "--input",
      paramLabel = "DIR|FILE.tsv|-",
      description =
          "A directory tree, a file of key TAB value lines, or - for such lines from standard"
              + " input. Default: the class and resource files of the running JDK, and generated"
              + " entries at the edges.")
  private @Nullable String input;

  @Option(
      names = "--fault",
      paramLabel = "FAULT",
      defaultValue = "remove",
      description =
          "remove (default), poison, poison-metadata, remove-both, kill, or none for the control;"
              + " fs-shutdown and fs-shutdown-kill make two XFS on loop devices, a leg on each, and"
              + " shut one down under its mappings (they need root, and xfsprogs). The one is"
              + " mounted again and its leg returns; the other kills the importing process before"
              + " the store noticed.")
  private String fault = "";

  @Option(
      names = "--topology",
      paramLabel = "mirror|single",
      defaultValue = "mirror",
      description = "Two legs (default) or one.")
  private String topology = "";

  @Option(
      names = "--pages",
      paramLabel = "N",
      description = "How many pages to poison; default 16 for poison, 1 for poison-metadata.")
  private @Nullable Integer pages;

  @Option(
      names = "--notify-delay",
      paramLabel = "MS",
      description = "The store is told of the fault so many milliseconds late; default 0.")
  private @Nullable Long notifyDelay;

  @Option(
      names = "--notify",
      paramLabel = NEVER,
      description = "The store is never told: the fault barrier alone must notice.")
  private @Nullable String notify;

  @Option(
      names = "--persistence",
      paramLabel = "process|file",
      defaultValue = "process",
      description =
          "An acknowledged write survives the death of the process (default) or a power cut.")
  private String persistence = "";

  @Option(
      names = "--size-limit",
      paramLabel = "BYTES",
      description = "Take entries of the input up to so many bytes: 4096, 10M, 1G.")
  private @Nullable String sizeLimit;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Of everything that is chosen at random; default 1.")
  private long seed;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "A directory to make the run's own in, removed afterwards; default /dev/shm where it has"
              + " room, else the temporary directory.")
  private @Nullable Path directory;

  @Option(
      names = "--patience",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "How long a small input is overwritten to reach 1,000 operations; default 30.")
  private int patience;

  @Option(
      names = "--json",
      description =
          "Ends with one line of JSON on standard output; all else goes to standard error.")
  private boolean json;

  @Option(
      names = "--chart",
      paramLabel = "FILE.svg",
      description = "Where to draw the run; default plug-pull.svg in examples/target.")
  private @Nullable Path chart;

  private final Run.Opener opener;
  private final InputStream in;
  private final PrintStream out;
  private final PrintStream err;

  PlugPull(Run.Opener opener, InputStream in, PrintStream out, PrintStream err) {
    this.opener = opener;
    this.in = in;
    this.out = out;
    this.err = err;
  }

  /**
   * Runs the example.
   *
   * @return the exit code
   */
  public static int run(String[] arguments, PrintStream out, PrintStream err) {
    return run(StoreBuilder::open, arguments, System.in, out, err);
  }

  static int run(
      Run.Opener opener, String[] arguments, InputStream in, PrintStream out, PrintStream err) {
    PlugPull example = new PlugPull(opener, in, out, err);
    CommandLine line = new CommandLine(example);
    line.setOut(new PrintWriter(out, true, StandardCharsets.UTF_8));
    line.setErr(new PrintWriter(err, true, StandardCharsets.UTF_8));
    line.setParameterExceptionHandler((e, rest) -> {
      err.println("plug-pull: " + e.getMessage() + " (--help tells the options)");
      return BAD_INPUT;
    });
    line.setExecutionExceptionHandler((e, command, parsed) -> {
      if (e instanceof BadInputException) {
        err.println("plug-pull: " + e.getMessage());
        return BAD_INPUT;
      }
      if (e instanceof HoldfastException) {
        err.println("plug-pull: the store could not be used: " + e);
        return Verdict.DAMAGED;
      }
      throw e;
    });
    return line.execute(arguments);
  }

  @Override
  public Integer call() {
    Settings settings = settings();
    Path drawing = drawing();
    Console console =
        new Console(
            json ? err : out,
            isTerminal(json ? "2" : "1"),
            Integer.getInteger("holdfast.columns", 80));
    // A line of the log must not run into the progress bar.
    LogLines.passTo(console::line);
    Run.Outcome outcome = new Run(settings, opener, console, in).execute();
    if (drawing != null) {
      outcome.report().chart(drawing, outcome.result());
    }
    if (json) {
      out.println(outcome.result().toJson());
    }
    return outcome.verdict().exitCode();
  }

  private Settings settings() {
    FaultChoice choice =
        Arrays.stream(FaultChoice.values())
            .filter(f -> f.option().equals(fault))
            .findFirst()
            .orElseThrow(() ->
                bad(
                    "--fault",
                    "remove, poison, poison-metadata, remove-both, kill, fs-shutdown,"
                        + " fs-shutdown-kill or none",
                    fault));
    boolean mirrored =
        switch (topology) {
          case "mirror" -> true;
          case "single" -> false;
          default -> throw bad("--topology", "mirror or single", topology);
        };
    if (choice == FaultChoice.REMOVE_BOTH && !mirrored) {
      throw bad("--fault remove-both", "--topology mirror", "single");
    }
    if (choice.needsFileSystems()) {
      if (!mirrored) {
        throw bad("--fault " + choice.option(), "--topology mirror", "single");
      }
      String missing = LoopXfs.missing();
      if (missing != null) {
        throw new BadInputException("--fault " + choice.option() + ": " + missing);
      }
    }
    PersistenceMode mode =
        switch (persistence) {
          case "process" -> PersistenceMode.PROCESS;
          case "file" -> PersistenceMode.FILE;
          default -> throw bad("--persistence", "process or file", persistence);
        };
    if (patience < 0) {
      throw bad("--patience", "a number of seconds ≥ 0", Integer.toString(patience));
    }
    return new Settings(
        input,
        choice,
        pages(choice),
        mirrored,
        notification(choice),
        mode,
        seed,
        sizeLimit == null ? Long.MAX_VALUE : ByteSize.parse("--size-limit", sizeLimit),
        directory,
        MIN_OPERATIONS,
        Duration.ofSeconds(patience));
  }

  private int pages(FaultChoice choice) {
    Integer given = pages;
    if (given == null) {
      return choice == FaultChoice.POISON_METADATA ? 1 : 16;
    }
    if (!choice.poisons()) {
      throw bad("--pages", "--fault poison or poison-metadata with it", choice.option());
    }
    if (given < 1) {
      throw bad("--pages", "a number ≥ 1", given.toString());
    }
    return given;
  }

  private @Nullable Duration notification(FaultChoice choice) {
    if ((notify != null || notifyDelay != null)
        && (choice.kills() || choice.needsFileSystems() || choice == FaultChoice.NONE)) {
      String given = notify != null ? "--notify" : "--notify-delay";
      throw bad(given, "a fault of a device with it", choice.option());
    }
    if (notify != null) {
      if (!notify.equals(NEVER)) {
        throw bad("--notify", NEVER, notify);
      }
      if (notifyDelay != null) {
        throw bad("--notify none", "no --notify-delay beside it", notifyDelay.toString());
      }
      return null;
    }
    long delay = notifyDelay == null ? 0 : notifyDelay;
    if (delay < 0) {
      throw bad("--notify-delay", "milliseconds ≥ 0", Long.toString(delay));
    }
    return Duration.ofMillis(delay);
  }

  /** Found out before the run: a chart that cannot be written is no reason to lose its figures. */
  private @Nullable Path drawing() {
    Path file = chart;
    if (file == null) {
      String target = System.getProperty("holdfast.examples.target");
      return target == null ? null : Path.of(target, "plug-pull.svg");
    }
    Path parent = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file)
        || parent == null
        || !Files.isDirectory(parent)
        || !Files.isWritable(Files.exists(file) ? file : parent)) {
      throw bad("--chart", "a file that can be written", file.toString());
    }
    return file;
  }

  private BadInputException bad(String where, String expected, String was) {
    return new BadInputException(where + ": expected " + expected + ", was \"" + was + "\"");
  }

  private static boolean isTerminal(String descriptor) {
    return System.getProperty("holdfast.terminals", "").contains(descriptor);
  }
}
