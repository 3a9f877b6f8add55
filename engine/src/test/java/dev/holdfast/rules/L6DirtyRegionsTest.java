package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.assertHoldsOnly;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** L6: what may differ between legs is marked before it does, and made equal before it serves. */
final class L6DirtyRegionsTest {
  private static final long RECORDS = VolumeLayout.RECORDS_OFFSET;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Store openFlushed() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(2 << 20)
        .persistence(PersistenceMode.FILE)
        .open();
  }

  @Test
  void regionIsMarkedOnEveryLegBeforeItsFirstWrite() throws Exception {
    try (Store store = openFlushed()) {
      // The first leaf was stored; nothing is marked once that is settled.
      await()
          .until(() ->
              !LegMarks.isDirty(device(store, 0), RECORDS)
                  && !LegMarks.isDirty(device(store, 1), RECORDS));
      List<byte[]> before = List.of(allOf(device(store, 0)), allOf(device(store, 1)));
      device(store, 1).faults().flushLatency(Duration.ofMillis(300));
      Thread writer = Thread.ofPlatform().start(() -> store.put(key(1), value(1)));
      // The mark is being flushed on the last leg: it is stored on both, and nothing else is.
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> writer.getState() == Thread.State.TIMED_WAITING);
      for (int leg = 0; leg < 2; leg++) {
        assertTrue(LegMarks.isDirty(device(store, leg), RECORDS), "leg " + leg);
        assertArrayEquals(
            before.get(leg), allOf(device(store, leg)), "leg " + leg + " was written to");
      }
      device(store, 1).faults().flushLatency(Duration.ZERO);
      writer.join();
      assertHoldsOnly(store, 1, 2);
    }
  }

  /** Everything of a leg but superblocks and marks. */
  private static byte[] allOf(EmulatedDevice device) {
    byte[] bytes = new byte[(int) (device.capacity() - VolumeLayout.TABLE_ROOT_OFFSET)];
    device.read(VolumeLayout.TABLE_ROOT_OFFSET, bytes, 0, bytes.length);
    return bytes;
  }

  @Test
  void marksAreClearedOnEveryLegOnceTheRegionIsIdle() {
    try (Store store = openFlushed()) {
      put(store, 0, 10);
      await()
          .until(() ->
              !LegMarks.isDirty(device(store, 0), RECORDS)
                  && !LegMarks.isDirty(device(store, 1), RECORDS));
      put(store, 10, 11);
      assertTrue(LegMarks.isDirty(device(store, 0), RECORDS), "marked again");
      assertTrue(LegMarks.isDirty(device(store, 1), RECORDS), "marked again");
    }
  }

  @Test
  void marksStayWhereALegIsMissing() {
    try (Store store = openFlushed()) {
      put(store, 0, 10);
      device(store, 1).faults().remove();
      put(store, 10, 20);
      // A leg that comes and goes shows that the idle work was done, more than once.
      for (int round = 0; round < 2; round++) {
        device(store, 0).faults().failClears(1);
        device(store, 0).faults().poison(RECORDS + (512 << 10), 1);
        await().until(() -> device(store, 0).badBlocks().isEmpty());
      }
      assertTrue(LegMarks.isDirty(device(store, 0), RECORDS));
    }
  }

  @Test
  void failedFlushKeepsTheMarksAndFaultsTheLegForGood() {
    try (Store store = openFlushed()) {
      put(store, 0, 10);
      // The next flush is that of the idle work, before it clears.
      device(store, 1).faults().failFlushes(1);
      await().until(() -> store.health().legs().get(1).state() == LegState.FAULTED);
      assertTrue(LegMarks.isDirty(device(store, 0), RECORDS));
      assertTrue(LegMarks.isDirty(device(store, 1), RECORDS));
      put(store, 10, 20);
      assertHoldsOnly(store, 0, 20);
      assertEquals(LegState.FAULTED, store.health().legs().get(1).state(), "not tried again");
      byte[] last = new byte[48];
      device(store, 1).read(extent(store, key(19)).offset(), last, 0, last.length);
      assertArrayEquals(new byte[48], last, "not written to any more");
    }
  }

  @Test
  void putWhoseFlushFailedIsAcknowledgedByTheOtherLegOnly() {
    try (Store store = openFlushed()) {
      put(store, 0, 10);
      device(store, 0).faults().failFlushes(1);
      put(store, 10, 20);
      assertEquals(LegState.FAULTED, store.health().legs().get(0).state());
      assertHoldsOnly(store, 0, 20);
    }
    assertEquals("STALE", LegMarks.of(CrashImage.leg(directory.resolve("s"), 1), 0));
  }

  // ---------------------------------------------------------------- tails after a crash

  /** Everything a leg serves alone. */
  private static List<String> contents(Path store, int without) throws Exception {
    CrashImage.remove(store, without);
    List<String> all = new ArrayList<>();
    try (Store alone = Store.open(store);
        Cursor cursor = alone.cursor(KeyRange.all())) {
      while (cursor.next()) {
        all.add(HexFormat.of().formatHex(cursor.key()) + "=" + Arrays.hashCode(cursor.value()));
      }
    }
    return all;
  }

  private void assertLegsAgree(Path store) throws Exception {
    Path first = CrashImage.of(store, directory.resolve("first-alone"));
    Path second = CrashImage.of(store, directory.resolve("second-alone"));
    assertEquals(contents(first, 1), contents(second, 0));
  }

  private static void erase(EmulatedDevice device, StoreExtent extent) {
    device.faults().misdirectedWrite(extent.offset(), new byte[(int) extent.length()]);
  }

  @Test
  void tailsThatOnlyOneLegHasAreAdoptedOnBoth() throws Exception {
    Path image = directory.resolve("image");
    StoreExtent onSecondOnly;
    StoreExtent onFirstOnly;
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 20);
      onSecondOnly = extent(store, key(18));
      onFirstOnly = extent(store, key(19));
      CrashImage.of(directory.resolve("s"), image);
    }
    try (EmulatedDevice first = device(image, 0);
        EmulatedDevice second = device(image, 1)) {
      erase(first, onSecondOnly);
      erase(second, onFirstOnly);
    }
    try (Store store = Store.open(image)) {
      assertHoldsOnly(store, 0, 20);
    }
    assertLegsAgree(image);
  }

  @Test
  void tailThatValidatesOnNoLegIsCutOnBoth() throws Exception {
    Path image = directory.resolve("image");
    StoreExtent torn;
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 20);
      torn = extent(store, key(19));
      CrashImage.of(directory.resolve("s"), image);
    }
    // Torn in different places: each leg has something, none has all of it.
    try (EmulatedDevice first = device(image, 0);
        EmulatedDevice second = device(image, 1)) {
      first.faults().misdirectedWrite(torn.offset() + 8, new byte[8]);
      second.faults().misdirectedWrite(torn.offset() + 16, new byte[8]);
    }
    try (Store store = Store.open(image)) {
      assertHoldsOnly(store, 0, 19);
      assertNull(store.get(key(19)));
      for (int leg = 0; leg < 2; leg++) {
        byte[] head = new byte[48];
        device(store, leg).read(torn.offset(), head, 0, head.length);
        assertArrayEquals(new byte[48], head, "leg " + leg);
      }
      put(store, 19, 30);
    }
    try (Store store = Store.open(image)) {
      assertHoldsOnly(store, 0, 30);
    }
    assertLegsAgree(image);
  }

  /** The bytes of a record that was removed, at a place where nobody stored them, are no record. */
  @Test
  void recordAtAnotherPlaceThanItsOwnIsNotAdopted() throws Exception {
    Path image = directory.resolve("image");
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 20);
      StoreExtent from = extent(store, key(19));
      byte[] record = new byte[(int) from.length()];
      device(store, 0).read(from.offset(), record, 0, record.length);
      store.remove(key(19));
      device(store, 0).faults().misdirectedWrite(RECORDS + (512 << 10), record);
      CrashImage.of(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertNull(store.get(key(19)));
      assertHoldsOnly(store, 0, 19);
    }
  }

  /** An overwrite and a remove that only one leg has seen happen on both, as a whole. */
  @Test
  void overwriteAndRemoveThatOnlyOneLegHasSeenHappenOnBoth() throws Exception {
    Path image = directory.resolve("image");
    byte[] fresh = "overwritten".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 20);
      Path before = CrashImage.of(directory.resolve("s"), directory.resolve("before"));
      store.put(key(5), fresh);
      store.remove(key(6));
      CrashImage.of(directory.resolve("s"), image);
      // The second leg has seen neither.
      java.nio.file.Files.copy(
          CrashImage.leg(before, 1),
          CrashImage.leg(image, 1),
          java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    }
    try (Store store = Store.open(image)) {
      assertArrayEquals(fresh, store.get(key(5)));
      assertNull(store.get(key(6)));
      assertHolds(store, 0, 5);
      assertHolds(store, 7, 20);
      assertEquals(19, store.stats().entries());
    }
    assertLegsAgree(image);
  }
}
