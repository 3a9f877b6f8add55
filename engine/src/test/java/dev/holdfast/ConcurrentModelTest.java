package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.seed;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.StoreState;
import dev.holdfast.volume.VolumeLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Several threads, each with keys and a model of its own, while legs are poisoned, pulled out and
 * put back: each model holds at every step, and after a reopen.
 */
final class ConcurrentModelTest {
  private static final int THREADS = 3;
  private static final int KEYS = 300;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  /** One thread's keys and what they should have. */
  private static final class Mine {
    final int thread;
    final Random random;
    final TreeMap<Integer, byte[]> model = new TreeMap<>();

    Mine(int thread, long seed) {
      this.thread = thread;
      this.random = new Random(seed + thread);
    }

    byte[] key(int k) {
      return ByteBuffer.allocate(8).putInt(thread).putInt(k).array();
    }

    void step(Store store) {
      int k = random.nextInt(KEYS);
      byte[] key = key(k);
      byte[] old = model.get(k);
      byte[] value =
          new byte[random.nextInt(30) == 0 ? random.nextInt(30_000) : random.nextInt(300)];
      random.nextBytes(value);
      switch (random.nextInt(10)) {
        case 0, 1 -> assertEquals(model.remove(k) != null, store.remove(key));
        case 2 -> {
          assertEquals(old == null, store.putIfAbsent(key, value));
          model.putIfAbsent(k, value);
        }
        case 3 -> {
          assertEquals(old != null, store.replace(key, value));
          model.computeIfPresent(k, (same, v) -> value);
        }
        case 4 -> {
          if (old != null) {
            assertTrue(store.replace(key, old, value));
            model.put(k, value);
          }
        }
        case 5, 6 -> {
          store.put(key, value);
          model.put(k, value);
        }
        case 7 -> assertEquals(old != null, store.containsKey(key));
        default -> assertArrayEquals(old, store.get(key), "thread " + thread + ", key " + k);
      }
    }

    void assertAll(Store store) {
      for (int k = 0; k < KEYS; k++) {
        assertArrayEquals(model.get(k), store.get(key(k)), "thread " + thread + ", key " + k);
      }
      KeyRange range = KeyRange.closedOpen(key(0), key(KEYS));
      try (Cursor cursor = store.cursor(range)) {
        for (Map.Entry<Integer, byte[]> expected : model.entrySet()) {
          assertTrue(cursor.next());
          assertArrayEquals(key(expected.getKey()), cursor.key());
          assertArrayEquals(expected.getValue(), cursor.value());
        }
        assertTrue(!cursor.next());
      }
    }
  }

  @Test
  void everyThreadsModelHoldsThroughFaults() throws Exception {
    long seed = seed("everyThreadsModelHoldsThroughFaults");
    Random random = new Random(seed);
    List<Mine> all = new ArrayList<>();
    for (int t = 0; t < THREADS; t++) {
      all.add(new Mine(t, seed));
    }
    for (int round = 0; round < 3; round++) {
      try (Store store = store().open();
          ExecutorService pool = Executors.newFixedThreadPool(THREADS);
          StopFlag stop = new StopFlag()) {
        AtomicLong steps = new AtomicLong();
        List<Future<?>> running = new ArrayList<>();
        for (Mine mine : all) {
          running.add(
              pool.submit(() -> {
                try {
                  while (!stop.get()) {
                    mine.step(store);
                    steps.incrementAndGet();
                  }
                } finally {
                  stop.set();
                }
                return null;
              }));
        }
        for (int fault = 0; fault < 12 && !stop.get(); fault++) {
          long until = steps.get() + random.nextInt(2_000);
          await().until(() -> steps.get() >= until || stop.get());
          inject(store, random, steps, stop);
        }
        stop.set();
        for (Future<?> each : running) {
          each.get();
        }
        assertTrue(store.health().lost().isEmpty());
        all.forEach(mine -> mine.assertAll(store));
        int gone = random.nextInt(2);
        leg(store, gone).faults().remove();
        all.forEach(mine -> mine.assertAll(store));
        leg(store, gone).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      try (Store store = store().open()) {
        all.forEach(mine -> mine.assertAll(store));
      }
    }
  }

  private static void inject(Store store, Random random, AtomicLong steps, StopFlag stop) {
    int victim = random.nextInt(2);
    leg(store, victim).faults().notifyAfter(Duration.ofMillis(random.nextInt(20)));
    if (random.nextInt(3) == 0) {
      leg(store, victim).faults().remove();
      long until = steps.get() + random.nextInt(2_000);
      await().until(() -> steps.get() >= until || stop.get());
      leg(store, victim).faults().reinsert();
    } else {
      for (int i = random.nextInt(4); i >= 0; i--) {
        long page = random.nextInt((int) (leg(store, victim).capacity() / PAGE - 256)) + 256L;
        long offset = random.nextInt(4) == 0 ? VolumeLayout.SUPERBLOCK_SIZE : page * PAGE;
        long length = 1L + random.nextInt(3 * PAGE - 4096);
        long last = leg(store, victim).capacity() - offset;
        leg(store, victim).faults().poison(offset, Math.min(length, last));
      }
    }
    if (random.nextBoolean()) {
      leg(store, victim).faults().notifyAfter(Duration.ZERO);
    }
    // One copy at least is good at any time: then nothing may be lost.
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() ->
            store.health().state() == StoreState.ONLINE
                && store.devices().stream().allMatch(device -> device.badBlocks().isEmpty()));
  }
}
