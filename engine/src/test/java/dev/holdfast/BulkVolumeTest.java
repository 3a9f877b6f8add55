package dev.holdfast;

import static dev.holdfast.TestStores.awaitState;
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

import dev.holdfast.error.ConflictException;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.SnapshotTooOldException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Role;
import dev.holdfast.tree.BatchObserver;
import dev.holdfast.tree.Tree;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A store whose large values have devices of their own, and what the loss of those means. */
@Timeout(60)
final class BulkVolumeTest {
  private static final int LARGE = 9_000;
  private static final byte[] SMALL_KEY = "small".getBytes(UTF_8);
  private static final byte[] SMALL = "a small value".getBytes(UTF_8);

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path place() {
    return directory.resolve("store");
  }

  private Path bulk(int leg) {
    return directory.resolve("bulk-" + leg + ".pmem");
  }

  private StoreBuilder builder(int bulkLegs) {
    StoreBuilder plain = Store.builder(place()).initialCapacity(4 << 20);
    return bulkLegs == 1 ? plain.bulk(bulk(0)) : plain.bulk(bulk(0), bulk(1));
  }

  private static VolumeAdmin bulkOf(Store store) {
    return Objects.requireNonNull(store.bulk(), "the BULK volume");
  }

  private static EmulatedDevice bulkLeg(Store store, int leg) {
    return (EmulatedDevice) bulkOf(store).devices().get(leg);
  }

  private static StoreHealth.Bulk health(Store store) {
    return Objects.requireNonNull(store.health().bulk(), "the BULK volume");
  }

  private static long stored(Store store) {
    return bulkOf(store).stats().entries();
  }

  private static void awaitStored(Store store, long values) {
    await().atMost(Duration.ofSeconds(20)).until(() -> stored(store) == values);
  }

  private static void before(Store store, int count) {
    store.put(SMALL_KEY, SMALL);
    for (int i = 0; i < count; i++) {
      store.put(key(i), value(i, LARGE));
    }
  }

  private static void assertAll(Store store, int count) {
    assertArrayEquals(SMALL, store.get(SMALL_KEY));
    for (int i = 0; i < count; i++) {
      assertArrayEquals(value(i, LARGE), store.get(key(i)), "key " + i);
    }
  }

  // ---------------------------------------------------------------- where values go

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void largeValuesGoThereAndAreTheSameByEveryWay(PersistenceMode mode) throws IOException {
    try (Store store = builder(2).persistence(mode).open();
        Arena arena = Arena.ofConfined()) {
      before(store, 20);
      assertEquals(20, stored(store), "values in the BULK volume");
      assertEquals(21, store.stats().entries());
      store.put(key(20), new ByteArrayInputStream(value(20, LARGE)), LARGE);
      store.put(MemorySegment.ofArray(key(21)), MemorySegment.ofArray(value(21, LARGE)));
      store.write(new WriteBatch().put(key(22), value(22, LARGE)).put(key(23), value(23, LARGE)));
      assertTrue(store.putIfAbsent(key(24), value(24, LARGE)));
      assertFalse(store.putIfAbsent(key(24), value(1, LARGE)));
      assertAll(store, 25);
      awaitStored(store, 25); // That of the put which was refused goes.

      MemorySegment into = arena.allocate(LARGE + 5);
      assertEquals(LARGE, store.get(MemorySegment.ofArray(key(3)), into));
      assertArrayEquals(value(3, LARGE), into.asSlice(0, LARGE).toArray(ValueLayout.JAVA_BYTE));
      assertEquals(
          LARGE, store.get(MemorySegment.ofArray(key(3)), arena.allocate(10)), "its length");
      assertTrue(store.containsKey(key(3)));
      assertEquals((long) LARGE, store.read(key(3), MemorySegment::byteSize));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      assertEquals(LARGE, store.read(key(4), out));
      assertArrayEquals(value(4, LARGE), out.toByteArray());
      try (Lease lease = Objects.requireNonNull(store.lease(key(5)))) {
        assertEquals(LARGE, lease.length());
        store.put(key(5), SMALL);
        byte[] some = new byte[100];
        lease.copyTo(200, MemorySegment.ofArray(some), 0, some.length);
        assertArrayEquals(Arrays.copyOfRange(value(5, LARGE), 200, 300), some, "what it was");
      }
      store.put(key(5), value(5, LARGE));
      TestStores.Scan all = TestStores.scan(store, true);
      assertEquals(26, all.keys().size());
      assertArrayEquals(value(24, LARGE), all.values().get(1));
      assertFalse(store.replace(key(6), value(7, LARGE), SMALL));
      assertFalse(store.replace(key(6), SMALL, SMALL));
      assertTrue(store.replace(key(6), value(6, LARGE), value(60, LARGE)));
      assertFalse(store.remove(key(6), value(6, LARGE)));
      assertTrue(store.remove(key(6), value(60, LARGE)));
      assertNull(store.get(key(6)));
      assertArrayEquals(value(7, LARGE), store.getAndPut(key(7), value(70, LARGE)));
      assertArrayEquals(value(70, LARGE), store.get(key(7)));
      assertArrayEquals(value(71, LARGE), store.compute(key(7), (_, _) -> value(71, LARGE)));
      awaitStored(store, 24);
    }
    try (Store store = builder(2).persistence(mode).open()) {
      assertEquals(24, stored(store));
      assertArrayEquals(value(71, LARGE), store.get(key(7)));
      assertNull(store.get(key(6)));
    }
  }

