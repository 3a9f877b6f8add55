package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultInjector;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Devices that go and come back under a running store. */
final class RemovalTest {
  private static final int KEYS = 500;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private static void assertOffline(Store store) {
    List<Executable> operations =
        List.of(
            () -> store.get(key(1)),
            () -> store.get(key(KEYS)),
            () -> store.containsKey(key(1)),
            () -> store.read(key(1), value -> 1),
            () -> store.put(key(1), value(2)),
            () -> store.put(key(KEYS), value(2)),
            () -> store.putIfAbsent(key(KEYS), value(2)),
            () -> store.replace(key(1), value(2)),
            () -> store.remove(key(1)),
            store::sync,
            () -> {
              try (Cursor cursor = store.cursor(KeyRange.all())) {
                cursor.next();
              }
            });
    for (int i = 0; i < 3; i++) {
      for (Executable operation : operations) {
        assertThrows(DeviceOfflineException.class, operation);
      }
    }
    assertEquals(StoreState.FAILED, store.health().state());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aSingleLegIsOfflineUntilItsDeviceIsBackAndNothingIsReopened(boolean told) {
    try (Store store = store().single().open()) {
      fill(store, 0, KEYS);
      for (int round = 0; round < 3; round++) {
        if (!told) {
          leg(store, 0).faults().notifyNever();
        }
        leg(store, 0).faults().remove();
        assertThrows(DeviceOfflineException.class, () -> store.get(key(1)));
        assertOffline(store);
        leg(store, 0).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
        assertHolds(store, 0, KEYS);
        assertNull(store.get(key(KEYS)));
        store.put(key(KEYS), value(round));
        assertArrayEquals(value(round), store.get(key(KEYS)));
        store.remove(key(KEYS));
      }
    }
    try (Store store = store().open()) {
      assertHolds(store, 0, KEYS);
      assertEquals(KEYS, store.stats().entries());
    }
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0, 1", "1, 0", "1, 1"})
  void bothLegsMayReturnInEitherOrder(int firstGone, int firstBack) {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      leg(store, firstGone).faults().remove();
      // Only the other leg has these.
      fill(store, KEYS, 2 * KEYS);
      leg(store, 1 - firstGone).faults().remove();
      assertThrows(DeviceOfflineException.class, () -> store.put(key(0), value(1)));
      leg(store, firstBack).faults().reinsert();
      if (firstBack == firstGone) {
        // It was left behind: it must not serve alone.
        assertThrows(DeviceOfflineException.class, () -> store.get(key(KEYS)));
        assertThrows(DeviceOfflineException.class, () -> store.online(firstBack));
      }
      leg(store, 1 - firstBack).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      assertHolds(store, 0, 2 * KEYS);
      leg(store, 1 - firstGone).faults().remove();
      assertHolds(store, 0, 2 * KEYS);
      store.put(key(0), value(0));
    }
  }

  /**
   * Acknowledged or not, decided by the caller: what was acknowledged is there after the return.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void nothingAcknowledgedIsLostWhenEveryLegGoesUnderLoadAndReturns(int legs) throws Exception {
    StoreBuilder builder = legs == 1 ? store().single() : store();
    int threads = 4;
    try (Store store = builder.open();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        StopFlag stop = new StopFlag()) {
      AtomicInteger[] acknowledged =
          IntStream.range(0, threads)
              .mapToObj(i -> new AtomicInteger(-1))
              .toArray(AtomicInteger[]::new);
      List<Future<?>> writers = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int thread = t;
        writers.add(
            pool.submit(() -> {
              for (int n = 0; !stop.get(); n++) {
                boolean done = false;
                while (!done && !stop.get()) {
                  try {
                    store.put(key(thread), value(n));
                    acknowledged[thread].set(n);
                    done = true;
                  } catch (DeviceOfflineException e) {
                    // Tried again until the device is back.
                  }
                }
              }
              return null;
            }));
      }
      for (int round = 0; round < 10; round++) {
        int[] before = counts(acknowledged);
        org.awaitility.Awaitility.await()
            .until(() -> {
              for (Future<?> writer : writers) {
                if (writer.isDone()) {
                  writer.get(); // throws: it ends only by an error
                }
              }
              return advanced(before, counts(acknowledged));
            });
        for (int leg = 0; leg < legs; leg++) {
          leg(store, (leg + round) % legs).faults().remove();
        }
        for (int leg = legs - 1; leg >= 0; leg--) {
          leg(store, (leg + round) % legs).faults().reinsert();
        }
        awaitState(store, StoreState.ONLINE);
      }
      stop.set();
      for (Future<?> writer : writers) {
        writer.get();
      }
      for (int t = 0; t < threads; t++) {
        int n = acknowledged[t].get();
        byte[] found = store.get(key(t));
        // The last one may be stored without having been acknowledged.
        org.junit.jupiter.api.Assertions.assertTrue(
            java.util.Arrays.equals(value(n), found)
                || java.util.Arrays.equals(value(n + 1), found),
            "thread " + t);
      }
    }
  }

  private static int[] counts(AtomicInteger[] counters) {
    return java.util.Arrays.stream(counters).mapToInt(AtomicInteger::get).toArray();
  }

  private static boolean advanced(int[] before, int[] now) {
    return IntStream.range(0, now.length).allMatch(i -> now[i] > before[i] + 20);
  }

  /** Nobody met its absence, since nothing was written: its window is a dead one all the same. */
  @Test
  void aLegThatWasAwayUnnoticedServesWhenTheOtherGoes() {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      for (int leg = 1; leg >= 0; leg--) {
        leg(store, leg).faults().notifyNever();
        leg(store, leg).faults().remove();
        leg(store, leg).faults().notifyAfter(Duration.ZERO);
        leg(store, leg).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS);
      store.put(key(KEYS), value(KEYS));
    }
  }

  @Test
  void anOrderlyRemovalFailsNoOperation() throws Exception {
    try (Store store = store().open();
        ExecutorService pool = Executors.newFixedThreadPool(SteadyLoad.THREADS);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, KEYS);
      SteadyLoad load = new SteadyLoad(store, KEYS, pool, stop);
      for (int round = 0; round < 4; round++) {
        int leg = round % 2;
        load.awaitOperations(2_000);
        leg(store, leg).faults().removeOrderly(Duration.ofSeconds(2));
        load.awaitOperations(2_000);
        assertEquals(StoreState.DEGRADED, store.health().state());
        leg(store, leg).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      load.end();
      assertHolds(store, 0, KEYS);
      assertEquals(0, store.stats().faultsCaught());
    }
  }

  /**
   * A leg that comes and goes must not use up address space, or the mappings a process may have.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void windowsOfLegsThatWereLostAreGivenBack(boolean mirrored) throws Exception {
    StoreBuilder builder = mirrored ? store() : store().single();
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
      long mapped = mappedBytes();
      for (int round = 0; round < 6; round++) {
        leg(store, 0).faults().remove();
        leg(store, 0).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      await().until(() -> Math.abs(mappedBytes() - mapped) < mapped / 4);
      assertHolds(store, 0, KEYS);
    }
  }

  /** The address space of this process, in bytes. */
  private static long mappedBytes() throws IOException {
    String statm = Files.readString(Path.of("/proc/self/statm"));
    return Long.parseLong(statm.substring(0, statm.indexOf(' '))) * FaultInjector.pageSize();
  }
}
