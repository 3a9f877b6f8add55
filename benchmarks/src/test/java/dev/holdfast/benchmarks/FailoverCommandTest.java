package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark from its command line to its files, small: exit codes 0 and 1 are luck. */
final class FailoverCommandTest {
  @TempDir Path directory;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private Path json() {
    return directory.resolve("x.json");
  }

  private void execute(String... arguments) {
    execute(new PrintWriter(err), arguments);
  }

  private void execute(PrintWriter progress, String... arguments) {
    List<String> all = new ArrayList<>(List.of("failover", "--quick", "--json", "" + json()));
    all.addAll(List.of("--dir", "" + directory));
    all.addAll(List.of(arguments));
    int code =
        Benchmarks.commandLine()
            .setOut(new PrintWriter(out))
            .setErr(progress)
            .execute(all.toArray(String[]::new));
    assertTrue(code == 0 || code == 1, code + ": " + err);
  }

  private List<Map<String, Object>> rows() throws IOException {
    return Files.readAllLines(json()).stream()
        .map(JsonLine::read)
        .filter(row -> row.containsKey("fault"))
        .toList();
  }

  private static String cell(Map<String, Object> row) {
    return row.get("fault") + " " + row.get("topology") + " " + row.get("load");
  }

  private static long number(Map<String, Object> row, String name) {
    return row.get(name) instanceof Number number ? number.longValue() : -1;
  }

  @Test
  void quickHasARowForEveryTopologyWithThePromisesKept() throws IOException {
    execute("--sizes", "1M", "--faults", "2");
    List<Map<String, Object>> rows = rows();
    assertEquals(
        List.of(
            "poison single mixed",
            "remove mirror mixed",
            "poison mirror mixed",
            "remove mirror3 mixed",
            "poison mirror3 mixed"),
        rows.stream().map(FailoverCommandTest::cell).toList());
    for (Map<String, Object> row : rows) {
      String cell = row.toString();
      assertNull(row.get("firstProblem"), cell);
      assertEquals(0, row.get("failed"), cell);
      assertEquals(0, row.get("wrong"), cell);
      assertEquals(1 << 20, row.get("bytes"), cell);
      assertEquals(2, row.get("faults"), cell);
      boolean single = "single".equals(row.get("topology"));
      // At most what two pages hold; which is something, unless a writer was faster.
      assertTrue(number(row, "lost") <= (single ? 2 * 4096 / 16 : 0), cell);
      assertTrue(number(row, "maxStallMicros") >= number(row, "p50StallMicros"), cell);
      assertTrue(number(row, "controlStallMicros") > 0, cell);
      assertNotNull(row.get("p50FirstGoodWriteMicros"), cell);
      assertTrue(single || row.get("p50FirstGoodReadMicros") != null, cell);
      assertTrue(number(row, "scrubBytesPerSecond") > 0, cell);
      assertTrue(number(row, "scrubUnderLoadBytesPerSecond") > 0, cell);
      assertEquals(!single, number(row, "resilverBytesPerSecond") > 0, cell);
      assertEquals(!single, number(row, "resilverUnderLoadBytesPerSecond") > 0, cell);
      assertTrue(number(row, "controlOperationsPerSecond") > 0, cell);
      assertEquals(!single, number(row, "besideResilverOperationsPerSecond") > 0, cell);
      assertTrue(number(row, "besideScrubOperationsPerSecond") > 0, cell);
      assertTrue(number(row, "leaseNanos") > 0 && number(row, "getNanos") > 0, cell);
    }
    assertTrue(Files.readString(directory.resolve("x.svg")).contains("poison mirror3 1M"));
    assertTrue(out.toString().contains("poison mirror3 1M, mixed, PROCESS on "), out.toString());
    assertEquals(List.of("x.json", "x.svg"), left());
  }

  private List<String> left() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(Path::getFileName).map(Path::toString).sorted().toList();
    }
  }

  @Test
  void everyFaultIsSurvivedUnderReadsAndUnderWritesAlone() throws IOException {
    execute(
        "--sizes",
        "1M",
        "--faults",
        "1",
        "--fault",
        "remove,poison,orderly,fs-shutdown",
        "--topology",
        "mirror",
        "--load",
        "read,write");
    List<Map<String, Object>> rows = rows();
    assertEquals(8, rows.size());
    for (Map<String, Object> row : rows) {
      assertNull(row.get("firstProblem"), row.toString());
      boolean reads = "read".equals(row.get("load"));
      assertEquals(reads, row.get("p50FirstGoodReadMicros") != null, row.toString());
      assertEquals(!reads, row.get("p50FirstGoodWriteMicros") != null, row.toString());
      boolean switches = !"poison".equals(row.get("fault"));
      assertEquals(switches, row.get("p50ReadSwitchAfterCaughtMicros") != null, row.toString());
    }
  }

  @Test
  void aRowIsThereAsSoonAsItsCellHasEnded() {
    List<List<String>> seen = new ArrayList<>();
    PrintWriter watching =
        new PrintWriter(err) {
          @Override
          public void println(String line) {
            if (line.startsWith("poison mirror") || line.startsWith("remove mirror")) {
              try {
                seen.add(rows().stream().map(FailoverCommandTest::cell).toList());
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            }
            super.println(line);
          }
        };
    execute(watching, "--sizes", "1M", "--faults", "1", "--topology", "mirror");
    assertEquals(List.of(List.of(), List.of("remove mirror mixed")), seen);
  }

  @Test
  void whatHasNoRoomIsSkippedWithAWordAndTheRestIsMeasured() throws IOException {
    execute("--sizes", "1000G,1M", "--faults", "1", "--topology", "mirror", "--fault", "remove");
    assertEquals(1, rows().size());
    Map<String, Object> skipped =
        Files.readAllLines(json()).stream()
            .map(JsonLine::read)
            .filter(row -> row.containsKey("skipped"))
            .findFirst()
            .orElseThrow();
    assertEquals("1000G", skipped.get("size"));
    assertTrue(String.valueOf(skipped.get("skipped")).contains("free space"), skipped.toString());
    assertTrue(out.toString().contains("skipped: mirror 1000G, PROCESS: "), out.toString());
  }
}
