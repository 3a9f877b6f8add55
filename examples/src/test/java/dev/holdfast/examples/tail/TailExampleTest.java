package dev.holdfast.examples.tail;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.ExpiringMap;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The example as a user runs it, and what it says of events that are not as they must be. */
@Timeout(60)
class TailExampleTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @TempDir Path directory;

  private static PrintStream to(ByteArrayOutputStream bytes) {
    return new PrintStream(bytes, true, UTF_8);
  }

  private int run(String... arguments) {
    return TailExample.run(arguments, to(out), to(err));
  }

  private String out() {
    return out.toString(UTF_8);
  }

  private String err() {
    return err.toString(UTF_8);
  }

  @Test
  void eachEventIsThereAsLongAsItLives() throws IOException {
    assertEquals(
        0,
        run("--seconds", "2", "--ttl", "1", "--topics", "9", "--dir", directory.toString()),
        this::err);
    assertEquals("", err());
    assertTrue(out().contains("the device of leg 0 is pulled out"), this::out);
    assertTrue(out().contains("it is put back"), this::out);
    assertTrue(out().contains("DEGRADED"), this::out);
    assertTrue(out().contains("orders-2 "), "a ninth topic has a name of its own");
    assertTrue(out().contains("in 9 topics; each was there as long as it lived"), this::out);
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(0, left.count(), "what it made is removed");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--topics,65,'--topics: expected 1 to 64, was 65'",
    "--rate,0,'--rate: expected 1 to 10000, was 0'",
    "--ttl,0,'--ttl: expected 1 to 3600, was 0'",
    "--seconds,3601,'--seconds: expected 1 to 3600, was 3601'",
    "--fault,poison,'--fault: expected remove or none, was'",
    "--dir,/none/at/all,'--dir: expected a directory to write to'"
  })
  void badArgumentsAreSaid(String option, String value, String said) {
    assertEquals(2, run(option, value), this::out);
    assertTrue(err().contains(said), this::err);
  }

  private List<String> problemsWith(
      int timeToLive, int seconds, BiConsumer<ExpiringMap, byte[]> meddler)
      throws InterruptedException {
    TailSettings settings =
        new TailSettings(
            2, 200, Duration.ofSeconds(timeToLive), Duration.ofSeconds(seconds), false, directory);
    LiveView view = new LiveView(to(out), false, 80);
    return new TailRun(settings, view, false, store -> eachKey(store, meddler))
        .run(directory.resolve("store"));
  }

  private static void eachKey(Store store, BiConsumer<ExpiringMap, byte[]> meddler) {
    ExpiringMap events = store.expiringMap("events");
    try (Cursor cursor = events.cursor(KeyRange.all())) {
      while (cursor.next()) {
        meddler.accept(events, cursor.key());
      }
    }
  }

  @Test
  void anEventThatIsGoneBeforeItsTimeIsFound() throws Exception {
    List<String> problems = problemsWith(3, 1, (events, key) -> events.remove(key));
    assertTrue(problems.contains("topic orders: event 0 is lost"), problems::toString);
    assertTrue(problems.contains("topic payments: event 0 is lost"), problems::toString);
    assertTrue(out().contains("see below"), this::out);
  }

  @Test
  void anEventThatIsThereBehindItsTimeIsFound() throws Exception {
    List<String> problems =
        problemsWith(1, 3, (events, key) -> events.setDeadline(key, Instant.now().plusSeconds(5)));
    assertTrue(
        problems.stream().anyMatch(each -> each.endsWith(" is there, and has expired")),
        problems::toString);
    assertFalse(problems.stream().anyMatch(each -> each.endsWith(" is lost")), problems::toString);
  }

  // ---------------------------------------------------------------- the view

  private String shown(boolean isTerminal, int columns, Charset charset) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (Store store = Store.builder(directory.resolve("view")).single().open();
        PrintStream to = new PrintStream(bytes, true, charset)) {
      EventLog log = new EventLog(store);
      LiveView view = new LiveView(to, isTerminal, columns);
      Instant time = Instant.parse("2026-01-02T03:04:05Z");
      for (int i = 0; i < 5; i++) {
        log.append("orders", time.plusSeconds(i), i, "event " + i, Duration.ofHours(1));
      }
      view.show(1, "ONLINE", List.of("orders"), log);
      log.append(
          "orders", time.plusSeconds(9), 9, "the last " + "-".repeat(80), Duration.ofHours(1));
      view.show(2, "DEGRADED", List.of("orders"), log);
    }
    return bytes.toString(charset);
  }

  @Test
  void aTerminalIsDrawnOverAndShowsTheNewest() {
    String text = shown(true, 40, UTF_8);
    assertTrue(text.contains("\u001b[5A\u001b[J"), text);
    assertTrue(text.contains("  orders           6 live  ▆█"), text);
    int last = text.indexOf("the last");
    assertTrue(last > 0 && last < text.lastIndexOf("event 4"), text);
    for (String line : text.split("\n", -1)) {
      assertTrue(line.replaceAll("\u001b\\[\\d*[AJ]", "").length() <= 40, line);
    }
  }

  @Test
  void elsewhereThereAreLinesAndNoMore() {
    String text = shown(false, 40, StandardCharsets.US_ASCII);
    assertEquals(
        String.join(
            System.lineSeparator(),
            "  1.0 s  the store is ONLINE",
            "  orders           5 live  @",
            "  2.0 s  the store is DEGRADED",
            "  orders           6 live  *@",
            ""),
        text);
  }
}
