package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.StoreBuilder;
import dev.holdfast.pmem.LoopXfs;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every fault on every topology, end to end, against the real store. */
class FaultTest {
  @TempDir Path directory;

  @ParameterizedTest
  @CsvSource({
    "mirror, none, 0, ONLINE",
    "mirror, remove, 0, DEGRADED",
    "mirror, poison, 0, ''",
    "mirror, poison-metadata, 0, ''",
    "mirror, remove-both, 4, ''",
    "mirror, kill, 0, ONLINE",
    "single, none, 0, ONLINE",
    "single, remove, 4, ''",
    "single, poison, 0, ''",
    "single, poison-metadata, 0, READ_ONLY",
    "single, kill, 0, ONLINE"
  })
  void faultCostsWhatItMayAndNoMore(String topology, String fault, int code, String state)
      throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    CommandLineRun run =
        CommandLineRun.of(
            StoreBuilder::open,
            directory,
            input.toString(),
            "--topology",
            topology,
            "--fault",
            fault);
    assertEquals(code, run.code(), run.all());
    assertTrue(run.json().contains("\"entries\":80,"), run.all());
    assertTrue(run.json().contains("\"wrong\":0,\"failed\":0,"), run.all());
    assertTrue(state.isEmpty() || run.json().endsWith("\"" + state + "\"}"), run.all());
  }

  /** Where none can be made, the example says what is missing. */
  @ParameterizedTest
  @ValueSource(strings = {"fs-shutdown", "fs-shutdown-kill"})
  void fileSystemThatDiesUnderItsMappingsCostsNothing(String fault) throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    CommandLineRun run =
        CommandLineRun.of(StoreBuilder::open, directory, input.toString(), "--fault", fault);
    String missing = LoopXfs.missing();
    if (missing != null) {
      assertEquals(2, run.code(), run.all());
      assertTrue(run.all().contains(missing), run.all());
      return;
    }
    assertEquals(0, run.code(), run.all());
    assertTrue(run.json().contains("\"lost\":0,\"wrong\":0,\"failed\":0,"), run.all());
    assertTrue(run.json().contains("\"state\":\"ONLINE\""), run.all());
  }

  @Test
  void fileSystemsAreForMirrors() throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    CommandLineRun run =
        CommandLineRun.of(
            StoreBuilder::open,
            directory,
            input.toString(),
            "--fault",
            "fs-shutdown",
            "--topology",
            "single");
    assertEquals(2, run.code(), run.all());
  }

  @Test
  void faultThatIsNeverToldIsCaughtByTheBarrier() throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    CommandLineRun run =
        CommandLineRun.of(StoreBuilder::open, directory, input.toString(), "--notify", "none");
    assertEquals(0, run.code(), run.all());
    assertTrue(run.json().contains("\"state\":\"DEGRADED\""), run.all());
  }

  @Test
  void killedProcessIsInTheReportAsItWasBefore() throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    CommandLineRun run =
        CommandLineRun.of(StoreBuilder::open, directory, input.toString(), "--fault", "kill");
    assertEquals(0, run.code(), run.all());
    List<Long> before =
        Pattern.compile("  (?:writer|reader \\d) +([\\d,]+) ")
            .matcher(run.err())
            .results()
            .map(found -> Long.parseLong(found.group(1).replace(",", "")))
            .toList();
    assertEquals(3, before.size(), run.all());
    assertTrue(before.stream().allMatch(count -> count >= 1000), run.all());
    // One in the process that dies, one after it, one when all is read back at the end.
    long opened = run.err().lines().filter(line -> line.startsWith("  log info: ")).count();
    assertEquals(3, opened, run.all());
    assertFalse(run.err().contains("illegal-access"), run.all());
    assertTrue(run.err().contains("first good read"), run.all());
  }

  @Test
  void pagesThatAreNotThereAreTold() throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 10);
    CommandLineRun run =
        CommandLineRun.of(
            StoreBuilder::open,
            directory,
            input.toString(),
            "--fault",
            "poison",
            "--pages",
            "1000");
    assertEquals(0, run.code(), run.all());
    assertTrue(
        Pattern.compile(
                "\\d+ (page of leg \\d is|pages of leg \\d are) poisoned: there were no more,"
                    + " --pages says 1000")
            .matcher(run.err())
            .find(),
        run.all());
  }

  @Test
  void chartShowsTheFaultAndWhatFollowed() throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 80);
    Path chart = directory.resolve("chart.svg");
    CommandLineRun run =
        CommandLineRun.of(
            StoreBuilder::open, directory, input.toString(), "--chart", chart.toString());
    assertEquals(0, run.code(), run.all());
    String svg = Files.readString(chart);
    javax.xml.parsers.DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(chart.toFile());
    for (String shown :
        new String[] {"fault raised", "read switched", "write switched", "Throughput, MB/s"}) {
      assertTrue(svg.contains(shown), shown);
    }
  }
}
