package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.error.StoreLockedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A store that is ended at once leaves its files as the death of its process would. */
@SuppressWarnings("try") // closing by hand is what is tested
final class ForceCloseTest {
  private static final int KEYS = 300;
  private static final Duration LIMIT = Duration.ofSeconds(2);

  @TempDir Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(8 << 20);
  }

  private static void assertInTime(String what, Runnable call) {
    long start = System.nanoTime();
    call.run();
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(took.compareTo(LIMIT) <= 0, what + " took " + took);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void everyMediumHangs(int legs) throws Exception {
    StoreBuilder builder = builder().persistence(PersistenceMode.FILE);
    Store store = (legs == 1 ? builder.single() : builder).open();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      fill(store, 0, KEYS);
      byte[] witness = Files.readAllBytes(directory.resolve("s").resolve("witness"));
      for (int leg = 0; leg < legs; leg++) {
        leg(store, leg).faults().flushLatency(Duration.ofMinutes(10));
      }
      long flushes = leg(store, 0).faults().flushes();
      List<Future<?>> puts = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int key = KEYS + t;
        int length = t == 0 ? 50_000 : 100;
        puts.add(pool.submit(() -> store.put(key(key), value(key, length))));
      }
      await().until(() -> leg(store, 0).faults().flushes() > flushes);
      assertInTime("forceClose", store::forceClose);
      for (Future<?> put : puts) {
        Exception told = assertThrows(Exception.class, put::get);
        assertTrue(told.getCause() instanceof StoreClosedException, "was " + told.getCause());
      }
      assertThrows(StoreClosedException.class, () -> store.get(key(1)));
      // At once, and as a crash: nothing was decided on the way out.
      assertArrayEquals(witness, Files.readAllBytes(directory.resolve("s").resolve("witness")));
      try (Store again = builder().persistence(PersistenceMode.FILE).open()) {
        assertEquals(StoreState.ONLINE, again.health().state());
        assertHolds(again, 0, KEYS);
      }
    } finally {
      store.close();
    }
  }

  /** The place of the witness hangs, for real, and the legs lie elsewhere. */
  @Test
  void aCloseDoesNotWaitForAWitnessThatHangs() throws Exception {
    String missing = LoopXfs.missing();
    assumeTrue(missing == null, missing);
    try (LoopXfs place =
        LoopXfs.make(directory.resolve("image"), directory.resolve("xfs"), LoopXfs.SMALLEST)) {
      Path files = place.directory().resolve("s");
      Path[] legs = {directory.resolve("a.pmem"), directory.resolve("b.pmem")};
      Store store = Store.builder(files).legs(legs).initialCapacity(8 << 20).open();
      fill(store, 0, KEYS);
      leg(store, 1).faults().notifyNever(); // Who tells the store would wait, too.
      place.freeze();
      leg(store, 1).faults().remove();
      FutureTask<Boolean> put = new FutureTask<>(() -> store.put(key(1), value(2)), true);
      Thread _ = Thread.ofPlatform().start(put);
      assertThrows(TimeoutException.class, () -> put.get(300, TimeUnit.MILLISECONDS));
      assertInTime("close", store::close);
      ExecutionException told =
          assertThrows(ExecutionException.class, () -> put.get(2, TimeUnit.SECONDS));
      assertTrue(told.getCause() instanceof HoldfastException, "was " + told.getCause());
      // What is being written would land under whoever opens the store next.
      FileChannel lock = FileChannel.open(files.resolve("lock"), StandardOpenOption.READ);
      assertThrows(OverlappingFileLockException.class, () -> lock.tryLock(0, 1, true));
      place.thaw();
      await()
          .until(() -> {
            try (FileLock _ = lock.tryLock(0, 1, true)) {
              return true;
            } catch (OverlappingFileLockException e) {
              return false;
            }
          });
      lock.close();
      try (Store again = Store.builder(files).legs(legs).open()) {
        assertHolds(again, 0, KEYS);
      }
    }
  }

  @Test
  void underLoadEachOperationIsDoneOrTold() throws Exception {
    for (int round = 0; round < 6; round++) {
      int threads = 4;
      Store store = builder().open();
      AtomicInteger[] acknowledged = new AtomicInteger[threads];
      try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
        fill(store, 0, KEYS);
        List<Future<?>> load = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
          int thread = t;
          AtomicInteger last = new AtomicInteger();
          acknowledged[t] = last;
          load.add(
              pool.submit(() -> {
                try {
                  for (int i = 0; ; i++) {
                    store.put(key(1_000 * (thread + 1) + i % 900), value(i));
                    last.set(i);
                    store.get(key(i % KEYS));
                  }
                } catch (StoreClosedException e) {
                  return null;
                }
              }));
        }
        for (AtomicInteger each : acknowledged) {
          await().until(() -> each.get() > 500);
        }
        assertInTime("forceClose", store::forceClose);
        for (Future<?> each : load) {
          each.get();
        }
      }
      try (Store again = builder().open()) {
        assertEquals(StoreState.ONLINE, again.health().state());
        assertHolds(again, 0, KEYS);
        for (int t = 0; t < threads; t++) {
          int last = acknowledged[t].get();
          byte[] found = again.get(key(1_000 * (t + 1) + last % 900));
          org.junit.jupiter.api.Assertions.assertArrayEquals(value(last), found);
        }
      }
    }
  }

  /** It answers, slowly: a close has reason to wait, and somebody has reason not to. */
  @Test
  void aCloseThatWaitsEndsToo() throws Exception {
    Store store = builder().initialCapacity(32 << 20).persistence(PersistenceMode.FILE).open();
    for (int i = 0; i < 24; i++) {
      store.put(key(i), value(i, 1 << 20));
    }
    for (int leg = 0; leg < 2; leg++) {
      leg(store, leg).faults().flushLatency(Duration.ofMillis(250));
    }
    Thread closing = Thread.ofPlatform().start(store::close);
    await().until(() -> isRefused(store));
    assertThrows(StoreLockedException.class, () -> builder().open());
    await().pollDelay(Duration.ofSeconds(2)).until(() -> true);
    assertTrue(closing.isAlive(), "the medium answers: there is something to wait for");
    assertInTime("forceClose", store::forceClose);
    assertInTime(
        "close",
        () -> {
          try {
            closing.join();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
    try (Store again = builder().persistence(PersistenceMode.FILE).open()) {
      for (int i = 0; i < 24; i++) {
        org.junit.jupiter.api.Assertions.assertArrayEquals(value(i, 1 << 20), again.get(key(i)));
      }
    }
  }

  private static boolean isRefused(Store store) {
    try {
      store.get(key(1));
      return false;
    } catch (StoreClosedException e) {
      return true;
    }
  }

  @Test
  void itClosesOnce() {
    Store store = builder().open();
    fill(store, 0, KEYS);
    store.forceClose();
    store.forceClose();
    store.close();
    assertThrows(StoreClosedException.class, () -> store.put(key(1), value(1)));
    assertThrows(StoreClosedException.class, store::resume);
    store.health();
    store.stats();
    Store again = builder().open();
    again.close();
    again.forceClose();
    try (Store third = builder().open()) {
      store.forceClose();
      third.put(key(KEYS), value(KEYS));
      assertHolds(third, 0, KEYS + 1);
    }
  }

  @Test
  void itWorksWithEveryDeviceGone() {
    Store store = builder().open();
    fill(store, 0, KEYS);
    leg(store, 0).faults().remove();
    leg(store, 1).faults().remove();
    assertInTime("forceClose", store::forceClose);
    dev.holdfast.pmem.FaultInjector.reinsert(directory.resolve("s").resolve("leg-0.pmem"));
    dev.holdfast.pmem.FaultInjector.reinsert(directory.resolve("s").resolve("leg-1.pmem"));
    try (Store again = builder().open()) {
      assertHolds(again, 0, KEYS);
    }
  }
}
