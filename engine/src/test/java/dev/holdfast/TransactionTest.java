package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.ConflictException;
import dev.holdfast.error.SnapshotTooOldException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.tree.BatchObserver;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class TransactionTest {
  private static final byte[] X = bytes("x");
  private static final byte[] Y = bytes("y");

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private final AtomicReference<BatchObserver> observer = new AtomicReference<>(BatchObserver.NONE);
  private Store store;

  @BeforeEach
  void open() {
    store =
        Store.builder(directory.resolve("s"))
            .batchObserver(step -> observer.get().reached(step))
            .open();
  }

  @AfterEach
  void close() {
    store.close();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  private static @Nullable String text(byte @Nullable [] bytes) {
    return bytes == null ? null : new String(bytes, UTF_8);
  }

  private static long count(byte @Nullable [] value) {
    return value == null ? 0 : ByteBuffer.wrap(value).getLong();
  }

  private static byte[] count(long value) {
    return ByteBuffer.allocate(8).putLong(value).array();
  }

  // ---------------------------------------------------------------- what it sees

  @Test
  void itSeesWhatWasThereAndWhatItWroteAndOthersSeeNothing() {
    store.put(X, bytes("1"));
    try (Transaction transaction = store.transaction()) {
      store.put(X, bytes("2"));
      store.put(Y, bytes("2"));
      assertEquals("1", text(transaction.get(X)));
      assertNull(transaction.get(Y));
      transaction.put(Y, bytes("mine"));
      transaction.remove(X);
      assertEquals("mine", text(transaction.get(Y)));
      assertFalse(transaction.containsKey(X));
      assertEquals("2", text(store.get(X)));
      assertEquals("2", text(store.get(Y)));
    }
    assertEquals("2", text(store.get(X)), "closed, not committed");
    assertEquals("2", text(store.get(Y)));
  }

  /** Reads and walks both ways, jumps included, over what lies below and what was written. */
  @Test
  void anyOrderOfReadsAndWritesAgainstAModel() {
    Random random = new Random(11);
    for (int round = 0; round < 60; round++) {
      for (int i = 0; i < 20; i++) {
        store.put(small(random), bytes("old" + random.nextInt()));
        boolean _ = store.remove(small(random));
      }
      NavigableMap<byte[], byte[]> model = new TreeMap<>(Arrays::compareUnsigned);
      try (Cursor all = store.cursor(KeyRange.all())) {
        while (all.next()) {
          model.put(all.key(), all.value());
        }
      }
      try (Transaction transaction = store.transaction()) {
        for (int i = 0; i < 60; i++) {
          byte[] key = small(random);
          switch (random.nextInt(5)) {
            case 0 -> {
              byte[] value = bytes("new" + random.nextInt());
              transaction.put(key, value);
              model.put(key, value);
            }
            case 1 -> {
              transaction.remove(key);
              model.remove(key);
            }
            case 2 -> assertArrayEquals(model.get(key), transaction.get(key));
            default -> walk(transaction, model, random);
          }
        }
        transaction.commit();
      }
      try (Cursor all = store.cursor(KeyRange.all())) {
        for (var entry : model.entrySet()) {
          assertTrue(all.next());
          assertArrayEquals(entry.getKey(), all.key());
          assertArrayEquals(entry.getValue(), all.value());
        }
        assertFalse(all.next());
      }
    }
  }

  private static byte[] small(Random random) {
    return new byte[] {(byte) (random.nextInt(40) * 6)};
  }

  private static void walk(
      Transaction transaction, NavigableMap<byte[], byte[]> model, Random random) {
    byte[] a = small(random);
    byte[] b = small(random);
    boolean low = random.nextBoolean();
    boolean high = random.nextBoolean();
    boolean reverse = random.nextBoolean();
    KeyRange range = random.nextInt(4) == 0 ? KeyRange.all() : new KeyRange(a, low, b, high);
    NavigableMap<byte[], byte[]> in = new TreeMap<>(Arrays::compareUnsigned);
    model.forEach((key, value) -> {
      if (range.contains(key)) {
        in.put(key, value);
      }
    });
    NavigableMap<byte[], byte[]> way = reverse ? in.descendingMap() : in;
    byte[] at = way.isEmpty() ? null : way.firstKey();
    try (Cursor cursor = reverse ? transaction.reverseCursor(range) : transaction.cursor(range)) {
      for (int step = 0; step < 12; step++) {
        if (random.nextInt(5) == 0) {
          byte[] to = small(random);
          cursor.seek(to);
          at = way.ceilingKey(to);
        }
        assertEquals(at != null, cursor.next());
        if (at != null) {
          assertArrayEquals(at, cursor.key());
          assertArrayEquals(in.get(at), cursor.value());
          at = way.higherKey(at);
        }
      }
    }
  }

  // ---------------------------------------------------------------- conflicts

  private void assertConflict(Transaction transaction) {
    assertThrows(ConflictException.class, transaction::commit);
  }

  @Test
  void aKeyThatWasReadAndChangedConflictsAndNothingIsDone() {
    store.put(X, bytes("1"));
    try (Transaction transaction = store.transaction()) {
      assertEquals("1", text(transaction.get(X)));
      transaction.put(X, bytes("mine"));
      transaction.put(Y, bytes("mine"));
      store.put(X, bytes("2"));
      assertConflict(transaction);
    }
    assertEquals("2", text(store.get(X)));
    assertNull(store.get(Y));
    store.put(Y, bytes("free")); // Nothing is held any more.
    assertEquals("free", text(store.get(Y)));
  }

  @Test
  void aKeyThatWasNotThereAndThatCameConflicts() {
    try (Transaction transaction = store.transaction()) {
      assertNull(transaction.get(X));
      transaction.put(Y, bytes("mine"));
      store.put(X, bytes("2"));
      assertConflict(transaction);
    }
    try (Transaction transaction = store.transaction()) {
      assertNotNull(transaction.get(X));
      transaction.put(Y, bytes("mine"));
      assertTrue(store.remove(X));
      assertConflict(transaction);
    }
    assertNull(store.get(Y));
  }

  /** Each reads what the other writes: one of them must not come through. */
  @Test
  void writeSkewDoesNotHappen() {
    store.put(X, bytes("on"));
    store.put(Y, bytes("on"));
    try (Transaction one = store.transaction();
        Transaction other = store.transaction()) {
      assertEquals("on", text(one.get(Y)));
      one.put(X, bytes("off"));
      assertEquals("on", text(other.get(X)));
      other.put(Y, bytes("off"));
      one.commit();
      assertConflict(other);
    }
    assertEquals("off", text(store.get(X)));
    assertEquals("on", text(store.get(Y)));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatCameIntoARangeThatWasReadConflicts(boolean reverse) {
    for (int i = 0; i < 10; i += 2) {
      store.put(key(i), bytes("old"));
    }
    KeyRange range = KeyRange.closed(key(2), key(6));
    for (Runnable change :
        List.<Runnable>of(
            () -> store.put(key(3), bytes("new")),
            () -> store.put(key(4), bytes("new")),
            () -> assertTrue(store.remove(key(6))))) {
      try (Transaction transaction = store.transaction()) {
        walkAll(transaction, range, reverse);
        transaction.put(X, bytes("mine"));
        change.run();
        assertConflict(transaction);
      }
    }
    try (Transaction transaction = store.transaction()) {
      walkAll(transaction, range, reverse);
      transaction.put(X, bytes("mine"));
      store.put(key(1), bytes("beside"));
      store.put(key(7), bytes("beside"));
      transaction.commit();
    }
    assertEquals("mine", text(store.get(X)));
  }

  private static void walkAll(Transaction transaction, KeyRange range, boolean reverse) {
    try (Cursor cursor = reverse ? transaction.reverseCursor(range) : transaction.cursor(range)) {
      boolean more = true;
      while (more) {
        more = cursor.next();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRangeCountsAsFarAsTheCursorCame(boolean reverse) {
    for (int i = 0; i < 10; i += 2) {
      store.put(key(i), bytes("old"));
    }
    byte[] seen = reverse ? key(7) : key(1);
    byte[] unseen = reverse ? key(1) : key(7);
    for (byte[] changed : List.of(unseen, seen)) {
      try (Transaction transaction = store.transaction();
          Cursor cursor =
              reverse
                  ? transaction.reverseCursor(KeyRange.closed(key(0), key(9)))
                  : transaction.cursor(KeyRange.closed(key(0), key(9)))) {
        assertTrue(cursor.next());
        assertTrue(cursor.next());
        transaction.put(X, bytes("mine"));
        store.put(changed, bytes("new"));
        if (Arrays.equals(changed, unseen)) {
          transaction.commit();
        } else {
          assertConflict(transaction);
        }
      }
    }
  }

  @Test
  void neighboursAreReadsOfWhatLiesBetween() {
    store.put(key(5), bytes("old"));
    try (Transaction transaction = store.transaction()) {
      Entry next = transaction.ceiling(key(2));
      assertArrayEquals(key(5), next == null ? null : next.key());
      transaction.put(X, bytes("mine"));
      store.put(key(3), bytes("new"));
      assertConflict(transaction);
    }
  }

  @Test
  void whoReadNothingOrWroteNothingConflictsWithNobody() {
    store.put(X, bytes("1"));
    try (Transaction blind = store.transaction();
        Transaction reader = store.transaction()) {
      assertEquals("1", text(reader.get(X)));
      blind.put(X, bytes("blind"));
      store.put(X, bytes("2"));
      blind.commit();
      reader.commit();
    }
    assertEquals("blind", text(store.get(X)));
  }

  // ---------------------------------------------------------------- the moment of the commit

  /** Behind the check nobody may change what was checked before the batch shows. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whoWritesWhatWasReadWaitsUntilTheCommitIsOver(boolean readsARange) throws Exception {
    store.put(X, bytes("1"));
    AtomicBoolean written = new AtomicBoolean();
    AtomicReference<Boolean> early = new AtomicReference<>();
    Thread other =
        Thread.ofPlatform()
            .unstarted(() -> {
              store.put(readsARange ? bytes("w") : X, bytes("2"));
              written.set(true);
            });
    Thread beside = Thread.ofPlatform().unstarted(() -> store.put(key(1), bytes("beside")));
    observer.set(step -> {
      if (step == BatchObserver.Step.RESERVED) {
        other.start();
        await().until(() -> other.getState() == Thread.State.TIMED_WAITING || written.get());
        if (!readsARange) {
          beside.start();
          await().until(() -> !beside.isAlive()); // Other keys are free.
        }
      } else if (step == BatchObserver.Step.COMMITTED) {
        early.set(written.get());
      }
    });
    try (Transaction transaction = store.transaction()) {
      if (readsARange) {
        walkAll(transaction, KeyRange.all(), false);
      } else {
        assertEquals("1", text(transaction.get(X)));
      }
      transaction.put(Y, bytes("mine"));
      transaction.commit();
    }
    assertEquals(false, early.get());
    other.join();
    assertEquals("mine", text(store.get(Y)));
    assertEquals("2", text(store.get(readsARange ? bytes("w") : X)));
  }

  // ---------------------------------------------------------------- its end

  @Test
  void oneThatHasEndedIsOfNoUse() {
    Transaction transaction = store.transaction();
    transaction.put(X, bytes("1"));
    transaction.commit();
    assertThrows(IllegalStateException.class, transaction::commit);
    assertThrows(IllegalStateException.class, () -> transaction.put(X, bytes("2")));
    assertThrows(IllegalStateException.class, () -> transaction.get(X));
    assertThrows(IllegalStateException.class, () -> transaction.cursor(KeyRange.all()));
    transaction.close();
    transaction.close();
    assertEquals("1", text(store.get(X)));
    assertEquals(0, store.stats().snapshots().open());
  }

  @Test
  void badArgumentsAreRefusedAtOnceAndLoseNothing() {
    try (Transaction transaction = store.transaction()) {
      transaction.put(X, bytes("1"));
      assertThrows(IllegalArgumentException.class, () -> transaction.put(new byte[0], bytes("1")));
      assertThrows(
          IllegalArgumentException.class,
          () -> transaction.remove(new byte[Store.MAX_KEY_LENGTH + 1]));
      transaction.commit();
    }
    assertEquals("1", text(store.get(X)));
  }

  @Test
  void theStoreClosesUnderIt() {
    store.put(X, bytes("1"));
    Transaction reads = store.transaction();
    Transaction writes = store.transaction();
    writes.put(X, bytes("2"));
    store.close();
    assertThrows(StoreClosedException.class, () -> reads.get(X));
    assertThrows(StoreClosedException.class, writes::commit);
    reads.close();
    writes.close();
    assertThrows(StoreClosedException.class, store::transaction);
  }

  @Test
  void oneWhoseSnapshotGaveWayIsNotCommitted() {
    store.close();
    store = Store.builder(directory.resolve("small")).snapshotBytes(0).open();
    for (int i = 0; i < 500; i++) {
      store.put(key(i), new byte[500]);
    }
    try (Transaction transaction = store.transaction()) {
      assertNotNull(transaction.get(key(1)));
      transaction.put(X, bytes("mine"));
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> {
            for (int i = 2; i < 500; i++) {
              store.put(key(i), new byte[500]);
            }
            return store.stats().snapshots().gaveWay() > 0;
          });
      assertThrows(SnapshotTooOldException.class, transaction::commit);
    }
    assertNull(store.get(X));
  }

  @Test
  void transactRunsAgainUntilItCounts() {
    AtomicInteger runs = new AtomicInteger();
    String result =
        store.transact(transaction -> {
          long now = count(transaction.get(X));
          if (runs.incrementAndGet() < 4) {
            store.put(X, count(now + 10));
          }
          transaction.put(X, count(now + 1));
          return "run " + runs.get();
        });
    assertEquals("run 4", result);
    assertEquals(31, count(store.get(X)));
    IllegalStateException mine = new IllegalStateException("mine");
    assertEquals(
        mine,
        assertThrows(
            IllegalStateException.class,
            () ->
                store.transact(transaction -> {
                  transaction.put(X, count(0));
                  throw mine;
                })));
    assertEquals(31, count(store.get(X)));
    runs.set(0);
    assertThrows(
        ConflictException.class,
        () ->
            store.transact(transaction -> {
              store.put(X, count(count(transaction.get(X)) + runs.incrementAndGet()));
              transaction.put(Y, count(1));
              return "";
            }));
    assertEquals(100, runs.get());
    assertNull(store.get(Y));
    assertEquals(0, store.stats().snapshots().open());
  }

  // ---------------------------------------------------------------- many at once

  /** Money goes from account to account, new ones come, and the sum never is another one. */
  @Test
  void theSumNeverChangesWhileALegGoesAndComesBack() throws Exception {
    int accounts = 12;
    int threads = 4;
    int rounds = 500;
    for (int i = 0; i < accounts; i++) {
      store.put(key(i), count(100));
    }
    AtomicBoolean done = new AtomicBoolean();
    AtomicInteger sums = new AtomicInteger();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads + 2)) {
      List<Future<?>> transfers = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        Random random = new Random(t);
        int mine = t;
        transfers.add(
            pool.submit(() -> {
              for (int i = 0; i < rounds; i++) {
                transfer(random, accounts);
                if (mine == 0 && i == rounds / 3) {
                  leg(store, 0).faults().remove();
                } else if (mine == 0 && i == 2 * rounds / 3) {
                  leg(store, 0).faults().reinsert();
                }
              }
            }));
      }
      // One that writes what it summed up: it has to be right when it is committed.
      Future<?> sum =
          pool.submit(() -> {
            while (!done.get()) {
              String _ =
                  store.transact(transaction -> {
                    transaction.put(X, count(sum(transaction)));
                    return "";
                  });
              assertEquals(100L * accounts, count(store.get(X)));
              sums.incrementAndGet();
            }
          });
      Future<?> look =
          pool.submit(() -> {
            while (!done.get()) {
              try (Transaction transaction = store.transaction()) {
                assertEquals(100L * accounts, sum(transaction));
                transaction.commit();
              }
            }
          });
      for (Future<?> each : transfers) {
        assertNull(each.get());
      }
      done.set(true);
      assertNull(sum.get());
      assertNull(look.get());
    }
    try (Transaction transaction = store.transaction()) {
      assertEquals(100L * accounts, sum(transaction));
    }
    assertTrue(sums.get() > 0);
  }

  private void transfer(Random random, int accounts) {
    byte[] from = key(random.nextInt(accounts));
    byte[] to = key(random.nextInt(accounts));
    if (Arrays.equals(from, to)) {
      return;
    }
    long amount = random.nextInt(30);
    String _ =
        store.transact(transaction -> {
          long has = count(transaction.get(from));
          if (has < amount) {
            transaction.remove(from); // Closed, and what it had goes on.
            transaction.put(to, count(count(transaction.get(to)) + has));
          } else {
            transaction.put(from, count(has - amount));
            transaction.put(to, count(count(transaction.get(to)) + amount));
          }
          return "";
        });
  }

  private static long sum(Transaction transaction) {
    long sum = 0;
    try (Cursor cursor = transaction.cursor(KeyRange.all())) {
      while (cursor.next()) {
        if (!Arrays.equals(cursor.key(), X)) {
          sum += count(cursor.value());
        }
      }
    }
    return sum;
  }
}
