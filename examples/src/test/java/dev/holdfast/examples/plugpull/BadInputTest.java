package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.StoreBuilder;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BadInputTest {
  @TempDir Path directory;

  private static void isOneLine(CommandLineRun run, String expected) {
    assertEquals(2, run.code(), run.all());
    assertEquals("", run.out());
    String last = run.err().lines().reduce("", (a, b) -> b);
    assertTrue(last.startsWith("plug-pull: "), run.all());
    assertTrue(last.contains(expected), run.all());
  }

  @ParameterizedTest
  @CsvSource({
    "--fault, sneeze, --fault: expected remove",
    "--topology, triangle, --topology: expected mirror or single",
    "--persistence, hope, --persistence: expected process or file",
    "--notify, later, --notify: expected none",
    "--notify-delay, -1, --notify-delay: expected milliseconds",
    "--pages, 4, --pages: expected --fault poison",
    "--size-limit, 10X, --size-limit: expected a size",
    "--seed, abc, --seed",
    "--input, /no/such/file, no such file or directory",
    "--chart, /no/such/directory/a.svg, --chart: expected a file that can be written",
    "--no-such-option, 1, --no-such-option"
  })
  void badArgumentIsOneLineThatNamesIt(String option, String value, String expected) {
    isOneLine(CommandLineRun.of(StoreBuilder::open, "", "--json", option, value), expected);
  }

  @ParameterizedTest
  @CsvSource({
    "'a\tb\nno tab here\n', 'line 2: expected key TAB value'",
    "'a\tb\n\tvalue\n', 'line 2: expected a key before the TAB'",
    "'a\tb\nc\td\nend', 'line 3: expected key TAB value'",
    "'', '--input -: expected at least one entry'"
  })
  void malformedLineIsToldByItsNumber(String lines, String expected) {
    isOneLine(
        CommandLineRun.of(
            StoreBuilder::open, lines, "--json", "--input", "-", "--dir", directory.toString()),
        expected);
  }

  @Test
  void keyThatIsTooLongIsToldByItsLine() {
    isOneLine(
        CommandLineRun.of(
            StoreBuilder::open,
            "a\tb\n" + "k".repeat(4097) + "\tv\n",
            "--json",
            "--input",
            "-",
            "--dir",
            directory.toString()),
        "line 2: expected a key of at most 4096 bytes");
  }

  @ParameterizedTest
  @CsvSource({"--notify-delay, 5", "--notify, none"})
  void notificationOfAFaultThatIsNoDevicesIsBlamedOnTheOptionGiven(String option, String value) {
    isOneLine(
        CommandLineRun.of(StoreBuilder::open, "", "--json", option, value, "--fault", "kill"),
        "plug-pull: " + option + ": expected a fault of a device with it, was \"kill\"");
  }

  @Test
  void directoryThatIsMissingIsNotLeftBehind() throws Exception {
    Path missing = directory.resolve("missing/a");
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 2);
    isOneLine(
        CommandLineRun.of(
            StoreBuilder::open,
            "",
            "--json",
            "--input",
            input.toString(),
            "--dir",
            missing.toString()),
        "expected a directory, was nothing there");
    assertFalse(Files.exists(missing.getParent()));
  }

  @Test
  void helpIsShownAndNothingElse() {
    // Where a help text is malformed, the warning goes past the streams that a run is given.
    PrintStream before = System.err;
    ByteArrayOutputStream caught = new ByteArrayOutputStream();
    CommandLineRun run;
    System.setErr(new PrintStream(caught, true, StandardCharsets.UTF_8));
    try {
      run = CommandLineRun.of(StoreBuilder::open, "", "--help");
    } finally {
      System.setErr(before);
    }
    assertEquals(0, run.code(), run.all());
    assertEquals("", run.err() + caught.toString(StandardCharsets.UTF_8));
    assertTrue(run.out().replaceAll("\\s+", " ").contains("first 10 % of the bytes"), run.out());
  }

  @Test
  void directoryThatIsAFileIsRefused() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "a\tb\n");
    isOneLine(
        CommandLineRun.of(
            StoreBuilder::open, "", "--input", file.toString(), "--json", "--dir", file.toString()),
        "expected a directory");
  }
}
