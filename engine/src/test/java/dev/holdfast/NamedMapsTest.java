package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.BatchUnsettledException;
import dev.holdfast.error.ConflictException;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.MapDroppedException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.BatchObserver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Maps with names beside the store's own. */
@Timeout(120)
final class NamedMapsTest {
  private static final byte[] X = {'x'};
  private static final byte[] Y = {'y'};

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private final AtomicReference<BatchObserver> observer = new AtomicReference<>(BatchObserver.NONE);
  private Store store;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(4 << 20)
        .batchObserver(step -> observer.get().reached(step));
  }

  @BeforeEach
  void open() {
    store = builder().open();
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

  // ---------------------------------------------------------------- spaces of keys

  @ParameterizedTest
  @ValueSource(ints = {3, 40, 3_000})
  void eachMapHasItsOwnEntriesWhateverIsAsked(int keys) {
    List<RawMap> maps = List.of(store, store.map("a"), store.map("b"), store.map("c"));
    List<NavigableMap<byte[], byte[]>> models = new ArrayList<>();
    Random random = new Random(keys);
    for (int i = 0; i < maps.size(); i++) {
      NavigableMap<byte[], byte[]> model = new TreeMap<>(Arrays::compareUnsigned);
      models.add(model);
      for (int n = i == 2 ? keys : 0; n < keys; n++) { // One of them in between is empty.
        byte[] key = new byte[1 + random.nextInt(3)];
        random.nextBytes(key);
        byte[] value = bytes(i + "/" + n);
        model.put(key, value);
        maps.get(i).put(key, value);
      }
      byte[] last = {(byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff};
      if (i != 2) {
        model.put(last, X);
        maps.get(i).put(last, X);
      }
    }
    for (int i = 0; i < maps.size(); i++) {
      assertSame(maps.get(i), models.get(i), random);
    }
    try (Snapshot snapshot = store.snapshot()) {
      assertSame(snapshot, models.get(0), random);
      assertSame(Objects.requireNonNull(snapshot.map("a")), models.get(1), random);
      assertSame(Objects.requireNonNull(snapshot.map("b")), models.get(2), random);
      assertSame(Objects.requireNonNull(snapshot.map("c")), models.get(3), random);
    }
  }

  private static void assertSame(
      ReadableMap map, NavigableMap<byte[], byte[]> model, Random random) {
    assertWalk(model, map.cursor(KeyRange.all()));
    assertWalk(model.descendingMap(), map.reverseCursor(KeyRange.all()));
    assertEntry(model.firstEntry(), map.first());
    assertEntry(model.lastEntry(), map.last());
    for (int n = 0; n < 200; n++) {
      byte[] key = new byte[1 + random.nextInt(3)];
      random.nextBytes(key);
      assertArrayEquals(model.get(key), map.get(key));
      assertEquals(model.containsKey(key), map.containsKey(key));
      assertEntry(model.floorEntry(key), map.floor(key));
      assertEntry(model.ceilingEntry(key), map.ceiling(key));
      assertEntry(model.lowerEntry(key), map.lower(key));
      assertEntry(model.higherEntry(key), map.higher(key));
      if (n % 20 == 0) {
        assertWalk(model.tailMap(key, true), map.cursor(KeyRange.atLeast(key)));
        assertWalk(
            model.headMap(key, false).descendingMap(), map.reverseCursor(KeyRange.lessThan(key)));
      }
    }
    if (map instanceof RawMap raw) {
      for (boolean reverse : new boolean[] {false, true}) {
        List<byte[]> shown = new ArrayList<>();
        long count =
            raw.scan(
                KeyRange.all(),
                reverse,
                (in, at, length, _, _, _) -> shown.add(Arrays.copyOfRange(in, at, at + length)));
        assertEquals(model.size(), count);
        List<byte[]> expected = new ArrayList<>((reverse ? model.descendingMap() : model).keySet());
        assertArrayEquals(expected.toArray(), shown.toArray());
      }
    }
  }

  private static void assertEntry(
      Map.@Nullable Entry<byte[], byte[]> expected, @Nullable Entry was) {
    assertEquals(expected == null, was == null);
    if (expected != null && was != null) {
      assertArrayEquals(expected.getKey(), was.key());
      assertArrayEquals(expected.getValue(), was.value());
    }
  }

  private static void assertWalk(NavigableMap<byte[], byte[]> expected, Cursor cursor) {
    try (cursor) {
      for (Map.Entry<byte[], byte[]> each : expected.entrySet()) {
        assertTrue(cursor.next());
        assertArrayEquals(each.getKey(), cursor.key());
        assertArrayEquals(each.getValue(), cursor.value());
      }
      assertFalse(cursor.next());
    }
  }

  @Test
  void allThatCanBeDoneWithAValueCanBeDoneInANamedMap() throws IOException {
    NamedMap map = store.map("m");
    store.put(X, bytes("own"));
    assertTrue(map.putIfAbsent(X, bytes("1")));
    assertFalse(map.putIfAbsent(X, bytes("2")));
    assertTrue(map.replace(X, bytes("1"), bytes("2")));
    assertFalse(map.replace(Y, bytes("2")));
    assertEquals("2", text(map.getAndPut(X, bytes("3"))));
    assertEquals("3+", text(map.compute(X, (_, value) -> bytes(text(value) + "+"))));
    assertEquals("3+4", text(map.merge(X, bytes("4"), (a, b) -> bytes(text(a) + text(b)))));
    assertEquals(5, map.add(Y, 5));
    assertFalse(map.remove(X, bytes("other")));
    assertEquals("3+4", text(map.getAndRemove(X)));
    assertNull(map.get(X));

    byte[] large = value(3, 3_000_000);
    map.put(X, new ByteArrayInputStream(large), large.length);
    assertArrayEquals(large, map.get(X));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertEquals(large.length, map.read(X, out));
    assertArrayEquals(large, out.toByteArray());
    try (Lease lease = map.lease(X)) {
      assertNotNull(lease);
      assertEquals(large[77], lease.getByte(77));
    }
    map.put(MemorySegment.ofArray(Y), MemorySegment.ofArray(bytes("segment")));
    assertEquals(7L, map.<Long>read(Y, MemorySegment::byteSize));
    MemorySegment into = MemorySegment.ofArray(new byte[7]);
    assertEquals(7, map.get(MemorySegment.ofArray(Y), into));
    assertEquals("own", text(store.get(X)));
    assertNull(store.get(Y));
  }

  // ---------------------------------------------------------------- names

  @Test
  void mapsAreFoundByTheirNamesAlsoBehindAReopen() {
    NamedMap map = store.map("first");
    assertEquals("first", map.name());
    org.junit.jupiter.api.Assertions.assertSame(map, store.map("first"));
    map.put(X, bytes("1"));
    store.map("zweite ü").put(X, bytes("2"));
    ExpiringMap expiring = store.expiringMap("third");
    expiring.put(X, bytes("3"));
    assertEquals(List.of("first", "third", "zweite ü"), store.mapNames());
    store.renameMap("first", "one");
    assertEquals("one", map.name());
    org.junit.jupiter.api.Assertions.assertSame(map, store.map("one"));
    assertEquals("1", text(map.get(X)));
    store.close();

    store = builder().open();
    assertEquals(List.of("one", "third", "zweite ü"), store.mapNames());
    assertEquals("1", text(store.map("one").get(X)));
    assertEquals("2", text(store.map("zweite ü").get(X)));
    assertInstanceOf(ExpiringMap.class, store.map("third"));
    assertEquals("3", text(store.expiringMap("third").get(X)));
    assertNull(store.map("first").get(X));
  }

  @Test
  void aNameThatIsNoneOrIsTakenIsRefusedAndNothingChanges() {
    NamedMap a = store.map("a");
    a.put(X, bytes("1"));
    NamedMap b = store.map("b");
    for (String name : List.of("", "a\u0000b", "line\n", "x".repeat(256), "\ud800", "a\udc00")) {
      assertThrows(IllegalArgumentException.class, () -> store.map(name));
      assertThrows(IllegalArgumentException.class, () -> store.expiringMap(name));
      assertThrows(IllegalArgumentException.class, () -> store.renameMap("a", name));
    }
    assertThrows(IllegalArgumentException.class, () -> store.renameMap("a", "b"));
    assertThrows(IllegalArgumentException.class, () -> store.renameMap("none", "c"));
    assertThrows(IllegalArgumentException.class, () -> store.expiringMap("a"));
    assertFalse(store.dropMap("none"));
    store.renameMap("a", "a");
    assertEquals(List.of("a", "b"), store.mapNames());
    assertEquals("1", text(a.get(X)));
    assertNull(b.get(X));
  }

  @Test
  void aStoreThatIsOpenToReadAloneHasItsMapsAndMakesNone() {
    store.map("a").put(X, bytes("1"));
    store.close();
    store = builder().readOnly().open();
    assertEquals(List.of("a"), store.mapNames());
    assertEquals("1", text(store.map("a").get(X)));
    assertThrows(ReadOnlyStoreException.class, () -> store.map("b"));
    assertThrows(ReadOnlyStoreException.class, () -> store.dropMap("a"));
    assertThrows(ReadOnlyStoreException.class, () -> store.map("a").put(X, X));
    assertEquals("1", text(store.map("a").get(X)));
  }

  @Test
  void withTheStoreItsMapsAreClosed() {
    NamedMap map = store.map("a");
    map.put(X, X);
    store.close();
    assertThrows(StoreClosedException.class, () -> map.get(X));
    assertThrows(StoreClosedException.class, () -> map.put(X, X));
    assertThrows(StoreClosedException.class, () -> store.map("a"));
    assertThrows(StoreClosedException.class, store::mapNames);
    assertThrows(StoreClosedException.class, () -> store.dropMap("a"));
  }

  // ---------------------------------------------------------------- dropping

  @Test
  void aMapThatIsDroppedIsGoneAtOnceAndItsRoomIsGivenBack() {
    NamedMap map = store.map("a");
    NamedMap other = store.map("b");
    store.put(X, bytes("own"));
    other.put(X, bytes("other"));
    for (int i = 0; i < 5_000; i++) {
      map.put(key(i), value(i));
    }
    map.put(X, value(1, 2_000_000));
    long free = store.stats().freeBytes();
    try (Cursor cursor = map.cursor(KeyRange.all());
        Transaction transaction = store.transaction()) {
      assertTrue(cursor.next());
      transaction.in(map).put(Y, Y);
      WriteBatch batch = new WriteBatch().put(map, Y, Y).put(X, bytes("batch"));
      assertTrue(store.dropMap("a"));
      assertThrows(MapDroppedException.class, cursor::next);
      assertThrows(MapDroppedException.class, transaction::commit);
      assertThrows(MapDroppedException.class, () -> store.write(batch));
    }
    assertThrows(MapDroppedException.class, () -> map.get(X));
    assertThrows(MapDroppedException.class, () -> map.containsKey(X));
    assertThrows(MapDroppedException.class, () -> map.put(X, X));
    assertThrows(MapDroppedException.class, () -> map.remove(X));
    assertThrows(MapDroppedException.class, () -> map.lease(X));
    assertThrows(MapDroppedException.class, () -> map.cursor(KeyRange.all()));
    assertThrows(
        MapDroppedException.class,
        () -> map.scan(KeyRange.all(), false, (_, _, _, _, _, _) -> true));
    assertEquals(List.of("b"), store.mapNames());
    assertFalse(store.dropMap("a"));
    assertNull(store.map("a").first());
    // The store's own entry, the other map's, and one of the directory for each map.
    await().until(() -> store.stats().entries() == 4);
    assertTrue(store.stats().freeBytes() > free);
    assertEquals("own", text(store.get(X)));
    assertEquals("other", text(other.get(X)));
  }

  @Test
  void numbersAreUsedAgainOnceTheirMapsAreCleared() {
    for (int i = 0; i < 300; i++) {
      String name = "map " + i;
      NamedMap map = store.map(name);
      assertNull(map.first(), name);
      map.put(X, bytes(name));
      if (i >= 200) {
        String oldest = "map " + (i - 200);
        assertEquals(oldest, text(store.map(oldest).get(X)));
        assertTrue(store.dropMap(oldest));
        await()
            .pollDelay(Duration.ZERO)
            .pollInterval(Duration.ofMillis(2))
            .until(() -> store.stats().entries() == 400);
      }
    }
    for (int i = 0; i < 54; i++) {
      NamedMap _ = store.map("more " + i);
    }
    assertThrows(IllegalStateException.class, () -> store.map("one too many"));
    assertEquals(254, store.mapNames().size());
  }

  @Test
  void whatIsWrittenBesideADropIsNeverInTheNextMapOfTheName() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<NamedMap> current = new AtomicReference<>(store.map("a"));
    try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
      List<Future<?>> writers = new ArrayList<>();
      for (int t = 0; t < 3; t++) {
        writers.add(
            threads.submit(() -> {
              while (!stop.get()) {
                NamedMap map = current.get();
                // Each says whose it is: the handle that it was written by.
                byte[] tag = bytes(Integer.toString(System.identityHashCode(map)));
                try {
                  for (int n = 0; n < 50; n++) {
                    map.put(key(ThreadLocalRandom.current().nextInt(500)), tag);
                    byte[] read = map.get(key(ThreadLocalRandom.current().nextInt(500)));
                    assertTrue(read == null || Arrays.equals(tag, read));
                  }
                  store.write(new WriteBatch().put(map, X, tag).put(map, Y, tag));
                  try (Stream<Entry> all = map.stream(KeyRange.all())) {
                    all.forEach(entry -> assertArrayEquals(tag, entry.value()));
                  }
                } catch (MapDroppedException e) {
                  // The next one.
                }
              }
              return null;
            }));
      }
      for (int round = 0; round < 60; round++) {
        Thread.sleep(5);
        assertTrue(store.dropMap("a"));
        current.set(store.map("a"));
      }
      stop.set(true);
      for (Future<?> writer : writers) {
        writer.get();
      }
    }
    byte[] tag = bytes(Integer.toString(System.identityHashCode(current.get())));
    try (Stream<Entry> all = current.get().stream(KeyRange.all())) {
      assertTrue(all.allMatch(entry -> Arrays.equals(tag, entry.value())));
    }
    assertTrue(store.dropMap("a"));
    await().until(() -> store.stats().entries() == 0);
  }

  @Test
  void whatACrashLeftOfADroppedMapIsClearedByTheNextOpen() {
    NamedMap map = store.map("a");
    store.put(X, bytes("own"));
    for (int i = 0; i < 20_000; i++) {
      map.put(key(i), value(i, 50));
    }
    assertTrue(store.dropMap("a"));
    store.forceClose();
    store = builder().open();
    assertEquals(List.of(), store.mapNames());
    assertNull(store.map("a").first());
    await().until(() -> store.stats().entries() == 2);
    assertEquals("own", text(store.get(X)));
  }

  /** Whatever pages got to the medium: what was dropped is in no map that comes behind it. */
  @Test
  void aPowerCutShowsNothingOfADroppedMapInTheNextOne() throws Exception {
    Path place = Files.createDirectory(directory.resolve("tracked"));
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("aPowerCutShowsNothingOfADroppedMapInTheNextOne: -Dseed=" + seed);
    StoreBuilder builder =
        Store.builder(place)
            .single()
            .initialCapacity(2 << 20)
            .maxCapacity(2 << 20)
            .persistence(PersistenceMode.FILE);
    int first;
    int last;
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(place)) {
      try (Store tracked = builder.open()) {
        NamedMap map = tracked.map("a");
        // What it has and what is noted of it lie in leaves of their own, and so on other pages.
        NamedMap behind = tracked.map("z");
        for (int i = 0; i < 80; i++) {
          tracked.put(key(i), value(i, 400), PersistenceMode.PROCESS);
          behind.put(key(i), value(i, 400), PersistenceMode.PROCESS);
          if (i < 20) {
            map.put(key(i), value(i, 400), PersistenceMode.PROCESS);
          }
        }
        tracked.sync();
        first = recorder.position();
        assertTrue(tracked.dropMap("a"));
        await().until(() -> tracked.stats().entries() == 161);
        last = recorder.position();
      }
      log = recorder.log();
    }
    Random random = new Random(seed);
    int looked = 0;
    try (CrashPlace at = CrashPlace.of(log, place)) {
      // Most of what is done is to remove entries; the end of it is what counts.
      for (int point = first; point <= last; point += point < last - 25 ? 20 : 1) {
        for (CrashImage image : log.images(point, 6, random.nextLong())) {
          at.show(image);
          try (Store found = Store.builder(place).openDegraded().open()) {
            int left = found.mapNames().size();
            NamedMap next = found.map("b");
            assertNull(next.first(), () -> "-Dseed=" + seed);
            assertTrue(left == 1 || left == 2);
            looked++;
          }
        }
      }
    }
    assertTrue(looked > 50, looked + " states");
  }

  /** The change counts, and does not show yet when somebody reads the directory. */
  @Test
  void aChangeThatWasInDoubtIsSeenOnceItIsNot() throws Exception {
    NamedMap renamed = store.map("renamed");
    renamed.put(X, bytes("1"));
    AtomicReference<BrokenWitness> witness = interruptNextBatch();
    assertThrows(BatchUnsettledException.class, () -> store.map("a"));
    assertEquals(List.of("renamed"), store.mapNames(), "what is hidden");
    assertEquals("1", text(renamed.get(X)));
    takeUp(witness);
    assertEquals(List.of("a", "renamed"), store.mapNames());
    NamedMap b = store.map("b");
    store.map("a").put(X, bytes("of a"));
    assertNull(b.get(X));

    witness = interruptNextBatch();
    assertThrows(BatchUnsettledException.class, () -> store.renameMap("renamed", "other"));
    assertTrue(store.mapNames().contains("renamed"));
    takeUp(witness);
    assertEquals(List.of("a", "b", "other"), store.mapNames());
    org.junit.jupiter.api.Assertions.assertSame(renamed, store.map("other"));
    assertEquals("other", renamed.name());
    assertNull(store.map("renamed").get(X));

    witness = interruptNextBatch();
    assertThrows(BatchUnsettledException.class, () -> store.dropMap("other"));
    assertTrue(store.mapNames().contains("other"));
    takeUp(witness);
    assertEquals(List.of("a", "b", "renamed"), store.mapNames());
    assertThrows(MapDroppedException.class, () -> renamed.put(X, bytes("2")));
    await().until(() -> store.stats().entries() == 4);
  }

  /** Behind its commit the next batch meets the loss of a leg that cannot be marked. */
  private AtomicReference<BrokenWitness> interruptNextBatch() {
    AtomicReference<BrokenWitness> witness = new AtomicReference<>();
    observer.set(step -> {
      if (step == BatchObserver.Step.COMMITTED) {
        observer.set(BatchObserver.NONE);
        try {
          witness.set(BrokenWitness.of(directory.resolve("s")));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
        leg(store, 1).faults().remove();
      }
    });
    return witness;
  }

  private void takeUp(AtomicReference<BrokenWitness> witness) throws Exception {
    witness.get().mend();
    store.resume();
    leg(store, 1).faults().reinsert();
    await().until(() -> store.health().state() == StoreState.ONLINE);
  }

  /** Its number was that of another map when the transaction began. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aTransactionSeesNothingOfADroppedMapInTheNextOne(boolean expiring) {
    NamedMap dropped = store.map("a");
    dropped.put(X, value(1, 40));
    try (Transaction transaction = store.transaction()) {
      assertTrue(store.dropMap("a"));
      await().until(() -> store.stats().entries() == 0);
      NamedMap next = expiring ? store.expiringMap("b") : store.map("b");
      TransactionMap within = transaction.in(next);
      assertNull(within.get(X));
      assertFalse(within.containsKey(X));
      assertEquals(-1, within.get(MemorySegment.ofArray(X), MemorySegment.ofArray(new byte[64])));
      try (Cursor forward = within.cursor(KeyRange.all());
          Cursor backward = within.reverseCursor(KeyRange.atMost(Y))) {
        assertFalse(forward.next());
        forward.seek(X);
        assertFalse(forward.next());
        assertFalse(backward.next());
      }
      within.put(Y, bytes("mine"));
      transaction.commit();
      assertEquals("mine", text(next.get(Y)));
      assertNull(next.get(X));
    }
  }

  /** Every medium is silent while a map is dropped, and something is lost. */
  @Test
  void healthIsToldWhileAMapIsChanged() throws Exception {
    try (Store single =
            Store.builder(directory.resolve("single"))
                .single()
                .persistence(PersistenceMode.FILE)
                .heartbeat(Duration.ZERO)
                .open();
        ExecutorService pool = Executors.newSingleThreadExecutor()) {
      NamedMap map = single.map("a");
      map.put(X, bytes("1"));
      leg(single, 0).faults().failClears(1_000_000);
      StoreExtent record =
          TestStores.records(single).stream()
              .filter(extent -> "a".equals(extent.map()))
              .findFirst()
              .orElseThrow();
      long _ = leg(single, 0).faults().poison(record.offset(), 1).length();
      await().until(() -> !single.health().lost().isEmpty());
      long flushes = leg(single, 0).faults().flushes();
      leg(single, 0).faults().flushLatency(Duration.ofSeconds(3));
      Future<Boolean> dropping = pool.submit(() -> single.dropMap("a"));
      await().until(() -> leg(single, 0).faults().flushes() > flushes);
      leg(single, 0).faults().flushLatency(Duration.ZERO);
      StoreHealth health = single.health();
      assertFalse(dropping.isDone(), "it did not wait for the medium");
      assertTrue(health.lost().stream().anyMatch(lost -> "a".equals(lost.map())), health::toString);
      assertTrue(dropping.get());
    }
  }

  // ---------------------------------------------------------------- over several maps

  @Test
  void aBatchOverSeveralMapsCountsAsAWhole() {
    NamedMap a = store.map("a");
    ExpiringMap b = store.expiringMap("b");
    a.put(Y, Y);
    store.write(
        new WriteBatch()
            .put(X, bytes("own"))
            .put(a, X, bytes("a"))
            .put(b, X, bytes("b"))
            .remove(a, Y));
    assertEquals("own", text(store.get(X)));
    assertEquals("a", text(a.get(X)));
    assertEquals("b", text(b.get(X)));
    assertNull(a.get(Y));
    store.async().write(new WriteBatch().put(a, X, bytes("async"))).join();
    assertEquals("async", text(a.get(X)));
    assertEquals("own", text(store.get(X)));
    try (Store other = Store.open(directory.resolve("other"))) {
      RawMap foreign = other.map("a");
      assertThrows(
          IllegalArgumentException.class, () -> store.write(new WriteBatch().put(foreign, X, X)));
      assertThrows(IllegalArgumentException.class, () -> store.transaction().in(foreign).get(X));
    }
    assertEquals("async", text(a.get(X)));
  }

  @Test
  void aTransactionReadsAndWritesSeveralMaps() {
    NamedMap a = store.map("a");
    NamedMap b = store.map("b");
    a.put(X, bytes("1"));
    try (Transaction transaction = store.transaction()) {
      a.put(X, bytes("later"));
      TransactionMap inA = transaction.in(a);
      TransactionMap inB = transaction.in(b);
      inB.put(X, bytes("b"));
      transaction.put(X, bytes("own"));
      assertEquals("b", text(inB.get(X)));
      assertEquals("own", text(transaction.get(X)));
      assertEquals("b", text(transaction.in(b).get(X)));
      assertNull(b.get(X));
      assertEquals("1", text(inA.get(X)));
      assertThrows(ConflictException.class, transaction::commit);
    }
    assertNull(b.get(X));
    assertNull(store.get(X));
    try (Transaction transaction = store.transaction()) {
      assertEquals("later", text(transaction.in(a).get(X)));
      transaction.in(b).put(X, bytes("b"));
      transaction.in(a).remove(X);
      transaction.put(X, bytes("own"));
      store.map("c").put(X, bytes("the same key in another map"));
      transaction.commit();
    }
    assertEquals("b", text(b.get(X)));
    assertNull(a.get(X));
    assertEquals("own", text(store.get(X)));
  }

  @Test
  void whatComesIntoARangeOfANamedMapConflictsAndOfAnotherMapDoesNot() {
    NamedMap a = store.map("a");
    try (Transaction transaction = store.transaction()) {
      assertNull(transaction.in(a).first());
      store.put(X, X);
      transaction.put(Y, Y);
      transaction.commit();
    }
    try (Transaction transaction = store.transaction()) {
      assertNull(transaction.in(a).first());
      a.put(X, X);
      transaction.put(Y, bytes("2"));
      assertThrows(ConflictException.class, transaction::commit);
    }
    assertArrayEquals(Y, store.get(Y));
  }

  @Test
  void whoWritesWhatWasReadOfANamedMapWaitsAndWhoWritesTheKeyElsewhereDoesNot() throws Exception {
    NamedMap a = store.map("a");
    a.put(X, bytes("1"));
    AtomicBoolean written = new AtomicBoolean();
    AtomicReference<@Nullable Boolean> early = new AtomicReference<>();
    Thread other =
        Thread.ofPlatform()
            .unstarted(() -> {
              a.put(X, bytes("2"));
              written.set(true);
            });
    Thread beside = Thread.ofPlatform().unstarted(() -> store.put(X, bytes("beside")));
    observer.set(step -> {
      if (step == BatchObserver.Step.RESERVED) {
        other.start();
        await().until(() -> other.getState() == Thread.State.TIMED_WAITING || written.get());
        beside.start();
        await().until(() -> !beside.isAlive());
      } else if (step == BatchObserver.Step.COMMITTED) {
        early.set(written.get());
      }
    });
    try (Transaction transaction = store.transaction()) {
      assertEquals("1", text(transaction.in(a).get(X)));
      transaction.put(Y, bytes("mine"));
      transaction.commit();
    }
    assertEquals(false, early.get());
    other.join();
    assertEquals("2", text(a.get(X)));
    assertEquals("beside", text(store.get(X)));
  }

  // ---------------------------------------------------------------- snapshots and backups

  @Test
  void aSnapshotHasTheMapsThatThereWere() {
    NamedMap a = store.map("a");
    a.put(X, bytes("1"));
    try (Snapshot snapshot = store.snapshot()) {
      store.map("later").put(X, bytes("later"));
      a.put(X, bytes("2"));
      store.renameMap("a", "b");
      assertTrue(store.dropMap("b"));
      await().until(() -> store.stats().entries() == 2);
      assertEquals(List.of("a"), snapshot.mapNames());
      assertEquals("1", text(Objects.requireNonNull(snapshot.map("a")).get(X)));
      assertNull(snapshot.map("b"));
      assertNull(snapshot.map("later"));
    }
  }

  @Test
  void backupsHoldAllMaps() throws IOException {
    NamedMap a = store.map("a");
    ExpiringMap b = store.expiringMap("b");
    NamedMap _ = store.map("empty");
    store.put(X, bytes("own"));
    for (int i = 0; i < 3_000; i++) {
      a.put(key(i), value(i));
    }
    a.put(X, value(5, 300_000));
    b.putUntil(X, bytes("until"), java.time.Instant.ofEpochMilli(9_999_999_999_999L));
    b.put(Y, value(6, 200_000));
    CheckpointReport report = store.checkpoint(directory.resolve("backup"));
    assertEquals(3_004, report.entries());
    ByteArrayOutputStream dump = new ByteArrayOutputStream();
    assertEquals(3_004, Dump.write(store, dump).entries());
    assertEquals(3_004, Dump.verify(new ByteArrayInputStream(dump.toByteArray())).entries());
    try (Store backup = Store.open(directory.resolve("backup"))) {
      assertIsCopy(backup);
    }
    try (Store loaded = Store.open(directory.resolve("loaded"))) {
      loaded.map("a").put(Y, bytes("stays"));
      assertEquals(
          3_004, Dump.read(new ByteArrayInputStream(dump.toByteArray()), loaded).entries());
      assertEquals("stays", text(loaded.map("a").get(Y)));
      assertIsCopy(loaded);
    }
  }

  private static void assertIsCopy(Store copy) {
    assertEquals("own", text(copy.get(X)));
    assertTrue(copy.mapNames().containsAll(List.of("a", "b")));
    for (int i = 0; i < 3_000; i++) {
      assertArrayEquals(value(i), copy.map("a").get(key(i)));
    }
    assertArrayEquals(value(5, 300_000), copy.map("a").get(X));
    ExpiringMap b = copy.expiringMap("b");
    assertEquals("until", text(b.get(X)));
    assertEquals(java.time.Instant.ofEpochMilli(9_999_999_999_999L), b.deadline(X));
    assertArrayEquals(value(6, 200_000), b.get(Y));
    assertEquals(java.time.Instant.MAX, b.deadline(Y));
    assertArrayEquals(new byte[][] {X}, keysOf(copy));
  }

  private static byte[][] keysOf(ReadableMap map) {
    try (Stream<Entry> all = map.stream(KeyRange.all())) {
      return all.map(Entry::key).toArray(byte[][]::new);
    }
  }

  // ---------------------------------------------------------------- losses

  @Test
  void whatIsLostIsNamedWithItsMapAndTheSameKeyElsewhereIsNotLost() {
    store.close();
    store = Store.builder(directory.resolve("single")).single().open();
    NamedMap a = store.map("a");
    // Far apart: in leaves of their own.
    for (int i = 0; i < 3_000; i++) {
      store.put(key(i), value(i));
      a.put(key(i), value(i + 1));
    }
    StoreExtent record =
        TestStores.records(store).stream()
            .filter(extent -> "a".equals(extent.map()) && Arrays.equals(extent.key(), key(1_500)))
            .findFirst()
            .orElseThrow();
    leg(store, 0).faults().poison(record.offset(), 1);
    assertThrows(DataLostException.class, () -> a.get(key(1_500)));
    assertArrayEquals(value(1_500), store.get(key(1_500)));
    List<StoreHealth.Lost> lost = store.health().lost();
    assertFalse(lost.isEmpty());
    assertTrue(lost.stream().allMatch(each -> "a".equals(each.map())), lost.toString());
    a.put(key(1_500), bytes("healed"));
    assertEquals("healed", text(a.get(key(1_500))));
    store.close();
    VerifyReport report = Store.verify(directory.resolve("single"));
    assertTrue(report.lost().stream().allMatch(each -> "a".equals(each.map())));
    store = Store.builder(directory.resolve("single")).open();
    assertEquals("healed", text(store.map("a").get(key(1_500))));
  }

  @Test
  void aLegThatGoesAndComesBackChangesNothingOfTheMaps() {
    NamedMap a = store.map("a");
    for (int i = 0; i < 2_000; i++) {
      a.put(key(i), value(i));
    }
    leg(store, 0).faults().remove();
    NamedMap b = store.map("b");
    b.put(X, bytes("1"));
    for (int i = 0; i < 2_000; i++) {
      assertArrayEquals(value(i), a.get(key(i)));
    }
    assertTrue(store.dropMap("a"));
    assertEquals(List.of("b"), store.mapNames());
    assertEquals("1", text(b.get(X)));
  }
}
