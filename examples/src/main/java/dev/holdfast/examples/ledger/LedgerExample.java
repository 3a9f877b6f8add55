package dev.holdfast.examples.ledger;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.examples.WorkPlace;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line of the example. */
@Command(
    name = "examples/run ledger",
    sortOptions = false,
    mixinStandardHelpOptions = true,
    usageHelpWidth = 100,
    description = {
      "Moves money between accounts in transactions, by several threads, while the device of a leg"
          + " is pulled out and put back, and somebody adds all accounts up all the time: the sum"
          + " never changes. At the end each account is what the journal says, also behind an"
          + " open.",
      ""
    },
    footer = {
      "",
      "Exit codes: 0 all is as it must be; 1 money, a line of the journal or a transfer was lost;"
          + " 2 bad arguments."
    })
public final class LedgerExample implements Callable<Integer> {
  private static final int BAD_INPUT = 2;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--accounts",
      paramLabel = "N",
      defaultValue = "1000",
      description = "How many accounts, 2 to 1,000,000; default 1000.")
  private int accounts;

  @Option(
      names = "--tellers",
      paramLabel = "N",
      defaultValue = "4",
      description = "How many threads make transfers, 1 to 64; default 4.")
  private int tellers;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "5",
      description = "How long they do, 1 to 3600; default 5.")
  private int seconds;

  @Option(
      names = "--fault",
      paramLabel = "remove|poison|none",
      defaultValue = "remove",
      description =
          "What happens to a leg after 40 %% of the time: its device is pulled out, and put back at"
              + " 70 %% (default); 16 of its pages are poisoned; nothing.")
  private String fault = "";

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Of what is chosen at random; default 1.")
  private long seed;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description = "Where the store is made, and removed at the end. Default: shared memory.")
  private @Nullable Path place;

  private final PrintStream out;
  private final PrintStream err;

  private LedgerExample(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  /** Runs the example; its exit code. */
  public static int run(String[] arguments, PrintStream out, PrintStream err) {
    return new CommandLine(new LedgerExample(out, err))
        .setOut(new PrintWriter(out, true, StandardCharsets.UTF_8))
        .setErr(new PrintWriter(err, true, StandardCharsets.UTF_8))
        .execute(arguments);
  }

  @Override
  public Integer call() {
    LedgerSettings settings = settings();
    try (WorkPlace work = WorkPlace.create(settings.place(), "ledger")) {
      List<String> problems = new LedgerRun(settings, out).run(work.path().resolve("store"));
      problems.forEach(err::println);
      return problems.isEmpty() ? 0 : 1;
    } catch (HoldfastException e) {
      err.println("examples/run ledger: " + e.getMessage());
      return 1;
    } catch (IOException e) {
      err.println("examples/run ledger: --dir: expected a directory to write to: " + e);
      return BAD_INPUT;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 1;
    }
  }

  private LedgerSettings settings() {
    require("--accounts", accounts, 2, 1_000_000);
    require("--tellers", tellers, 1, 64);
    require("--seconds", seconds, 1, 3_600);
    LedgerSettings.Fault chosen =
        switch (fault) {
          case "none" -> LedgerSettings.Fault.NONE;
          case "remove" -> LedgerSettings.Fault.REMOVE;
          case "poison" -> LedgerSettings.Fault.POISON;
          default ->
              throw new ParameterException(
                  spec.commandLine(),
                  "--fault: expected remove, poison or none, was \"" + fault + "\"");
        };
    return new LedgerSettings(accounts, tellers, Duration.ofSeconds(seconds), chosen, seed, place);
  }

  private void require(String option, long value, long least, long most) {
    if (value < least || value > most) {
      throw new ParameterException(
          spec.commandLine(), option + ": expected " + least + " to " + most + ", was " + value);
    }
  }
}
