package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private Console console(boolean terminal, int columns) {
    return new Console(new PrintStream(out, true, StandardCharsets.UTF_8), terminal, columns);
  }

  private List<String> lines() {
    return out.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void lineIsWrappedToTheTerminal() {
    console(true, 20).line("  one two three four five six seven");
    assertEquals(List.of("  one two three four", "      five six seven"), lines());
  }

  @Test
  void wordWiderThanTheTerminalStaysWhole() {
    console(true, 20).line("  leg 0: /a/path/that/is/wider/than/it is");
    assertEquals(List.of("  leg 0:", "      /a/path/that/is/wider/than/it", "      is"), lines());
  }

  @Test
  void lineThatGoesElsewhereStaysOne() {
    String line = "  one two three four five six seven";
    console(false, 20).line(line);
    assertEquals(List.of(line), lines());
  }

  @Test
  void emptyLineAndDrawingsStayAsTheyAre() {
    Console console = console(true, 20);
    console.line("");
    console.drawing("  ▁▂▃▄▅▆▇█ ▁▂▃▄▅▆▇█ ▁▂▃▄▅▆▇█");
    assertEquals(List.of("", "  ▁▂▃▄▅▆▇█ ▁▂▃▄▅▆▇█ ▁▂▃▄▅▆▇█"), lines());
  }

  @Test
  void barLeavesRoomForItsFigures() throws Exception {
    Console console = console(true, 80);
    console.startClock();
    Thread.sleep(150);
    console.progress("reading everything back", 3264, 4007, "entries");
    String shown = out.toString(StandardCharsets.UTF_8);
    assertTrue(shown.contains("3264 of 4007 entries") && shown.contains("ETA"), shown);
  }
}
