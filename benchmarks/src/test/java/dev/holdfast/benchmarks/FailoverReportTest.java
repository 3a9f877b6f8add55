package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;

final class FailoverReportTest {
  private static final FailoverResult RESULT =
      Results.result(
          "64M",
          PersistenceMode.PROCESS,
          "a<b&c",
          2,
          1,
          Results.round(500_000, 3_000_000, 1_000_000),
          Results.round(700_000, 9_000_000, 10_000_000));

  @Test
  void theTableGivesMedianAndMaximumOfEveryFigure() {
    String[] lines = FailoverReport.table(List.of(RESULT)).split("\n", -1);
    assertEquals(
        List.of(
            "remove mirror 64M, mixed, PROCESS on a<b&c",
            "1,500,000",
            "6,000 µs / 9,000 µs / 9,000 µs",
            "5,500 µs / 10,000 µs / 10,000 µs",
            "500 µs / 2,000 µs / 2,000 µs",
            "5,001 µs / 5,001 µs",
            "6,001 µs / 6,001 µs",
            "2",
            "1",
            "0"),
        Arrays.stream(lines[1].split(" {2,}", -1)).toList());
  }

  @Test
  void theStepsOfTheStoreHaveATableOfTheirOwn() {
    String[] lines = FailoverReport.steps(List.of(RESULT)).split("\n", -1);
    assertEquals(
        List.of(
            "remove mirror 64M, mixed, PROCESS on a<b&c",
            "1.0 µs / 1.0 µs",
            "600 µs / 700 µs",
            "4,000 µs / 4,000 µs",
            "9.0 µs / 9.0 µs"),
        Arrays.stream(lines[1].split(" {2,}", -1)).toList());
  }

  @Test
  void ratesAreGivenOnceAStoreAndLoad() {
    var poison =
        Results.result(
            Results.cell(
                FailoverFault.POISON, FailoverTopology.MIRROR, "64M", PersistenceMode.PROCESS),
            "a<b&c",
            0,
            0,
            0,
            Results.round(-1, 1, 1));
    String[] lines = FailoverReport.rates(List.of(RESULT, poison)).split("\n", -1);
    assertEquals(3, lines.length);
    assertEquals(
        List.of(
            "mirror 64M, mixed, PROCESS on a<b&c",
            "800 MB/s / 300 MB/s",
            "2,500 MB/s / -",
            "700 ns",
            "1,700 ns",
            "1,000,000/s, 9.0 µs",
            "600,000/s, 30.0 µs",
            "-"),
        Arrays.stream(lines[1].split(" {2,}", -1)).toList());
  }

  @Test
  void aStepThatOneFaultNeverCameToHasNoMedian() {
    var result =
        Results.result(
            "64M",
            PersistenceMode.PROCESS,
            Results.MEMORY,
            Results.round(-1, 1, 1),
            Results.round(5, 1, 1));
    assertTrue(FailoverReport.steps(List.of(result)).contains("not seen"));
  }

  @Test
  void tableColumnsAreAligned() {
    String table = new TextTable("name", "n").row("a", "1,000").row("longer", "2").toString();
    assertEquals("name        n\na       1,000\nlonger      2\n", table);
  }

