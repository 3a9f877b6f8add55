package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.scan;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compaction: everything as dense as it can be, the rest given back, while operations go on. */
final class CompactTest {
  private static final int KEYS = 4_000;

  /** A chunk of the leaf table, and the pages that keep their blocks for who comes next. */
  private static final long KEPT = 384 << 10;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private static long fillMixed(Store store) {
    long payload = 0;
    for (int i = 0; i < KEYS; i++) {
      int mixed = (int) (i * 7919L % KEYS);
      store.put(key(mixed), value(mixed));
      payload += key(mixed).length + value(mixed).length;
    }
    return payload;
  }

  /** The bytes that a leg takes where it lies, whatever the size of its file. */
  private static long blocks(Path store, int leg) throws IOException {
    Process stat =
        new ProcessBuilder("stat", "-c", "%b", store.resolve("leg-" + leg + ".pmem").toString())
            .start();
    return Long.parseLong(new String(stat.getInputStream().readAllBytes(), US_ASCII).trim()) * 512;
  }

  @Test
  void everyLegGivesBackWhatIsNotUsedAndEverythingIsThere() throws IOException {
    Path image = directory.resolve("image");
    try (Store store = Store.builder(path()).initialCapacity(8 << 20).open()) {
      long metadata = blocks(path(), 0) - store.stats().capacityBytes();
      long payload = fillMixed(store);
      long before = blocks(path(), 0);
      CompactionProgress done = store.compact();
      assertTrue(done.complete());
      assertTrue(done.leavesDone() >= done.leaves(), () -> "progress " + done);
      for (int leg = 0; leg < 2; leg++) {
        long after = blocks(path(), leg);
        assertTrue(
            after < metadata + KEPT + payload * 12 / 10,
            "leg " + leg + ": " + after + " of " + before + " bytes for " + payload);
      }
      assertTrue(before - blocks(path(), 0) >= done.bytesGivenBack() * 9 / 10, () -> "" + done);
      assertHolds(store, 0, KEYS);
      assertEquals(KEYS, scan(store, false).keys().size());
      crashImage(path(), image);
      // What was given back is taken again when it is needed.
      for (int i = KEYS; i < 2 * KEYS; i++) {
        store.put(key(i), value(i));
      }
      assertHolds(store, 0, 2 * KEYS);
    }
    try (Store store = Store.open(path())) {
      assertHolds(store, 0, 2 * KEYS);
    }
    try (Store store = Store.open(image)) {
      for (int i = KEYS; i < 2 * KEYS; i++) {
        store.put(key(i), value(i));
      }
      assertHolds(store, 0, 2 * KEYS);
      long capacity = store.stats().capacityBytes();
      assertTrue(blocks(image, 0) <= capacity + (2 << 20), "no more than there is");
    }
  }

  @Test
  void whatWasGivenBackStaysSoWhenTheStoreIsOpenedAgain() throws IOException {
    long after;
    try (Store store = Store.builder(path()).initialCapacity(64 << 20).open()) {
      long _ = fillMixed(store);
      assertTrue(store.compact().complete());
      after = blocks(path(), 1);
    }
    try (Store store = Store.open(path())) {
      assertHolds(store, 0, KEYS);
      assertTrue(blocks(path(), 1) < after + (1 << 20), blocks(path(), 1) + ", was " + after);
      store.put(key(KEYS), value(KEYS));
      assertArrayEquals(value(KEYS), store.get(key(KEYS)));
    }
  }

  @Test
  void whatIsCompactedTwiceStaysAsItIs() throws IOException {
    try (Store store = Store.builder(path()).open()) {
      fillMixed(store);
      assertTrue(store.compact().complete());
      long once = blocks(path(), 0);
      assertTrue(store.compact().complete());
      assertTrue(Math.abs(blocks(path(), 0) - once) <= 64L << 12, "less than what is kept back");
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void anInterruptEndsItEarlyAndStaysSet() {
    try (Store store = Store.builder(path()).open()) {
      fillMixed(store);
      CompactionProgress stopped = store.compact(_ -> Thread.currentThread().interrupt());
      assertTrue(Thread.interrupted());
      assertFalse(stopped.complete());
      assertTrue(stopped.leavesDone() > 0 && stopped.leavesDone() < stopped.leaves());
      assertHolds(store, 0, KEYS);
      assertTrue(store.compact().complete());
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void oneAtATime() {
    try (Store store = Store.builder(path()).open()) {
      fillMixed(store);
      AtomicInteger refused = new AtomicInteger();
      CompactionProgress done =
          store.compact(_ -> {
            assertThrows(IllegalStateException.class, store::compact);
            refused.incrementAndGet();
          });
      assertTrue(done.complete());
      assertTrue(refused.get() > 1);
    }
  }

  /** Writers, readers and walks go on, and a leg is lost and comes back meanwhile. */
  @Test
  void operationsGoOnAndALegMayComeAndGo() throws Exception {
    AtomicInteger rounds = new AtomicInteger();
    byte[][] last = new byte[KEYS][];
    try (Store store = Store.builder(path()).open();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        StopFlag stop = new StopFlag()) {
      fillMixed(store);
      List<Future<?>> all = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        int half = t;
        all.add(
            pool.submit(() -> {
              SplittableRandom random = new SplittableRandom(half);
              while (!stop.get()) {
                int number = random.nextInt(KEYS / 2) * 2 + half;
                if (number % 10 < 2) {
                  assertArrayEquals(value(number), store.get(key(number)), "key " + number);
                  continue;
                }
                byte[] fresh = value(random.nextInt(1_000), 10 + random.nextInt(900));
                store.put(key(number), fresh);
                last[number] = fresh;
                if (random.nextInt(3) == 0) {
                  assertTrue(store.remove(key(number)));
                  last[number] = new byte[0];
                }
              }
            }));
      }
      all.add(
          pool.submit(() -> {
            while (!stop.get()) {
              long stays =
                  scan(store, rounds.get() % 2 == 1).keys().stream()
                      .filter(key -> key[key.length - 1] < '2')
                      .count();
              assertEquals(KEYS / 5, stays);
            }
          }));
      for (int round = 0; round < 4; round++) {
        if (round == 1) {
          leg(store, 1).faults().remove();
        } else if (round == 2) {
          leg(store, 1).faults().reinsert();
        }
        assertTrue(store.compact().complete());
        rounds.incrementAndGet();
      }
      TestStores.awaitState(store, dev.holdfast.health.StoreState.ONLINE);
      stop.set();
      for (Future<?> each : all) {
        each.get();
      }
      for (int i = 0; i < KEYS; i++) {
        byte[] expected = last[i] == null ? value(i) : last[i].length == 0 ? null : last[i];
        assertArrayEquals(expected, store.get(key(i)), "key " + i);
      }
    }
  }
}
