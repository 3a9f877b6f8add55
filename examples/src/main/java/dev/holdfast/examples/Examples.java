package dev.holdfast.examples;

import dev.holdfast.examples.ledger.LedgerExample;
import dev.holdfast.examples.plugpull.PlugPull;
import dev.holdfast.examples.tail.TailExample;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** What {@code examples/run} starts: lists the examples, or runs one of them. */
public final class Examples {
  /** The exit code for arguments and input that cannot be worked with. */
  public static final int BAD_INPUT = 2;

  /** An example: its arguments in, its exit code out. */
  private record Example(String name, String purpose, Body body) {
    interface Body {
      int run(String[] arguments, PrintStream out, PrintStream err);
    }
  }

  private static final List<Example> EXAMPLES =
      List.of(
          new Example(
              "plug-pull",
              "imports real files, pulls a device out half-way, and proves that nothing was lost",
              PlugPull::run),
          new Example(
              "ledger",
              "moves money while a device is pulled out, and adds it all up all the time",
              LedgerExample::run),
          new Example(
              "tail",
              "an event store whose events expire, with a live view of the newest",
              TailExample::run));

  private Examples() {}

  /** Runs the example that the first argument names; lists them all where there is none. */
  public static void main(String[] arguments) {
    System.exit(run(arguments, System.out, System.err));
  }

  static int run(String[] arguments, PrintStream out, PrintStream err) {
    if (arguments.length == 0 || List.of("-h", "--help", "help").contains(arguments[0])) {
      out.println("examples/run NAME [OPTIONS]    (NAME --help tells the options)");
      out.println();
      for (Example example : EXAMPLES) {
        out.printf("  %-12s %s%n", example.name(), example.purpose());
      }
      return 0;
    }
    Optional<Example> chosen =
        EXAMPLES.stream().filter(e -> e.name().equals(arguments[0])).findFirst();
    if (chosen.isEmpty()) {
      err.printf(
          "examples/run: expected the name of an example (%s), was \"%s\"%n",
          String.join(", ", EXAMPLES.stream().map(Example::name).toList()), arguments[0]);
      return BAD_INPUT;
    }
    return chosen.get().body().run(Arrays.copyOfRange(arguments, 1, arguments.length), out, err);
  }
}
