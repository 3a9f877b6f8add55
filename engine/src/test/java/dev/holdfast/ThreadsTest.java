package dev.holdfast;

import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many threads, interrupted ones, and memory of callers that is not what it seems. */
@SuppressWarnings("try") // closing by hand is what is tested
final class ThreadsTest {
  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(16 << 20);
  }

  @Test
  void tenThousandVirtualThreadsGetAndPut() throws Exception {
    int threads = 10_000;
    try (Store store = store().open()) {
      List<Future<?>> all = new ArrayList<>();
      try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
        for (int t = 0; t < threads; t++) {
          int thread = t;
          all.add(
              pool.submit(() -> {
                store.put(key(thread), value(thread));
                assertArrayEquals(value(thread), store.get(key(thread)));
                byte[] other = store.get(key(thread * 31 % threads));
                assertTrue(
                    other == null || java.util.Arrays.equals(value(thread * 31 % threads), other));
              }));
        }
        leg(store, 0).faults().remove();
      }
      for (Future<?> each : all) {
        each.get();
      }
      TestStores.assertHolds(store, 0, threads);
      assertEquals(threads, store.stats().entries());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void interruptsBreakNothing(boolean persistent) throws Exception {
    StoreBuilder builder = store();
    if (persistent) {
      builder.persistence(dev.holdfast.pmem.PersistenceMode.FILE);
    }
    try (Store store = builder.open()) {
      fill(store, 0, 100);
      Thread interrupted =
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 0; i < 300; i++) {
                  Thread.currentThread().interrupt();
                  store.put(key(i % 100), value(i % 100));
                  assertArrayEquals(value(i % 100), store.get(key(i % 100)));
                  if (i == 100) {
                    leg(store, 0).faults().poison(1 << 20, 1);
                  }
                  if (i == 150) {
                    leg(store, 0).faults().remove();
                  }
                  if (i == 200) {
                    leg(store, 0).faults().reinsert();
                    store.online(0);
                  }
                }
                assertTrue(Thread.currentThread().isInterrupted());
                for (int i = 0; i < 20; i++) {
                  // Growth, too.
                  store.put(key(1_000 + i), value(i, 1 << 20));
                }
                store.close();
              });
      AtomicInteger failures = new AtomicInteger();
      interrupted.setUncaughtExceptionHandler((thread, e) -> failures.incrementAndGet());
      interrupted.join();
      assertEquals(0, failures.get());
    }
    try (Store store = store().open()) {
      TestStores.assertHolds(store, 0, 100);
      assertEquals(120, store.stats().entries());
    }
  }

  @Test
  void memoryOfTheCallerThatIsGoneFaultsNoLeg() {
    try (Store store = store().open()) {
      fill(store, 0, 100);
      MemorySegment gone = TruncatedFile.mapped(directory, 100_000);
      MemorySegment key = MemorySegment.ofArray(key(3));
      for (int i = 0; i < 200; i++) {
        assertThrows(HoldfastException.class, () -> store.put(key, gone));
        assertThrows(HoldfastException.class, () -> store.put(gone.asSlice(0, 9), key));
        assertThrows(HoldfastException.class, () -> store.get(key, gone));
        assertThrows(HoldfastException.class, () -> store.get(gone.asSlice(0, 9), key));
      }
      TestStores.assertHolds(store, 0, 100);
      assertEquals(100, store.stats().entries());
      assertEquals(StoreState.ONLINE, store.health().state());
      store.health().legs().forEach(leg -> assertEquals(LegState.ONLINE, leg.state()));
    }
    try (Store store = store().open()) {
      TestStores.assertHolds(store, 0, 100);
      assertEquals(100, store.stats().entries());
    }
  }

  @Test
  void aValueThatChangesWhileItIsStoredIsStillARecord() throws Exception {
    byte[] changing = new byte[300_000];
    try (Store store = store().open();
        ExecutorService pool = Executors.newSingleThreadExecutor();
        StopFlag stop = new StopFlag()) {
      Future<?> changer =
          pool.submit(() -> {
            for (int i = 0; !stop.get(); i++) {
              java.util.Arrays.fill(changing, (byte) i);
            }
          });
      for (int i = 0; i < 200; i++) {
        store.put(key(i % 10), changing);
        byte[] found = store.get(key(i % 10));
        assertNotNull(found);
        assertEquals(changing.length, found.length);
      }
      stop.set();
      changer.get();
      assertTrue(store.health().lost().isEmpty());
      // The checksum is of what was stored, on both legs alike.
      leg(store, 0).faults().remove();
      for (int i = 0; i < 10; i++) {
        assertNotNull(store.get(key(i)));
      }
    }
  }

  @Test
  void aScanBesideWritersShowsEveryKeyThatNobodyTouches() throws Exception {
    long seed = seed("aScanBesideWritersShowsEveryKeyThatNobodyTouches");
    int keys = 600;
    try (Store store = store().open();
        ExecutorService pool = Executors.newFixedThreadPool(2);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, keys);
      List<Future<?>> writers = new ArrayList<>();
      for (int t = 1; t < 3; t++) {
        Random random = new Random(seed + t);
        int thread = t;
        writers.add(
            pool.submit(() -> {
              while (!stop.get()) {
                // Every third key is left alone.
                int k = random.nextInt(keys / 3) * 3 + thread;
                if (random.nextBoolean()) {
                  store.remove(key(k));
                } else {
                  store.put(key(k), value(k));
                }
              }
              return null;
            }));
      }
      for (int round = 0; round < 60; round++) {
        TestStores.Scan scan = TestStores.scan(store, round % 2 == 1);
        assertEquals(0, scan.lost());
        int untouched = 0;
        for (int i = 0; i < scan.keys().size(); i++) {
          int k =
              Integer.parseInt(
                  new String(scan.keys().get(i), 4, 6, java.nio.charset.StandardCharsets.US_ASCII));
          assertArrayEquals(value(k), scan.values().get(i));
          untouched += k % 3 == 0 ? 1 : 0;
          if (i > 0) {
            int order =
                java.util.Arrays.compareUnsigned(scan.keys().get(i - 1), scan.keys().get(i));
            assertTrue(round % 2 == 1 ? order > 0 : order < 0);
          }
        }
        assertEquals(keys / 3, untouched);
      }
      stop.set();
      for (Future<?> writer : writers) {
        writer.get();
      }
    }
  }
}
