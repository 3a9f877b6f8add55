package dev.holdfast;

import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.VersionedEntries.assertHolds;
import static dev.holdfast.VersionedEntries.key;
import static dev.holdfast.VersionedEntries.put;
import static dev.holdfast.VersionedEntries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.LastCopyException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Legs that somebody takes out of use, and back into it, while the store is used. */
final class OrderlyLegTest {
  private static final int ENTRIES = 2_000;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  @Test
  void aLegThatIsTakenOutStaysOutUntilItIsAskedFor() {
    try (Store store = builder().open()) {
      put(store, 0, ENTRIES, 0);
      store.offline(1);
      store.offline(1);
      assertEquals(LegState.OFFLINE, state(store, 1));
      assertEquals(StoreState.DEGRADED, store.health().state());
      put(store, 0, 100, 1);
      // Rescans look for legs that could be brought back.
      long end = System.nanoTime() + Duration.ofSeconds(3).toNanos();
      await()
          .atMost(Duration.ofSeconds(10))
          .until(() -> {
            assertEquals(LegState.OFFLINE, state(store, 1));
            return System.nanoTime() > end;
          });
      store.online(1);
      assertEquals(StoreState.ONLINE, store.health().state());
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertFalse(copy.whole());
      leg(store, 0).faults().remove();
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
    }
  }

  @Test
  void theNextOpenUsesItAgain() {
    try (Store store = builder().open()) {
      put(store, 0, ENTRIES, 0);
      store.offline(0);
      put(store, 0, 100, 1);
    }
    try (Store store = builder().open()) {
      await().until(() -> store.health().state() == StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, 100, 1);
    }
  }

  @Test
  void theLastCopyIsNotTakenOut() {
    try (Store store = builder().single().open()) {
      put(store, 0, 100, 0);
      assertThrows(LastCopyException.class, () -> store.offline(0));
      assertThrows(IllegalArgumentException.class, () -> store.offline(1));
      assertHolds(store, 0, 100, 0);
    }
    try (Store store =
        Store.builder(directory.resolve("m"))
            .initialCapacity(8 << 20)
            .resilverRate(1 << 20)
            .open()) {
      put(store, 0, 4 * ENTRIES, 0);
      store.offline(0);
      LastCopyException refused = assertThrows(LastCopyException.class, () -> store.offline(1));
      assertTrue(String.valueOf(refused.getMessage()).contains("leg 1"), refused.getMessage());
      put(store, 0, 4 * ENTRIES, 1);
      // A leg that is being copied to is no copy yet.
      Thread copying =
          Thread.ofPlatform()
              .start(() -> assertThrows(DeviceOfflineException.class, () -> store.online(0)));
      await().until(() -> state(store, 0) == LegState.RESILVERING);
      assertThrows(LastCopyException.class, () -> store.offline(1));
      assertEquals(StoreState.DEGRADED, store.health().state());
      copying.interrupt(); // It waits all the same.
      store.offline(0);
      await().until(() -> !copying.isAlive());
      assertEquals(LegState.OFFLINE, state(store, 0));
      put(store, 0, 10, 2);
      assertHolds(store, 0, 10, 2);
      assertHolds(store, 10, 4 * ENTRIES, 1);
    }
  }

  /** The legs go out and come back in turns, under load. */
  @Test
  void noOperationFails() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    int rounds = 6;
    try (Store store = builder().open();
        ExecutorService pool = Executors.newFixedThreadPool(2)) {
      put(store, 0, ENTRIES, 0);
      List<Future<Integer>> writers = new ArrayList<>();
      for (int writer = 0; writer < 2; writer++) {
        int first = writer;
        writers.add(
            pool.submit(() -> {
              int version = 0;
              while (!stop.get()) {
                version++;
                for (int i = first; i < ENTRIES; i += 2) {
                  store.put(key(i), value(i, version));
                  assertArrayEquals(value(i, version), store.get(key(i)), "entry " + i);
                }
              }
              return version;
            }));
      }
      try {
        for (int round = 0; round < rounds; round++) {
          int out = round % 2;
          store.offline(out);
          // Nothing is stored to a device that is out: it could be pulled.
          byte[] before = new byte[4096];
          byte[] after = new byte[4096];
          long at = TestStores.recordOf(store, key(0)).offset() / 4096 * 4096;
          leg(store, out).read(at, before, 0, before.length);
          long done = store.stats().legs().get(1 - out).reads();
          await().until(() -> store.stats().legs().get(1 - out).reads() > done + 5_000);
          leg(store, out).read(at, after, 0, after.length);
          assertArrayEquals(before, after);
          store.online(out);
          assertEquals(StoreState.ONLINE, store.health().state());
        }
      } finally {
        stop.set(true);
      }
      int[] versions = {writers.get(0).get(), writers.get(1).get()};
      leg(store, 0).faults().remove();
      for (int i = 0; i < ENTRIES; i++) {
        assertArrayEquals(value(i, versions[i % 2]), store.get(key(i)), "entry " + i);
      }
      assertThrows(HoldfastException.class, () -> store.offline(1));
    }
  }
}
