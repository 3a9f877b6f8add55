package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class CommandLineTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int execute(String... arguments) {
    return Benchmarks.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  @Test
  void withoutArgumentsEveryBenchmarkIsListedInOneLine() {
    assertEquals(0, execute());
    for (String name :
        new String[] {
          "failover", "micro", "peers-fault", "scrub", "rmap", "lease", "async", "barrier"
        }) {
      assertEquals(
          1,
          out.toString().lines().filter(line -> line.matches("  " + name + " +\\w.*\\.")).count(),
          out.toString());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--sizes, 7X, '7X'",
    "--sizes, '64M,0', '0'",
    "--sizes, 1025G, 1025G",
    "--faults, 0, was 0",
    "--writers, 0, was 0",
    "--fault, 'remove,flood', flood",
    "--topology, raid, raid",
    "--load, heavy, heavy",
    "--faults, many, many",
    "--persistence, dax, dax",
    "--persistence, paper, paper",
    "--seed, x, x",
    "--json, /dev/null/x.json, /dev/null/x.json",
    "--dir, /dev/null, /dev/null",
    "--nonsense, 1, --nonsense"
  })
  void aBadCallIsOneLineThatNamesWhatIsBadAndExitCode2(String option, String value, String named) {
    assertEquals(2, execute("failover", option, value));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains(named), err.toString());
    assertEquals("", out.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "--cells, 'get-*,nonsense*', nonsense*",
    "--cells, 'get-random-string-10M*', 10M",
    "--peers, 'lmdb,leveldb', leveldb",
    "--peers, mirror, mirror",
    "--json, /dev/null/x.json, /dev/null/x.json",
    "--dir, /dev/null, /dev/null",
    "--nonsense, 1, --nonsense"
  })
  void aBadCallOfMicroIsOneLineTooBeforeAnythingIsMeasured(
      String option, String value, String named) {
    assertEquals(2, execute("micro", "--quick", option, value));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains(named), err.toString());
    assertEquals("", out.toString());
  }

  @Test
  void aPlaceWithoutRoomIsOneLineAndExitCode2(@TempDir Path place) {
    assertEquals(2, execute("failover", "--sizes", "1000G", "--dir", place.toString()));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains("free space"), err.toString());
  }

  @Test
  void oneLegThatIsPulledOutLeavesNothingToMeasure() {
    assertEquals(2, execute("failover", "--topology", "single", "--fault", "remove,fs-shutdown"));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains("was [remove, fs-shutdown]"), err.toString());
  }

  @Test
  void anUnknownBenchmarkIsExitCode2() {
    assertEquals(2, execute("nonsense"));
    assertTrue(err.toString().contains("nonsense"), err.toString());
  }
}
