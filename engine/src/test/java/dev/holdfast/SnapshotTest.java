package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.SnapshotTooOldException;
import dev.holdfast.error.StoreClosedException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot shows what there was when it was taken, whatever happens to the store since. */
final class SnapshotTest {
  private static final int LARGE = 20_000;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder small() {
    return Store.builder(path()).initialCapacity(4 << 20);
  }

  private static NavigableMap<byte[], byte[]> model() {
    return new TreeMap<>(Arrays::compareUnsigned);
  }

  /** All reads of a snapshot against what there was. */
  static void assertShows(NavigableMap<byte[], byte[]> model, Snapshot snapshot) {
    try (Cursor cursor = snapshot.cursor(KeyRange.all())) {
      for (Map.Entry<byte[], byte[]> expected : model.entrySet()) {
        assertTrue(cursor.next(), "the walk ended before " + text(expected.getKey()));
        assertArrayEquals(expected.getKey(), cursor.key(), text(cursor.key()));
        assertArrayEquals(expected.getValue(), cursor.value(), text(cursor.key()));
      }
      assertFalse(cursor.next());
    }
    try (Cursor cursor = snapshot.reverseCursor(KeyRange.all())) {
      for (Map.Entry<byte[], byte[]> expected : model.descendingMap().entrySet()) {
        assertTrue(cursor.next(), "the walk back ended before " + text(expected.getKey()));
        assertArrayEquals(expected.getKey(), cursor.key());
        assertArrayEquals(expected.getValue(), cursor.value());
      }
      assertFalse(cursor.next());
    }
  }

  private static String text(byte[] key) {
    return new String(key, java.nio.charset.StandardCharsets.US_ASCII);
  }

  private static void assertGets(
      NavigableMap<byte[], byte[]> model, Snapshot snapshot, byte[] key) {
    byte[] expected = model.get(key);
    assertArrayEquals(expected, snapshot.get(key), () -> text(key));
    assertEquals(expected != null, snapshot.containsKey(key));
  }

  @Test
  void showsWhatThereWasWhenItWasTaken() {
    try (Store store = small().open()) {
      store.put(key(1), value(1));
      store.put(key(2), value(2));
      store.put(key(3), value(3, LARGE));
      Instant before = Instant.now();
      try (Snapshot snapshot = store.snapshot()) {
        assertFalse(snapshot.takenAt().isBefore(before));
        store.put(key(1), value(11));
        assertTrue(store.remove(key(2)));
        store.put(key(3), value(13, LARGE + 5));
        store.put(key(4), value(4));
        NavigableMap<byte[], byte[]> model = model();
        model.put(key(1), value(1));
        model.put(key(2), value(2));
        model.put(key(3), value(3, LARGE));
        assertShows(model, snapshot);
        for (int i = 0; i < 6; i++) {
          assertGets(model, snapshot, key(i));
        }
        try (Snapshot later = store.snapshot();
            Arena arena = Arena.ofConfined()) {
          assertTrue(later.sequence() > snapshot.sequence());
          assertArrayEquals(value(11), later.get(key(1)));
          assertNull(later.get(key(2)));
          MemorySegment into = arena.allocate(LARGE);
          MemorySegment third = MemorySegment.ofArray(key(3));
          assertEquals(LARGE + 5, later.get(third, into), "too large: nothing is copied");
          assertEquals(LARGE, snapshot.get(third, into));
          assertArrayEquals(value(3, LARGE), into.toArray(ValueLayout.JAVA_BYTE));
          assertEquals(-1, snapshot.get(MemorySegment.ofArray(key(4)), into));
        }
        assertArrayEquals(value(11), store.get(key(1)));
        try (Cursor cursor = snapshot.cursor(KeyRange.closed(key(2), key(3)))) {
          assertTrue(cursor.next());
          assertArrayEquals(key(2), cursor.key());
        }
      }
    }
  }

