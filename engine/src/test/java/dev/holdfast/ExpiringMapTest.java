package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.codec.Codecs;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Entries that expire, by a clock that the tests have. */
@Timeout(60)
final class ExpiringMapTest {
  private static final byte[] X = {'x'};
  private static final byte[] Y = {'y'};
  private static final Duration MINUTE = Duration.ofMinutes(1);

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private final AtomicLong millis = new AtomicLong(1_000_000);
  private Store store;
  private ExpiringMap map;

  private StoreBuilder builder(Duration sweepEvery) {
    InstantSource clock = () -> Instant.ofEpochMilli(millis.get());
    return Store.builder(directory.resolve("s"))
        .initialCapacity(4 << 20)
        .clock(clock)
        .sweepExpiredEvery(sweepEvery);
  }

  @BeforeEach
  void open() {
    store = builder(Duration.ZERO).open();
    map = store.expiringMap("m");
  }

  @AfterEach
  void close() {
    store.close();
  }

  private void pass(Duration time) {
    millis.addAndGet(time.toMillis());
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  private static @Nullable String text(byte @Nullable [] bytes) {
    return bytes == null ? null : new String(bytes, UTF_8);
  }

  private List<String> walk(Cursor cursor) {
    List<String> found = new ArrayList<>();
    try (cursor) {
      while (cursor.next()) {
        found.add(text(cursor.key()) + "=" + text(cursor.value()));
      }
    }
    return found;
  }

  private List<String> scan(boolean reverse) {
    List<String> found = new ArrayList<>();
    long shown =
        map.scan(
            KeyRange.all(),
            reverse,
            (in, at, length, from, valueAt, valueLength) ->
                found.add(
                    new String(in, at, length, UTF_8)
                        + "="
                        + new String(from, valueAt, valueLength, UTF_8)));
    assertEquals(found.size(), shown);
    return found;
  }

  /** The clock is somebody else's; whatever it does, what has expired is removed later. */
  @Test
  void anUpkeepThatFailedGoesOn() {
    store.close();
    AtomicBoolean broken = new AtomicBoolean();
    InstantSource clock =
        () -> {
          if (broken.get() && Thread.currentThread().getName().endsWith("-maps")) {
            broken.set(false);
            throw new IllegalStateException("no clock");
          }
          return Instant.ofEpochMilli(millis.get());
        };
    store =
        Store.builder(directory.resolve("t"))
            .clock(clock)
            .sweepExpiredEvery(Duration.ofMillis(20))
            .open();
    map = store.expiringMap("m");
    map.put(X, bytes("1"), MINUTE);
    broken.set(true);
    await().until(() -> !broken.get());
    pass(MINUTE);
    await().atMost(Duration.ofSeconds(40)).until(() -> store.stats().entries() == 1);
  }

  /** Between the look at an entry and its removal somebody may put it again. */
  @Test
  void whatIsPutAgainMeanwhileStays() {
    store.close();
    store = builder(Duration.ofMillis(1)).open();
    map = store.expiringMap("m");
    Random random = new Random(1);
    for (int round = 0; round < 150; round++) {
      for (int i = 0; i < 250; i++) {
        map.put(key(i), value(i, 30), MINUTE);
      }
      map.put(key(250), value(round, 30), MINUTE);
      pass(MINUTE);
      LockSupport.parkNanos(random.nextInt(2_500_000));
      map.put(key(250), value(round + 1, 30));
      await().pollDelay(Duration.ZERO).until(() -> store.stats().entries() == 2);
      assertArrayEquals(value(round + 1, 30), map.get(key(250)), "round " + round);
    }
  }

  @Test
  void largeValuesAreRemovedToo() {
    store.close();
    store = builder(Duration.ofMillis(20)).open();
    map = store.expiringMap("m");
    for (int i = 0; i < 12; i++) {
      map.put(key(i), value(i, 400_000), i % 3 == 0 ? Duration.ofDays(1) : MINUTE);
    }
    map.put(key(20), value(1, 5_000));
    pass(MINUTE);
    await().until(() -> store.stats().entries() == 6);
    for (int i = 0; i < 12; i++) {
      assertArrayEquals(i % 3 == 0 ? value(i, 400_000) : null, map.get(key(i)));
    }
    assertArrayEquals(value(1, 5_000), map.get(key(20)));
  }

  @Test
  void whatCannotBeIsRefused() {
    map.put(X, bytes("1"));
    for (long length : new long[] {-1, -8, -9, Long.MIN_VALUE}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> map.put(X, new ByteArrayInputStream(new byte[8]), length));
    }
    assertEquals("1", text(map.get(X)));
    store.close();
    store = builder(Duration.ofSeconds(Long.MAX_VALUE)).open();
    map = store.expiringMap("m");
    assertEquals("1", text(map.get(X)));
  }

