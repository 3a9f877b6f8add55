package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Stores on tracked devices: which modes they take, and that what they flush has names. */
class TrackedStoreTest {
  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  @ParameterizedTest
  @EnumSource(PersistenceMode.class)
  void aTrackedStoreTakesEveryMode(PersistenceMode mode) {
    try (CrashRecorder _ = CrashRecorder.start(directory)) {
      try (Store store = Store.builder(directory).persistence(mode).open()) {
        fill(store, 0, 200);
        assertEquals(mode, store.stats().persistenceMode());
      }
      try (Store store = Store.builder(directory).persistence(mode).open()) {
        assertHolds(store, 0, 200);
      }
    }
  }

  @Test
  void daxIsRefusedWhereNobodyEmulatesIt() {
    StoreBuilder builder = Store.builder(directory.resolve("s")).persistence(PersistenceMode.DAX);
    assertThrows(IllegalArgumentException.class, builder::open);
    assertFalse(Files.exists(directory.resolve("s/leg-0.pmem")), "a leg was made");
    try (Store store = Store.open(directory.resolve("s"))) {
      store.put(key(1), value(1));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"DAX", "FILE"})
  void everyFlushAndFenceHasAName(PersistenceMode mode) {
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = Store.builder(directory).persistence(mode).open()) {
        fill(store, 0, 400);
        store.put(key(1), value(1, 9_000));
        store.remove(key(2));
        store.sync();
      }
      log = recorder.log();
    }
    assertTrue(log.flushSites().size() > 5, () -> "sites: " + log.flushSites());
    assertFalse(log.flushSites().containsKey(PmemDevice.UNNAMED_SITE), "a flush has no name");
    assertFalse(log.fenceSites().containsKey(PmemDevice.UNNAMED_SITE), "a fence has no name");
    assertEquals(log.flushSites().keySet(), log.fenceSites().keySet());
  }
}