  @Test
  void throwsOnceItOrItsStoreIsClosed() {
    Store store = small().open();
    store.put(key(1), value(1));
    Snapshot first = store.snapshot();
    Snapshot second = store.snapshot();
    Cursor cursor = first.cursor(KeyRange.all());
    Cursor other = second.cursor(KeyRange.all());
    assertEquals(2, store.stats().snapshots().open());
    first.close();
    first.close();
    assertEquals(1, store.stats().snapshots().open());
    assertThrows(StoreClosedException.class, () -> first.get(key(1)));
    assertThrows(StoreClosedException.class, () -> first.containsKey(key(1)));
    assertThrows(StoreClosedException.class, () -> first.cursor(KeyRange.all()));
    assertThrows(StoreClosedException.class, cursor::next);
    assertArrayEquals(value(1), second.get(key(1)));
    assertTrue(other.next());
    store.close();
    assertThrows(StoreClosedException.class, () -> second.get(key(1)));
    assertThrows(StoreClosedException.class, () -> second.containsKey(key(2)));
    assertThrows(StoreClosedException.class, other::next);
    assertThrows(StoreClosedException.class, store::snapshot);
    second.close();
    second.close();
  }

  /** Random writes with snapshots at random moments, each against a copy of its own. */
  @Test
  void eachShowsItsOwnMomentThroughRewritesSplitsAndRemovals() {
    Random random = new Random(seed("eachShowsItsOwnMomentThroughRewritesSplitsAndRemovals"));
    NavigableMap<byte[], byte[]> model = model();
    List<Snapshot> snapshots = new ArrayList<>();
    List<NavigableMap<byte[], byte[]>> models = new ArrayList<>();
    try (Store store = small().open()) {
      for (int i = 0; i < 12_000; i++) {
        byte[] key = key(random.nextInt(i < 6_000 ? 400 : 900));
        if (random.nextInt(4) == 0) {
          assertEquals(model.remove(key) != null, store.remove(key));
        } else {
          int length = random.nextInt(40) == 0 ? random.nextInt(30_000) : random.nextInt(300);
          byte[] value = value(i, length);
          store.put(key, value);
          model.put(key, value);
        }
        if (random.nextInt(200) == 0) {
          snapshots.add(store.snapshot());
          NavigableMap<byte[], byte[]> copy = model();
          copy.putAll(model);
          models.add(copy);
        }
        if (!snapshots.isEmpty()) {
          int which = random.nextInt(snapshots.size());
          assertGets(models.get(which), snapshots.get(which), key);
          if (random.nextInt(600) == 0) {
            snapshots.remove(which).close();
            models.remove(which);
          }
        }
        if (i % 2_000 == 0) {
          for (int j = 0; j < snapshots.size(); j++) {
            assertShows(models.get(j), snapshots.get(j));
          }
        }
      }
      StoreTest.assertSame(model, store);
      for (int j = 0; j < snapshots.size(); j++) {
        assertShows(models.get(j), snapshots.get(j));
        snapshots.get(j).close();
      }
      StoreTest.assertSame(model, store);
      assertEquals(0, store.stats().snapshots().open());
    }
    try (Store store = small().open()) {
      StoreTest.assertSame(model, store);
    }
  }

