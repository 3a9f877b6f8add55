package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Poison of the metadata of a single leg: writes stop, reads go on. */
final class MetadataPoisonTest {
  private static final int KEYS = 500;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).single().initialCapacity(4 << 20);
  }

  private static void assertRefusesWrites(Store store) {
    List<Executable> writes =
        List.of(
            () -> store.put(key(1), value(1)),
            () -> store.put(key(KEYS), value(1)),
            () -> store.putIfAbsent(key(KEYS), value(1)),
            () -> store.replace(key(1), value(1)),
            () -> store.replace(key(1), value(1), value(2)),
            () -> store.remove(key(1)),
            store::sync);
    for (Executable write : writes) {
      ReadOnlyStoreException refused = assertThrows(ReadOnlyStoreException.class, write);
      assertNotNull(refused.getCause());
    }
    assertEquals(StoreState.READ_ONLY, store.health().state());
    assertNotNull(store.health().reason());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1",
    "" + VolumeLayout.SUPERBLOCK_SIZE + ", 1",
    "0, " + VolumeLayout.DIRTY_MAP_OFFSET,
    "" + VolumeLayout.DIRTY_MAP_OFFSET + ", 1",
    "0, " + VolumeLayout.RECORDS_OFFSET,
  })
  void poisonedMetadataStopsWritesAndLeavesReads(long offset, long length) {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(offset, length);
      awaitState(store, StoreState.READ_ONLY);
      assertRefusesWrites(store);
      assertHolds(store, 0, KEYS);
      assertTrue(
          String.valueOf(store.health().reason()).contains("poison"), store.health().reason());
    }
    for (boolean readOnly : new boolean[] {true, false}) {
      StoreBuilder builder = readOnly ? store().readOnly() : store();
      try (Store store = builder.open()) {
        assertHolds(store, 0, KEYS);
        assertRefusesWrites(store);
      }
    }
  }

  /** Behind a crash the root may be torn; it is not taken for one that names nothing. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRootThatIsWrongInAllCopiesHidesNothing(boolean chunksToo) {
    Path image = directory.resolve("image");
    List<Long> wrong = new ArrayList<>();
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      wrong.add(VolumeLayout.TABLE_ROOT_OFFSET + 5L);
      wrong.add(VolumeLayout.TABLE_ROOT_OFFSET + VolumeLayout.TABLE_ROOT_SIZE / 2 + 5L);
      if (chunksToo) {
        long chunk = table(store).getFirst();
        wrong.add(chunk + 5);
        wrong.add(chunk + table(store).size() / 2L * PAGE + 5);
      }
      crashImage(directory.resolve("s"), image);
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(image.resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      wrong.forEach(offset -> device.faults().flipBit(offset, 3));
    }
    if (chunksToo) {
      InvalidImageException refused =
          assertThrows(InvalidImageException.class, () -> Store.open(image));
      assertTrue(String.valueOf(refused.getMessage()).contains("root"), refused.getMessage());
      return;
    }
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(image)) {
        assertHolds(store, 0, KEYS);
        assertEquals(KEYS, store.stats().entries());
        fill(store, 0, KEYS);
      }
    }
  }

  /** The leaf table and its root lie on each leg twice. */
  @ParameterizedTest
  @CsvSource({"leaf table, false", "leaf table, true", "root, false", "root, true"})
  void poisonOfOneCopyOfTheLeafTableIsRepairedFromTheOther(String what, boolean whileClosed) {
    long first;
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      first = what.equals("root") ? VolumeLayout.TABLE_ROOT_OFFSET : table(store).getFirst();
      if (!whileClosed) {
        poisonAndAwait(store, first);
        fill(store, 0, KEYS / 2);
        assertHolds(store, 0, KEYS);
      }
    }
    if (whileClosed) {
      try (EmulatedDevice device = openLeg()) {
        device.faults().poison(first, 1);
      }
    }
    try (Store store = store().open()) {
      awaitRepaired(store);
      awaitState(store, StoreState.ONLINE);
      long second =
          what.equals("root")
              ? first + VolumeLayout.TABLE_ROOT_SIZE / 2
              : first + table(store).size() / 2L * PAGE;
      poisonAndAwait(store, second);
      fill(store, KEYS, KEYS + 100);
    }
    try (Store store = store().open()) {
      assertHolds(store, 0, KEYS + 100);
      assertTrue(store.health().lost().isEmpty());
      assertEquals(KEYS + 100, store.stats().entries());
    }
  }

  /** What a leaf table on no leg said cannot be made up. */
  @Test
  void poisonOfBothCopiesOfTheLeafTableIsATypedError() {
    List<Long> pages;
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      pages = table(store);
    }
    try (EmulatedDevice device = openLeg()) {
      device.faults().poison(pages.getFirst(), 1);
      device.faults().poison(pages.get(pages.size() / 2), 1);
    }
    assertThrows(PoisonedRangeException.class, () -> store().open());
  }

  private EmulatedDevice openLeg() {
    return EmulatedDevice.open(
        directory.resolve("s").resolve("leg-0.pmem"), PersistenceMode.PROCESS);
  }

  /** The pages of the first chunk of the leaf table, both copies. */
  private static List<Long> table(Store store) {
    List<Long> pages =
        store.owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
            .filter(extent -> extent.what().equals("leaf table"))
            .map(StoreExtent::offset)
            .toList();
    assertEquals((pages.size() - 1L) * PAGE, pages.getLast() - pages.getFirst(), "one chunk");
    return pages;
  }

  private static void poisonAndAwait(Store store, long offset) {
    leg(store, 0).faults().poison(offset, 1);
    awaitRepaired(store);
    awaitState(store, StoreState.ONLINE);
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void aStoreThatIsOpenedReadOnlyRefusesWrites(boolean single) {
    StoreBuilder builder = Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
    if (single) {
      builder.single();
    }
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
    }
    try (Store store = Store.builder(directory.resolve("s")).readOnly().open()) {
      assertRefusesWrites(store);
      assertHolds(store, 0, KEYS);
    }
  }

  @ParameterizedTest
  @CsvSource({"0", "" + VolumeLayout.DIRTY_MAP_OFFSET})
  void theCauseOfAStopIsThePoison(long offset) {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(offset, 1);
      awaitState(store, StoreState.READ_ONLY);
      ReadOnlyStoreException refused =
          assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(1)));
      assertTrue(refused.getCause() instanceof PoisonedRangeException);
    }
  }
}