  @Test
  void mapsAndTransactionsHaveTheirOwn() {
    Instant[] now = {Instant.ofEpochSecond(1_000_000)};
    try (Store store =
        builder(1).clock(() -> now[0]).sweepExpiredEvery(Duration.ofMillis(20)).open()) {
      NamedMap one = store.map("one");
      NamedMap two = store.map("two");
      one.put(key(0), value(1, LARGE));
      two.put(key(0), value(2, LARGE));
      store.put(key(0), value(3, LARGE));
      store.transact(transaction -> {
        byte[] before = Objects.requireNonNull(transaction.get(key(0)));
        transaction.put(key(1), before);
        return null;
      });
      assertArrayEquals(value(1, LARGE), one.get(key(0)));
      assertArrayEquals(value(2, LARGE), two.get(key(0)));
      assertArrayEquals(value(3, LARGE), store.get(key(1)));
      assertEquals(4, stored(store));
      ExpiringMap expiring = store.expiringMap("expiring");
      expiring.put(key(0), value(4, LARGE), Duration.ofSeconds(10));
      assertArrayEquals(value(4, LARGE), expiring.get(key(0)));
      assertEquals(5, stored(store));
      now[0] = now[0].plusSeconds(11);
      assertNull(expiring.get(key(0)));
      awaitStored(store, 4);
      assertTrue(store.dropMap("two"));
      awaitStored(store, 3);
    }
  }

