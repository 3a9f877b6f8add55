package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * T8: where durable takes an msync, writers share it, and what a loss of power may find is ordered
 * by it. What a loss of power leaves is in {@link T8PowerLossTest}.
 */
@Timeout(60)
final class T8FileModeTest {
  private static final int ENTRIES = 20;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(PersistenceMode mode) {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20).persistence(mode);
  }

  private Store filled(StoreBuilder builder) {
    Store store = builder.open();
    put(store, 0, ENTRIES);
    return store;
  }

  // ---------------------------------------------------------------- group commit

  @Test
  void writersShareTheirFlushes() throws Exception {
    int writers = 16;
    int each = 20;
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      for (int leg = 0; leg < 2; leg++) {
        device(store, leg).faults().flushLatency(Duration.ofMillis(10));
      }
      long before = device(store, 0).faults().flushes();
      CyclicBarrier start = new CyclicBarrier(writers);
      List<Thread> threads = new ArrayList<>();
      ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
      for (int writer = 0; writer < writers; writer++) {
        int from = 1_000 * writer;
        threads.add(
            Thread.ofVirtual()
                .start(() -> {
                  try {
                    start.await();
                    put(store, from, from + each);
                  } catch (Throwable e) {
                    failures.add(e);
                  }
                }));
      }
      for (Thread thread : threads) {
        thread.join();
      }
      long flushes = device(store, 0).faults().flushes() - before;
      assertTrue(failures.isEmpty(), () -> "failed: " + failures.peek());
      int puts = writers * each;
      assertTrue(flushes >= each, "each writer waits for its own: " + flushes + " flushes");
      assertTrue(flushes < puts / 4, flushes + " flushes for " + puts + " puts");
    }
  }

  @Test
  void aPutAloneIsOneFlushOfEachLeg() {
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      long[] before = {device(store, 0).faults().flushes(), device(store, 1).faults().flushes()};
      store.put(key(3), value(4));
      for (int leg = 0; leg < 2; leg++) {
        assertEquals(before[leg] + 1, device(store, leg).faults().flushes(), "leg " + leg);
      }
    }
  }

  @Test
  void readsAndChecksOfWhatIsDurableFlushNothing() {
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      store.sync();
      long before = device(store, 0).faults().flushes();
      assertArrayEquals(value(3), store.get(key(3)));
      assertFalse(store.putIfAbsent(key(3), value(4)));
      assertFalse(store.replace(key(-1), value(4)));
      assertFalse(store.replace(key(3), value(5), value(4)));
      assertFalse(store.remove(key(-1)));
      assertEquals(before, device(store, 0).faults().flushes());
    }
  }

  // ---------------------------------------------------------------- what waits, and what does not

  /** A put whose flush does not end before {@link #end}. */
  private static final class HeldPut implements AutoCloseable {
    final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Store store;
    private final Thread thread;

    HeldPut(Store store, int key, byte[] value) {
      this.store = store;
      device(store, 0).faults().flushLatency(Duration.ofMinutes(1));
      thread =
          Thread.ofPlatform()
              .daemon()
              .start(() -> {
                try {
                  store.put(key(key), value);
                } catch (HoldfastException e) {
                  failure.set(e);
                }
              });
      await()
          .until(() ->
              Thread.getAllStackTraces().keySet().stream()
                  .anyMatch(each ->
                      each.getName().equals("holdfast-medium") && stackHas(each, "beforeFlush")));
      device(store, 0).faults().flushLatency(Duration.ZERO);
    }

    boolean isWaiting() {
      return thread.isAlive();
    }

    void end() {
      // The flush that takes so long ends; nothing else of the put takes notice.
      thread.interrupt();
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    @Override
    public void close() {
      device(store, 0).faults().flushLatency(Duration.ZERO);
      end();
    }
  }

  private static boolean stackHas(Thread thread, String method) {
    for (StackTraceElement frame : thread.getStackTrace()) {
      if (frame.getMethodName().equals(method)) {
        return true;
      }
    }
    return false;
  }

  @Test
  void noLeafIsLockedAndNoGraceIsHeldUpWhileItIsFlushed() throws Exception {
    try (Store store = filled(builder(PersistenceMode.FILE));
        HeldPut held = new HeldPut(store, 3, value(4))) {
      // The same key, so the same leaf; enough to write it anew, too.
      for (int i = 0; i < 24; i++) {
        store.put(key(3), value(290), PersistenceMode.PROCESS);
      }
      assertArrayEquals(value(290), store.get(key(3)));
      assertTrue(store.remove(key(5), PersistenceMode.PROCESS));
      // Losing a leg needs no operation to end that waits for its flush.
      device(store, 1).faults().remove();
      store.put(key(6), value(7), PersistenceMode.PROCESS);
      assertTrue(held.isWaiting());
    }
  }

  @Test
  void recordsShowBeforeTheirCommit() throws Exception {
    try (Store store = filled(builder(PersistenceMode.FILE));
        HeldPut held = new HeldPut(store, 3, value(4))) {
      assertArrayEquals(value(4), store.get(key(3)));
      assertTrue(held.isWaiting(), "not acknowledged yet");
      held.end();
      assertNull(held.failure.get());
    }
  }

  /** What depends on a record that is not durable yet waits for it, whatever the answer is. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "putIfAbsent",
        "replace",
        "replace expected",
        "remove",
        "remove expected",
        "computeIfAbsent",
        "computeIfPresent"
      })
  void whatDependsOnARecordWaitsForItsCommit(String operation) throws Exception {
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      store.sync();
      boolean removes = List.of("replace", "remove", "computeIfPresent").contains(operation);
      if (removes) {
        // Found absent, because of a tombstone that is not durable yet.
        assertTrue(store.remove(key(3), PersistenceMode.PROCESS));
      }
      try (HeldPut held = new HeldPut(store, removes ? 4 : 3, value(4))) {
        BooleanSupplier dependent =
            switch (operation) {
              case "putIfAbsent" -> () -> store.putIfAbsent(key(3), value(9));
              case "replace" -> () -> store.replace(key(3), value(9));
              case "replace expected" -> () -> store.replace(key(3), value(3), value(9));
              case "remove expected" -> () -> store.remove(key(3), value(3));
              case "computeIfAbsent" -> () -> store.computeIfAbsent(key(3), _ -> value(9)) == null;
              case "computeIfPresent" ->
                  () -> store.computeIfPresent(key(3), (_, _) -> value(9)) != null;
              default -> () -> store.remove(key(3));
            };
        AtomicReference<@Nullable Boolean> answer = new AtomicReference<>();
        Thread thread =
            Thread.ofPlatform().daemon().start(() -> answer.set(dependent.getAsBoolean()));
        await()
            .pollInterval(Duration.ofMillis(1))
            .until(() ->
                thread.getState() == Thread.State.WAITING
                    || thread.getState() == Thread.State.TERMINATED);
        assertNull(answer.get(), "answered before what it depends on was durable");
        held.end();
        thread.join();
        assertEquals(false, answer.get());
        assertArrayEquals(removes ? null : value(4), store.get(key(3)), "changed by who only asks");
      }
    }
  }

  @Test
  void whatIsAcknowledgedByAWeakerModeDoesNotWait() throws Exception {
    try (Store store = filled(builder(PersistenceMode.FILE));
        HeldPut held = new HeldPut(store, 3, value(4))) {
      store.put(key(4), value(5), PersistenceMode.PROCESS);
      assertFalse(store.putIfAbsent(key(3), value(5), PersistenceMode.PROCESS));
      assertTrue(store.putIfAbsent(key(100), value(100), PersistenceMode.PROCESS));
      assertTrue(store.replace(key(4), value(5), value(6), PersistenceMode.PROCESS));
      assertTrue(store.replace(key(4), value(7), PersistenceMode.PROCESS));
      assertTrue(store.remove(key(5), PersistenceMode.PROCESS));
      assertTrue(held.isWaiting());
    }
  }

  // ---------------------------------------------------------------- flushes that fail

  @Test
  void aFlushThatFailsOnOneLegIsAcknowledgedByTheOther() {
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      device(store, 1).faults().failFlushes(1);
      long before = device(store, 0).faults().flushes();
      store.put(key(50), value(50));
      assertEquals(LegState.FAULTED, store.health().legs().get(1).state());
      assertTrue(device(store, 0).faults().flushes() > before);
      long refused = device(store, 1).faults().flushes();
      put(store, 51, 60);
      assertEquals(refused, device(store, 1).faults().flushes(), "asked again");
    }
    try (Store store = builder(PersistenceMode.FILE).open()) {
      assertHolds(store, 0, ENTRIES);
      assertHolds(store, 50, 60);
    }
  }

  @Test
  void nobodyIsAcknowledgedWhenTheOnlyLegRefuses() throws Exception {
    int writers = 8;
    try (Store store = filled(builder(PersistenceMode.FILE).single())) {
      HeldPut held = new HeldPut(store, 3, value(4));
      device(store, 0).faults().failFlushes(1);
      ConcurrentLinkedQueue<Object> outcomes = new ConcurrentLinkedQueue<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        int key = 100 + i;
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    store.put(key(key), value(key));
                    outcomes.add("acknowledged");
                  } catch (HoldfastException e) {
                    outcomes.add(e.getClass());
                  }
                }));
      }
      await()
          .until(
              () -> threads.stream().allMatch(thread -> thread.getState() == Thread.State.WAITING));
      held.end();
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(writers, outcomes.size());
      assertTrue(
          outcomes.stream().allMatch(ReadOnlyStoreException.class::equals), outcomes::toString);
      assertEquals(ReadOnlyStoreException.class, classOf(held.failure.get()));
      assertHolds(store, 5, ENTRIES);
    }
  }

  private static @Nullable Class<?> classOf(@Nullable Object object) {
    return object == null ? null : object.getClass();
  }

  // ---------------------------------------------------------------- sync, and modes of operations

  @Test
  void syncFlushesWhatDidNotWait() {
    try (Store store = filled(builder(PersistenceMode.FILE))) {
      store.sync();
      long before = device(store, 0).faults().flushes();
      store.put(key(3), value(4), PersistenceMode.PROCESS);
      assertEquals(before, device(store, 0).faults().flushes());
      store.sync();
      assertEquals(before + 1, device(store, 0).faults().flushes());
    }
  }

  @Test
  void aStrongerModeMakesAStoreOrderItsWritesFromThenOn() {
    try (Store store = filled(builder(PersistenceMode.PROCESS))) {
      assertEquals(PersistenceMode.PROCESS, store.devices().get(0).persistenceMode());
      store.put(key(3), value(4), PersistenceMode.FILE);
      for (int leg = 0; leg < 2; leg++) {
        assertEquals(PersistenceMode.FILE, store.devices().get(leg).persistenceMode());
      }
      long before = device(store, 0).faults().flushes();
      // Enough to write leaves anew; the region is marked already.
      for (int i = 0; i < 200; i++) {
        store.put(key(i % ENTRIES), value(i), PersistenceMode.PROCESS);
      }
      assertTrue(device(store, 0).faults().flushes() - before < 100);
      before = device(store, 0).faults().flushes();
      store.put(key(3), value(5));
      assertEquals(before, device(store, 0).faults().flushes(), "the store's own mode is PROCESS");
      store.put(key(3), value(6), PersistenceMode.FILE);
      assertTrue(device(store, 0).faults().flushes() > before);
      assertEquals(PersistenceMode.PROCESS, store.stats().persistenceMode());
    }
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      assertArrayEquals(value(6), store.get(key(3)));
    }
  }

  /**
   * Whoever opens a store behind a loss of power has to know that pages came to the medium in any
   * order, though it was opened, and is, for less.
   */
  @Test
  void whatOrderWritesHadIsKnownBehindACrash() throws Exception {
    Path image;
    StoreExtent gone;
    try (Store store = filled(builder(PersistenceMode.PROCESS))) {
      store.put(key(3), value(4), PersistenceMode.FILE);
      store.put(key(50), value(50));
      store.put(key(51), value(51));
      gone = extent(store, key(50));
      image = CrashImage.of(directory.resolve("s"), directory.resolve("crashed"));
    }
    for (int leg = 0; leg < 2; leg++) {
      try (EmulatedDevice device = device(image, leg)) {
        // Its page had not been written back, that of the next one had.
        device.faults().misdirectedWrite(gone.offset(), new byte[(int) gone.length()]);
      }
    }
    try (Store store = Store.open(image)) {
      assertEquals(List.of(), store.health().lost());
      assertArrayEquals(value(4), store.get(key(3)));
      assertHolds(store, 4, ENTRIES);
      assertNull(store.get(key(50)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"PROCESS", "FILE"})
  void daxIsRefusedWhereTheDevicesAreNot(PersistenceMode mode) {
    try (Store store = filled(builder(mode))) {
      PersistenceMode dax = PersistenceMode.DAX;
      assertThrows(IllegalArgumentException.class, () -> store.put(key(1), value(2), dax));
      assertThrows(IllegalArgumentException.class, () -> store.remove(key(1), dax));
      assertThrows(IllegalArgumentException.class, () -> store.sync(dax));
      assertThrows(IllegalArgumentException.class, () -> store.putIfAbsent(key(-1), value(2), dax));
      assertHolds(store, 0, ENTRIES);
      assertEquals(mode, store.devices().get(0).persistenceMode());
    }
  }
}
