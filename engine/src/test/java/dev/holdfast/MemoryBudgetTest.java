package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.OutOfMemoryBudgetException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The memory off the heap is counted, and new entries are refused before there is too much. */
final class MemoryBudgetTest {
  private static final long BUDGET = 2L << 20;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).single();
  }

  /** Puts as many as there is memory for; how many they are. */
  private static int fill(Store store) {
    for (int i = 0; ; i++) {
      try {
        store.put(key(i), value(i, 20));
      } catch (OutOfMemoryBudgetException e) {
        assertTrue(String.valueOf(e.getMessage()).contains(String.valueOf(BUDGET)));
        return i;
      }
      assertUsed(store);
    }
  }

  @Test
  void entriesAreRefusedBeforeThereIsTooMuch() {
    try (Store store = builder().memoryBudget(BUDGET).open()) {
      assertEquals(BUDGET, store.stats().memory().budgetBytes());
      assertTrue(store.stats().memory().usedBytes() > 0);
      int count = fill(store);
      assertTrue(count > 20_000, "entries: " + count);
      assertHolds20(store, count);
      assertNull(store.get(key(count)));
      assertEquals(count, store.stats().entries());
      // Everything that takes no more is done.
      for (int i = 0; i < count; i++) {
        store.put(key(i), value(i + 1, 20));
      }
      store.put(key(0), value(0, 100_000));
      assertArrayEquals(value(0, 100_000), store.get(key(0)));
      WriteBatch overwrites = new WriteBatch();
      for (int i = 0; i < 100; i++) {
        overwrites.put(key(i), value(i, 20));
      }
      store.write(overwrites);
      WriteBatch fresh = new WriteBatch();
      for (int i = 0; i < 10_000; i++) {
        fresh.put(key(count + i), value(i, 20));
      }
      assertThrows(OutOfMemoryBudgetException.class, () -> store.write(fresh));
      assertNull(store.get(key(count)));
      // What is removed makes room for others.
      for (int i = 0; i < count; i++) {
        assertTrue(store.remove(key(i)));
      }
      int again = 0;
      for (int i = 0; i < count; i++) {
        try {
          store.put(key(count + i), value(count + i, 20));
          again++;
        } catch (OutOfMemoryBudgetException e) {
          assertNull(store.get(key(count + i)));
        }
      }
      assertTrue(again > count * 9 / 10, again + " of " + count);
      assertUsed(store);
    }
  }

  private static void assertUsed(Store store) {
    long used = store.stats().memory().usedBytes();
    assertTrue(used <= BUDGET, () -> "bytes in use: " + used);
  }

  private static void assertHolds20(Store store, int count) {
    for (int i = 0; i < count; i++) {
      assertArrayEquals(value(i, 20), store.get(key(i)), "key " + i);
    }
  }

  @Test
  void storeThatNeedsMoreIsNotOpenedAndLosesNothing() {
    int count = 400_000;
    try (Store store = builder().open()) {
      for (int i = 0; i < count; i++) {
        store.put(key(i), value(i, 4));
      }
      long used = store.stats().memory().usedBytes();
      assertTrue(used > 8L * count && used < 24L * count, "bytes " + used);
    }
    OutOfMemoryBudgetException refused =
        assertThrows(
            OutOfMemoryBudgetException.class, () -> builder().memoryBudget(BUDGET).open().close());
    assertTrue(String.valueOf(refused.getMessage()).contains("memoryBudget"));
    try (Store store = builder().open()) {
      assertEquals(count, store.stats().entries());
      assertArrayEquals(value(7, 4), store.get(key(7)));
    }
  }

  @Test
  void budgetTooSmallIsAnError() {
    assertThrows(IllegalArgumentException.class, () -> builder().memoryBudget(BUDGET - 1));
    try (Store store = builder().memoryBudget(BUDGET).open()) {
      TestStores.fill(store, 0, 100);
      assertHolds(store, 0, 100);
    }
  }
}