  @Test
  void aViewKeepsTheDeadlineOfWhatIsThereHoweverItIsPut() {
    TypedMap<String, String> typed = TypedMap.of(map, Codecs.STRING, Codecs.STRING);
    map.put(typed.encodeKey("a"), typed.encodeValue("a", "1"), MINUTE);
    map.put(typed.encodeKey("b"), typed.encodeValue("b", "1"), MINUTE);
    typed.asMap().put("a", "2");
    typed.asMap().putAll(Map.of("b", "2", "c", "2"));
    assertEquals("2", typed.get("a"));
    pass(MINUTE);
    assertEquals(Map.of("c", "2"), typed.asMap());
  }

  @Test
  void anEntryIsAbsentForEveryReadFromItsDeadlineOn() throws IOException {
    map.put(X, bytes("1"), MINUTE);
    map.put(Y, bytes("2"));
    pass(MINUTE.minusMillis(1));
    assertEquals("1", text(map.get(X)));
    assertEquals(List.of("x=1", "y=2"), walk(map.cursor(KeyRange.all())));
    assertEquals(List.of("y=2", "x=1"), walk(map.reverseCursor(KeyRange.all())));
    assertEquals(List.of("x=1", "y=2"), scan(false));
    assertEquals(1, map.<Long>read(X, MemorySegment::byteSize));
    pass(Duration.ofMillis(1));
    assertNull(map.get(X));
    assertEquals(-1, map.get(MemorySegment.ofArray(X), MemorySegment.ofArray(new byte[8])));
    assertFalse(map.containsKey(X));
    assertNull(map.read(X, MemorySegment::byteSize));
    assertEquals(-1, map.read(X, new ByteArrayOutputStream()));
    assertNull(map.lease(X));
    assertNull(map.deadline(X));
    assertEquals(List.of("y=2"), walk(map.cursor(KeyRange.all())));
    assertEquals(List.of("y=2"), walk(map.reverseCursor(KeyRange.all())));
    assertEquals(List.of("y=2"), scan(true));
    assertArrayEquals(Y, Objects.requireNonNull(map.first()).key());
    // Nobody has removed it yet: it is the deadline that hides it. Two entries, and the
    // directory's.
    assertEquals(3, store.stats().entries());
  }

  @Test
  void anEntryIsAbsentForEveryWriteFromItsDeadlineOn() {
    for (int i = 0; i < 8; i++) {
      map.put(key(i), bytes("1"), MINUTE);
    }
    pass(MINUTE);
    assertTrue(map.putIfAbsent(key(0), bytes("2")));
    assertFalse(map.putIfAbsent(key(0), bytes("3")));
    assertFalse(map.replace(key(1), bytes("2")));
    assertFalse(map.replace(key(2), bytes("1"), bytes("2")));
    assertFalse(map.remove(key(3)));
    assertFalse(map.remove(key(4), bytes("1")));
    assertEquals("null", text(map.compute(key(5), (_, value) -> bytes(text(value) + ""))));
    assertNull(map.getAndPut(key(6), bytes("2")));
    assertFalse(map.setDeadline(key(7), Instant.MAX));
    assertEquals("2", text(map.get(key(0))));
    assertNull(map.get(key(1)));
    assertNull(map.get(key(2)));
    assertEquals("2", text(map.get(key(6))));
    assertNull(map.get(key(7)));
  }

