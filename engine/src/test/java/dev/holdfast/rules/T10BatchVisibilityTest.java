package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.ObservedStores;
import dev.holdfast.Snapshot;
import dev.holdfast.Store;
import dev.holdfast.WriteBatch;
import dev.holdfast.tree.BatchObserver;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Rule T10: who reads sees all of a batch or nothing of it, at every moment. */
@Timeout(120)
final class T10BatchVisibilityTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  /** While a batch is under way everybody sees what was before it, behind it what it did. */
  @Test
  void nothingShowsBeforeEverythingDoes() {
    AtomicReference<Store> store = new AtomicReference<>();
    List<BatchObserver.Step> seen = new ArrayList<>();
    BatchObserver observer =
        step -> {
          seen.add(step);
          boolean done = step.compareTo(BatchObserver.Step.VISIBLE) >= 0;
          assertShows(store.get(), done);
        };
    try (Store opened =
        ObservedStores.observing(Store.builder(directory).initialCapacity(2 << 20), observer)
            .open()) {
      store.set(opened);
      Entries.put(opened, 0, 2000); // several leaves
      opened.put(key(1500), new byte[5000]);
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < 2000; i += 100) {
        batch.put(key(i), value(i + 1)).remove(key(i + 1)).put(key(5000 + i), value(i));
      }
      batch.put(key(1500), new byte[6000]);
      assertShows(opened, false);
      opened.write(batch);
      assertShows(opened, true);
      assertTrue(
          seen.stream().filter(step -> step == BatchObserver.Step.LEAF_APPLIED).count() > 3,
          "expected several leaves, was " + seen);
      assertEquals(BatchObserver.Step.SETTLED, seen.getLast());
    }
  }

  private static void assertShows(Store store, boolean done) {
    for (int i = 0; i < 2000; i += 100) {
      byte[] first = i == 1500 ? new byte[done ? 6000 : 5000] : value(done ? i + 1 : i);
      assertArrayEquals(first, store.get(key(i)));
      assertArrayEquals(done ? null : value(i + 1), store.get(key(i + 1)));
      assertEquals(!done, store.containsKey(key(i + 1)));
      assertArrayEquals(done ? value(i) : null, store.get(key(5000 + i)));
    }
    int count = 0;
    try (Cursor cursor = store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        String key = new String(cursor.key(), US_ASCII);
        int number = Integer.parseInt(key.substring(4));
        if (number % 100 == 0 && number < 2000 && number != 1500) {
          assertArrayEquals(value(done ? number + 1 : number), cursor.value(), key);
        }
        assertFalse(number >= 5000 && !done, key);
        assertFalse(number % 100 == 1 && done, key);
        count++;
      }
    }
    assertEquals(2000, count);
  }

  /** Who gets the keys in their order looks at the next record first, which may be of a batch. */
  @Test
  void entriesBehindTheLastOneAreHiddenFromGetsInOrder() {
    AtomicReference<Store> store = new AtomicReference<>();
    AtomicInteger looks = new AtomicInteger();
    BatchObserver observer =
        step -> {
          boolean done = step.compareTo(BatchObserver.Step.VISIBLE) >= 0;
          for (int i = 80; i < 110; i++) {
            boolean isThere = i < 100 || done;
            assertArrayEquals(isThere ? value(i) : null, store.get().get(key(i)), step + " " + i);
          }
          looks.incrementAndGet();
        };
    try (Store opened =
        ObservedStores.observing(Store.builder(directory).initialCapacity(2 << 20), observer)
            .open()) {
      store.set(opened);
      Entries.put(opened, 0, 100);
      WriteBatch batch = new WriteBatch();
      for (int i = 100; i < 110; i++) {
        batch.put(key(i), value(i));
      }
      opened.write(batch);
      assertTrue(looks.get() >= 5, "looked " + looks);
    }
  }

  /**
   * Batches give a group of keys one version, and remove one of them in every other. Of two reads
   * one behind the other, of whatever keys, the second never sees an older version.
   */
  @Test
  void readsOfSeveralKeysNeverGoBack() throws Exception {
    int keys = 12;
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    AtomicLong reads = new AtomicLong();
    try (Store store = Entries.open(directory)) {
      Entries.put(store, 0, 3000);
      store.write(group(keys, 0));
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        Random random = new Random(t);
        threads.add(
            start(
                failure,
                () -> {
                  while (!stop.get()) {
                    read(store, random, keys);
                    reads.incrementAndGet();
                  }
                }));
      }
      // Others write between the keys, so that the leaves are written anew meanwhile.
      threads.add(
          start(
              failure,
              () -> {
                Random random = new Random(9);
                while (!stop.get()) {
                  int i = random.nextInt(3000);
                  store.put(key(i), value(i));
                }
              }));
      long end = System.nanoTime() + 4_000_000_000L;
      long version = 1;
      while (System.nanoTime() < end && failure.get() == null) {
        store.write(group(keys, version++));
      }
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failure.get(), () -> "failed: " + failure.get());
      assertTrue(version > 100 && reads.get() > 100, "versions " + version + ", reads " + reads);
      for (int i = 0; i < 3000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
    }
  }

  private static Thread start(AtomicReference<@Nullable Throwable> failure, Runnable body) {
    return Thread.ofPlatform()
        .start(() -> {
          try {
            body.run();
          } catch (Throwable e) {
            failure.compareAndSet(null, e);
          }
        });
  }

  private static byte[] groupKey(int index) {
    return ("key-" + (index * 231) + "-g").getBytes(US_ASCII); // far from each other
  }

  /** The last key is there in even versions only. */
  private static WriteBatch group(int keys, long version) {
    WriteBatch batch = new WriteBatch();
    for (int i = 0; i < keys; i++) {
      if (i == keys - 1 && version % 2 == 1) {
        batch.remove(groupKey(i));
      } else {
        int length = i == 0 ? 3000 : 60; // one is large
        batch.put(groupKey(i), ByteBuffer.allocate(length).putLong(version).array());
      }
    }
    return batch;
  }

  private static void read(Store store, Random random, int keys) {
    long newest = -1;
    for (int n = 0; n < 30; n++) {
      int index = random.nextInt(keys);
      byte[] value = store.get(groupKey(index));
      if (value == null) {
        assertEquals(keys - 1, index, "a key is not there");
        // An odd version, and one that is not older; the next key tells which it can be at most.
        long next = ByteBuffer.wrap(store.get(groupKey(1))).getLong();
        assertTrue(next > newest || next % 2 == 1, "absent at even version " + next);
        assertTrue(next >= newest, "went back from " + newest + " to " + next);
        newest = next;
      } else {
        long version = ByteBuffer.wrap(value).getLong();
        assertTrue(version >= newest, "went back from " + newest + " to " + version);
        newest = version;
      }
    }
  }

  /** Money goes from account to account; of one leaf, a walk sees the sum at every moment. */
  @Test
  void aWalkOverALeafSeesTheSum() throws Exception {
    int accounts = 24;
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    try (Store store = Entries.open(directory)) {
      WriteBatch all = new WriteBatch();
      for (int i = 0; i < accounts; i++) {
        all.put(key(i), amount(1000));
      }
      store.write(all);
      AtomicLong walks = new AtomicLong();
      List<Thread> threads = new ArrayList<>();
      for (boolean reverse : new boolean[] {false, true}) {
        threads.add(
            start(
                failure,
                () -> {
                  while (!stop.get()) {
                    assertEquals(accounts * 1000L, sum(store, reverse));
                    walks.incrementAndGet();
                  }
                }));
      }
      Random random = new Random(4);
      long[] balance = new long[accounts];
      Arrays.fill(balance, 1000);
      WriteBatch batch = new WriteBatch();
      for (int n = 0; (n < 5_000 || walks.get() < 200) && failure.get() == null; n++) {
        int from = random.nextInt(accounts);
        int to = (from + 1 + random.nextInt(accounts - 1)) % accounts;
        balance[from] -= 7;
        balance[to] += 7;
        batch.clear();
        store.write(batch.put(key(from), amount(balance[from])).put(key(to), amount(balance[to])));
      }
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failure.get(), () -> "failed: " + failure.get());
    }
  }

  /** The same over many leaves: a snapshot sees the sum, by gets and by a walk. */
  @Test
  void aSnapshotSeesTheSum() throws Exception {
    int accounts = 40;
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    AtomicLong looks = new AtomicLong();
    try (Store store = Entries.open(directory)) {
      Entries.put(store, 0, 2000); // between the accounts
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < accounts; i++) {
        batch.put(groupKey(i), amount(1000));
      }
      store.write(batch);
      Thread looker =
          start(
              failure,
              () -> {
                while (!stop.get()) {
                  try (Snapshot snapshot = store.snapshot()) {
                    long sum = 0;
                    for (int i = 0; i < accounts; i++) {
                      byte[] value = snapshot.get(groupKey(i));
                      sum += value == null ? 0 : ByteBuffer.wrap(value).getLong();
                    }
                    assertEquals(accounts * 1000L, sum, "by gets");
                    sum = 0;
                    try (Cursor cursor = snapshot.cursor(KeyRange.all())) {
                      while (cursor.next()) {
                        boolean isAccount = new String(cursor.key(), US_ASCII).endsWith("-g");
                        sum += isAccount ? ByteBuffer.wrap(cursor.value()).getLong() : 0;
                      }
                    }
                    assertEquals(accounts * 1000L, sum, "by a walk");
                    looks.incrementAndGet();
                  }
                }
              });
      Random random = new Random(4);
      long[] balance = new long[accounts];
      Arrays.fill(balance, 1000);
      for (int n = 0; (n < 2_000 || looks.get() < 30) && failure.get() == null; n++) {
        batch.clear();
        // All of it from several accounts to one: those are removed.
        int to = random.nextInt(accounts);
        for (int i = 0; i < 3; i++) {
          int from = (to + 1 + random.nextInt(accounts - 1)) % accounts;
          balance[to] += balance[from];
          balance[from] = 0;
          batch.remove(groupKey(from));
        }
        int other = (to + 1) % accounts;
        long part = balance[to] / 2;
        balance[to] -= part;
        balance[other] += part;
        batch.put(groupKey(to), amount(balance[to])).put(groupKey(other), amount(balance[other]));
        store.write(batch);
        int filler = random.nextInt(2000);
        store.put(key(filler), value(filler));
      }
      stop.set(true);
      looker.join();
      assertNull(failure.get(), () -> "failed: " + failure.get());
    }
  }

  private static byte[] amount(long amount) {
    return ByteBuffer.allocate(100).putLong(amount).array();
  }

  private static long sum(Store store, boolean reverse) {
    long sum = 0;
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        sum += ByteBuffer.wrap(cursor.value()).getLong();
      }
    }
    return sum;
  }

  /** Who writes a key of a batch, or takes a snapshot, in the middle of it waits for its end. */
  @Test
  void writersOfItsKeysAndSnapshotsWaitForABatch() throws Exception {
    AtomicReference<Store> store = new AtomicReference<>();
    AtomicReference<Snapshot> snapshot = new AtomicReference<>();
    List<Thread> waiting = new ArrayList<>();
    List<Thread.State> states = new ArrayList<>();
    BatchObserver observer =
        step -> {
          if (step == BatchObserver.Step.LEAF_APPLIED && waiting.isEmpty()) {
            Store opened = store.get();
            waiting.add(Thread.ofPlatform().start(() -> opened.put(key(2), value(9))));
            waiting.add(Thread.ofPlatform().start(() -> snapshot.set(opened.snapshot())));
            for (Thread thread : waiting) {
              Thread.State state = thread.getState();
              while (state != Thread.State.TIMED_WAITING && state != Thread.State.TERMINATED) {
                Thread.onSpinWait();
                state = thread.getState();
              }
            }
          }
          if (step == BatchObserver.Step.LEAF_APPLIED) {
            // Long enough for who does not wait: a thread that parks is back before that.
            for (int i = 0; i < 100; i++) {
              LockSupport.parkNanos(1_000_000);
            }
            waiting.forEach(thread -> states.add(thread.getState()));
          }
        };
    try (Store opened =
        ObservedStores.observing(Store.builder(directory).initialCapacity(2 << 20), observer)
            .open()) {
      store.set(opened);
      Entries.put(opened, 0, 10);
      opened.write(new WriteBatch().put(key(1), value(101)).put(key(2), value(102)));
      for (Thread thread : waiting) {
        thread.join();
      }
      assertEquals(2, states.size());
      assertFalse(states.contains(Thread.State.TERMINATED), () -> "did not wait: " + states);
      assertArrayEquals(value(9), opened.get(key(2)));
      try (Snapshot taken = snapshot.get()) {
        assertArrayEquals(value(101), taken.get(key(1)));
      }
    }
  }

  /** An ordinary write to a key of a batch comes before all of it or behind all of it. */
  @Test
  void writersOfOneKeyAndBatchesDoNotMix() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    AtomicLong puts = new AtomicLong();
    try (Store store = Entries.open(directory)) {
      Entries.put(store, 0, 500);
      List<Thread> threads = new ArrayList<>();
      // Each writer owns a key, which the batch writes, too: what it reads behind its own write is
      // that, or the batch's.
      for (int t = 0; t < 2; t++) {
        byte[] mine = key(100 * (t + 1));
        long mark = (t + 1L) << 40;
        threads.add(
            start(
                failure,
                () -> {
                  for (long n = 1; !stop.get(); n++) {
                    if (n % 3 == 0) {
                      store.remove(mine);
                    } else {
                      store.put(mine, amount(mark | n));
                    }
                    byte[] now = store.get(mine);
                    long read = now == null ? 0 : ByteBuffer.wrap(now).getLong();
                    assertTrue(
                        read < mark >>> 1 || read == (n % 3 == 0 ? 0 : mark | n),
                        "wrote " + n + ", read " + read);
                    puts.incrementAndGet();
                  }
                }));
      }
      WriteBatch batch = new WriteBatch();
      for (long n = 1; (n < 3_000 || puts.get() < 1_000) && failure.get() == null; n++) {
        batch.clear();
        store.write(
            batch.put(key(100), amount(n)).put(key(200), amount(n)).put(key(300), amount(n)));
      }
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failure.get(), () -> "failed: " + failure.get());
      assertTrue(Math.abs(500 - store.stats().entries()) <= 2, () -> "" + store.stats());
    }
  }
}
