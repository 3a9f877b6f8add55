package dev.holdfast.examples.tail;

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
    name = "examples/run tail",
    sortOptions = false,
    mixinStandardHelpOptions = true,
    usageHelpWidth = 100,
    description = {
      "An event store: events come by topic and expire, and a view shows how many there are and the"
          + " newest, by scans of each topic. The device of a leg is pulled out on the way and put"
          + " back. At the end each event was there as long as it lived, and nothing is left of"
          + " any.",
      ""
    },
    footer = {
      "",
      "Exit codes: 0 all is as it must be; 1 an event was lost, or was there behind its time; 2 bad"
          + " arguments."
    })
public final class TailExample implements Callable<Integer> {
  private static final int BAD_INPUT = 2;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--topics",
      paramLabel = "N",
      defaultValue = "4",
      description = "How many topics, 1 to 64; default 4.")
  private int topics;

  @Option(
      names = "--rate",
      paramLabel = "N",
      defaultValue = "500",
      description = "How many events a second each has, 1 to 10,000; default 500.")
  private int rate;

  @Option(
      names = "--ttl",
      paramLabel = "SECONDS",
      defaultValue = "3",
      description = "How long an event is there, 1 to 3600; default 3.")
  private int timeToLive;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "10",
      description = "How long events come, 1 to 3600; default 10.")
  private int seconds;

  @Option(
      names = "--fault",
      paramLabel = "remove|none",
      defaultValue = "remove",
      description =
          "The device of a leg is pulled out after 40 %% of the time and put back at 70 %%"
              + " (default), or not.")
  private String fault = "";

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description = "Where the store is made, and removed at the end. Default: shared memory.")
  private @Nullable Path place;

  private final PrintStream out;
  private final PrintStream err;

  private TailExample(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  /** Runs the example; its exit code. */
  public static int run(String[] arguments, PrintStream out, PrintStream err) {
    return new CommandLine(new TailExample(out, err))
        .setOut(new PrintWriter(out, true, StandardCharsets.UTF_8))
        .setErr(new PrintWriter(err, true, StandardCharsets.UTF_8))
        .execute(arguments);
  }

  @Override
  public Integer call() {
    require("--topics", topics, 1, 64);
    require("--rate", rate, 1, 10_000);
    require("--ttl", timeToLive, 1, 3_600);
    require("--seconds", seconds, 1, 3_600);
    if (!List.of("remove", "none").contains(fault)) {
      throw new ParameterException(
          spec.commandLine(), "--fault: expected remove or none, was \"" + fault + "\"");
    }
    TailSettings settings =
        new TailSettings(
            topics,
            rate,
            Duration.ofSeconds(timeToLive),
            Duration.ofSeconds(seconds),
            fault.equals("remove"),
            place);
    boolean isTerminal = System.getProperty("holdfast.terminals", "").contains("1");
    LiveView view = new LiveView(out, isTerminal, Integer.getInteger("holdfast.columns", 80));
    try (WorkPlace work = WorkPlace.create(settings.place(), "tail")) {
      List<String> problems =
          new TailRun(settings, view, isTerminal).run(work.path().resolve("store"));
      problems.stream().limit(20).forEach(err::println);
      return problems.isEmpty() ? 0 : 1;
    } catch (HoldfastException e) {
      err.println("examples/run tail: " + e.getMessage());
      return 1;
    } catch (IOException e) {
      err.println("examples/run tail: --dir: expected a directory to write to: " + e);
      return BAD_INPUT;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 1;
    }
  }

  private void require(String option, long value, long least, long most) {
    if (value < least || value > most) {
      throw new ParameterException(
          spec.commandLine(), option + ": expected " + least + " to " + most + ", was " + value);
    }
  }
}