  @Test
  void whatDependsOnTheValueKeepsTheDeadlineAndAPutHasNone() {
    Instant deadline = Instant.ofEpochMilli(millis.get()).plus(MINUTE);
    map.put(X, bytes("1"), MINUTE);
    assertEquals(deadline, map.deadline(X));
    assertTrue(map.replace(X, bytes("2")));
    assertTrue(map.replace(X, bytes("2"), bytes("3")));
    assertEquals("3+", text(map.compute(X, (_, value) -> bytes(text(value) + "+"))));
    assertEquals(deadline, map.deadline(X));
    map.put(Y, new byte[8], MINUTE);
    assertEquals(4, map.add(Y, 4));
    assertEquals(deadline, map.deadline(Y));
    assertTrue(map.setDeadline(Y, deadline.plusSeconds(1)));
    assertEquals(4, map.add(Y, 0));
    assertEquals(deadline.plusSeconds(1), map.deadline(Y));
    map.put(X, bytes("4"));
    assertEquals(Instant.MAX, map.deadline(X));
    assertFalse(map.putIfAbsent(X, bytes("5"), MINUTE));
    assertEquals(Instant.MAX, map.deadline(X));
    map.putUntil(X, bytes("6"), Instant.EPOCH);
    assertNull(map.get(X));
    assertTrue(map.putIfAbsent(X, bytes("7"), MINUTE));
    assertEquals(deadline, map.deadline(X));
    assertTrue(map.remove(X));
    assertThrows(IllegalArgumentException.class, () -> map.put(X, X, Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> map.put(X, X, Duration.ofSeconds(-1)));
    map.put(X, bytes("8"), Duration.ofSeconds(Long.MAX_VALUE));
    assertEquals(Instant.MAX, map.deadline(X));
    map.put(X, bytes("9"), Duration.ofNanos(1));
    assertEquals("9", text(map.get(X)));
    pass(Duration.ofMillis(1));
    assertNull(map.get(X));
  }

  @Test
  void largeValuesAndLeasesHaveNoHeader() throws IOException {
    byte[] large = value(1, 100_000);
    map.put(X, new ByteArrayInputStream(large), large.length);
    assertArrayEquals(large, map.get(X));
    assertTrue(map.setDeadline(X, Instant.ofEpochMilli(millis.get()).plus(MINUTE)));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertEquals(large.length, map.read(X, out));
    assertArrayEquals(large, out.toByteArray());
    try (Lease lease = map.lease(X)) {
      assertNotNull(lease);
      assertEquals(large.length, lease.length());
      assertEquals(large[0], lease.getByte(0));
      assertEquals(large[99_999], lease.getByte(99_999));
      assertThrows(IndexOutOfBoundsException.class, () -> lease.getByte(-1));
      assertThrows(IndexOutOfBoundsException.class, () -> lease.getLong(-8));
      assertThrows(IndexOutOfBoundsException.class, () -> lease.getLong(99_993));
      pass(MINUTE);
      assertEquals(large[5], lease.getByte(5)); // It is about the value that was leased.
    }
    assertNull(map.lease(X));
    map.put(Y, new ByteArrayInputStream(bytes("small")), 5);
    assertEquals("small", text(map.get(Y)));
  }

  @Test
  void whatHasExpiredIsRemovedInTheBackgroundAndNothingElse() {
    store.close();
    store = builder(Duration.ofMillis(10)).open();
    map = store.expiringMap("m");
    NamedMap plain = store.map("plain");
    for (int i = 0; i < 3_000; i++) {
      map.put(key(i), value(i), i % 3 == 0 ? MINUTE.multipliedBy(2) : MINUTE);
      plain.put(key(i), value(i));
    }
    map.put(X, value(1, 50_000), MINUTE);
    pass(MINUTE);
    await().until(() -> store.stats().entries() == 3_000 + 1_000 + 2);
    for (int i = 0; i < 3_000; i++) {
      assertArrayEquals(i % 3 == 0 ? value(i) : null, map.get(key(i)));
      assertArrayEquals(value(i), plain.get(key(i)));
    }
    // What is set again while it is swept stays.
    for (int round = 0; round < 200; round++) {
      map.put(Y, bytes("old"), Duration.ofMillis(1));
      pass(Duration.ofMillis(1));
      map.put(Y, bytes("new" + round), MINUTE);
      assertEquals("new" + round, text(map.get(Y)));
    }
    pass(MINUTE.multipliedBy(2));
    await().until(() -> store.stats().entries() == 3_000 + 2);
  }

  @Test
  void deadlinesHoldBehindAReopenWhichSweepsByItself() {
    map.put(X, bytes("1"), MINUTE);
    map.put(Y, bytes("2"), MINUTE.multipliedBy(2));
    store.forceClose();
    pass(MINUTE);
    store = builder(Duration.ofMillis(10)).open();
    await().until(() -> store.stats().entries() == 2);
    map = store.expiringMap("m");
    assertNull(map.get(X));
    assertEquals("2", text(map.get(Y)));
  }

  @Test
  void aSnapshotShowsWhatLivedThenAndATransactionToo() {
    map.put(X, bytes("1"), MINUTE);
    map.put(Y, bytes("2"));
    try (Snapshot snapshot = store.snapshot();
        Transaction transaction = store.transaction()) {
      pass(MINUTE);
      ReadableMap then = Objects.requireNonNull(snapshot.map("m"));
      assertEquals("1", text(then.get(X)));
      assertEquals(List.of("x=1", "y=2"), walk(then.cursor(KeyRange.all())));
      assertEquals(List.of("y=2"), walk(map.cursor(KeyRange.all())));
      TransactionMap in = transaction.in(map);
      assertEquals("1", text(in.get(X)));
      in.put(X, bytes("3"));
      assertEquals("3", text(in.get(X)));
      transaction.commit();
    }
    assertEquals("3", text(map.get(X)));
    assertEquals(Instant.MAX, map.deadline(X));
    try (Snapshot snapshot = store.snapshot()) {
      map.putUntil(X, bytes("4"), Instant.ofEpochMilli(millis.get() + 1));
      pass(Duration.ofMillis(1));
      assertEquals("3", text(Objects.requireNonNull(snapshot.map("m")).get(X)));
    }
    store.write(
        new WriteBatch().putUntil(map, X, bytes("5"), Instant.ofEpochMilli(millis.get() + 1)));
    assertEquals("5", text(map.get(X)));
    pass(Duration.ofMillis(1));
    assertNull(map.get(X));
  }

  @Test
  void oneOfManyPutsWhatHasExpired() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int round = 0; round < 300; round++) {
        List<Future<Boolean>> done = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
          byte[] mine = {(byte) t};
          done.add(threads.submit(() -> map.putIfAbsent(X, mine, MINUTE)));
        }
        int winners = 0;
        for (Future<Boolean> each : done) {
          winners += each.get() ? 1 : 0;
        }
        assertEquals(1, winners, "round " + round);
        pass(MINUTE);
      }
    }
  }
}
