package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import dev.holdfast.volume.LegMarks;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A medium that takes nothing any more, under memory that answers as before. */
final class LostMediumTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(2 << 20)
        .heartbeat(Duration.ofMillis(2));
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void legWhoseMediumIsGoneIsLostThoughItsMemoryAnswers(PersistenceMode mode) {
    try (Store store = builder().persistence(mode).open()) {
      fill(store, 0, 100);
      leg(store, 0).faults().shutDownFileSystem();
      await().until(() -> state(store, 0) == LegState.REMOVED);
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertEquals(DeviceState.DEAD, leg(store, 0).state(), "nobody can meet its old pages");
      fill(store, 100, 300);
      assertHolds(store, 0, 300);
    }
    assertEquals("STALE", LegMarks.of(directory.resolve("s").resolve("leg-1.pmem"), 0));
  }

  @Test
  void lastCopyIsKeptAndWritesStop() {
    try (Store store = builder().single().open()) {
      fill(store, 0, 100);
      leg(store, 0).faults().shutDownFileSystem();
      await().until(() -> store.health().state() == StoreState.READ_ONLY);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(100), value(100)));
      assertHolds(store, 0, 100);
      assertEquals(DeviceState.LIVE, leg(store, 0).state());
      assertTrue(String.valueOf(store.health().reason()).contains("heartbeat"));
    }
  }

  @Test
  void mediumThatRefusedIsNotAskedAgain() {
    try (Store store = builder().single().open()) {
      leg(store, 0).faults().shutDownFileSystem();
      await().until(() -> store.health().state() == StoreState.READ_ONLY);
      leg(store, 0).faults().mountFileSystem();
      long beats = leg(store, 0).faults().heartbeats();
      // Others go on: time passed for this one, too.
      try (Store other =
          Store.builder(directory.resolve("o"))
              .initialCapacity(2 << 20)
              .heartbeat(Duration.ofMillis(2))
              .open()) {
        await().until(() -> leg(other, 0).faults().heartbeats() > 20);
      }
      assertEquals(beats, leg(store, 0).faults().heartbeats());
      assertEquals(StoreState.READ_ONLY, store.health().state());
    }
  }

  @Test
  void hangingBeatDoesNotKeepAClose() {
    Store store = builder().open();
    leg(store, 0).faults().hangHeartbeats();
    try {
      long beats = leg(store, 1).faults().heartbeats();
      await().until(() -> leg(store, 1).faults().heartbeats() > beats + 3);
      store.close();
    } finally {
      leg(store, 0).faults().resumeHeartbeats();
    }
  }

  @Test
  void legIsBroughtBackOnceItsMediumIsThereAgainWithWhatItHadThen() throws Exception {
    Path file = directory.resolve("s").resolve("leg-0.pmem");
    Path then = directory.resolve("then");
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      leg(store, 0).faults().shutDownFileSystem();
      Files.copy(file, then);
      fill(store, 50, 200);
      await().until(() -> state(store, 0) == LegState.REMOVED);
      fill(store, 200, 300);
      // As after the next mount: what was stored since is gone.
      Files.copy(then, file, StandardCopyOption.REPLACE_EXISTING);
      assertEquals(LegState.REMOVED, state(store, 0));
      leg(store, 0).faults().mountFileSystem();
      TestStores.awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 300);
    }
  }

  @Test
  void mediumThatRefusedOnceAndIsStillThereDoesNotComeBackByItself() {
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      leg(store, 0).faults().failHeartbeats(1);
      await().until(() -> state(store, 0) == LegState.REMOVED);
      long beats = leg(store, 1).faults().heartbeats();
      await().until(() -> leg(store, 1).faults().heartbeats() > beats + 10);
      assertEquals(LegState.REMOVED, state(store, 0));
      store.online(0);
      TestStores.awaitState(store, StoreState.ONLINE);
      fill(store, 100, 200);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 200);
    }
  }

  @Test
  void refusedGrowthLosesTheLegAndNoOperationFails() {
    try (Store store = builder().heartbeat(Duration.ZERO).open()) {
      leg(store, 0).faults().shutDownFileSystem();
      for (int i = 0; i < 600; i++) {
        store.put(key(i), value(i, 10_000));
      }
      assertFalse(state(store, 0) == LegState.ONLINE, "the volume grew");
      for (int i = 0; i < 600; i++) {
        assertArrayEquals(value(i, 10_000), store.get(key(i)));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 4096})
  void legWhoseFileIsCutOffComesBackOnceItIsWhole(long left) throws Exception {
    Path file = directory.resolve("s").resolve("leg-0.pmem");
    Path then = directory.resolve("then");
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      Files.copy(file, then);
      cutOff(file, left);
      fill(store, 50, 200);
      assertHolds(store, 0, 200);
      await().until(() -> state(store, 0) == LegState.REMOVED);
      fill(store, 200, 300);
      assertEquals(LegState.REMOVED, state(store, 0));
      // At once: half of a file is taken for one that lost its end.
      Files.move(then, file, StandardCopyOption.ATOMIC_MOVE);
      TestStores.awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 300);
    }
  }

  /** Within its superblocks, behind the first, and behind all of them. */
  @ParameterizedTest
  @ValueSource(longs = {(64 << 10) + 4096, (64 << 10) + (256 << 10) + 4096, 1 << 20})
  void legWhoseFileLostItsEndIsGivenItAgain(long left) throws Exception {
    Path file = directory.resolve("s").resolve("leg-0.pmem");
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      long generation = leg(store, 0).generation();
      cutOff(file, left);
      await().until(() -> leg(store, 0).generation() > generation);
      fill(store, 50, 300);
      TestStores.awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 300);
    }
  }

  @Test
  void legWhoseFileIsDeletedIsLostThoughItsMemoryAnswers() throws Exception {
    Path file = directory.resolve("s").resolve("leg-0.pmem");
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      Files.delete(file);
      await().until(() -> state(store, 0) == LegState.REMOVED);
      fill(store, 100, 200);
      assertHolds(store, 0, 200);
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertHolds(store, 0, 200);
    }
  }

  @Test
  void lastCopyWhoseFileIsDeletedTakesNoMoreWrites() throws Exception {
    try (Store store = builder().single().open()) {
      fill(store, 0, 100);
      Files.delete(directory.resolve("s").resolve("leg-0.pmem"));
      await().until(() -> store.health().state() == StoreState.READ_ONLY);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(100), value(100)));
      assertHolds(store, 0, 100);
    }
  }

  private static void cutOff(Path file, long left) throws Exception {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(left);
    }
  }

  @Test
  void intervalIsZeroOrAMillisecondAndMore() {
    StoreBuilder builder = builder();
    assertThrows(IllegalArgumentException.class, () -> builder.heartbeat(Duration.ofMillis(-1)));
    assertThrows(IllegalArgumentException.class, () -> builder.heartbeat(Duration.ofNanos(1)));
    builder.heartbeat(Duration.ofDays(400_000)).open().close();
  }

  @Test
  void readOnlyStoreWritesNoLabel() {
    builder().open().close();
    try (Store store = builder().readOnly().open();
        Store other =
            Store.builder(directory.resolve("o")).heartbeat(Duration.ofMillis(2)).open()) {
      await().until(() -> leg(other, 0).faults().heartbeats() > 20);
      assertEquals(0, leg(store, 0).faults().heartbeats());
    }
  }
}
