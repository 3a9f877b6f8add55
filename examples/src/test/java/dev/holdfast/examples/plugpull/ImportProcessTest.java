package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ImportProcessTest {
  @TempDir Path directory;

  private static ImportProcess reading(Process process) {
    Input input = new EdgeInput("set", 1);
    Phases phases = new Phases();
    ImportProcess child =
        new ImportProcess(
            process,
            input,
            new Ledger(input.count()),
            new Tally(Expectation.NOTHING_LOST, phases),
            phases,
            line -> {});
    child.read();
    return child;
  }

  @Test
  void pipeOfAKilledProcessIsReadToItsEnd() throws Exception {
    // Messages without end: CONTROL, 64 bytes with the line feed.
    String message = "S".repeat(ImportReport.LENGTH - 1);
    for (int i = 0; i < 20; i++) {
      ImportProcess child = reading(new ProcessBuilder("yes", message).start());
      while (child.controlNanos() == 0) {
        Thread.onSpinWait();
      }
      assertEquals(137, child.kill());
      assertNull(child.broken());
      assertNull(child.trouble());
    }
  }

  @Test
  void reportThatIsNoneBreaksThePipeAndIsNoBadInput() throws Exception {
    ImportProcess child = reading(new ProcessBuilder("yes", "?".repeat(63)).start());
    while (child.broken() == null) {
      Thread.onSpinWait();
    }
    child.kill();
    assertNotNull(child.broken());
    assertNull(child.trouble());
  }

  @Test
  void whatTheThreadsDidArrivesBeforeTheDeath() throws Exception {
    byte[] none = {};
    byte[][] messages = {
      ImportReport.encode(ImportReport.Kind.COUNT, 0, 0, 11, none),
      ImportReport.encode(ImportReport.Kind.COUNT, 1, 0, 12, none),
      ImportReport.encode(ImportReport.Kind.COUNT, 2, 0, 13, none),
      ImportReport.sample(1, new Meter.Sample(0, 5000, 0)),
      ImportReport.sample(2, new Meter.Sample(0, 0, 7))
    };
    Path file = directory.resolve("messages");
    Files.write(file, none);
    for (byte[] message : messages) {
      Files.write(file, message, java.nio.file.StandardOpenOption.APPEND);
    }
    ImportProcess child = reading(new ProcessBuilder("cat", file.toString()).start());
    while (child.alive() || child.counts()[2] == 0 || child.series().get(2).end() == 0) {
      Thread.onSpinWait();
    }
    child.kill();
    assertArrayEquals(new long[] {11, 12, 13}, child.counts());
    assertEquals(11, child.fewest());
    List<Series> series = child.series();
    long second = 1_000_000_000;
    assertEquals(0, Arrays.stream(series.get(0).bytesPerSecond(1, 0, 60 * second)).sum());
    assertEquals(5000.0 / 60, series.get(1).bytesPerSecond(1, 0, 60 * second)[0], 1);
    assertEquals(7, series.get(2).longestNanos(1, 0, 60 * second)[0]);
  }

  @Test
  void whyTheProcessGivesUpIsTold() throws Exception {
    String words = KilledImport.GIVES_UP + "--input x: no such file or directory";
    ImportProcess child =
        reading(new ProcessBuilder("sh", "-c", "echo '" + words + "' >&2; exit 2").start());
    while (child.alive()) {
      Thread.onSpinWait();
    }
    assertEquals(2, child.kill());
    String trouble = child.trouble();
    assertTrue(trouble != null && trouble.startsWith("--input x: no such"), "" + trouble);
  }
}
