package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of the README runs, and the README shows what runs. */
final class ReadmeExampleTest {
  @TempDir Path directory;

  // README
  static String embed(Path data) {
    try (Store store = Store.open(data)) {
      store.put("apple".getBytes(UTF_8), "red".getBytes(UTF_8));
      store.put("banana".getBytes(UTF_8), "yellow".getBytes(UTF_8));

      // Pull the device out from under the leg that serves reads.
      ((EmulatedDevice) store.devices().get(0)).faults().remove();

      store.put("cherry".getBytes(UTF_8), "black".getBytes(UTF_8));
      StringBuilder text = new StringBuilder();
      try (Cursor fruit = store.cursor(KeyRange.all())) {
        while (fruit.next()) {
          text.append(new String(fruit.key(), UTF_8)).append(' ');
        }
      }
      return text.append(store.health().state()).toString();
    }
  }

  // README

  @Test
  void theExampleServesOnWithoutItsDevice() {
    assertEquals("apple banana cherry " + StoreState.DEGRADED, embed(directory.resolve("data")));
  }

  @Test
  void theReadmeShowsTheCodeThatRuns() throws IOException {
    // Tests run in their module's directory.
    Path root = Path.of("").toAbsolutePath().resolve("..").normalize();
    String source =
        Files.readString(
            root.resolve("engine/src/test/java/dev/holdfast/ReadmeExampleTest.java"), UTF_8);
    List<String> parts = List.of(source.split("  // README\n", -1));
    assertEquals(3, parts.size());
    String shown = parts.get(1).stripTrailing().stripIndent().strip();
    String readme = Files.readString(root.resolve("README.md"), UTF_8);
    assertTrue(readme.contains(shown), () -> "README.md: expected to contain\n" + shown);
  }
}
