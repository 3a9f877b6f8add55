package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.awaitOnline;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.put;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** L3: a file system that dies under its mappings makes nothing fault, and is found out. */
final class L3DeadFileSystemTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(2 << 20);
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void itsLegIsLostAndWhatItTookMeanwhileIsOnTheOther(PersistenceMode mode) throws Exception {
    Path old = directory.resolve("old");
    try (Store store = builder().persistence(mode).heartbeat(Duration.ofMillis(1)).open()) {
      put(store, 0, 500);
      // What the medium has when the file system dies: nothing later gets there.
      Files.copy(CrashImage.leg(directory.resolve("s"), 1), old);
      device(store, 1).faults().shutDownFileSystem();
      put(store, 500, 1_000);
      await().until(() -> store.health().legs().get(1).state() == LegState.REMOVED);
      assertEquals(StoreState.DEGRADED, store.health().state());
      put(store, 1_000, 1_500);
      assertHolds(store, 0, 1_500);
    }
    Files.copy(old, CrashImage.leg(directory.resolve("s"), 1), StandardCopyOption.REPLACE_EXISTING);
    try (Store store = builder().persistence(mode).open()) {
      assertHolds(store, 0, 1_500);
      awaitOnline(store);
      device(store, 0).faults().remove();
      assertHolds(store, 0, 1_500);
    }
  }

  @Test
  void underTheLastCopyItStopsWrites() {
    try (Store store = builder().single().heartbeat(Duration.ofMillis(1)).open()) {
      put(store, 0, 500);
      device(store, 0).faults().shutDownFileSystem();
      await().until(() -> store.health().state() == StoreState.READ_ONLY);
      assertThrows(ReadOnlyStoreException.class, () -> put(store, 500, 501));
      assertHolds(store, 0, 500);
    }
  }

  @Test
  @Timeout(60)
  void oneThatHangsDoesNotKeepAClose() {
    Store store = builder().heartbeat(Duration.ofMillis(1)).open();
    put(store, 0, 10);
    EmulatedDevice hanging = device(store, 1);
    hanging.faults().hangHeartbeats();
    await().until(() -> isHanging("holdfast-heartbeat-1"));
    store.close();
    hanging.faults().resumeHeartbeats();
    try (Store again = builder().open()) {
      assertHolds(again, 0, 10);
      assertEquals(StoreState.ONLINE, again.health().state());
    }
  }

  private static boolean isHanging(String name) {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(t -> t.getName().equals(name) && t.getState() == Thread.State.WAITING);
  }

  @Test
  void aReadOnlyStoreIsNotAsked() {
    try (Store store = builder().open()) {
      put(store, 0, 10);
    }
    try (Store store = builder().readOnly().heartbeat(Duration.ofMillis(1)).open()) {
      device(store, 1).faults().shutDownFileSystem();
      assertHolds(store, 0, 10);
      assertEquals(LegState.ONLINE, store.health().legs().get(1).state());
    }
  }
}
