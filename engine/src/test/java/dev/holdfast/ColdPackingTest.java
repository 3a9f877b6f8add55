package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.records;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Packing in the background: of what nobody writes to, and of nothing else. */
final class ColdPackingTest {
  private static final int KEYS = 4_000;
  private static final int LENGTH = 100;

  /** What a record of these keys and values takes in the ordinary form. */
  private static final int ORDINARY = 128;

  /** What it takes at most in the short one, which is also the only one of its size. */
  private static final int SHORT = 120;

  private static final Duration SOON = Duration.ofMillis(20);

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(8 << 20);
  }

  private static void fillMixed(Store store) {
    for (int i = 0; i < KEYS; i++) {
      int mixed = (int) (i * 7919L % KEYS);
      store.put(key(mixed), value(mixed, LENGTH));
    }
  }

  private static long ordinaryRecords(Store store) {
    return records(store).stream().filter(record -> record.length() >= ORDINARY).count();
  }

  private static void assertAll(Store store) {
    for (int i = 0; i < KEYS; i++) {
      assertArrayEquals(value(i, LENGTH), store.get(key(i)), "key " + i);
    }
  }

  private static void awaitPacked(Store store) {
    await().atMost(Duration.ofSeconds(60)).until(() -> ordinaryRecords(store) == 0);
  }

  @ParameterizedTest
  @EnumSource(names = {"PROCESS", "FILE"})
  void whatNobodyWritesToIsPacked(PersistenceMode mode) {
    try (Store store = builder().packColdLeavesAfter(SOON).open()) {
      fillMixed(store);
      awaitPacked(store);
      long leaves =
          records(store).stream().mapToLong(record -> record.offset() >>> 16).distinct().count();
      assertTrue(leaves <= KEYS * SHORT / (60 << 10) + 4, "leaves " + leaves + ", not merged");
      assertAll(store);
      // What is written then has the ordinary form, until it has been left alone, too.
      store.put(key(7), value(7, LENGTH), mode);
      assertEquals(ORDINARY, TestStores.recordOf(store, key(7)).length());
      awaitPacked(store);
      assertAll(store);
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertAll(store);
      assertEquals(0, ordinaryRecords(store));
    }
  }

  /** The last leaf is looked at twice: as the neighbour of the one before it, and as itself. */
  @ParameterizedTest
  @ValueSource(ints = {0, KEYS - 2})
  void whatIsWrittenToAllTheTimeIsNot(int first) {
    try (Store store = builder().packColdLeavesAfter(Duration.ofMillis(200)).open()) {
      fillMixed(store);
      long until = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      long left;
      do {
        store.put(key(first), value(first, LENGTH));
        left = ordinaryRecords(store);
        assertEquals(ORDINARY, TestStores.recordOf(store, key(first + 1)).length());
      } while (left > 600 && System.nanoTime() < until);
      assertTrue(left <= 600, "ordinary records left: " + left);
      assertAll(store);
    }
  }

  @Test
  void nothingIsPackedWhereNobodyWantsItOrUnderASnapshot() throws InterruptedException {
    try (Store store = builder().packColdLeavesAfter(Duration.ZERO).open()) {
      fillMixed(store);
      Thread.sleep(300);
      assertEquals(KEYS, ordinaryRecords(store));
    }
    try (Store store = builder().packColdLeavesAfter(SOON).open()) {
      try (Snapshot snapshot = store.snapshot()) {
        Thread.sleep(300);
        assertEquals(KEYS, ordinaryRecords(store));
        assertArrayEquals(value(5, LENGTH), snapshot.get(key(5)));
      }
      awaitPacked(store);
    }
    assertThrows(
        IllegalArgumentException.class, () -> builder().packColdLeavesAfter(Duration.ofNanos(1)));
    assertThrows(
        IllegalArgumentException.class, () -> builder().packColdLeavesAfter(Duration.ofDays(-1)));
    builder().packColdLeavesAfter(Duration.ofSeconds(Long.MAX_VALUE)).open().close();
  }

  /** A leg goes and returns, writers go on, and it is closed in the middle of a pass. */
  @Test
  void itGoesOnThroughFaultsAndEndsWithTheStore() {
    int last = 1_000;
    try (Store store = builder().packColdLeavesAfter(Duration.ofMillis(1)).open()) {
      for (int round = 0; round < 6; round++) {
        fill(store, round * last, (round + 1) * last);
        if (round % 2 == 0) {
          leg(store, 1).faults().remove();
        } else {
          leg(store, 1).faults().reinsert();
          awaitState(store, StoreState.ONLINE);
        }
        assertHolds(store, 0, (round + 1) * last);
      }
    }
    for (int open = 0; open < 5; open++) {
      try (Store store = builder().packColdLeavesAfter(Duration.ofMillis(1)).open()) {
        for (int i = 0; i < 6 * last; i += 50) {
          store.put(key(i), value(i));
        }
      }
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertHolds(store, 0, 6 * last);
    }
  }
}
