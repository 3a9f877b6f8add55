package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.Arrays;

/** Numbered entries, so that a test says which it means. */
final class Entries {
  private Entries() {}

  static byte[] key(int number) {
    return ("key-" + number).getBytes(US_ASCII);
  }

  static byte[] value(int number) {
    return ("value-" + number + "-".repeat(number % 300)).getBytes(US_ASCII);
  }

  static void put(Store store, int from, int to) {
    for (int i = from; i < to; i++) {
      store.put(key(i), value(i));
    }
  }

  static void assertHolds(Store store, int from, int to) {
    for (int i = from; i < to; i++) {
      assertArrayEquals(value(i), store.get(key(i)), "entry " + i);
    }
  }

  static void assertHoldsOnly(Store store, int from, int to) {
    assertHolds(store, from, to);
    assertEquals(to - from, store.stats().entries());
  }

  /** A mirror that starts small: its files are copied often. */
  static Store open(Path directory) {
    return Store.builder(directory).initialCapacity(2 << 20).open();
  }

  static EmulatedDevice device(Store store, int leg) {
    return (EmulatedDevice) store.devices().get(leg);
  }

  /** The device of a leg of a store that nobody has open. */
  static EmulatedDevice device(Path store, int leg) {
    return EmulatedDevice.open(CrashImage.leg(store, leg), PersistenceMode.PROCESS);
  }

  /** Waits until all legs hold everything: a leg that missed something is copied to meanwhile. */
  static void awaitOnline(Store store) {
    await().until(() -> store.health().state() == StoreState.ONLINE);
  }

  /** Where the record of a key lies, on every leg. */
  static StoreExtent extent(Store store, byte[] key) {
    return store.owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
        .filter(extent -> Arrays.equals(extent.key(), key))
        .findFirst()
        .orElseThrow();
  }
}
