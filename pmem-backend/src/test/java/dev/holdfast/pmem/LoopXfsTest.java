package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file system for tests, where this machine lets one be made. */
final class LoopXfsTest {
  @TempDir Path directory;

  private LoopXfs make(long bytes) {
    return LoopXfs.make(directory.resolve("image"), directory.resolve("mounted"), bytes);
  }

  /** How many loop devices have a file of this test. */
  private long loops() throws IOException {
    try (var all = Files.list(Path.of("/sys/block"))) {
      return all.map(block -> block.resolve("loop/backing_file"))
          .filter(Files::exists)
          .filter(file -> {
            try {
              return Files.readString(file).startsWith(directory.toRealPath().toString());
            } catch (IOException e) {
              return false; // It has just gone.
            }
          })
          .count();
    }
  }

  @Test
  void whatIsShutDownTakesNothingAndHasWhatWasOnTheMediumAfterAMount() throws IOException {
    String missing = LoopXfs.missing();
    if (missing != null) {
      assertThrows(DeviceIoException.class, () -> make(1), missing);
      return;
    }
    // No multiple of a sector: losetup warns of that beside what it is asked for.
    try (LoopXfs made = make(LoopXfs.SMALLEST + 1)) {
      assertEquals(1, loops());
      Path file = made.directory().resolve("file");
      DurableFile.createNew(file);
      Files.writeString(file, "not on the medium");
      made.shutDown();
      assertThrows(IOException.class, () -> Files.writeString(file, "no more"));
      made.unmount();
      assertFalse(Files.exists(file));
      made.mount();
      assertEquals("", Files.readString(file));
    }
    assertEquals(0, loops());
    try (var left = Files.list(directory)) {
      assertTrue(left.findAny().isEmpty());
    }
  }

  @Test
  void whoWritesToAFrozenOneWaitsUntilItThaws() throws Exception {
    String missing = LoopXfs.missing();
    if (missing != null) {
      assertThrows(DeviceIoException.class, () -> make(1), missing);
      return;
    }
    try (LoopXfs made = make(LoopXfs.SMALLEST)) {
      Path file = made.directory().resolve("file");
      made.freeze();
      Thread writer =
          Thread.ofPlatform().start(() -> assertDoesNotThrow(() -> Files.createFile(file)));
      assertFalse(writer.join(Duration.ofMillis(300)));
      made.thaw();
      assertTrue(writer.join(Duration.ofSeconds(20)));
      assertTrue(Files.exists(file));
      made.freeze(); // It is given back frozen, too.
    }
    assertEquals(0, loops());
  }
}
