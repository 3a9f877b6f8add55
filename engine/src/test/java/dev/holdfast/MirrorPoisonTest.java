package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keysIn;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.lostKeys;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Poison on both legs of a mirror, and poison of what the volume itself lives on. */
final class MirrorPoisonTest {
  private static final int KEYS = 1_000;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private Store open() {
    return Store.builder(path()).initialCapacity(4 << 20).open();
  }

  @Test
  void poisonOfOnePageOnBothLegsLosesExactlyWhatItHeld() {
    Set<byte[]> lost;
    try (Store store = open()) {
      fill(store, 0, KEYS);
      long page = recordOf(store, key(400)).offset() / PAGE * PAGE;
      lost = keysIn(store, page, PAGE);
      leg(store, 0).faults().failClears(1);
      leg(store, 0).faults().poison(page, 1);
      leg(store, 1).faults().failClears(1);
      leg(store, 1).faults().poison(page, 1);
      // Either leg may have been repaired from the other before that was poisoned, too.
      for (int i = 0; i < KEYS; i++) {
        if (!lost.contains(key(i))) {
          assertArrayEquals(value(i), store.get(key(i)));
        }
      }
      awaitRepaired(store);
      lost.removeIf(key -> !lostKeys(store, KEYS).contains(key));
      assertEquals(lost, lostKeys(store, KEYS));
      lost.forEach(key -> assertLost(store, key));
      awaitState(store, StoreState.ONLINE);
    }
    try (Store store = open()) {
      assertEquals(lost, lostKeys(store, KEYS));
      lost.forEach(key -> assertLost(store, key));
      fill(store, 0, KEYS);
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS);
      assertTrue(lostKeys(store, KEYS).isEmpty());
    }
  }

  @Test
  void aRecordWithDifferentPagesPoisonedOnEachLegIsAssembledFromBoth() {
    byte[] large = value(3, 8 * PAGE);
    try (Store store = open()) {
      fill(store, 0, 10);
      store.put(key(10), large);
      long offset = largeValueOf(store, key(10)).offset();
      for (int leg = 0; leg < 2; leg++) {
        leg(store, leg).faults().failClears(20);
        leg(store, leg).faults().notifyNever();
        leg(store, leg).faults().poison(offset + (2L + leg) * PAGE, 1);
      }
      assertArrayEquals(large, store.get(key(10)));
      assertTrue(store.replace(key(10), large, large));
      for (int leg = 0; leg < 2; leg++) {
        leg(store, leg).faults().failClears(0);
      }
      awaitRepaired(store);
      assertTrue(store.health().lost().isEmpty());
      leg(store, 0).faults().remove();
      assertArrayEquals(large, store.get(key(10)));
    }
  }

  /** No operation waits for a repair that never comes. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatCanBeRepairedOnNoLegIsServedFromThePagesOfBoth(boolean told) {
    byte[] longKey = new byte[Store.MAX_KEY_LENGTH];
    Arrays.fill(longKey, (byte) 'l');
    byte[] otherKey = longKey.clone();
    otherKey[9] = 'm';
    byte[] large = value(3, 8 * PAGE);
    try (Store store = open()) {
      fill(store, 0, 10);
      store.put(longKey, value(20));
      fill(store, 100, 300); // in between, so that no page is bad on both legs
      store.put(otherKey, value(21));
      store.put(key(10), large);
      for (long offset :
          new long[] {
            recordOf(store, longKey).offset(),
            recordOf(store, otherKey).offset(),
            largeValueOf(store, key(10)).offset() + 2L * PAGE
          }) {
        for (int leg = 0; leg < 2; leg++) {
          leg(store, leg).faults().failClears(Integer.MAX_VALUE);
          if (!told) {
            leg(store, leg).faults().notifyNever();
          }
          leg(store, leg).faults().poison((offset / PAGE + leg) * PAGE, 1);
        }
      }
      assertTimeoutPreemptively(
          Duration.ofSeconds(30),
          () -> {
            assertServed(store, longKey, value(20));
            assertServed(store, key(10), large);
            assertServed(store, otherKey, value(21));
            assertHolds(store, 0, 10);
            store.put(longKey, value(22));
            assertServed(store, longKey, value(22));
            store.write(new WriteBatch().put(key(10), value(10)).put(otherKey, large));
            assertServed(store, otherKey, large);
            assertTrue(store.remove(otherKey));
          });
    }
    try (Store store = open()) {
      assertHolds(store, 0, 11);
      assertArrayEquals(value(22), store.get(longKey));
      assertNull(store.get(otherKey));
    }
  }

  private static void assertServed(Store store, byte[] key, byte[] expected) {
    assertArrayEquals(expected, store.get(key));
    assertTrue(store.containsKey(key));
    try (Lease lease = LeaseTest.lease(store, key)) {
      assertArrayEquals(expected, LeaseTest.bytesOf(lease));
    }
    try (Snapshot snapshot = store.snapshot()) {
      assertArrayEquals(expected, snapshot.get(key));
      assertTrue(store.replace(key, expected, expected));
      assertArrayEquals(expected, snapshot.get(key));
    }
    assertArrayEquals(expected, store.get(key));
  }

  /** The head on one leg's bad page, the rest of the key and a part of the value on the other's. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRecordPoisonedOnEachLegWhileClosedIsAssembledAtOpen(boolean crashed) {
    byte[] longKey = new byte[Store.MAX_KEY_LENGTH];
    Arrays.fill(longKey, (byte) 'k');
    byte[] large = value(3, 8 * PAGE);
    long offset;
    long valueOffset;
    Path image = path();
    try (Store store = open()) {
      fill(store, 0, 10);
      store.put(longKey, large);
      store.put(key(11), value(11));
      offset = recordOf(store, longKey).offset() / PAGE * PAGE;
      valueOffset = largeValueOf(store, longKey).offset();
      if (crashed) {
        image = crashImage(path(), directory.resolve("crashed"));
      }
    }
    for (int leg = 0; leg < 2; leg++) {
      try (EmulatedDevice device =
          EmulatedDevice.open(image.resolve("leg-" + leg + ".pmem"), PersistenceMode.PROCESS)) {
        device.faults().poison(offset + (long) leg * PAGE, 1);
        device.faults().poison(valueOffset + (4L + leg) * PAGE, 1);
      }
    }
    try (Store store = Store.open(image)) {
      assertArrayEquals(large, store.get(longKey));
      assertTrue(store.health().lost().isEmpty());
      awaitRepaired(store);
      assertHolds(store, 0, 10);
      assertHolds(store, 11, 12);
      leg(store, 0).faults().remove();
      assertArrayEquals(large, store.get(longKey));
    }
  }

  /** A bad range of several pages of which the other leg lacks one is not zeroed as a whole. */
  @Test
  void ofARangeThatIsLostOnlyThePagesWithoutACopyAreZeroed() {
    byte[] large = value(3, 8 * PAGE);
    long offset;
    try (Store store = open()) {
      store.put(key(0), value(0, 3 * PAGE));
      store.put(key(1), large);
      store.put(key(2), value(2, 3 * PAGE));
      offset = largeValueOf(store, key(1)).offset();
      assertEquals(offset - 3L * PAGE, largeValueOf(store, key(0)).offset());
      assertEquals(offset + 8L * PAGE, largeValueOf(store, key(2)).offset());
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(path().resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      device.faults().poison(offset - 2L * PAGE, 13L * PAGE);
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(path().resolve("leg-1.pmem"), PersistenceMode.PROCESS)) {
      device.faults().poison(offset + 3L * PAGE, 1);
    }
    try (Store store = open()) {
      assertArrayEquals(value(0, 3 * PAGE), store.get(key(0)));
      assertLost(store, key(1));
      awaitRepaired(store);
      leg(store, 1).faults().remove();
      assertArrayEquals(value(0, 3 * PAGE), store.get(key(0)));
      assertArrayEquals(value(2, 3 * PAGE), store.get(key(2)));
      assertLost(store, key(1));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, VolumeLayout.SUPERBLOCK_SIZE, VolumeLayout.DIRTY_MAP_OFFSET})
  void poisonedMetadataOfOneLegIsRepaired(long offset) {
    try (Store store = open()) {
      fill(store, 0, KEYS / 2);
      leg(store, 0).faults().poison(offset, 3L * PAGE);
      fill(store, KEYS / 2, KEYS);
      awaitRepaired(store);
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
      store.put(key(KEYS), value(KEYS));
    }
    try (Store store = open()) {
      assertHolds(store, 0, KEYS + 1);
    }
  }

  @Test
  void aLegWhoseSuperblocksAreBothPoisonedIsNotNeeded() {
    try (Store store = open()) {
      fill(store, 0, KEYS / 2);
      leg(store, 0).faults().poison(0, VolumeLayout.DIRTY_MAP_OFFSET);
      fill(store, KEYS / 2, KEYS);
      assertHolds(store, 0, KEYS);
    }
    try (Store store = open()) {
      assertHolds(store, 0, KEYS);
      await().until(() -> store.health().legs().get(0).badRanges().isEmpty());
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
    }
  }

  /** Each bad range costs every operation something: a leg that has hundreds is given up. */
  @Test
  void aLegWithHundredsOfBadPagesIsGivenUpWhereTheOtherHoldsEverything() {
    try (Store store = open()) {
      fill(store, 0, KEYS);
      EmulatedDevice bad = leg(store, 0);
      bad.faults().failClears(Integer.MAX_VALUE);
      bad.faults().notifyNever();
      long end = VolumeLayout.RECORDS_OFFSET + 2L * 600 * PAGE;
      store.put(key(KEYS), new byte[6 << 20]);
      for (long at = VolumeLayout.RECORDS_OFFSET; at < end; at += 2L * PAGE) {
        bad.faults().poison(at, 1);
      }
      await().until(() -> store.health().legs().get(0).state() == LegState.FAULTED);
      assertHolds(store, 0, KEYS);
      assertEquals(0, store.health().legs().get(0).badRanges().size());
      assertEquals(StoreState.DEGRADED, store.health().state());
      bad.faults().failClears(0);
      store.online(0);
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
    }
  }
}
