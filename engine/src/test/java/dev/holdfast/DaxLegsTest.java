package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.DaxDevice;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stores whose legs should be DAX files, on a file system that has no DAX. */
class DaxLegsTest {
  private static final byte[] KEY = {1};
  private static final byte[] VALUE = {2, 3};

  @TempDir Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("store"))
        .legs(directory.resolve("a.pmem"), directory.resolve("b.pmem"));
  }

  /** Opens a store and returns the line that it logs about itself. */
  private static String lineAtOpen(StoreBuilder builder) {
    List<String> lines = new CopyOnWriteArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord line) {
            lines.add(line.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger(Store.class.getName());
    logger.addHandler(handler);
    try {
      builder.open().close();
    } finally {
      logger.removeHandler(handler);
    }
    return lines.stream().filter(line -> line.contains("open, persistence")).findFirst().orElse("");
  }

  @Test
  void aPlaceWithoutDaxIsRefusedBeforeAnythingIsMade() {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> builder().dax(DaxFallback.REFUSE).open());
    assertTrue(
        String.valueOf(e.getMessage()).contains("expected a file on a DAX mount"), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).contains("a.pmem"), e.getMessage());
    assertFalse(Files.exists(directory.resolve("a.pmem")));
    assertFalse(Files.exists(directory.resolve("b.pmem")));
  }

  @Test
  void aPlaceWithoutDaxFallsBackToMsyncAsAsked() {
    try (Store store = builder().dax(DaxFallback.MSYNC).open()) {
      store.put(KEY, VALUE);
      assertEquals(PersistenceMode.FILE, store.devices().get(0).persistenceMode());
      assertInstanceOf(DaxDevice.class, store.devices().get(1));
    }
    try (Store store = builder().dax(DaxFallback.MSYNC).open()) {
      assertArrayEquals(VALUE, store.get(KEY));
    }
  }

  @Test
  void theModeInForceIsInTheLineAtOpen() {
    String line = lineAtOpen(builder().dax(DaxFallback.MSYNC));
    assertTrue(line.contains("persistence FILE (msync) instead of DAX"), line);
    assertTrue(line.contains("no DAX: "), line);
    line = lineAtOpen(builder().dax(DaxFallback.REFUSE).persistence(PersistenceMode.FILE));
    assertTrue(line.contains("persistence FILE on DAX files"), line);
  }

  @Test
  void theSameFilesOpenAsEmulatedDevices() {
    try (Store store = builder().dax(DaxFallback.MSYNC).open()) {
      store.put(KEY, VALUE);
    }
    try (Store store = builder().persistence(PersistenceMode.FILE).open()) {
      assertArrayEquals(VALUE, store.get(KEY));
    }
  }
}
