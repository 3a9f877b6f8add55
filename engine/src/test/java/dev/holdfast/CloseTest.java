package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A close at any moment, and what is left of a closed store. */
@SuppressWarnings("try") // closing by hand is what is tested
final class CloseTest {
  private static final int KEYS = 64;

  /** All that a close waits for, each in its bound. */
  private static final Duration LIMIT = Duration.ofSeconds(3);

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  @Test
  void closeUnderLoadEndsOperationsOrLetsThemEnd() throws Exception {
    int rounds = 1_000;
    int threads = 7;
    long start = System.nanoTime();
    AtomicLong[] acknowledged = new AtomicLong[KEYS];
    java.util.Arrays.setAll(acknowledged, i -> new AtomicLong(-1));
    AtomicInteger done = new AtomicInteger();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = 0; round < rounds; round++) {
        Store store = store().open();
        CyclicBarrier ready = new CyclicBarrier(threads + 1);
        List<Future<?>> load = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
          int thread = t;
          int number = round;
          load.add(
              pool.submit(() -> {
                ready.await();
                try {
                  use(store, thread, number, acknowledged, done);
                } catch (StoreClosedException e) {
                  return null;
                }
                return null;
              }));
        }
        ready.await();
        int before = done.get();
        while (done.get() - before < round % 50) {
          Thread.onSpinWait();
        }
        store.close();
        for (Future<?> each : load) {
          each.get();
        }
      }
    }
    long took = Duration.ofNanos(System.nanoTime() - start).toMillis();
    System.out.println("closeUnderLoad: " + rounds + " rounds in " + took + " ms, " + done);
    assertTrue(took <= 100L * rounds, "took " + took + " ms");
    try (Store store = store().open()) {
      for (int i = 0; i < KEYS; i++) {
        long n = acknowledged[i].get();
        byte[] found = store.get(key(i));
        if (n >= 0) {
          long stored = java.nio.ByteBuffer.wrap(java.util.Objects.requireNonNull(found)).getLong();
          // One behind it may have been stored and not acknowledged.
          assertTrue(stored >= n, "key " + i + ": acknowledged " + n + ", found " + stored);
        }
      }
    }
  }

  /** A snapshot and a cursor over it; it outlives the store if it is kept. */
  private static void readThrough(Store store, int k, boolean keep) {
    Snapshot snapshot = store.snapshot();
    byte[] first = snapshot.get(key(k));
    try (Cursor cursor = snapshot.cursor(KeyRange.all())) {
      while (cursor.next()) {
        assertEquals(100, cursor.value().length);
      }
    }
    assertArrayEquals(first, snapshot.get(key(k)));
    if (!keep) {
      snapshot.close();
    }
  }

  private static void readLeased(Store store, int k) {
    Lease lease = store.lease(key(k));
    if (lease != null) {
      byte[] first = new byte[100];
      byte[] again = new byte[100];
      lease.copyTo(0, first, 0, 100);
      lease.copyTo(0, again, 0, 100);
      assertArrayEquals(first, again);
      lease.close();
    }
  }

  private static void use(
      Store store, int thread, int round, AtomicLong[] acknowledged, AtomicInteger done) {
    for (int i = 0; ; i++) {
      int k = i % KEYS;
      switch (thread) {
        case 0, 1 -> {
          int mine = k / 2 * 2 + thread;
          long n = (long) round << 32 | i;
          store.put(key(mine), java.nio.ByteBuffer.allocate(100).putLong(n).array());
          acknowledged[mine].set(n);
        }
        case 2 -> store.get(key(k));
        case 3 -> {
          try (Cursor cursor = store.cursor(KeyRange.all())) {
            while (cursor.next()) {
              assertEquals(100, cursor.value().length);
            }
          }
        }
        case 4 -> readThrough(store, k, i == 7);
        case 5 -> readLeased(store, k);
        default ->
            store.read(key(k), value -> value.get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
      }
      done.incrementAndGet();
    }
  }

  @Test
  void aClosedStoreAndWhatCameFromItThrow() {
    Store store = store().open();
    fill(store, 0, KEYS);
    Cursor cursor = store.cursor(KeyRange.all());
    assertTrue(cursor.next());
    Cursor closed = store.cursor(KeyRange.all());
    closed.close();
    closed.close();
    assertThrows(StoreClosedException.class, closed::next);
    assertThrows(StoreClosedException.class, closed::key);
    store.close();
    store.close();
    List<Executable> operations =
        List.of(
            () -> store.get(key(1)),
            () -> store.get(key(KEYS)),
            () -> store.containsKey(key(1)),
            () -> store.put(key(1), value(1)),
            () -> store.putIfAbsent(key(1), value(1)),
            () -> store.replace(key(1), value(1)),
            () -> store.remove(key(1)),
            () -> store.read(key(1), value -> 1),
            () -> store.cursor(KeyRange.all()),
            () -> store.reverseCursor(KeyRange.all()),
            store::sync,
            () -> store.online(0),
            () -> store.addListener(event -> {}),
            cursor::next);
    for (Executable operation : operations) {
      assertThrows(StoreClosedException.class, operation);
    }
    cursor.close();
    store.health();
    store.stats();
    try (Store again = store().open()) {
      assertHolds(again, 0, KEYS);
    }
  }

  /** The body of a scoped read closes the store under itself. */
  @Test
  void aScopedReadOutlivesTheStore() {
    Store store = store().open();
    fill(store, 0, KEYS);
    byte[] read =
        store.read(
            key(3),
            value -> {
              store.close();
              return value.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            });
    assertArrayEquals(value(3), read);
  }

  @Test
  void closeDuringACopyLeavesALegThatIsCopiedLater() throws Exception {
    int large = 24;
    for (int round = 0; round < 5; round++) {
      int delay = round * 4;
      try (Store store = store().open();
          ExecutorService pool = Executors.newSingleThreadExecutor()) {
        for (int i = 0; i < large; i++) {
          store.put(key(i), value(i, 1 << 20));
        }
        leg(store, 0).faults().remove();
        store.put(key(round), value(round, 1 << 20));
        leg(store, 0).faults().notifyNever();
        leg(store, 0).faults().reinsert();
        Future<?> copying =
            pool.submit(() -> {
              try {
                store.online(0);
              } catch (HoldfastException e) {
                // Closed in the middle, by one error or another.
              }
            });
        long reads = store.stats().faultsCaught();
        for (int i = 0; i < delay * 10; i++) {
          reads += Objects.requireNonNull(store.get(key(i % large))).length;
        }
        assertTrue(reads >= 0);
        store.close();
        copying.get();
      }
      try (Store store = store().open()) {
        awaitState(store, StoreState.ONLINE);
        leg(store, 1).faults().remove();
        for (int i = 0; i < large; i++) {
          assertArrayEquals(value(i, 1 << 20), store.get(key(i)), "key " + i);
        }
        leg(store, 1).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
    }
  }

  @Test
  void closeDuringARepairLeavesARangeThatIsRepairedLater() {
    for (int round = 0; round < 5; round++) {
      try (Store store = store().open()) {
        fill(store, 0, 1_000);
        for (int page = 0; page < 32; page++) {
          leg(store, page % 2).faults().poison((1 << 20) + page * 2L * PAGE, 1);
        }
        for (int i = 0; i < round * 20; i++) {
          assertArrayEquals(value(i), store.get(key(i)));
        }
      }
      try (Store store = store().open()) {
        assertHolds(store, 0, 1_000);
        TestStores.awaitRepaired(store);
        leg(store, round % 2).faults().remove();
        assertHolds(store, 0, 1_000);
        assertTrue(store.health().lost().isEmpty());
        leg(store, round % 2).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
    }
  }

  @Test
  void aStoreClosesWithEveryDeviceGone() {
    Store store = store().open();
    fill(store, 0, KEYS);
    leg(store, 0).faults().remove();
    leg(store, 1).faults().remove();
    store.close();
    assertThrows(DeviceOfflineException.class, () -> store().open());
    dev.holdfast.pmem.FaultInjector.reinsert(directory.resolve("s").resolve("leg-1.pmem"));
    try (Store again = store().open()) {
      assertHolds(again, 0, KEYS);
    }
  }

  /** Others wait longer for the same operation than a close may. */
  @Test
  void closeIsBoundedWhileTheHealthThreadWaitsForAHangingPut() throws Exception {
    Store store = store().persistence(PersistenceMode.FILE).open();
    fill(store, 0, KEYS);
    // In the flush of a large value, which is part of the operation.
    Thread put = hangingPut(store, 3, 3_000);
    leg(store, 1).faults().remove();
    await().until(() -> isIn("-health", "GracePeriod", "await"));
    assertClosesInTime(store);
    put.join(); // Told that the store is closed: nobody waits for a medium any more.
  }

  /** A put that waits for its commit has no operation under way, and whoever runs it has none. */
  @Test
  void closeIsBoundedWhileACommitHangs() throws Exception {
    Store store = store().persistence(PersistenceMode.FILE).open();
    fill(store, 0, KEYS);
    Thread put = hangingPut(store, 3, 10);
    assertClosesInTime(store);
    put.join();
    try (Store again = store().persistence(PersistenceMode.FILE).open()) {
      assertHolds(again, 4, KEYS);
    }
  }

  /** What is lost cannot be named while its key is locked: as by a flush that is part of a put. */
  @Test
  void closeIsBoundedWhileAHangingPutKeepsALossFromBeingNamed() throws Exception {
    Files.createDirectories(directory.resolve("s"));
    try (CrashRecorder _ = CrashRecorder.start(directory.resolve("s"))) {
      closesWhileALossCannotBeNamed();
    }
  }

  private void closesWhileALossCannotBeNamed() throws Exception {
    Store store = store().single().persistence(PersistenceMode.DAX).open();
    for (int i = 0; i < 20; i++) {
      store.put(key(i), value(i, 3_000));
    }
    Thread put = hangingPut(store, 5, 10);
    leg(store, 0).faults().failClears(1_000);
    leg(store, 0).faults().notifyNever();
    leg(store, 0).faults().poison(recordOf(store, key(5)).offset(), 1);
    // It shares its leaf with the other, and so waits for the put before anything is called lost.
    Thread get =
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              try {
                store.get(key(5));
              } catch (HoldfastException e) {
                // It is lost, or the store was closed meanwhile.
              }
            });
    await().until(() -> !store.health().legs().get(0).badRanges().isEmpty());
    assertClosesInTime(store);
    assertTrue(put.isAlive());
    put.interrupt();
    put.join();
    get.join();
  }

  /** A put whose flush does not end until its thread is interrupted; what is flushed later does. */
  private static Thread hangingPut(Store store, int key, int length) {
    leg(store, 0).faults().flushLatency(Duration.ofMinutes(1));
    Thread put =
        Thread.ofPlatform()
            .daemon()
            .name("hanging-put")
            .start(() -> {
              try {
                store.put(key(key), value(key, length));
              } catch (HoldfastException e) {
                // The store was closed meanwhile.
              }
            });
    await()
        .until(() ->
            isIn("hanging-put", "FaultInjector", "beforeFlush")
                || isIn("holdfast-medium", "FaultInjector", "beforeFlush"));
    leg(store, 0).faults().flushLatency(Duration.ZERO);
    return put;
  }

  private static boolean isIn(String thread, String type, String method) {
    return Thread.getAllStackTraces().entrySet().stream()
        .filter(each -> each.getKey().getName().endsWith(thread))
        .flatMap(each -> Stream.of(each.getValue()))
        .anyMatch(
            frame -> frame.getClassName().endsWith(type) && frame.getMethodName().equals(method));
  }

  private static void assertClosesInTime(Store store) {
    long start = System.nanoTime();
    store.close();
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(took.compareTo(LIMIT) <= 0, "close took " + took);
  }

  @Test
  void anInterruptedThreadClosesInOrderAndStaysInterrupted() throws IOException {
    long before = addressSpace();
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      Thread.currentThread().interrupt();
      store.close();
      assertTrue(Thread.interrupted());
    }
    assertTrue(addressSpace() - before < 1L << 29, "windows are left");
    assertLegServesAlone();
  }

  @RepeatedTest(5)
  void interruptsDuringACloseDoNotShortenIt() throws IOException {
    long before = addressSpace();
    Store store = store().open();
    fill(store, 0, KEYS);
    Thread closer =
        Thread.ofPlatform()
            .start(() -> {
              while (!Thread.interrupted()) {
                Thread.onSpinWait();
              }
              store.close();
            });
    while (closer.isAlive()) {
      closer.interrupt();
      Thread.onSpinWait();
    }
    assertTrue(addressSpace() - before < 1L << 29, "windows are left");
    assertLegServesAlone();
  }

  /** Only a leg that was closed in order is known to hold everything, with nobody to ask. */
  private void assertLegServesAlone() throws IOException {
    Files.delete(directory.resolve("s").resolve("witness"));
    Files.delete(directory.resolve("s").resolve("leg-1.pmem"));
    try (Store store = store().open()) {
      assertHolds(store, 0, KEYS);
    }
  }

  private static long addressSpace() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmSize:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
    }
    throw new AssertionError("no size of the address space");
  }

  @Test
  void aLegThatWasAbsentIsOpenedOnceByAllWhoBringItBack() throws Exception {
    int threads = 3;
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = 0; round < 20; round++) {
        try (Store store = openWithoutLegOne()) {
          AtomicInteger missing = new AtomicInteger(threads);
          List<Future<?>> callers = new ArrayList<>();
          for (int t = 0; t < threads; t++) {
            callers.add(
                pool.submit(() -> {
                  missing.decrementAndGet();
                  while (missing.get() > 0) {
                    Thread.onSpinWait();
                  }
                  store.online(1);
                  return null;
                }));
          }
          for (Future<?> caller : callers) {
            caller.get();
          }
          assertEquals(StoreState.ONLINE, store.health().state());
        }
        assertEquals(List.of(), openFiles(), "round " + round);
      }
    }
  }

  @Test
  void aLegThatIsBroughtBackDuringACloseIsNotLeftOpen() throws Exception {
    try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
      for (int round = 0; round < 10; round++) {
        Future<?> caller;
        try (Store store = openWithoutLegOne()) {
          CyclicBarrier ready = new CyclicBarrier(2);
          caller =
              pool.submit(() -> {
                ready.await();
                try {
                  store.online(1);
                } catch (HoldfastException e) {
                  // Closed in the middle, by one error or another.
                }
                return null;
              });
          ready.await();
          long until = System.nanoTime() + round * 100_000L;
          while (System.nanoTime() < until) {
            Thread.onSpinWait();
          }
        }
        caller.get();
        assertEquals(List.of(), openFiles(), "round " + round);
      }
    }
  }

  private Store openWithoutLegOne() throws IOException {
    store().open().close();
    Path leg = directory.resolve("s").resolve("leg-1.pmem");
    Files.move(leg, directory.resolve("gone"));
    Store store = store().open();
    Files.move(directory.resolve("gone"), leg);
    return store;
  }

  /** What this process has open below the directory of the test. */
  private List<Path> openFiles() throws IOException {
    List<Path> open = new ArrayList<>();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        try {
          Path target = Files.readSymbolicLink(descriptor);
          if (target.startsWith(directory)) {
            open.add(target);
          }
        } catch (IOException e) {
          // Closed since it was listed.
        }
      }
    }
    return open;
  }
}
