package dev.holdfast;

import static dev.holdfast.TestStores.leg;
import static dev.holdfast.VersionedEntries.assertHolds;
import static dev.holdfast.VersionedEntries.key;
import static dev.holdfast.VersionedEntries.put;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A mirror of three legs: two may go, in any order, and come back in any other. */
final class ThreeLegsTest {
  private static final int PAGE = 4096;
  private static final int ENTRIES = 2_000;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path file(int leg) {
    return directory.resolve("device-" + leg);
  }

  private Store open() {
    return Store.builder(directory.resolve("s"))
        .legs(file(0), file(1), file(2))
        .initialCapacity(4 << 20)
        .open();
  }

  private static void awaitState(Store store, StoreState state) {
    await().until(() -> store.health().state() == state);
  }

  private static void awaitOnline(Store store, int leg) {
    await().until(() -> store.health().legs().get(leg).state() == LegState.ONLINE);
  }

  /** Two go while it is written, one comes back, and serves alone. */
  @ParameterizedTest
  @CsvSource({"0, 1, 0", "0, 1, 1", "1, 2, 1", "2, 0, 0", "2, 1, 2"})
  void twoMayGoAndOneThatIsBackServesAlone(int first, int second, int back) {
    int third = 3 - first - second;
    try (Store store = open()) {
      put(store, 0, ENTRIES, 0);
      leg(store, first).faults().remove();
      put(store, 0, 200, 1);
      leg(store, second).faults().remove();
      put(store, 200, 400, 1);
      assertEquals(StoreState.DEGRADED, store.health().state());
      leg(store, back).faults().reinsert();
      awaitOnline(store, back);
      put(store, 400, 600, 1);
      leg(store, third).faults().remove();
      assertHolds(store, 0, 600, 1);
      assertHolds(store, 600, ENTRIES, 0);
      put(store, 600, 700, 1);
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** What one misses is remembered though another one has come back whole meanwhile. */
  @Test
  void whatOneMissesIsRememberedWhileAnotherIsCopiedTo() {
    try (Store store = open()) {
      put(store, 0, ENTRIES, 0);
      leg(store, 0).faults().remove();
      put(store, 0, 200, 1);
      leg(store, 1).faults().remove();
      put(store, 200, 400, 1);
      leg(store, 1).faults().reinsert();
      awaitOnline(store, 1);
      // Long enough for what is idle to be forgotten, if anybody did.
      put(store, 400, 500, 1);
      long round = store.stats().epoch();
      await().pollDelay(Duration.ofSeconds(3)).until(() -> store.stats().epoch() >= round);
      leg(store, 0).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertEquals(0, copy.leg());
      assertFalse(copy.whole());
      leg(store, 1).faults().remove();
      leg(store, 2).faults().remove();
      assertHolds(store, 0, 500, 1);
      assertHolds(store, 500, ENTRIES, 0);
    }
  }

  /** All go, one after the other; the last one to go knows everything. */
  @Test
  void whoWentLastBringsTheOthersBack() {
    try (Store store = open()) {
      put(store, 0, ENTRIES, 0);
      for (int leg = 0; leg < 3; leg++) {
        leg(store, leg).faults().remove();
        if (leg < 2) {
          put(store, leg * 100, leg * 100 + 100, 1);
        }
      }
      awaitState(store, StoreState.FAILED);
      leg(store, 0).faults().reinsert();
      leg(store, 1).faults().reinsert();
      assertEquals(StoreState.FAILED, store.health().state());
      leg(store, 2).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      leg(store, 2).faults().remove();
      assertHolds(store, 0, 200, 1);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 200, 1);
      assertHolds(store, 200, ENTRIES, 0);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void pageThatIsBadOnTwoLegsIsRepairedFromTheThird(int good) {
    try (Store store = open()) {
      put(store, 0, ENTRIES, 0);
      long page = TestStores.recordOf(store, key(ENTRIES / 2)).offset() / PAGE * PAGE;
      for (int leg = 0; leg < 3; leg++) {
        if (leg != good) {
          leg(store, leg).faults().notifyNever();
          leg(store, leg).faults().poison(page, 1);
        }
      }
      assertHolds(store, 0, ENTRIES, 0);
      await()
          .until(() -> {
            store.get(key(ENTRIES / 2));
            return store.devices().stream().allMatch(device -> device.badBlocks().isEmpty());
          });
      awaitState(store, StoreState.ONLINE);
      leg(store, good).faults().remove();
      assertHolds(store, 0, ENTRIES, 0);
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Of three legs of a store that was closed, any two may be missing. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void anyOneOpens(int alone) throws Exception {
    try (Store store = open()) {
      put(store, 0, ENTRIES, 0);
    }
    for (int leg = 0; leg < 3; leg++) {
      if (leg != alone) {
        Files.move(file(leg), directory.resolve("device-" + leg + ".removed"));
      }
    }
    try (Store store = open()) {
      assertHolds(store, 0, ENTRIES, 0);
      put(store, 0, 100, 1);
      assertEquals(StoreState.DEGRADED, store.health().state());
    }
    for (int leg = 0; leg < 3; leg++) {
      if (leg != alone) {
        FaultInjector.reinsert(file(leg));
      }
    }
    try (Store store = open()) {
      awaitState(store, StoreState.ONLINE);
      leg(store, alone).faults().remove();
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
      assertEquals(store.stats().capacityBytes() + VolumeLayout.RECORDS_OFFSET, 4 << 20);
    }
  }
}