  @Test
  void whatIsOverwrittenGoesUnlessASnapshotShowsIt() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      try (Snapshot snapshot = store.snapshot()) {
        for (int round = 1; round <= 50; round++) {
          store.put(key(0), value(round, LARGE));
        }
        awaitStored(store, 2);
        assertArrayEquals(value(0, LARGE), snapshot.get(key(0)));
        assertArrayEquals(value(50, LARGE), store.get(key(0)));
        try (Cursor cursor = snapshot.cursor(KeyRange.all())) {
          assertTrue(cursor.next());
          assertArrayEquals(value(0, LARGE), cursor.value());
        }
        assertTrue(store.stats().snapshots().bytesHeld() >= LARGE);
      }
      store.put(SMALL_KEY, SMALL);
      awaitStored(store, 1);
      assertTrue(store.remove(key(0)));
      awaitStored(store, 0);
    }
  }

  /** Entries on persistent memory, large values on plain files, copies of those on a fast one. */
  @Test
  void itsFilesNeedNotBePersistentMemory() {
    Path leg = directory.resolve("dax.pmem");
    Path cache = directory.resolve("cache.pmem");
    StoreBuilder builder =
        Store.builder(place())
            .initialCapacity(4 << 20)
            .dax(DaxFallback.MSYNC)
            .legs(leg)
            .bulk(bulk(0))
            .cache(cache, 8 << 20);
    try (Store store = builder.open()) {
      before(store, 3);
      assertAll(store, 3);
      assertAll(store, 3);
      assertEquals(3, Objects.requireNonNull(store.stats().cache()).hits());
    }
    try (Store store = builder.open()) {
      assertAll(store, 3);
    }
  }

  @Test
  void theValuesOfTheLongestKeysLieWithTheEntries() {
    byte[] longest = new byte[4_087];
    byte[] longer = new byte[4_088];
    try (Store store = builder(1).open()) {
      store.put(longest, value(1, LARGE));
      store.put(longer, value(2, LARGE));
      assertEquals(1, stored(store));
      assertArrayEquals(value(1, LARGE), store.get(longest));
      assertArrayEquals(value(2, LARGE), store.get(longer));
    }
  }

  @Test
  void valuesThatWereThereBeforeStayUntilTheyAreWritten() {
    try (Store store = Store.builder(place()).open()) {
      before(store, 3);
      assertNull(store.bulk());
      assertNull(store.health().bulk());
    }
    try (Store store = builder(1).open()) {
      assertAll(store, 3);
      assertEquals(0, stored(store));
      store.put(key(1), value(1, LARGE));
      assertEquals(1, stored(store));
      assertAll(store, 3);
    }
  }

  @Test
  void aValueThatItsSourceDoesNotGiveIsNotThere() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      InputStream broken = new ByteArrayInputStream(new byte[LARGE / 2]);
      assertThrows(IOException.class, () -> store.put(key(0), broken, LARGE));
      assertArrayEquals(value(0, LARGE), store.get(key(0)));
      awaitStored(store, 1);
    }
  }

  @Test
  void readersAndWritersOfTheSameKeysAgree() throws Exception {
    int keys = 8;
    try (Store store = builder(2).open();
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), stamped(i, 0));
      }
      List<Future<Integer>> running = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int seed = t;
        running.add(
            threads.submit(() -> {
              SplittableRandom random = new SplittableRandom(seed);
              for (int i = 0; i < 3_000; i++) {
                int k = random.nextInt(keys);
                if (seed < 2) {
                  store.put(key(k), stamped(k, random.nextInt(256)));
                } else {
                  assertStamped(k, Objects.requireNonNull(store.get(key(k)), "key " + k));
                }
              }
              return 0;
            }));
      }
      for (Future<Integer> each : running) {
        assertEquals(0, each.get());
      }
      awaitStored(store, keys);
    }
  }

  /** Between the record and the value somebody puts another one: that is no loss. */
  @Test
  void aValueThatWentMeanwhileIsLookedForOnceMore() throws Exception {
    try (Store store = builder(1).open();
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      store.put(key(0), stamped(0, 0));
      Future<?> writer =
          threads.submit(() -> {
            for (int i = 0; i < 6_000; i++) {
              store.put(key(0), stamped(0, i & 255));
            }
          });
      Future<?> reader =
          threads.submit(() -> {
            while (!writer.isDone()) {
              assertStamped(0, Objects.requireNonNull(store.get(key(0))));
            }
          });
      writer.get();
      reader.get();
    }
  }

  private static byte[] stamped(int key, int stamp) {
    byte[] bytes = new byte[2_000 + stamp];
    Arrays.fill(bytes, (byte) stamp);
    bytes[0] = (byte) key;
    return bytes;
  }

  private static void assertStamped(int key, byte[] bytes) {
    int stamp = bytes.length - 2_000;
    assertArrayEquals(stamped(key, stamp), bytes);
  }

  // ---------------------------------------------------------------- the loss of it

  @Test
  void whileItIsAwayLargeValuesAreOfflineAndSmallOnesServe() {
    Set<Role> asked = ConcurrentHashMap.newKeySet();
    FailurePolicy standard = FailurePolicy.standard();
    Queue<String> told = new ConcurrentLinkedQueue<>();
    try (Store store =
        builder(1)
            .policy((topology, subject, fault) -> {
              asked.add(subject.role());
              return standard.decide(topology, subject, fault);
            })
            .listener(event -> told.add(event.detail()))
            .open()) {
      before(store, 5);
      bulkLeg(store, 0).faults().remove();
      for (int i = 0; i < 5; i++) {
        byte[] key = key(i);
        assertThrows(DeviceOfflineException.class, () -> store.get(key));
        assertThrows(DeviceOfflineException.class, () -> store.put(key, value(9, LARGE)));
        assertTrue(store.containsKey(key), "that it has a value is known");
      }
      assertThrows(
          DeviceOfflineException.class,
          () -> store.write(new WriteBatch().put(key(7), value(7, LARGE)).put(key(8), SMALL)));
      assertNull(store.get(key(8)), "all of a batch or nothing");
      assertThrows(
          IllegalArgumentException.class,
          () -> store.write(new WriteBatch().put(key(8), SMALL), PersistenceMode.DAX));
      assertArrayEquals(SMALL, store.get(SMALL_KEY));
      for (int i = 0; i < 100; i++) {
        store.put(key(1_000 + i), SMALL);
        assertArrayEquals(SMALL, store.get(key(1_000 + i)));
      }
      assertTrue(store.remove(key(4)), "needs no value");
      store.put(key(3), SMALL);
      awaitState(store, StoreState.DEGRADED);
      assertEquals(StoreState.FAILED, health(store).state());
      assertTrue(Objects.requireNonNull(store.health().reason()).contains("BULK"));
      assertEquals(LegState.ONLINE, store.health().legs().getFirst().state());
      await().atMost(Duration.ofSeconds(20)).until(() -> asked.contains(Role.BULK));
      await().until(() -> told.stream().anyMatch(text -> text.startsWith("BULK")));

      bulkLeg(store, 0).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      for (int i = 0; i < 3; i++) {
        assertArrayEquals(value(i, LARGE), store.get(key(i)));
      }
      assertArrayEquals(SMALL, store.get(key(3)));
      assertNull(store.get(key(4)));
      store.put(key(5), value(5, LARGE));
      awaitStored(store, 4);
    }
  }

  @Test
  void oneLegOfTwoIsNotMissed() {
    try (Store store = builder(2).open()) {
      before(store, 50);
      bulkLeg(store, 0).faults().remove();
      for (int i = 0; i < 50; i++) {
        assertArrayEquals(value(i, LARGE), store.get(key(i)));
        store.put(key(i), value(i + 1, LARGE));
        assertArrayEquals(value(i + 1, LARGE), store.get(key(i)));
      }
      assertEquals(StoreState.DEGRADED, health(store).state());
      bulkLeg(store, 0).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      bulkLeg(store, 1).faults().remove();
      for (int i = 0; i < 50; i++) {
        assertArrayEquals(value(i + 1, LARGE), store.get(key(i)));
      }
    }
  }

  @Test
  void ofAPoisonedPageExactlyTheValuesOnItAreLostAndNamed() {
    byte[] second;
    try (Store store = builder(1).open()) {
      before(store, 30);
      StoreExtent poisoned =
          bulkOf(store).owners(0, Long.MAX_VALUE / 2).stream()
              .filter(extent -> extent.what().equals("large value"))
              .skip(7)
              .findFirst()
              .orElseThrow();
      byte[] place = Objects.requireNonNull(poisoned.key());
      second = Arrays.copyOfRange(place, 1, place.length - 8);
      bulkLeg(store, 0).faults().poison(poisoned.offset() + TestStores.PAGE, 1);
      assertOneLost(store, second);
      StoreHealth.Lost lost = health(store).lost().getFirst();
      assertArrayEquals(second, lost.key(), "named");
      assertNull(lost.map());
      assertEquals(List.of(), store.health().lost(), "of the entries nothing is lost");
      assertTrue(store.containsKey(second), "that it has a value is known");
      assertFalse(store.putIfAbsent(second, SMALL));
      assertThrows(DataLostException.class, () -> store.read(second, MemorySegment::byteSize));
      assertThrows(DataLostException.class, () -> store.replace(second, new byte[LARGE], SMALL));
      assertThrows(DataLostException.class, () -> store.getAndPut(second, SMALL));
      assertEquals(1, TestStores.scan(store, false).lost());
      assertThrows(DataLostException.class, () -> store.lease(second));
    }
    try (Store store = builder(1).open()) {
      assertOneLost(store, second);
      store.put(second, value(77, LARGE));
      assertArrayEquals(value(77, LARGE), store.get(second));
      await().atMost(Duration.ofSeconds(20)).until(() -> health(store).lost().isEmpty());
    }
  }

  private static void assertOneLost(Store store, byte[] key) {
    int lost = 0;
    for (int i = 0; i < 30; i++) {
      byte[] each = key(i);
      if (Arrays.equals(each, key)) {
        assertThrows(DataLostException.class, () -> store.get(each));
        lost++;
      } else {
        assertArrayEquals(value(i, LARGE), store.get(each), "key " + i);
      }
    }
    assertEquals(1, lost);
  }

  @Test
  void aStoreOpensWithoutItAndHasItOnceItIsThere() throws IOException {
    try (Store store = builder(1).open()) {
      before(store, 5);
    }
    Path away = directory.resolve("away");
    Files.move(bulk(0), away);
    try (Store store = builder(1).open()) {
      assertArrayEquals(SMALL, store.get(SMALL_KEY));
      DeviceOfflineException e =
          assertThrows(DeviceOfflineException.class, () -> store.get(key(1)));
      assertTrue(String.valueOf(e.getMessage()).contains("BULK"), e.getMessage());
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertEquals(StoreState.FAILED, health(store).state());
      assertNull(store.bulk());
      store.put(key(2), SMALL);
      assertTrue(store.remove(key(3)));
      await().pollDelay(Duration.ofMillis(1_500)).until(() -> true); // It is tried again.
      assertFalse(Files.exists(bulk(0)), "none is made in its place");
      Files.move(away, bulk(0));
      awaitState(store, StoreState.ONLINE);
      assertArrayEquals(value(1, LARGE), store.get(key(1)));
      assertArrayEquals(SMALL, store.get(key(2)));
      awaitStored(store, 3); // Of 5 one was overwritten and one removed.
    }
  }

  @Test
  void anOpenThatDoesNotNameItServesWhatLiesWithTheEntries() {
    try (Store store = builder(1).open()) {
      before(store, 3);
    }
    try (Store store = Store.open(place())) {
      assertArrayEquals(SMALL, store.get(SMALL_KEY));
      assertThrows(DeviceOfflineException.class, () -> store.get(key(1)));
      assertThrows(DeviceOfflineException.class, () -> store.put(key(1), value(1, LARGE)));
    }
    try (Store store = builder(1).open()) {
      assertAll(store, 3);
    }
  }

  @Test
  void inTheDirectoryOfTheStoreItIsFound() {
    Path own = place().resolve("bulk").resolve("leg-0.pmem");
    try (Store store = Store.builder(place()).bulk(own).open()) {
      before(store, 3);
    }
    try (Store store = Store.open(place())) {
      assertAll(store, 3);
      assertEquals(3, stored(store));
    }
  }

  @Test
  void anotherStoresIsRefused() throws IOException {
    try (Store store = builder(1).open()) {
      before(store, 3);
    }
    Path other = directory.resolve("other");
    Path otherBulk = directory.resolve("other-bulk.pmem");
    try (Store store = Store.builder(other).bulk(otherBulk).open()) {
      before(store, 3);
    }
    // One that is in use by another store, to a store that has none.
    Path third = directory.resolve("third");
    assertThrows(
        InvalidImageException.class, () -> Store.builder(third).bulk(otherBulk).open().close());
    // And the whole directory, of which the witness would be right.
    try (Stream<Path> files = Files.list(place().resolve("bulk"))) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    try (Stream<Path> files = Files.list(other.resolve("bulk"))) {
      for (Path file : files.toList()) {
        Files.copy(file, place().resolve("bulk").resolve(file.getFileName()));
      }
    }
    InvalidImageException e =
        assertThrows(
            InvalidImageException.class,
            () -> Store.builder(place()).bulk(otherBulk).open().close());
    assertTrue(String.valueOf(e.getMessage()).contains("BULK volume of store"), e.getMessage());
    try (Store store = Store.builder(other).bulk(otherBulk).open()) {
      assertAll(store, 3);
    }
  }

  @Test
  void placesThatCannotBeItsAreRefused() {
    StoreBuilder plain = Store.builder(place());
    assertThrows(IllegalArgumentException.class, plain::bulk);
    assertThrows(IllegalArgumentException.class, () -> plain.bulk(bulk(0), bulk(0)));
    Path leg = directory.resolve("leg.pmem");
    assertThrows(
        IllegalArgumentException.class, () -> Store.builder(place()).legs(leg).bulk(leg).open());
    assertThrows(
        IllegalArgumentException.class,
        () -> Store.builder(place()).log(leg).bulk(leg).open().close());
  }

  // ---------------------------------------------------------------- what a crash leaves

  @ParameterizedTest
  @EnumSource(BatchObserver.Step.class)
  void aBatchThatDiesIsThereOrNotAndLeavesNothing(BatchObserver.Step step) {
    Path image = directory.resolve("image");
    boolean[] taken = new boolean[1];
    try (Store store =
        builder(1)
            .batchObserver(reached -> {
              if (reached == step && !taken[0]) {
                taken[0] = true;
                crash(image);
              }
            })
            .open()) {
      before(store, 3);
      store.write(
          new WriteBatch()
              .put(key(0), value(100, LARGE))
              .put(key(1), SMALL)
              .put(key(5), value(105, LARGE)));
    }
    assertTrue(taken[0], "the step was reached");
    try (Store store = Store.builder(image).bulk(image.resolve("bulk-0.pmem")).open()) {
      boolean done = store.get(key(5)) != null;
      assertArrayEquals(value(done ? 100 : 0, LARGE), store.get(key(0)));
      assertArrayEquals(done ? SMALL : value(1, LARGE), store.get(key(1)));
      assertArrayEquals(done ? value(105, LARGE) : null, store.get(key(5)));
      assertEquals(step.compareTo(BatchObserver.Step.COMMITTED) >= 0, done);
      awaitStored(store, 3);
      assertArrayEquals(value(done ? 100 : 0, LARGE), store.get(key(0)));
      assertArrayEquals(value(2, LARGE), store.get(key(2)));
    }
  }

  /** What the death of the process would leave: of the entries and of the BULK volume. */
  private void crash(Path image) {
    try {
      TestStores.crashImage(withoutDirectories(), image);
      Files.createDirectories(image.resolve("bulk"));
      try (Stream<Path> files = Files.list(place().resolve("bulk"))) {
        for (Path file : files.toList()) {
          if (!file.getFileName().toString().equals("lock")) {
            Files.copy(file, image.resolve("bulk").resolve(file.getFileName()));
          }
        }
      }
      Files.copy(bulk(0), image.resolve("bulk-0.pmem"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path withoutDirectories() throws IOException {
    Path flat = directory.resolve("flat");
    Files.createDirectories(flat);
    try (Stream<Path> files = Files.list(place())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, flat.resolve(file.getFileName()));
      }
    }
    return flat;
  }

  @Test
  void whatNothingLeadsToIsRemovedBehindACrash() {
    Path image = directory.resolve("image");
    try (Store store = builder(1).open()) {
      before(store, 5);
      // As a process leaves them that died between the two volumes.
      OpenStore values = (OpenStore) bulkOf(store);
      for (int i = 3; i < 7; i++) {
        values.put(placeOf(key(i), 1), value(i + 50, LARGE));
      }
      assertEquals(9, stored(store));
      crash(image);
    }
    try (Store store = Store.builder(image).bulk(image.resolve("bulk-0.pmem")).open()) {
      awaitStored(store, 5);
      assertAll(store, 5);
      assertNull(store.get(key(5)));
    }
  }

  @Test
  void aCloseInOrderIsNotLookedThrough() throws IOException {
    try (Store store = builder(1).open()) {
      before(store, 3);
      store.put(key(0), value(9, LARGE));
    }
    Path note = place().resolve("bulk").resolve("swept");
    assertTrue(Files.exists(note), "that nothing is left is noted");
    try (OpenStore store = (OpenStore) builder(1).open()) {
      assertFalse(Files.exists(note), "not while it is open");
      assertEquals(3, stored(store));
      // A look through would find it.
      ((OpenStore) bulkOf(store)).put(placeOf(key(77), 1), value(77, LARGE));
    }
    assertTrue(Files.exists(note));
    try (OpenStore store = (OpenStore) builder(1).open()) {
      store.put(key(0), value(10, LARGE));
      await().pollDelay(Duration.ofMillis(500)).until(() -> stored(store) == 4);
    }
    Files.delete(note);
    try (OpenStore store = (OpenStore) builder(1).open()) {
      awaitStored(store, 3);
    }
  }

  /** Where a value would lie. */
  private static byte[] placeOf(byte[] key, int number) {
    byte[] place = new byte[1 + key.length + 8];
    System.arraycopy(key, 0, place, 1, key.length);
    place[place.length - 1] = (byte) number;
    return place;
  }

  /** What was stored before the store had a BULK volume is no place there. */
  @Test
  void aLookThroughPassesOverValuesThatLieWithTheEntries() {
    try (Store store = Store.builder(place()).open()) {
      before(store, 3);
    }
    Path image = directory.resolve("image");
    try (Store store = builder(1).open()) {
      OpenStore values = (OpenStore) bulkOf(store);
      values.put(placeOf(key(0), 1), value(50, LARGE));
      values.put(placeOf(key(1), 1), value(51, LARGE));
      values.put(placeOf(SMALL_KEY, 1), value(52, LARGE));
      values.put(new byte[] {7}, value(53, LARGE));
      crash(image);
    }
    try (Store store = Store.builder(image).bulk(image.resolve("bulk-0.pmem")).open()) {
      awaitStored(store, 1); // What is no place is nobody's business.
      assertAll(store, 3);
    }
  }

  /** Between the moment at which all see the batch and its end nothing holds what was before. */
  @ParameterizedTest
  @EnumSource(BatchObserver.Step.class)
  void whatASnapshotShowsIsNeededAtEachStepOfABatch(BatchObserver.Step step) {
    byte[][] former = new byte[1][];
    Tree[] tree = new Tree[1];
    Tree.BulkUse[] use = new Tree.BulkUse[1];
    try (OpenStore store =
        (OpenStore)
            builder(1)
                .batchObserver(reached -> {
                  if (reached == step) {
                    use[0] = tree[0].bulkUses(List.of(former[0])).getFirst();
                  }
                })
                .open()) {
      tree[0] = store.home().tree();
      store.put(key(0), value(0, LARGE));
      former[0] = Objects.requireNonNull(tree[0].bulkPlace(0, key(0)));
      assertEquals(Tree.BulkUse.LED_TO, tree[0].bulkUses(List.of(former[0])).getFirst());
      try (Snapshot snapshot = store.snapshot()) {
        store.write(new WriteBatch().put(key(0), value(1, LARGE)));
        assertNotNull(use[0]);
        assertTrue(use[0] != Tree.BulkUse.LEFT, "at " + step);
        assertEquals(Tree.BulkUse.LED_TO, tree[0].bulkUses(List.of(former[0])).getFirst());
        assertArrayEquals(value(0, LARGE), snapshot.get(key(0)));
      }
      assertEquals(Tree.BulkUse.LEFT, tree[0].bulkUses(List.of(former[0])).getFirst());
    }
  }

  @Test
  void aPutThatIsRefusedLeavesNothing() {
    try (Store store = builder(1).open()) {
      assertThrows(
          IllegalArgumentException.class,
          () -> store.put(key(0), value(0, LARGE), PersistenceMode.DAX));
      assertThrows(
          IllegalArgumentException.class,
          () -> store.write(new WriteBatch().put(key(0), value(0, LARGE)), PersistenceMode.DAX));
      awaitStored(store, 0);
    }
    assertTrue(Files.exists(place().resolve("bulk").resolve("swept")), "nothing is unsettled");
  }

  /** The record of a value that is durable must not be alone. */
  @Test
  void aPutThatIsToBeDurableHasItsValueDurable() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      bulkLeg(store, 0).faults().failFlushes(100);
      store.put(key(1), value(1, LARGE));
      assertThrows(
          HoldfastException.class, () -> store.put(key(0), value(2, LARGE), PersistenceMode.FILE));
      assertArrayEquals(value(0, LARGE), store.get(key(0)));
    }
    Path other = directory.resolve("other");
    try (Store store = Store.builder(other).bulk(directory.resolve("other.pmem")).open()) {
      bulkLeg(store, 0).faults().failFlushes(100);
      assertThrows(
          HoldfastException.class,
          () -> store.write(new WriteBatch().put(key(0), value(2, LARGE)), PersistenceMode.FILE));
      assertNull(store.get(key(0)));
    }
  }

  /** A commit carries all records that are there, whatever was asked for each. */
  @Test
  void whereRecordsAreCarriedTheirValuesAreToo() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      store.put(SMALL_KEY, SMALL, PersistenceMode.FILE);
      bulkLeg(store, 0).faults().failFlushes(100);
      assertThrows(HoldfastException.class, () -> store.put(key(1), value(1, LARGE)));
      assertArrayEquals(SMALL, store.get(SMALL_KEY));
    }
  }

  /** The first that is carried farther does not wait for itself. */
  @Test
  void aBatchThatIsCarriedFartherIsDoneAtOnce() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      long began = System.nanoTime();
      store.write(new WriteBatch().put(key(1), value(1, LARGE)), PersistenceMode.FILE);
      assertTrue(System.nanoTime() - began < 4_000_000_000L, "it waited for its own values");
      assertArrayEquals(value(1, LARGE), store.get(key(1)));
    }
  }

  @Test
  void whatSnapshotsHoldWhereAStoreIsClosedIsRemovedByTheNextOpen() {
    try (Store store = builder(1).open()) {
      store.put(key(0), value(0, LARGE));
      Snapshot snapshot = store.snapshot();
      store.put(key(0), value(1, LARGE));
      assertArrayEquals(value(0, LARGE), snapshot.get(key(0)));
      assertEquals(2, stored(store));
    }
    try (Store store = builder(1).open()) {
      awaitStored(store, 1);
      assertArrayEquals(value(1, LARGE), store.get(key(0)));
    }
  }

  @Test
  void aStoreThatRefusesToOpenLeavesNoThread() {
    for (int i = 0; i < 3; i++) {
      assertThrows(
          IllegalArgumentException.class,
          () -> Store.builder(place()).cache(directory.resolve("c"), 8 << 20).open());
    }
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() ->
            Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().startsWith(place().toString())));
    Store.open(place()).close();
  }

  @Test
  void aBatchThatIsRefusedLeavesNothing() {
    try (Store store = builder(1).open()) {
      before(store, 1);
      TestStores.leg(store, 0).faults().remove();
      TestStores.leg(store, 1).faults().remove();
      assertThrows(
          DeviceOfflineException.class,
          () -> store.write(new WriteBatch().put(key(1), value(2, LARGE))));
      TestStores.leg(store, 0).faults().reinsert();
      TestStores.leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      awaitStored(store, 1);
      assertAll(store, 1);
    }
  }

  @Test
  void whatWasLeftIsRoomForWhatComes() {
    int large = 1 << 20;
    try (Store store = builder(1).maxCapacity(16 << 20).open()) {
      for (int round = 0; round < 200; round++) {
        store.put(key(round % 3), value(round, large));
      }
      for (int i = 0; i < 3; i++) {
        int round = 197 + (i + 1) % 3;
        assertArrayEquals(value(round, large), store.get(key(round % 3)));
      }
      List<Snapshot> snapshots = new ArrayList<>();
      for (int round = 0; round < 24; round++) {
        if (round % 3 == 0) {
          snapshots.add(store.snapshot());
        }
        store.put(key(round % 3), value(round, large));
      }
      assertThrows(SnapshotTooOldException.class, () -> snapshots.getFirst().get(key(0)));
      assertArrayEquals(value(18, large), snapshots.getLast().get(key(0)));
      snapshots.forEach(Snapshot::close);
    }
  }

  @Test
  void aTransactionThatReadALargeValueNeedsItNotToCommit() {
    try (Store store = builder(1).open()) {
      before(store, 3);
      try (Transaction transaction = store.transaction()) {
        assertArrayEquals(value(1, LARGE), transaction.get(key(1)));
        transaction.put(SMALL_KEY, new byte[1]);
        bulkLeg(store, 0).faults().remove();
        transaction.commit();
      }
      assertArrayEquals(new byte[1], store.get(SMALL_KEY));
      store.sync();
      bulkLeg(store, 0).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      Transaction late = store.transaction();
      assertArrayEquals(value(2, LARGE), late.get(key(2)));
      store.put(key(2), value(20, LARGE));
      late.put(SMALL_KEY, SMALL);
      assertThrows(ConflictException.class, late::commit);
      late.close();
    }
  }

  @Test
  void whoListensLaterHearsOfItToo() {
    Queue<String> told = new ConcurrentLinkedQueue<>();
    HealthListener listener = event -> told.add(event.detail());
    try (Store store = builder(1).open()) {
      store.addListener(listener);
      bulkLeg(store, 0).faults().remove();
      await().until(() -> told.stream().anyMatch(text -> text.startsWith("BULK")));
      store.removeListener(listener);
    }
  }

  // ---------------------------------------------------------------- what is done about it

  @Test
  void itsLegsAreChangedAndScrubbedAsThoseOfTheStore() {
    try (Store store = builder(2).open()) {
      before(store, 20);
      VolumeAdmin admin = bulkOf(store);
      int third = admin.attach(directory.resolve("bulk-2.pmem"));
      assertEquals(2, third);
      admin.offline(0);
      admin.detach(1);
      assertAll(store, 20);
      admin.online(0);
      await().until(() -> health(store).legs().getFirst().state() == LegState.ONLINE);
      StoreExtent large =
          admin.owners(0, Long.MAX_VALUE / 2).stream()
              .filter(extent -> extent.what().equals("large value"))
              .findFirst()
              .orElseThrow();
      bulkLeg(store, 2).faults().flipBit(large.offset() + 10, 3);
      ScrubReport report = admin.scrub();
      assertTrue(report.repaired() > 0, report.toString());
      assertAll(store, 20);
      StoreStats stats = admin.stats();
      assertEquals(20, stats.entries());
      var _ = store.compact();
      assertAll(store, 20);
    }
  }

  @Test
  void aVerificationLooksAtItToo() {
    try (Store store = builder(1).open()) {
      before(store, 5);
    }
    VerifyReport whole = builder(1).verify();
    assertTrue(whole.isWhole(), whole.toString());
    assertNotNull(whole.bulk());
    long at;
    byte[] key;
    try (Store store = builder(1).open()) {
      StoreExtent large =
          bulkOf(store).owners(0, Long.MAX_VALUE / 2).stream()
              .filter(extent -> extent.what().equals("large value"))
              .findFirst()
              .orElseThrow();
      at = large.offset();
      byte[] place = Objects.requireNonNull(large.key());
      key = Arrays.copyOfRange(place, 1, place.length - 8);
      bulkLeg(store, 0).faults().flipBit(at + 10, 3);
    }
    VerifyReport report = builder(1).verify();
    assertFalse(report.isWhole());
    assertEquals(List.of(), report.findings());
    VerifyReport.Bulk found = Objects.requireNonNull(report.bulk());
    assertArrayEquals(key, found.findings().getFirst().keys().getFirst());
  }

  @Test
  void aVerificationMissesWhatIsNotThere() {
    try (OpenStore store = (OpenStore) builder(1).open()) {
      before(store, 5);
      store.map("one").put(key(9), value(9, LARGE));
      OpenStore values = (OpenStore) bulkOf(store);
      Tree tree = store.home().tree();
      assertTrue(values.remove(Objects.requireNonNull(tree.bulkPlace(0, key(3)))));
      assertTrue(
          values.remove(
              Objects.requireNonNull(
                  tree.bulkPlace(((OpenMap) store.map("one")).home().number(), key(9)))));
      assertThrows(DataLostException.class, () -> store.get(key(3)));
    }
    VerifyReport report = builder(1).verify();
    assertFalse(report.isWhole());
    List<StoreHealth.Lost> lost = Objects.requireNonNull(report.bulk()).lost();
    assertEquals(2, lost.size());
    assertArrayEquals(key(3), lost.get(0).key());
    assertArrayEquals(key(9), lost.get(1).key());
    assertEquals("one", lost.get(1).map());
  }

  @Test
  void aStoreThatWasRefusedABulkVolumeOpensWithoutIt() {
    Path leg = directory.resolve("entries.pmem");
    Path other = directory.resolve("other");
    try (Store store = Store.builder(other).legs(leg).open()) {
      before(store, 3);
    }
    assertThrows(
        InvalidImageException.class, () -> Store.builder(place()).bulk(leg).open().close());
    try (Store store = Store.open(place())) {
      store.put(SMALL_KEY, SMALL);
      assertNull(store.health().bulk());
    }
    try (Store store = Store.builder(other).legs(leg).open()) {
      assertAll(store, 3); // Nothing was written to it.
    }
    InvalidImageException e =
        assertThrows(
            InvalidImageException.class,
            () -> {
              try (Store store = builder(1).open()) {
                before(store, 1);
              }
              Store.builder(directory.resolve("third")).legs(bulk(0)).open().close();
            });
    assertTrue(String.valueOf(e.getMessage()).contains("BULK"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void itsEndIsBoundedWithEveryDeviceAway(boolean byForce) {
    Store closing = builder(1).open();
    before(closing, 5);
    bulkLeg(closing, 0).faults().remove();
    closing.put(key(1), SMALL);
    if (byForce) {
      closing.forceClose();
    } else {
      closing.close();
    }
    assertThrows(StoreClosedException.class, () -> closing.get(key(0)));
    FaultInjector.reinsert(bulk(0));
    try (Store store = builder(1).open()) {
      assertArrayEquals(SMALL, store.get(key(1)));
      assertArrayEquals(value(0, LARGE), store.get(key(0)));
      awaitStored(store, 4);
    }
  }

  @Test
  void aStoreThatIsReadAloneChangesNothing() throws IOException {
    try (Store store = builder(1).open()) {
      before(store, 3);
    }
    Path note = place().resolve("bulk").resolve("swept");
    byte[] noted = Files.readAllBytes(note);
    byte[] device = Files.readAllBytes(bulk(0));
    try (Store store = builder(1).readOnly().open()) {
      assertAll(store, 3);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(1, LARGE)));
    }
    assertArrayEquals(noted, Files.readAllBytes(note));
    assertArrayEquals(device, Files.readAllBytes(bulk(0)));
  }
}