  @Test
  void aThousandAtOnceEachShowTheirOwn() {
    int many = 1_000;
    int keys = 300;
    List<Snapshot> snapshots = new ArrayList<>();
    try (Store store = small().open()) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), value(0, 60));
      }
      for (int n = 1; n <= many; n++) {
        // One key each time, and others now and then.
        store.put(key(7), value(n, 100));
        store.put(key(n % keys == 7 ? 8 : n % keys), value(n, 60));
        snapshots.add(store.snapshot());
      }
      StoreStats.Snapshots figures = store.stats().snapshots();
      assertEquals(many, figures.open());
      assertTrue(figures.oldestAge().compareTo(Duration.ZERO) > 0);
      for (int n = 1; n <= many; n++) {
        Snapshot snapshot = snapshots.get(n - 1);
        assertArrayEquals(value(n, 100), snapshot.get(key(7)), "snapshot " + n);
        int next = (n + 1) % keys;
        if (next != 7 && next != 8) {
          // Written a round ago, or not yet.
          assertArrayEquals(
              value(Math.max(0, n + 1 - keys), 60), snapshot.get(key(next)), "snapshot " + n);
        }
      }
      for (int n = 0; n < many; n += 97) {
        int seen = 0;
        try (Cursor cursor = snapshots.get(n).cursor(KeyRange.all())) {
          while (cursor.next()) {
            seen++;
          }
        }
        assertEquals(keys, seen);
      }
      snapshots.forEach(Snapshot::close);
      assertEquals(0, store.stats().snapshots().open());
      assertArrayEquals(value(many, 100), store.get(key(7)));
    }
  }

  @Test
  void whatItKeepsIsBoundedAndGivenBack() {
    int keys = 4_000;
    try (Store store = small().open()) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), value(i, 200));
      }
      for (int i = 0; i < 40; i++) {
        store.put(key(keys + i), value(i, LARGE));
      }
      try (Snapshot snapshot = store.snapshot()) {
        for (int round = 1; round <= 20; round++) {
          overwrite(store, keys, round);
        }
        long held = store.stats().snapshots().bytesHeld();
        long set = keys * 250L + 40 * (LARGE + 4096L);
        assertTrue(held > set / 2 && held < 2 * set, "held " + held + " for " + set);
        // All that was written in the rounds would be twenty sets.
        long capacity = store.stats().capacityBytes();
        assertTrue(capacity < 10 * set, "grew to " + capacity + " for " + set);
        for (int i = 0; i < keys; i++) {
          assertArrayEquals(value(i, 200), snapshot.get(key(i)));
        }
        for (int i = 0; i < 40; i++) {
          assertArrayEquals(value(i, LARGE), snapshot.get(key(keys + i)));
        }
      }
      assertEquals(0, store.stats().snapshots().open());
      assertEquals(0, store.stats().snapshots().bytesHeld());
      long grown = store.stats().capacityBytes();
      for (int round = 21; round <= 40; round++) {
        overwrite(store, keys, round);
      }
      assertTrue(store.stats().capacityBytes() <= grown);
      // As much as ever is free for large values: none of the former ones is kept.
      long used = store.stats().capacityBytes() - store.stats().freeBytes();
      assertTrue(used < 3 * (keys * 250L + 40 * (LARGE + 4096L)), "in use: " + used);
    }
  }

  private static void overwrite(Store store, int keys, int round) {
    for (int i = 0; i < keys; i++) {
      store.put(key(i), value(i + round, 200));
    }
    for (int i = 0; i < 40; i++) {
      store.put(key(keys + i), value(i + round, LARGE));
    }
  }

  @Test
  void theOldestEndsWhenTooMuchIsKept() {
    int keys = 3_000;
    try (Store store = small().snapshotBytes(2 << 20).open()) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), value(0, 300));
      }
      List<Snapshot> snapshots = new ArrayList<>();
      for (int round = 1; round <= 8; round++) {
        snapshots.add(store.snapshot());
        for (int i = 0; i < keys; i++) {
          store.put(key(i), value(round, 300));
        }
      }
      assertThrows(SnapshotTooOldException.class, () -> snapshots.getFirst().get(key(1)));
      assertThrows(
          SnapshotTooOldException.class, () -> snapshots.getFirst().cursor(KeyRange.all()));
      boolean open = false;
      for (int n = 0; n < snapshots.size(); n++) {
        byte[] value = valueOrEnded(snapshots.get(n), key(keys - 1));
        assertFalse(open && value == null, "a younger one ended before an older one");
        open |= value != null;
        if (value != null) {
          assertArrayEquals(value(n, 300), value);
        }
      }
      assertTrue(open, "the youngest one keeps less than the bound");
      StoreStats.Snapshots figures = store.stats().snapshots();
      assertTrue(figures.bytesHeld() <= 3 << 20, "held " + figures.bytesHeld());
      assertEquals(snapshots.size(), figures.open() + figures.gaveWay());
      snapshots.forEach(Snapshot::close);
      assertThrows(StoreClosedException.class, () -> snapshots.getFirst().get(key(1)));
      for (int i = 0; i < keys; i++) {
        assertArrayEquals(value(8, 300), store.get(key(i)));
      }
    }
  }

  private static byte @Nullable [] valueOrEnded(Snapshot snapshot, byte[] key) {
    try {
      return snapshot.get(key);
    } catch (SnapshotTooOldException e) {
      return null;
    }
  }

  @Test
  void largeValuesCountToo() {
    try (Store store = small().snapshotBytes(1 << 20).open()) {
      store.put(key(1), value(0, 300_000));
      List<Snapshot> snapshots = new ArrayList<>();
      for (int round = 1; round <= 12; round++) {
        snapshots.add(store.snapshot());
        store.put(key(1), value(round, 300_000));
      }
      assertThrows(SnapshotTooOldException.class, () -> snapshots.getFirst().get(key(1)));
      for (int n = 10; n < 12; n++) {
        assertArrayEquals(value(n, 300_000), snapshots.get(n).get(key(1)));
      }
      assertTrue(store.stats().snapshots().bytesHeld() <= 2 << 20);
      snapshots.forEach(Snapshot::close);
      assertEquals(0, store.stats().snapshots().bytesHeld());
    }
  }

  /** A key whose versions no leaf can hold ends the oldest of those that need them. */
  @Test
  void oneKeyWithMoreVersionsThanALeafHoldsEndsTheOldest() {
    try (Store store = small().open();
        Snapshot empty = store.snapshot()) {
      List<Snapshot> snapshots = new ArrayList<>();
      int many = 1_200;
      for (int n = 0; n < many; n++) {
        store.put(key(1), value(n, 1_400));
        snapshots.add(store.snapshot());
      }
      assertThrows(SnapshotTooOldException.class, () -> snapshots.getFirst().get(key(1)));
      for (int n = many - 200; n < many; n++) {
        assertArrayEquals(value(n, 1_400), snapshots.get(n).get(key(1)), "snapshot " + n);
      }
      // It needs none of these versions, so that its end would help nobody.
      assertNull(empty.get(key(1)));
      snapshots.forEach(Snapshot::close);
      for (int n = 0; n < 100; n++) {
        store.put(key(1), value(n, 1_400));
      }
      assertEquals(0, store.stats().snapshots().bytesHeld());
      assertArrayEquals(value(99, 1_400), store.get(key(1)));
    }
  }

  @Test
  void aFullStoreTakesWritesAllTheSame() {
    int keys = 1_500;
    try (Store store =
        Store.builder(path()).single().initialCapacity(4 << 20).maxCapacity(4 << 20).open()) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), value(i, 700));
      }
      Snapshot snapshot = store.snapshot();
      for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < keys; i++) {
          store.put(key(i), value(i + round, 700));
        }
      }
      assertThrows(SnapshotTooOldException.class, () -> snapshot.get(key(0)));
      snapshot.close();
      for (int i = 0; i < keys; i++) {
        assertArrayEquals(value(i + 5, 700), store.get(key(i)));
      }
      assertEquals(1, store.stats().snapshots().gaveWay());
    }
  }

  @Test
  void aReopenForgetsThemAndTheirVersions() {
    int keys = 1_000;
    try (Store store = small().open()) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), value(i, i % 50 == 0 ? LARGE : 300));
      }
      Snapshot _ = store.snapshot();
      for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < keys; i++) {
          if (i % 3 == 0) {
            boolean _ = store.remove(key(i));
          } else {
            store.put(key(i), value(i + round, i % 50 == 0 ? LARGE : 300));
          }
        }
      }
    }
    for (int open = 0; open < 2; open++) {
      try (Store store = small().open()) {
        assertEquals(0, store.stats().snapshots().open());
        assertEquals(0, store.stats().snapshots().bytesHeld());
        for (int i = 0; i < keys; i++) {
          byte[] expected = i % 3 == 0 ? null : value(i + 3, i % 50 == 0 ? LARGE : 300);
          assertArrayEquals(expected, store.get(key(i)), "key " + i);
        }
        for (int i = 0; i < keys; i++) {
          if (i % 3 != 0) {
            store.put(key(i), value(i + 3, i % 50 == 0 ? LARGE : 300));
          }
        }
      }
    }
  }

  @Test
  void oneThatIsForgottenIsReportedAndEnds() {
    ConcurrentLinkedQueue<String> messages = new ConcurrentLinkedQueue<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            messages.add(record.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger(Snapshot.class.getName());
    logger.addHandler(handler);
    try (Store store = small().open()) {
      store.put(key(1), value(1));
      Instant taken = forget(store);
      try (Snapshot kept = store.snapshot();
          Cursor cursor = cursorOfForgotten(store)) {
        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> {
              System.gc();
              return store.stats().snapshots().open() == 2;
            });
        assertTrue(cursor.next(), "its snapshot can be reached by it");
        assertArrayEquals(value(1), kept.get(key(1)));
      }
      assertEquals(1, messages.stream().filter(text -> text.contains("" + taken)).count());
      assertEquals(1, messages.size());
    } finally {
      logger.removeHandler(handler);
    }
    assertNotNull(messages.peek());
  }

  private static Instant forget(Store store) {
    Snapshot forgotten = store.snapshot();
    return forgotten.takenAt();
  }

  private static Cursor cursorOfForgotten(Store store) {
    return store.snapshot().cursor(KeyRange.all());
  }
}
