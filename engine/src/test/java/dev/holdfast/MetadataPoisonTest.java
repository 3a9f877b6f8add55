package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.StoreState;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
