package dev.holdfast;

import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The figures of what was asked of a store, and of what its bytes hold. */
@Timeout(60)
final class StatsTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(8 << 20)
        .scrubEvery(Duration.ZERO)
        .packColdLeavesAfter(Duration.ZERO);
  }

  private static StoreStats.Operations operations(Store store) {
    return store.stats().operations();
  }

  @Test
  void whatIsAskedIsCounted() {
    try (Store store = builder().open()) {
      assertEquals(new StoreStats.Operations(0, 0, 0, 0, 0, 0, 0), operations(store));
      assertEquals(0, operations(store).readAmplification());
      fill(store, 0, 1_000);
      assertFalse(store.putIfAbsent(key(1), value(2)));
      assertTrue(store.remove(key(0)));
      assertFalse(store.remove(key(0)));
      for (int i = 0; i < 500; i++) {
        assertEquals(i > 0 && i < 1_000, store.get(key(i)) != null);
      }
      assertFalse(store.containsKey(key(5_000)));
      try (Snapshot snapshot = store.snapshot()) {
        assertArrayEquals(value(7), snapshot.get(key(7)));
      }
      store.write(new WriteBatch().put(key(1), value(1)).remove(key(2)).put(key(3), value(3)));
      StoreStats.Operations all = operations(store);
      assertEquals(502, all.gets());
      assertEquals(1_001, all.puts());
      assertEquals(2, all.removes());
      assertEquals(1, all.batches());
      assertEquals(3, all.batchOperations());
      assertEquals(0, all.leavesScanned());
      long shown = store.scan(KeyRange.all(), false, (_, _, _, _, _, _) -> true);
      assertEquals(998, shown);
      long leaves = operations(store).leavesScanned();
      assertTrue(leaves > 3 && leaves < 998, leaves + " leaves");
    }
    try (Store store = builder().open()) {
      assertEquals(0, operations(store).puts(), "it counts since it was opened");
    }
  }

  /** What is there has to be durable before the answer; that is no write. */
  @Test
  void whoChangesNothingPutsNothing() {
    try (Store store = builder().persistence(PersistenceMode.FILE).open()) {
      store.put(key(1), value(1));
      assertArrayEquals(value(1), store.computeIfAbsent(key(1), _ -> value(2)));
      assertEquals(1, operations(store).puts());
    }
  }

  @Test
  void aGetReadsOneRecordAndNoneForAKeyThatIsNotThere() {
    try (Store store = builder().open()) {
      fill(store, 0, 2_000);
      long before = operations(store).recordsRead();
      for (int i = 0; i < 2_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
      long read = operations(store).recordsRead() - before;
      assertTrue(read >= 2_000 && read < 2_020, read + " records");
      assertEquals(1, operations(store).readAmplification(), 0.01);
      for (int i = 2_000; i < 4_000; i++) {
        assertNull(store.get(key(i)));
      }
      assertEquals(0.5, operations(store).readAmplification(), 0.01);
    }
  }

  @Test
  void noneIsForgottenWhereThreadsCountAtOnce() throws Exception {
    try (Store store = builder().open();
        ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      fill(store, 0, 100);
      StoreStats.Operations before = operations(store);
      List<Future<?>> running = new ArrayList<>();
      for (int t = 0; t < 200; t++) {
        running.add(
            pool.submit(() -> {
              for (int i = 0; i < 100; i++) {
                assertArrayEquals(value(i), store.get(key(i)));
                store.put(key(i), value(i));
              }
            }));
      }
      for (Future<?> each : running) {
        Object _ = each.get();
      }
      assertEquals(before.gets() + 20_000, operations(store).gets());
      assertEquals(before.puts() + 20_000, operations(store).puts());
    }
  }

  @Test
  void whatBytesHoldIsSaid() {
    try (Store store = builder().single().open()) {
      StoreStats.Space empty = store.stats().space();
      assertEquals(0, empty.recordBytes());
      assertEquals(1, empty.amplification());
      long records = 0;
      for (int i = 0; i < 5_000; i++) {
        store.put(key(i), value(i, 200));
        records += key(i).length + 200;
      }
      StoreStats.Space full = store.stats().space();
      assertTrue(
          full.recordBytes() > records && full.recordBytes() < records + 5_000 * 40,
          full + " for " + records);
      assertEquals(full.leafBytes(), full.leavesRead());
      assertTrue(full.amplification() > 1 && full.amplification() < 3, full::toString);
      assertEquals(store.stats().capacityBytes() - store.stats().freeBytes(), full.usedBytes());
      store.put(key(9_000), value(1, 1 << 20));
      StoreStats.Space large = store.stats().space();
      assertTrue(large.otherBytes() - full.otherBytes() >= 1 << 20, large::toString);
      assertTrue(large.recordBytes() - full.recordBytes() < 200, large::toString);
      for (int i = 0; i < 5_000; i++) {
        if (i % 10 != 0) {
          assertTrue(store.remove(key(i)));
        }
      }
      StoreStats.Space few = store.stats().space();
      assertTrue(few.recordBytes() < full.recordBytes() / 5, few::toString);
      CompactionProgress _ = store.compact(_ -> {});
      StoreStats.Space compacted = store.stats().space();
      assertTrue(compacted.leafBytes() < full.leafBytes() / 3, compacted::toString);
    }
  }

  /** A device that is back is read again before it is served. */
  @Test
  void theyCanBeAskedForWhileTheOnlyDeviceGoesAndComesBack() throws Exception {
    try (Store store = builder().single().open();
        ExecutorService pool = Executors.newSingleThreadExecutor()) {
      fill(store, 0, 5_000);
      AtomicBoolean ended = new AtomicBoolean();
      Future<Long> asking =
          pool.submit(() -> {
            long asked = 0;
            for (; !ended.get(); asked++) {
              assertTrue(store.stats().space().recordBytes() > 0);
            }
            return asked;
          });
      for (int round = 0; round < 10; round++) {
        leg(store, 0).faults().remove();
        await().until(() -> store.health().state() == StoreState.FAILED);
        leg(store, 0).faults().reinsert();
        await().until(() -> store.health().state() == StoreState.ONLINE);
      }
      ended.set(true);
      assertTrue(asking.get() > 100);
      assertArrayEquals(value(7), store.get(key(7)));
    }
  }

  @Test
  void theyCanBeAskedForWhileTheStoreIsClosed() throws Exception {
    for (int round = 0; round < 20; round++) {
      Path place = directory.resolve("c" + round);
      Store store = Store.builder(place).single().initialCapacity(4 << 20).open();
      fill(store, 0, 200);
      try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
        Future<?> asking =
            pool.submit(() -> {
              StoreStats.Space space;
              do {
                space = store.stats().space();
              } while (space.recordBytes() > 0);
            });
        store.close();
        Object _ = asking.get();
      }
    }
  }
}
