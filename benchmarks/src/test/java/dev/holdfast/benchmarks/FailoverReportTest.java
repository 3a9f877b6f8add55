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
            "64M PROCESS on a<b&c",
            "1,500,000",
            "1.0 µs / 1.0 µs",
            "600 µs / 700 µs",
            "4,000 µs / 4,000 µs",
            "6,000 µs / 9,000 µs",
            "5,500 µs / 10,000 µs",
            "500 µs / 2,000 µs",
            "2",
            "1"),
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
    assertTrue(FailoverReport.table(List.of(result)).contains("not seen"));
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
  void jsonHoldsTheRawFiguresOfEveryFault() {
    var settings = FailoverSettings.quick(2, 2, 1, 42);
    Map<String, Object> json = FailoverReport.json(settings, List.of(RESULT), Bar.of(RESULT));
    String text = JsonWriter.write(json).replaceAll("\\s+", "");
    assertTrue(text.contains("\"seed\":42,\"readers\":2,\"writers\":1"), text);
    assertTrue(text.contains("\"readSwitchNanos\":501000"), text);
    assertTrue(text.contains("\"stallNanos\":9000000,\"controlStallNanos\":10000000"), text);
    assertTrue(text.contains("\"medianStallMinusControlNanos\":500000"), text);
    assertTrue(text.contains("\"firstProblem\":\"entry7:wrong\""), text);
    assertTrue(text.contains("\"passes\":false"), text);
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
    // Two faults with five figures each, and one whose read switch nobody saw.
    assertEquals(2 * 5 + 4, dots.getLength());
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
}
