package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is being written is never taken for damage, and damage is found beside what is written. */
final class ScrubUnderLoadTest {
  private static final int KEYS = 3_000;

  @TempDir Path directory;

  private final AtomicLong operations = new AtomicLong();
  private volatile boolean ends;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(8 << 20)
        .packColdLeavesAfter(Duration.ofMillis(20))
        .scrubEvery(Duration.ZERO);
  }

  /** Overwrites, removes and new keys, so that leaves split, merge and are written anew. */
  private void write(Store store, Random random) {
    while (!ends) {
      int k = random.nextInt(KEYS);
      switch (random.nextInt(12)) {
        case 0, 1, 2 -> {
          boolean _ = store.remove(key(k));
        }
        case 3 -> store.put(key(k), value(k, 2_000 + random.nextInt(20_000)));
        default -> store.put(key(k), value(k, random.nextInt(900)));
      }
      operations.incrementAndGet();
    }
  }

  private void writeBatches(Store store, Random random) {
    while (!ends) {
      WriteBatch batch = new WriteBatch();
      for (int i = random.nextInt(60); i >= 0; i--) {
        int k = random.nextInt(KEYS);
        if (random.nextInt(4) == 0) {
          batch.remove(key(k));
        } else {
          batch.put(key(k), value(k, random.nextInt(i == 0 ? 9_000 : 300)));
        }
      }
      store.write(batch);
      operations.incrementAndGet();
    }
  }

  private void readSnapshots(Store store, Random random) {
    while (!ends) {
      try (Snapshot snapshot = store.snapshot()) {
        for (int i = 0; i < 200; i++) {
          byte[] _ = snapshot.get(key(random.nextInt(KEYS)));
        }
      }
      operations.incrementAndGet();
    }
  }

  private void compact(Store store) {
    while (!ends) {
      CompactionProgress _ = store.compact();
      operations.incrementAndGet();
    }
  }

  private List<Future<?>> begin(ExecutorService threads, Store store, long seed) {
    List<Future<?>> running = new ArrayList<>();
    running.add(threads.submit(() -> write(store, new Random(seed))));
    running.add(threads.submit(() -> write(store, new Random(seed + 1))));
    running.add(threads.submit(() -> writeBatches(store, new Random(seed + 2))));
    running.add(threads.submit(() -> readSnapshots(store, new Random(seed + 3))));
    running.add(threads.submit(() -> compact(store)));
    return running;
  }

  private void end(List<Future<?>> running) throws InterruptedException, ExecutionException {
    ends = true;
    for (Future<?> each : running) {
      Object _ = each.get();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void nothingIsFoundInAStoreThatIsWell(PersistenceMode mode) throws Exception {
    long seed = seed("nothingIsFoundInAStoreThatIsWell");
    try (Store store = store().persistence(mode).open();
        ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<?>> running = begin(threads, store, seed);
      try {
        for (int pass = 0; pass < 150 || operations.get() < 3_000; pass++) {
          ScrubReport report = store.scrub();
          assertEquals(Map.of(), report.faults(), "pass " + pass);
          assertTrue(report.complete());
        }
      } finally {
        end(running);
      }
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(store.health().lost().isEmpty());
      assertEquals(Map.of(), store.scrub().faults());
    }
  }

  private static @Nullable StoreExtent recordOf(Store store, byte[] key) {
    for (StoreExtent extent : TestStores.records(store)) {
      if (Arrays.equals(extent.key(), key)) {
        return extent;
      }
    }
    return null;
  }

  /** Records that nobody writes to lie among those that everybody does. */
  @Test
  void whatIsWrongIsFoundAndRepairedMeanwhile() throws Exception {
    long seed = seed("whatIsWrongIsFoundAndRepairedMeanwhile");
    Random random = new Random(seed);
    byte[] quiet = key(KEYS / 2 + 1_000_000);
    try (Store store = store().open();
        ExecutorService threads = Executors.newCachedThreadPool()) {
      store.put(quiet, value(1, 400));
      List<Future<?>> running = begin(threads, store, seed);
      try {
        int found = 0;
        for (int round = 0; round < 5_000 && found < 6; round++) {
          StoreExtent record = recordOf(store, quiet);
          if (record == null) {
            continue; // Its leaf is just being written anew.
          }
          long at = record.offset() + random.nextLong(record.length());
          leg(store, 0).faults().flipBit(at, random.nextInt(8));
          ScrubReport report = store.scrub();
          // The leaf may have been written anew meanwhile, from the leg that is right.
          found += report.allFaults() > 0 ? 1 : 0;
          assertEquals(report.allFaults(), report.repaired(), report::toString);
          assertTrue(
              report.faults().keySet().stream().allMatch(fault -> fault == ScrubFault.WRONG_BYTES),
              report::toString);
          assertArrayEquals(value(1, 400), store.get(quiet));
        }
        assertEquals(6, found);
      } finally {
        end(running);
      }
      assertTrue(store.health().lost().isEmpty());
      assertEquals(Map.of(), store.scrub().faults());
    }
  }
}
