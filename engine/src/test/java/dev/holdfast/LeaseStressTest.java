package dev.holdfast;

import static dev.holdfast.LeaseTest.bytesOf;
import static dev.holdfast.LeaseTest.lease;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.rmap.MappingHandle;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases that several threads use while legs go, stores close and keys are overwritten. */
@SuppressWarnings("try") // closing by hand is what is tested
final class LeaseStressTest {
  private static final int LARGE = 70_000;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20).maxCapacity(64 << 20);
  }

  private static void all(ExecutorService pool, List<Callable<Void>> tasks) throws Exception {
    List<Future<Void>> running = new ArrayList<>();
    for (Callable<Void> task : tasks) {
      running.add(pool.submit(task));
    }
    for (Future<Void> each : running) {
      each.get();
    }
  }

  /** Two threads read one lease and open others; a third overwrites what is leased. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void noLossOfALegIsNoticedAndNoByteIsWrong(boolean told) throws Exception {
    long seed = seed("noLossOfALegIsNoticedAndNoByteIsWrong");
    int rounds = 12;
    byte[] expected = value(1, LARGE);
    AtomicBoolean done = new AtomicBoolean();
    AtomicInteger reads = new AtomicInteger();
    try (Store store = store().open();
        ExecutorService pool = Executors.newCachedThreadPool()) {
      fill(store, 200, 300);
      store.put(key(1), expected);
      try (Lease lease = lease(store, key(1))) {
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int t = 0; t < 2; t++) {
          Random random = new Random(seed + t);
          tasks.add(() -> {
            while (!done.get()) {
              int at = random.nextInt(LARGE);
              assertEquals(expected[at], lease.getByte(at));
              int from = random.nextInt(LARGE / 2);
              byte[] some = new byte[random.nextInt(LARGE / 2)];
              lease.copyTo(from, some, 0, some.length);
              assertArrayEquals(
                  java.util.Arrays.copyOfRange(expected, from, from + some.length), some);
              int other = 2 + random.nextInt(100);
              try (Lease small = store.lease(key(other))) {
                if (small != null) {
                  byte[] found = bytesOf(small);
                  // Each value tells by its length and its first byte which one it is.
                  int number = (found.length - 20) / 7 - other;
                  assertArrayEquals(stored(other, number), found);
                }
              }
              reads.incrementAndGet();
            }
            return null;
          });
        }
        tasks.add(() -> {
          Random random = new Random(seed + 9);
          while (!done.get()) {
            int other = 2 + random.nextInt(100);
            store.put(key(other), stored(other, random.nextInt(200)));
            store.put(key(1), value(random.nextInt(), LARGE));
          }
          return null;
        });
        tasks.add(() -> {
          try {
            for (int round = 0; round < rounds; round++) {
              int gone = round % 2;
              int before = reads.get();
              if (!told) {
                leg(store, gone).faults().notifyNever();
              }
              leg(store, gone).faults().remove();
              org.awaitility.Awaitility.await()
                  .atMost(Duration.ofSeconds(30))
                  .until(() -> reads.get() >= before + 4 || done.get());
              leg(store, gone).faults().notifyAfter(Duration.ZERO);
              leg(store, gone).faults().reinsert();
              store.online(gone);
              awaitState(store, StoreState.ONLINE);
              if (round % 4 == 3) {
                store.compact();
              }
            }
          } finally {
            done.set(true);
          }
          return null;
        });
        all(pool, tasks);
        assertArrayEquals(expected, bytesOf(lease));
        assertEquals(0, store.health().leases().gaveWay());
      }
      assertEquals(0, store.health().leases().open());
      assertTrue(store.health().lost().isEmpty());
    }
    System.out.println("LeaseStressTest: " + reads + " reads");
  }

  private static byte[] stored(int key, int number) {
    return value(key * 1000 + number, 20 + 7 * (key + number));
  }

  /** A close comes at any moment: the answer is right, or says so. */
  @Test
  void aCloseThatRacesWithAccessesEndsThemInOrder() throws Exception {
    int rounds = 25;
    byte[] expected = value(1, LARGE);
    for (int round = 0; round < rounds; round++) {
      Store store = store().open();
      store.put(key(1), expected);
      Lease shared = lease(store, key(1));
      CountDownLatch begun = new CountDownLatch(3);
      AtomicReference<@Nullable Throwable> ended = new AtomicReference<>();
      long delay = round * 40_000L;
      try (ExecutorService pool = Executors.newCachedThreadPool()) {
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int t = 0; t < 3; t++) {
          int thread = t;
          tasks.add(() -> {
            try {
              for (int i = 0; ; i++) {
                switch (thread) {
                  case 0 -> {
                    int at = i * 4099 % LARGE;
                    assertEquals(expected[at], shared.getByte(at));
                  }
                  case 1 -> assertArrayEquals(expected, bytesOf(shared));
                  default -> {
                    try (Lease own = lease(store, key(1))) {
                      assertArrayEquals(expected, bytesOf(own));
                    }
                  }
                }
                if (i == 0) {
                  begun.countDown();
                }
              }
            } catch (StoreClosedException e) {
              ended.compareAndSet(null, e);
            }
            return null;
          });
        }
        tasks.add(() -> {
          begun.await();
          long from = System.nanoTime();
          while (System.nanoTime() - from < delay) {
            Thread.onSpinWait();
          }
          store.close();
          return null;
        });
        all(pool, tasks);
      }
      assertTrue(ended.get() != null);
      shared.close();
    }
  }

  /** One thread closes the lease that two others read. */
  @Test
  void aLeaseThatIsClosedUnderItsReadersThrowsOnlyThat() throws Exception {
    byte[] expected = value(1, LARGE);
    try (Store store = store().open();
        ExecutorService pool = Executors.newCachedThreadPool()) {
      for (int round = 0; round < 60; round++) {
        store.put(key(1), expected);
        Lease lease = lease(store, key(1));
        CountDownLatch begun = new CountDownLatch(2);
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int t = 0; t < 2; t++) {
          int thread = t;
          tasks.add(() -> {
            try {
              for (int i = 0; ; i++) {
                if (thread == 0) {
                  assertEquals(expected[i * 4099 % LARGE], lease.getByte(i * 4099 % LARGE));
                } else {
                  assertArrayEquals(expected, bytesOf(lease));
                }
                if (i == 0) {
                  begun.countDown();
                }
              }
            } catch (IllegalStateException e) {
              return null;
            }
          });
        }
        tasks.add(() -> {
          begun.await();
          store.put(key(1), value(2, LARGE));
          lease.close();
          for (int i = 0; i < 10; i++) { // Its pages are taken again at once.
            store.put(key(1), value(3 + i, LARGE));
          }
          return null;
        });
        all(pool, tasks);
      }
      assertEquals(0, store.health().leases().open());
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** What is open before a look and after it must have been seen by it. */
  @Test
  void theReverseMapHasEveryLeaseThatIsOpen() throws Exception {
    int owners = 2;
    int looks = 3_000;
    AtomicBoolean done = new AtomicBoolean();
    AtomicInteger found = new AtomicInteger();
    List<AtomicReference<@Nullable Lease>> published =
        List.of(new AtomicReference<>(), new AtomicReference<>());
    try (OpenStore store = (OpenStore) store().open();
        ExecutorService pool = Executors.newCachedThreadPool()) {
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int t = 0; t < owners; t++) {
        int mine = t;
        store.put(key(mine), value(mine, LARGE));
        tasks.add(() -> {
          for (int i = 0; !done.get(); i++) {
            try (Lease lease = lease(store, key(mine))) {
              published.get(mine).set(lease);
              if (i % 8 == 0) {
                store.put(key(mine), value(i, 100 + i % 7 * 10_000));
              }
              Thread.onSpinWait();
              published.get(mine).set(null);
            }
          }
          return null;
        });
      }
      tasks.add(() -> {
        try {
          for (int i = 0; i < looks; i++) {
            AtomicReference<@Nullable Lease> of = published.get(i % owners);
            Lease before = of.get();
            List<MappingHandle> live = store.mappings(0, 64L << 20);
            if (before != null && before.equals(of.get())) {
              String name = before.toString();
              assertTrue(live.stream().anyMatch(handle -> handle.describe().equals(name)), name);
              found.incrementAndGet();
            }
          }
        } finally {
          done.set(true);
        }
        return null;
      });
      all(pool, tasks);
      assertTrue(found.get() > 20, "looks that could tell: " + found.get());
      assertTrue(
          store.mappings(0, 64L << 20).stream()
              .noneMatch(handle -> handle.describe().startsWith("lease")));
    }
  }
}
