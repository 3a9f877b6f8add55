package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keySet;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.lostKeys;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.records;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What was acknowledged is there, or named as lost, when the records are read again: at the next
 * open, after a crash, or when the device comes back.
 */
final class LossAcrossOpensTest {
  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  /** The lengths of the values that fill the first page of a leaf. */
  private static final int[] OTHERS = {1301, 1301, 1317};

  private StoreBuilder store() {
    return Store.builder(path()).single().initialCapacity(2 << 20);
  }

  @Test
  void capacityThatIsNoMultipleOfAnythingLosesNothingWhenItGrows() {
    int keys = 0;
    try (Store store = store().maxCapacity((3 << 20) + 100).open()) {
      while (true) {
        store.put(key(keys), value(keys, 8000));
        keys++;
      }
    } catch (OutOfSpaceException e) {
      assertTrue(keys > 100);
    }
    int more = keys + 200;
    try (Store store = Store.open(path())) {
      for (int i = keys; i < more; i++) {
        store.put(key(i), value(i, 8000));
      }
      assertTrue(records(store).stream().allMatch(record -> record.offset() % 8 == 0));
    }
    try (Store store = Store.open(path())) {
      for (int i = 0; i < more; i++) {
        assertArrayEquals(value(i, 8000), store.get(key(i)), "key " + i);
      }
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Of a small value, the record is flushed before it shows only where that takes no msync. */
  @Test
  void keyOfAPutThatHadToMoveStaysRemoved() throws IOException, InterruptedException {
    try (CrashRecorder _ = CrashRecorder.start(Files.createDirectory(path()))) {
      keyOfAPutThatHadToMoveStaysRemoved(PersistenceMode.DAX, 500);
    }
  }

  @Test
  void keyOfALargePutThatHadToMoveStaysRemoved() throws InterruptedException {
    keyOfAPutThatHadToMoveStaysRemoved(PersistenceMode.FILE, 4 * PAGE);
  }

  private void keyOfAPutThatHadToMoveStaysRemoved(PersistenceMode mode, int length)
      throws InterruptedException {
    boolean isLarge = length > PAGE;
    try (Store store = store().persistence(mode).open()) {
      fillFirstPage(store);
      EmulatedDevice device = leg(store, 0);
      device.faults().flushLatency(Duration.ofSeconds(1));
      Thread writer = Thread.ofPlatform().start(() -> store.put(key(1), value(1, length)));
      // The value is whole, and being flushed.
      long place = awaitPlaceOf(device, value(1, length));
      device.faults().flushLatency(Duration.ZERO);
      device.faults().failClears(6);
      assertTrue(records(store).stream().allMatch(each -> each.offset() / PAGE != place / PAGE));
      device.faults().poison(isLarge ? place + 2L * PAGE : place / PAGE * PAGE, PAGE);
      writer.join();
      StoreExtent moved = isLarge ? largeValueOf(store, key(1)) : recordOf(store, key(1));
      assertTrue(moved.offset() > place || moved.offset() + moved.length() <= place);
      assertArrayEquals(value(1, length), store.get(key(1)));
      assertTrue(store.remove(key(1)));
      assertNull(store.get(key(1)));
      awaitRepaired(store);
    }
    try (Store store = store().persistence(mode).open()) {
      assertIsRemoved(store);
    }
  }

  /** A record shows before its commit: what is lost of it then is named, not taken for absent. */
  @Test
  void keyOfAPutThatIsLostBeforeItsCommitIsNamedUntilItIsRemoved() throws InterruptedException {
    try (Store store = store().persistence(PersistenceMode.FILE).open()) {
      fillFirstPage(store);
      EmulatedDevice device = leg(store, 0);
      device.faults().flushLatency(Duration.ofSeconds(1));
      Thread writer = Thread.ofPlatform().start(() -> store.put(key(1), value(1, 500)));
      long place = awaitPlaceOf(device, value(1, 500));
      device.faults().flushLatency(Duration.ZERO);
      device.faults().failClears(6);
      device.faults().poison(place / PAGE * PAGE, PAGE);
      writer.join();
      assertThrows(DataLostException.class, () -> store.get(key(1)));
      assertTrue(store.remove(key(1)));
      assertNull(store.get(key(1)));
      awaitRepaired(store);
    }
    try (Store store = Store.open(path())) {
      assertIsRemoved(store);
    }
  }

  /** Others fill the first page of the leaf, so that the poison of the next one costs none. */
  private static void fillFirstPage(Store store) {
    store.put(key(0), value(0));
    for (int i = 0; i < OTHERS.length; i++) {
      store.put(key(2 + i), value(2 + i, OTHERS[i]));
    }
  }

  private static void assertIsRemoved(Store store) {
    assertNull(store.get(key(1)));
    assertTrue(store.health().lost().isEmpty());
    assertHolds(store, 0, 1);
    for (int i = 0; i < OTHERS.length; i++) {
      assertArrayEquals(value(2 + i, OTHERS[i]), store.get(key(2 + i)));
    }
  }

  private static long awaitPlaceOf(EmulatedDevice device, byte[] value) {
    await()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .until(() -> placeOf(device, value) >= 0);
    return placeOf(device, value);
  }

  /** Where a value lies on a device, whole; -1 if nowhere. */
  private static long placeOf(EmulatedDevice device, byte[] value) {
    byte[] all = new byte[(int) (device.capacity() - VolumeLayout.RECORDS_OFFSET)];
    device.read(VolumeLayout.RECORDS_OFFSET, all, 0, all.length);
    for (int at = 0; at + value.length <= all.length; at++) {
      if (all[at] == value[0]
          && Arrays.equals(all, at, at + value.length, value, 0, value.length)) {
        return VolumeLayout.RECORDS_OFFSET + at;
      }
    }
    return -1;
  }

  @Test
  void keysThatAreRemovedAtOnceAreAllAbsent() throws Exception {
    Path image = directory.resolve("image");
    long page;
    try (Store store = store().open()) {
      fill(store, 0, 100);
      page = recordOf(store, key(50)).offset() / PAGE * PAGE;
      crashImage(path(), image);
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(image.resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      device.faults().poison(page, PAGE);
    }
    try (Store store = Store.open(image)) {
      awaitRepaired(store);
      assertThrows(DataLostException.class, () -> store.get(key(999)));
      int threads = 8;
      for (int round = 0; round < 100; round++) {
        int base = 1000 + round * threads;
        CyclicBarrier together = new CyclicBarrier(threads);
        Thread[] removers = new Thread[threads];
        for (int i = 0; i < threads; i++) {
          byte[] key = key(base + i);
          removers[i] =
              Thread.ofPlatform()
                  .start(() -> {
                    try {
                      together.await();
                    } catch (Exception e) {
                      throw new IllegalStateException(e);
                    }
                    store.remove(key);
                  });
        }
        for (Thread remover : removers) {
          remover.join();
        }
        for (int i = 0; i < threads; i++) {
          assertNull(store.get(key(base + i)), "round " + round);
        }
      }
    }
  }

  @Test
  void recordWhoseHeadIsDamagedWhileTheDeviceIsAwayIsNamed() {
    try (Store store = store().open()) {
      fill(store, 0, 10);
      StoreExtent damaged = recordOf(store, key(3));
      leg(store, 0).faults().flipBit(damaged.offset() + 20, 1);
      leg(store, 0).faults().flipBit(recordOf(store, key(7)).offset() + 1, 0); // not even the magic
      leg(store, 0).faults().remove();
      assertThrows(DeviceOfflineException.class, () -> store.get(key(0)));
      leg(store, 0).faults().reinsert();
      await().ignoreExceptions().until(() -> store.containsKey(key(0)));
      assertLost(store, key(3));
      assertLost(store, key(7));
      assertEquals(keySet(List.of(key(3), key(7))), lostKeys(store, 10));
      assertNull(store.get(key(10)));
      assertHolds(store, 0, 3);
      assertHolds(store, 8, 10);
      store.put(key(3), value(3));
      assertTrue(store.remove(key(7)));
    }
    try (Store store = Store.open(path())) {
      assertHolds(store, 0, 7);
      assertNull(store.get(key(7)));
      assertTrue(store.health().lost().isEmpty());
    }
  }

  @Test
  void damagedHeadOfACrashedStoreIsNotTakenForAbsenceWhereNothingWasWritten() {
    Path crashed = directory.resolve("crashed");
    long record;
    try (Store store = store().open()) {
      fill(store, 0, 10);
      record = recordOf(store, key(3)).offset();
      await().until(() -> !LegMarks.isDirty(leg(store, 0), VolumeLayout.RECORDS_OFFSET));
      crashImage(path(), crashed);
    }
    // In the magic, the checksum, the key's length, the key.
    for (int at : new int[] {1, 5, 20, 50}) {
      Path image = crashImage(crashed, directory.resolve("image-" + at));
      flipBitOf(image, record + at);
      for (int open = 0; open < 2; open++) {
        try (Store store = Store.open(image)) {
          assertThrows(DataLostException.class, () -> store.get(key(3)), "byte " + at);
          assertEquals(1, store.health().lost().size());
          assertHolds(store, 0, 3);
          assertHolds(store, 4, 10);
        }
      }
    }
  }

  /** What was lost at the same place before says nothing of the record that is there since. */
  @Test
  void damageAtThePlaceOfAnEarlierLossIsNotTakenForThat() {
    Path image = directory.resolve("image");
    byte[] large = value(1, 2 * PAGE);
    byte[] later = key(100);
    try (Store store = store().open()) {
      for (int i = 0; i < 6; i++) {
        store.put(key(i), large);
      }
      long place = largeValueOf(store, key(3)).offset();
      leg(store, 0).faults().poison(place + PAGE, 1);
      assertThrows(DataLostException.class, () -> store.get(key(3)));
      awaitRepaired(store);
      // Its place is given back after the repair; until then others are taken.
      int rounds = 0;
      do {
        assertTrue(++rounds < 5_000, "the place is not used again");
        store.remove(later);
        store.put(later, large);
      } while (largeValueOf(store, later).offset() != place);
      await().until(() -> !LegMarks.isDirty(leg(store, 0), place));
      crashImage(path(), image);
      flipBitOf(image, place + 5);
    }
    try (Store store = Store.open(image)) {
      assertThrows(DataLostException.class, () -> store.get(key(3)));
      assertThrows(DataLostException.class, () -> store.get(later));
    }
  }

  private static void flipBitOf(Path image, long offset) {
    try (EmulatedDevice device =
        EmulatedDevice.open(image.resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      device.faults().flipBit(offset, 1);
    }
  }

  /** A removal that came behind the damage decides, though nobody can tell what was damaged. */
  @Test
  void damagedRecordOfARemovedKeyBringsNothingBack() {
    Path image = directory.resolve("image");
    try (Store store = store().open()) {
      fill(store, 0, 10);
      long removed = recordOf(store, key(3)).offset();
      store.remove(key(3));
      await().until(() -> !LegMarks.isDirty(leg(store, 0), VolumeLayout.RECORDS_OFFSET));
      leg(store, 0).faults().flipBit(removed + 10, 1);
      crashImage(path(), image);
    }
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(image)) {
        assertNull(store.get(key(3)));
        assertHolds(store, 0, 3);
        assertHolds(store, 4, 10);
        assertThrows(DataLostException.class, () -> store.get(key(11)), "it may have been there");
      }
    }
  }

  /** Once a leaf is written anew, what was removed lies nowhere that counts. */
  @Test
  void damageWhereARemovedRecordWasLosesNothing() {
    Path image = directory.resolve("image");
    try (Store store = store().open()) {
      fill(store, 0, 10);
      long removed = recordOf(store, key(3)).offset();
      store.remove(key(3));
      long before = recordOf(store, key(0)).offset();
      while (recordOf(store, key(0)).offset() == before) {
        store.put(key(9), value(9));
      }
      await().until(() -> !LegMarks.isDirty(leg(store, 0), VolumeLayout.RECORDS_OFFSET));
      leg(store, 0).faults().flipBit(removed + 10, 1);
      crashImage(path(), image);
    }
    try (Store store = Store.open(image)) {
      assertNull(store.get(key(3)));
      assertTrue(store.health().lost().isEmpty());
      assertHolds(store, 0, 3);
      assertHolds(store, 4, 10);
    }
  }

  /** Where the newest version of a key may be what was lost, an older one is no answer. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void damagedOverwriteIsNeverAnsweredByTheFormerValue(boolean crashed) {
    Path image = crashed ? directory.resolve("image") : path();
    long damaged;
    try (Store store = store().open()) {
      fill(store, 0, 10);
      store.put(key(3), value(77, 100));
      damaged = recordOf(store, key(3)).offset();
      store.put(key(5), value(78, 100));
      await().until(() -> !LegMarks.isDirty(leg(store, 0), VolumeLayout.RECORDS_OFFSET));
      if (crashed) {
        crashImage(path(), image);
      }
    }
    flipBitOf(image, damaged + 40);
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(image)) {
        assertLost(store, key(3));
        assertArrayEquals(value(78, 100), store.get(key(5)));
        for (int i = 0; i < 10; i++) {
          try {
            assertArrayEquals(i == 5 ? value(78, 100) : value(i), store.get(key(i)));
          } catch (DataLostException e) {
            assertTrue(i != 5, "it was written behind the damage");
          }
        }
        for (boolean reverse : new boolean[] {false, true}) {
          TestStores.Scan scan = TestStores.scan(store, reverse);
          assertTrue(scan.lost() > 0);
          assertTrue(scan.keys().stream().noneMatch(key -> Arrays.equals(key, key(3))));
        }
      }
    }
    try (Store store = Store.open(image)) {
      fill(store, 0, 10);
      assertHolds(store, 0, 10);
    }
    try (Store store = Store.open(image)) {
      assertHolds(store, 0, 10);
    }
  }

  /** What a bad page held at the end of a leaf is not taken for nothing. */
  @Test
  void poisonOfTheLastRecordsOfACrashedStoreIsNotTakenForAbsence() {
    Path image = directory.resolve("image");
    long page;
    int last = 0;
    try (Store store = store().open()) {
      do {
        store.put(key(last), value(last, 700));
        page = recordOf(store, key(last)).offset() / PAGE * PAGE;
      } while (last++ < 7);
      crashImage(path(), image);
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(image.resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      device.faults().poison(page, PAGE);
    }
    try (Store store = Store.open(image)) {
      assertLost(store, key(last - 1));
      for (int i = 0; i < last; i++) {
        try {
          assertArrayEquals(value(i, 700), store.get(key(i)));
        } catch (DataLostException e) {
          // Nothing behind the page tells whether it held a newer value.
        }
      }
    }
  }

  /** The power went between the head of the new record and its value. */
  @Test
  void tornOverwriteLeavesTheFormerValue() {
    Path image = directory.resolve("image");
    StoreExtent former;
    StoreExtent torn;
    byte[] head = new byte[48];
    try (Store store = store().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, 10);
      former = recordOf(store, key(3));
      leg(store, 0).read(former.offset(), head, 0, head.length);
      store.put(key(3), value(4, 500));
      torn = recordOf(store, key(3));
      crashImage(path(), image);
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(image.resolve("leg-0.pmem"), PersistenceMode.FILE)) {
      device.faults().misdirectedWrite(former.offset(), head);
      device.faults().misdirectedWrite(torn.offset() + 100, new byte[200]);
    }
    try (Store store = Store.builder(image).persistence(PersistenceMode.FILE).open()) {
      assertHolds(store, 0, 10);
      assertTrue(store.health().lost().isEmpty());
    }
  }
}