  @Test
  void aTableRowWithACellTooManyIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new TextTable("a").row("1", "2"));
  }

  @Test
  void aRowHasTheFiguresOfItsCellAndEveryFault() {
    String row = JsonWriter.line(FailoverReport.row(RESULT));
    assertEquals(1, row.lines().count());
    Map<String, Object> json = JsonLine.read(row);
    assertEquals("remove", json.get("fault"));
    assertEquals("mirror", json.get("topology"));
    assertEquals(64 << 20, json.get("bytes"));
    assertEquals(6_000.0, json.get("p50StallMicros"));
    assertEquals(9_000.0, json.get("maxStallMicros"));
    assertEquals(10_000.0, json.get("controlStallMicros"));
    assertEquals(500.0, json.get("p50BeyondControlMicros"));
    assertEquals(2, json.get("failed"));
    assertEquals(1, json.get("wrong"));
    assertEquals(0, json.get("lost"));
    assertEquals(5_001.0, json.get("maxFirstGoodReadMicros"));
    assertEquals(6_001.0, json.get("p50FirstGoodWriteMicros"));
    assertEquals(300_000_000, json.get("resilverUnderLoadBytesPerSecond"));
    assertEquals(1_700, json.get("leaseNanos"));
    assertEquals(1_000_000, json.get("controlOperationsPerSecond"));
    assertEquals(600_000, json.get("besideResilverOperationsPerSecond"));
    assertEquals(30.0, json.get("besideResilverP99Micros"));
    assertTrue(row.contains("\"readSwitchNanos\":501000"), row);
    assertTrue(row.contains("\"stallNanos\":9000000,\"controlStallNanos\":10000000"), row);
    assertTrue(row.contains("\"firstProblem\":\"entry 7: wrong\""), row);
    assertTrue(row.contains("\"passes\":false"), row);
    assertTrue(row.contains("\"scrubUnderLoadBytesPerSecond\":null"), row);
  }

  @Test
  void jsonIsWrittenAsTheStandardSays() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("a\"\\\n\u0001µ", List.of(1, 2L, 2.5, true));
    map.put("none", OptionalLong.empty());
    map.put("some", Optional.of(OptionalLong.of(7)));
    map.put("empty", List.of());
    map.put("object", Map.of());
    assertEquals(
        """
        {
          "a\\"\\\\\\n\\u0001µ": [
            1,
            2,
            2.5,
            true
          ],
          "none": null,
          "some": 7,
          "empty": [],
          "object": {}
        }
        """,
        JsonWriter.write(map));
  }

  @Test
  void whatJsonCannotSayIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> JsonWriter.write(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> JsonWriter.write(new Object()));
  }

  @Test
  void theChartHasADotForEveryFigureInsideItsFrame() throws Exception {
    var missed =
        Results.result("1G", PersistenceMode.FILE, "ext4", Results.round(-1, 2_000_000_000, 0));
    Document svg =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(FailoverChart.draw(List.of(RESULT, missed)))));
    var dots = svg.getElementsByTagName("circle");
    // Two faults with seven figures each, and one whose read switch nobody saw.
    assertEquals(2 * 7 + 6, dots.getLength());
    double width = Double.parseDouble(svg.getDocumentElement().getAttribute("width"));
    double height = Double.parseDouble(svg.getDocumentElement().getAttribute("height"));
    for (int i = 0; i < dots.getLength(); i++) {
      Element dot = (Element) dots.item(i);
      double x = Double.parseDouble(dot.getAttribute("cx"));
      double y = Double.parseDouble(dot.getAttribute("cy"));
      assertTrue(x > 100 && x < width && y > 0 && y < height, "dot at " + x + ", " + y);
    }
  }

  @Test
  void theChartLiesBesideTheJson() {
    assertEquals(Path.of("d/x.svg"), FailoverCommand.chartBeside(Path.of("d/x.json")));
    assertEquals(Path.of("x.data.svg"), FailoverCommand.chartBeside(Path.of("x.data")));
  }

  @Test
  void everyCellOfTheChartSaysWhatItIsAndHowFastItsStoreIs() {
    var poison =
        Results.result(
            Results.cell(
                FailoverFault.POISON, FailoverTopology.SINGLE, "1G", PersistenceMode.PROCESS),
            "tmpfs",
            0,
            0,
            3,
            Results.round(-1, 1_000_000, 1_000_000));
    String svg = FailoverChart.draw(List.of(RESULT, poison));
    assertTrue(svg.contains(">remove mirror 64M, mixed, PROCESS on a&lt;b&amp;c: 2 faults"), svg);
    assertTrue(svg.contains(">poison single 1G, mixed, PROCESS on tmpfs: 1 faults"), svg);
    assertTrue(svg.contains("0 failed, 0 wrong, 3 lost<"), svg);
    assertTrue(svg.contains("resilver 800 MB/s / 300 MB/s, scrub 2,500 MB/s / -"), svg);
    // The second has no read switch: no empty row is drawn for it.
    assertEquals(1, svg.lines().filter(line -> line.contains(">read switch<")).count());
    assertEquals(2, svg.lines().filter(line -> line.contains(">longest stall<")).count());
  }
}
