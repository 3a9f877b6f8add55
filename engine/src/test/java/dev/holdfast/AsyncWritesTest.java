package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Writes that nobody waits for in his own thread. What a loss of power leaves: the rules, T8. */
@Timeout(60)
@SuppressWarnings("try") // closing by hand is what is tested
final class AsyncWritesTest {
  private static final Duration LIMIT = Duration.ofSeconds(4);

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(PersistenceMode mode) {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20).persistence(mode);
  }

  /** What a future failed by; null if it did not. */
  private static @Nullable Throwable outcome(Future<?> future) throws Exception {
    try {
      future.get(20, TimeUnit.SECONDS);
      return null;
    } catch (ExecutionException e) {
      return e.getCause();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void whatWasWrittenIsThere(PersistenceMode mode) throws Exception {
    try (Store store = builder(mode).open()) {
      AsyncWrites async = store.async();
      List<CompletableFuture<Void>> puts = new ArrayList<>();
      for (int i = 0; i < 3_000; i++) {
        byte[] key = key(i);
        byte[] value = value(i);
        puts.add(async.put(key, value));
        key[0] = 0; // They are copied.
        value[0]++;
      }
      for (CompletableFuture<Void> put : puts) {
        assertNull(put.get());
      }
      assertHolds(store, 0, 3_000);
      assertEquals(true, async.remove(key(7)).get());
      assertEquals(false, async.remove(key(7)).get());
      WriteBatch batch = new WriteBatch().put(key(7), value(8)).remove(key(8));
      async.write(batch).get();
      assertArrayEquals(value(8), store.get(key(7)));
      assertNull(store.get(key(8)));
      async.put(key(9), value(9, 200_000)).get();
    }
    try (Store store = builder(mode).open()) {
      assertArrayEquals(value(8), store.get(key(7)));
      assertArrayEquals(value(9, 200_000), store.get(key(9)));
      assertHolds(store, 10, 3_000);
    }
  }

  @Test
  void callersShareTheFlushesOfTheThreadThatStores() throws Exception {
    int puts = 500;
    try (Store store = builder(PersistenceMode.FILE).open()) {
      for (int leg = 0; leg < 2; leg++) {
        leg(store, leg).faults().flushLatency(Duration.ofMillis(5));
      }
      long before = leg(store, 0).faults().flushes();
      List<CompletableFuture<Void>> futures = new ArrayList<>();
      for (int i = 0; i < puts; i++) {
        futures.add(store.async().put(key(i), value(i)));
      }
      for (CompletableFuture<Void> future : futures) {
        future.get();
      }
      long flushes = leg(store, 0).faults().flushes() - before;
      assertTrue(flushes < puts / 4, flushes + " flushes for " + puts + " puts");
    }
  }

  @Test
  void theLastOfSeveralWritesToAKeyIsThere() throws Exception {
    try (Store store = builder(PersistenceMode.FILE).asyncRing(16).open()) {
      try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
        List<Future<?>> callers = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
          int key = t;
          Callable<?> calls =
              () -> {
                CompletableFuture<?> last = CompletableFuture.completedFuture(null);
                for (int i = 0; i < 400; i++) {
                  last =
                      i % 7 == 6
                          ? store.async().remove(key(key))
                          : store.async().put(key(key), value(i));
                }
                last.get();
                assertArrayEquals(value(399), store.get(key(key)));
                return null;
              };
          callers.add(pool.submit(calls));
        }
        for (Future<?> caller : callers) {
          caller.get();
        }
      }
    }
  }

  // ---------------------------------------------------------------- what cannot be done

  @Test
  void whatCannotBeStoredIsToldAtOnce() throws Exception {
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      AsyncWrites async = store.async();
      assertThrows(IllegalArgumentException.class, () -> async.put(new byte[0], value(1)));
      assertThrows(IllegalArgumentException.class, () -> async.tryRemove(new byte[5_000]));
    }
    StoreBuilder builder = builder(PersistenceMode.PROCESS);
    assertThrows(IllegalArgumentException.class, () -> builder.asyncRing(3));
    assertThrows(IllegalArgumentException.class, () -> builder.asyncRing(1 << 17));
    assertThrows(IllegalArgumentException.class, () -> builder.asyncBytes(1));
    assertThrows(IllegalArgumentException.class, () -> builder.asyncBytes(1L << 40));
  }

  @Test
  void aWriteThatFindsNoRoomFailsAloneByItsName() throws Exception {
    try (Store store = builder(PersistenceMode.FILE).maxCapacity(4 << 20).open()) {
      CompletableFuture<Void> before = store.async().put(key(1), value(1));
      CompletableFuture<Void> large = store.async().put(key(2), value(2, 8 << 20));
      CompletableFuture<Void> behind = store.async().put(key(3), value(3));
      assertInstanceOf(OutOfSpaceException.class, outcome(large));
      assertNull(outcome(before));
      assertNull(outcome(behind));
      assertNull(store.get(key(2)));
      assertArrayEquals(value(3), store.get(key(3)));
    }
  }

  @Test
  void aStoreThatIsReadOnlyTellsSo() throws Exception {
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      fill(store, 0, 10);
    }
    try (Store store = builder(PersistenceMode.PROCESS).readOnly().open()) {
      assertInstanceOf(ReadOnlyStoreException.class, outcome(store.async().put(key(1), value(2))));
      assertInstanceOf(ReadOnlyStoreException.class, outcome(store.async().remove(key(1))));
      assertHolds(store, 0, 10);
    }
  }

  @Test
  void aBatchCanBeChangedOnceItIsWritten() throws Exception {
    try (Store store = builder(PersistenceMode.FILE).open()) {
      store.async().put(key(0), value(0)).get(); // The thread is there.
      leg(store, 0).faults().flushLatency(Duration.ofMinutes(1));
      CompletableFuture<Void> held = store.async().put(key(1), value(1));
      await().until(() -> isFlushing());
      leg(store, 0).faults().flushLatency(Duration.ZERO);
      WriteBatch batch = new WriteBatch().put(key(2), value(2));
      CompletableFuture<Void> future = store.async().write(batch);
      assertThrows(ConcurrentModificationException.class, batch::clear);
      assertThrows(ConcurrentModificationException.class, () -> store.async().write(batch));
      assertFalse(held.isDone());
      Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().equals("holdfast-medium"))
          .forEach(Thread::interrupt);
      future.get();
      batch.clear();
    }
  }

  private static boolean isFlushing() {
    return Thread.getAllStackTraces().entrySet().stream()
        .filter(each -> each.getKey().getName().equals("holdfast-medium"))
        .anyMatch(
            each -> List.of(each.getValue()).toString().contains("FaultInjector.beforeFlush"));
  }

  // ---------------------------------------------------------------- legs that go

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void nothingFailsWhereALegIsLost(PersistenceMode mode) throws Exception {
    int each = 2_000;
    try (Store store = builder(mode).open();
        ExecutorService pool = Executors.newFixedThreadPool(2)) {
      AtomicInteger asked = new AtomicInteger();
      List<Future<?>> callers = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        int from = t * each;
        Callable<?> calls =
            () -> {
              List<CompletableFuture<Void>> futures = new ArrayList<>();
              for (int i = from; i < from + each; i++) {
                futures.add(store.async().put(key(i), value(i)));
                asked.incrementAndGet();
              }
              for (CompletableFuture<Void> future : futures) {
                future.get();
              }
              return null;
            };
        callers.add(pool.submit(calls));
      }
      await().pollInterval(Duration.ofMillis(1)).until(() -> asked.get() > 200);
      leg(store, 1).faults().remove();
      for (Future<?> caller : callers) {
        caller.get();
      }
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertHolds(store, 0, 2 * each);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void everyFutureIsToldWhereAllLegsAreLost(PersistenceMode mode) throws Exception {
    ConcurrentLinkedQueue<CompletableFuture<Void>> futures = new ConcurrentLinkedQueue<>();
    try (Store store = builder(mode).open();
        ExecutorService pool = Executors.newFixedThreadPool(2);
        StopFlag stop = new StopFlag()) {
      for (int t = 0; t < 2; t++) {
        int from = 1_000_000 * t;
        var _ =
            pool.submit(() -> {
              for (int i = from; !stop.get(); i = from + (i + 1) % 1_000) {
                futures.add(store.async().put(key(i), value(i)));
              }
            });
      }
      await().until(() -> futures.size() > 500);
      leg(store, 0).faults().remove();
      leg(store, 1).faults().remove();
      int before = futures.size();
      await().until(() -> futures.size() > before + 500);
      stop.set();
      pool.shutdown();
      assertTrue(pool.awaitTermination(20, TimeUnit.SECONDS), "a caller waits for room for ever");
      int told = 0;
      for (CompletableFuture<Void> future : futures) {
        Throwable failure = outcome(future);
        if (failure != null) {
          assertInstanceOf(DeviceOfflineException.class, failure);
          told++;
        }
      }
      assertTrue(told > 100, told + " of " + futures.size() + " were told");
      assertInstanceOf(DeviceOfflineException.class, outcome(store.async().put(key(1), value(1))));
    }
  }

  // ---------------------------------------------------------------- the end

  @Test
  void aCloseCompletesWhatWasTaken() throws Exception {
    List<CompletableFuture<Void>> futures = new ArrayList<>();
    Store store = builder(PersistenceMode.FILE).open();
    for (int leg = 0; leg < 2; leg++) {
      leg(store, leg).faults().flushLatency(Duration.ofMillis(20));
    }
    for (int i = 0; i < 900; i++) {
      futures.add(store.async().put(key(i), value(i)));
    }
    store.close();
    for (CompletableFuture<Void> future : futures) {
      assertNull(outcome(future));
    }
    assertThrows(StoreClosedException.class, () -> store.async().put(key(1), value(1)));
    assertThrows(StoreClosedException.class, () -> store.async().tryRemove(key(1)));
    try (Store again = builder(PersistenceMode.FILE).open()) {
      assertHolds(again, 0, 900);
    }
  }

  @Test
  void aStoreThatNeverWroteSoHasNoThreadForIt() {
    Store store = builder(PersistenceMode.PROCESS).open();
    AsyncWrites async = store.async();
    assertFalse(hasThread());
    store.close();
    assertThrows(StoreClosedException.class, () -> async.put(key(1), value(1)));
    assertFalse(hasThread());
  }

  private boolean hasThread() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread ->
            thread.getName().startsWith(directory.toString())
                && thread.getName().endsWith("-async"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everyFutureIsToldWhereTheMediumHangs(boolean force) throws Exception {
    List<CompletableFuture<Void>> futures = new ArrayList<>();
    Store store = builder(PersistenceMode.FILE).single().asyncRing(64).open();
    store.async().put(key(0), value(0)).get();
    leg(store, 0).faults().flushLatency(Duration.ofMinutes(10));
    for (int i = 1; i <= 64; i++) {
      futures.add(store.async().put(key(i), value(i)));
    }
    assertTrue(store.async().tryPut(key(100), value(100)).isEmpty());
    Thread waiting =
        Thread.ofPlatform()
            .start(() ->
                assertThrows(
                    StoreClosedException.class, () -> store.async().put(key(101), value(101))));
    await().until(() -> waiting.getState() == Thread.State.WAITING);
    long start = System.nanoTime();
    if (force) {
      store.forceClose();
    } else {
      store.close();
    }
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(took.compareTo(LIMIT) <= 0, "took " + took);
    for (CompletableFuture<Void> future : futures) {
      assertInstanceOf(StoreClosedException.class, outcome(future));
    }
    waiting.join();
    await().until(() -> !hasThread());
    store.close();
    try (Store again = builder(PersistenceMode.FILE).single().open()) {
      assertHolds(again, 0, 1);
    }
  }

  @Test
  void anActionMayCloseTheStore() throws Exception {
    Store store = builder(PersistenceMode.FILE).asyncWait(AsyncWait.YIELD).open();
    CompletableFuture<Void> closed = store.async().put(key(1), value(1)).thenRun(store::close);
    closed.get(20, TimeUnit.SECONDS);
    try (Store again = builder(PersistenceMode.FILE).open()) {
      assertHolds(again, 1, 2);
    }
  }
}
