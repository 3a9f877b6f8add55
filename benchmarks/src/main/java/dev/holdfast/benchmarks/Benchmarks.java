package dev.holdfast.benchmarks;

import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * The entry to all benchmarks.
 *
 * <p>Exit codes: 0 all bars are met, 1 a bar is missed, 2 something about the call or the machine
 * is not as it must be, 3 the benchmark broke off.
 */
@Command(
    name = "benchmarks/run",
    description = "Measures what the store promises.",
    synopsisSubcommandLabel = "NAME [OPTION...]",
    subcommands = {
      FailoverCommand.class,
      MicroCommand.class,
      PeersFaultCommand.class,
      ScrubCommand.class,
      ReverseMapCommand.class,
      LeaseCommand.class,
      AsyncCommand.class,
      BarrierCommand.class
    },
    footer = {"", "benchmarks/run NAME --help tells its options."})
public final class Benchmarks implements Runnable {
  static final int BAD_CALL = 2;
  static final int BROKE_OFF = 3;

  @Spec private @Nullable CommandSpec spec;

  Benchmarks() {}

  /** Runs one benchmark, or lists them. */
  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  /** The command line, with its exit codes. */
  static CommandLine commandLine() {
    return new CommandLine(new Benchmarks())
        .registerConverter(ByteSize.class, new ByteSize.Converter())
        .setUsageHelpWidth(100)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler((e, arguments) -> {
          PrintWriter err = e.getCommandLine().getErr();
          err.println(e.getMessage());
          return BAD_CALL;
        })
        .setExecutionExceptionHandler((e, commandLine, parsed) -> {
          PrintWriter err = commandLine.getErr();
          if (e instanceof Place.BadPlaceException) {
            err.println(e.getMessage());
            return BAD_CALL;
          }
          e.printStackTrace(err);
          return BROKE_OFF;
        });
  }

  @Override
  public void run() {
    if (spec != null) {
      spec.commandLine().usage(spec.commandLine().getOut());
    }
  }
}
