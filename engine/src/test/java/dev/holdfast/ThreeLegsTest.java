package dev.holdfast;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.LegState;
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

  private static EmulatedDevice device(Store store, int leg) {
    return (EmulatedDevice) store.devices().get(leg);
  }

  private static byte[] key(int number) {
    return ("key-" + number).getBytes(US_ASCII);
  }

  private static byte[] value(int number, int version) {
    return ("value-" + number + "-" + version + "-".repeat(number % 400)).getBytes(US_ASCII);
  }

  /** Entries of one version, beside each other. */
  private static void put(Store store, int from, int to, int version) {
    for (int i = from; i < to; i++) {
      store.put(key(i), value(i, version));
    }
  }

  private static void assertHolds(Store store, int from, int to, int version) {
    for (int i = from; i < to; i++) {
      assertArrayEquals(value(i, version), store.get(key(i)), "entry " + i);
    }
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
      device(store, first).faults().remove();
      put(store, 0, 200, 1);
      device(store, second).faults().remove();
      put(store, 200, 400, 1);
      assertEquals(StoreState.DEGRADED, store.health().state());
      device(store, back).faults().reinsert();
      awaitOnline(store, back);
      put(store, 400, 600, 1);
      device(store, third).faults().remove();
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
      device(store, 0).faults().remove();
      put(store, 0, 200, 1);
      device(store, 1).faults().remove();
      put(store, 200, 400, 1);
      device(store, 1).faults().reinsert();
      awaitOnline(store, 1);
      // Long enough for what is idle to be forgotten, if anybody did.
      put(store, 400, 500, 1);
      long round = store.stats().epoch();
      await().pollDelay(Duration.ofSeconds(3)).until(() -> store.stats().epoch() >= round);
      device(store, 0).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertEquals(0, copy.leg());
      assertFalse(copy.whole());
      device(store, 1).faults().remove();
      device(store, 2).faults().remove();
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
        device(store, leg).faults().remove();
        if (leg < 2) {
          put(store, leg * 100, leg * 100 + 100, 1);
        }
      }
      awaitState(store, StoreState.FAILED);
      device(store, 0).faults().reinsert();
      device(store, 1).faults().reinsert();
      assertEquals(StoreState.FAILED, store.health().state());
      device(store, 2).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      device(store, 2).faults().remove();
      assertHolds(store, 0, 200, 1);
      device(store, 1).faults().remove();
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
          device(store, leg).faults().notifyNever();
          device(store, leg).faults().poison(page, 1);
        }
      }
      assertHolds(store, 0, ENTRIES, 0);
      await()
          .until(() -> {
            store.get(key(ENTRIES / 2));
            return store.devices().stream().allMatch(device -> device.badBlocks().isEmpty());
          });
      awaitState(store, StoreState.ONLINE);
      device(store, good).faults().remove();
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
      device(store, alone).faults().remove();
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
      assertEquals(store.stats().capacityBytes() + VolumeLayout.RECORDS_OFFSET, 4 << 20);
    }
  }
}
