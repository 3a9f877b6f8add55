package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertAbsent;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keySet;
import static dev.holdfast.TestStores.keysIn;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.lostKeys;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.records;
import static dev.holdfast.TestStores.scan;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Poison on a single leg: what is lost is named, exactly, and everything else is right. */
final class SingleLegLossTest {
  private static final int KEYS = 1_000;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private Store open() {
    return Store.builder(path()).single().initialCapacity(4 << 20).open();
  }

  private static int number(byte[] key) {
    return Integer.parseInt(new String(key, 4, 6, US_ASCII));
  }

  private static List<String> names(Set<byte[]> keys) {
    return keys.stream().map(key -> new String(key, UTF_8)).toList();
  }

  private static void assertExactlyLost(Store store, Set<byte[]> lost) {
    for (int i = 0; i < KEYS; i++) {
      if (lost.contains(key(i))) {
        assertLost(store, key(i));
      } else {
        assertArrayEquals(value(i), store.get(key(i)), "key " + i);
        assertTrue(store.containsKey(key(i)));
      }
    }
    assertEquals(names(lost), names(lostKeys(store, KEYS)));
    // Of keys that were never stored hardly one looks like a lost one.
    assertTrue(lostKeys(store, 4 * KEYS).size() <= lost.size() + 5);
    assertAbsent(store, KEYS, KEYS + 20);
    for (boolean reverse : new boolean[] {false, true}) {
      TestStores.Scan scan = scan(store, reverse);
      // A leaf is told of once, whatever was lost in it.
      assertEquals(lost.isEmpty(), scan.lost() == 0);
      assertEquals(KEYS - lost.size(), scan.keys().size());
      for (int i = 0; i < scan.keys().size(); i++) {
        assertArrayEquals(value(number(scan.keys().get(i))), scan.values().get(i));
      }
    }
  }

  @Test
  void poisonLosesExactlyTheKeysOfThePageUntilTheyAreWrittenOrRemoved() {
    long seed = seed("poisonLosesExactlyTheKeysOfThePageUntilTheyAreWrittenOrRemoved");
    Random random = new Random(seed);
    long free;
    try (Store store = open()) {
      fill(store, 0, KEYS);
      free = store.stats().freeBytes();
    }
    for (int round = 0; round < 4; round++) {
      Set<byte[]> lost;
      try (Store store = open()) {
        assertHolds(store, 0, KEYS);
        assertEquals(StoreState.ONLINE, store.health().state());
        assertTrue(store.health().lost().isEmpty());
        // What the poison took is used again.
        // Leaves are written anew meanwhile, with more room or less.
        assertTrue(Math.abs(free - store.stats().freeBytes()) <= 256 << 10);
        byte[] victim = key(random.nextInt(KEYS));
        long page = recordOf(store, victim).offset() / PAGE * PAGE;
        long length = (1 + random.nextInt(3)) * (long) PAGE;
        lost = keysIn(store, page, length);
        assertTrue(lost.contains(victim));
        if (random.nextBoolean()) {
          leg(store, 0).faults().notifyNever();
        }
        leg(store, 0).faults().poison(page, length);
        assertThrows(DataLostException.class, () -> store.get(victim));
        await().until(() -> lostKeys(store, KEYS).size() >= lost.size());
        assertExactlyLost(store, lost);
        awaitRepaired(store);
        assertExactlyLost(store, lost);
      }
      try (Store store = open()) {
        assertExactlyLost(store, lost);
        heal(store, lost, random);
        assertHolds(store, 0, KEYS);
        assertTrue(store.health().lost().isEmpty());
      }
    }
  }

  @Test
  void removingALostKeyMakesItAbsent() {
    byte[] key = key(500);
    try (Store store = open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(recordOf(store, key).offset(), 1);
      assertThrows(DataLostException.class, () -> store.get(key));
      assertTrue(store.remove(key));
      assertNull(store.get(key));
      assertFalse(store.containsKey(key));
    }
    try (Store store = open()) {
      assertNull(store.get(key));
      assertFalse(lostKeys(store, KEYS).contains(key));
      assertTrue(store.putIfAbsent(key, value(500)));
    }
  }

  /** A reader may look for the record before the overwrite, and for the loss after it. */
  @Test
  void lostKeyThatIsOverwrittenIsNeverAbsent() throws Exception {
    int small = 400;
    AtomicReference<byte[]> reading = new AtomicReference<>(key(0));
    try (Store store = open();
        ExecutorService pool = Executors.newFixedThreadPool(2);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, small);
      Future<Long> gets = pool.submit(() -> countLosses(store, reading, stop, false));
      Future<Long> scans = pool.submit(() -> countLosses(store, reading, stop, true));
      for (int round = 0; round < 20; round++) {
        long page = recordOf(store, key(small / 2)).offset() / PAGE * PAGE;
        Set<byte[]> lost = keysIn(store, page, PAGE);
        leg(store, 0).faults().poison(page, PAGE);
        await().pollInterval(Duration.ofMillis(1)).until(() -> !store.health().lost().isEmpty());
        for (byte[] key : lost) {
          reading.set(key);
          LockSupport.parkNanos(100_000);
          if (number(key) % 2 == 0) {
            store.put(key, value(number(key)));
          } else {
            store.write(new WriteBatch().put(key, value(number(key))));
          }
        }
      }
      stop.set();
      assertTrue(gets.get() > 0);
      assertTrue(scans.get() > 0);
    }
  }

  private static long countLosses(
      Store store, AtomicReference<byte[]> reading, StopFlag stop, boolean scans) {
    long losses = 0;
    while (!stop.get()) {
      byte[] key = reading.get();
      try {
        if (scans) {
          try (Cursor cursor = store.cursor(KeyRange.closed(key, key))) {
            assertTrue(cursor.next());
            assertArrayEquals(value(number(key)), cursor.value());
          }
        } else {
          assertArrayEquals(value(number(key)), store.get(key));
        }
      } catch (DataLostException e) {
        losses++;
      }
    }
    return losses;
  }

  @Test
  void aPoisonedPageOfALargeValueLosesThatValueAlone() {
    byte[] large = value(7, 10 * PAGE);
    try (Store store = open()) {
      fill(store, 0, 10);
      store.put(key(10), large);
      fill(store, 11, 20);
      leg(store, 0).faults().poison(largeValueOf(store, key(10)).offset() + 5L * PAGE, 1);
      assertLost(store, key(10));
      assertHolds(store, 0, 10);
      assertHolds(store, 11, 20);
    }
    try (Store store = open()) {
      assertLost(store, key(10));
      assertHolds(store, 11, 20);
      store.put(key(10), large);
      assertArrayEquals(large, store.get(key(10)));
    }
  }

  /** Nobody could name what the page held: then no key that is not found is known to be absent. */
  @Test
  void poisonOfAClosedStoreIsNeverTakenForAbsence() {
    Map<Long, byte[]> places = new TreeMap<>();
    try (Store store = open()) {
      fill(store, 0, KEYS);
      records(store).forEach(extent -> places.put(extent.offset(), extent.key()));
    }
    byte[] victim = key(300);
    long place = placeOf(places, victim);
    poisonClosed(path().resolve("leg-0.pmem"), place);
    assertNothingIsTakenForAbsent(path(), victim, place / PAGE * PAGE, places);
  }

  @Test
  void poisonOfACrashedStoreIsNeverTakenForAbsence() {
    Map<Long, byte[]> places = new TreeMap<>();
    Path crashed = directory.resolve("crashed");
    try (Store store = open()) {
      fill(store, 0, KEYS);
      records(store).forEach(extent -> places.put(extent.offset(), extent.key()));
      crashImage(path(), crashed);
    }
    byte[] victim = key(700);
    long place = placeOf(places, victim);
    poisonClosed(crashed.resolve("leg-0.pmem"), place);
    assertNothingIsTakenForAbsent(crashed, victim, place / PAGE * PAGE, places);
  }

  /** A page in free space of a store that was closed in order held nothing, and that is known. */
  @Test
  void poisonOfFreeSpaceOfAClosedStoreLosesNothing() {
    try (Store store = open()) {
      fill(store, 0, KEYS);
    }
    poisonClosed(path().resolve("leg-0.pmem"), (4 << 20) - PAGE);
    try (Store store = open()) {
      assertHolds(store, 0, KEYS);
      assertNull(store.get(key(KEYS)));
      assertTrue(store.health().lost().isEmpty());
      awaitRepaired(store);
    }
  }

  private static long placeOf(Map<Long, byte[]> places, byte[] key) {
    return places.entrySet().stream()
        .filter(entry -> java.util.Arrays.equals(entry.getValue(), key))
        .findFirst()
        .orElseThrow()
        .getKey();
  }

  private static void poisonClosed(Path file, long offset) {
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
      device.faults().poison(offset, 1);
    }
    assertTrue(Files.exists(file));
  }

  private static void assertNothingIsTakenForAbsent(
      Path path, byte[] victim, long page, Map<Long, byte[]> places) {
    Set<byte[]> found = keySet();
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(path)) {
        assertThrows(DataLostException.class, () -> store.get(victim));
        found.clear();
        for (int i = 0; i < KEYS; i++) {
          byte[] key = key(i);
          try {
            assertArrayEquals(value(i), present(store.get(key)), "key " + i);
            found.add(key);
          } catch (DataLostException e) {
            long at = placeOf(places, key);
            assertTrue(at < page + PAGE && at + 1024 > page, "lost without a reason: key " + i);
          }
        }
        TestStores.Scan scan = scan(store, false);
        assertTrue(scan.lost() > 0, "the scan said nothing of what is missing");
        assertEquals(found, keySet(scan.keys()));
        awaitRepaired(store);
      }
    }
    try (Store store = Store.open(path)) {
      for (int i = 0; i < KEYS; i++) {
        if (!found.contains(key(i))) {
          store.put(key(i), value(i));
        }
      }
      assertHolds(store, 0, KEYS);
      assertTrue(store.remove(victim));
      assertNull(store.get(victim));
    }
    try (Store store = Store.open(path)) {
      assertNull(store.get(victim));
      assertFalse(store.containsKey(victim));
    }
  }

  private static byte[] present(byte @Nullable [] value) {
    assertNotNull(value, "taken for absent");
    return value;
  }

  private void heal(Store store, Set<byte[]> lost, Random random) {
    // Keys that look the same, by 18 bits of their hashes, are healed together.
    int twins = 0;
    int healedBefore = 0;
    int left = entriesLost(store);
    for (byte[] key : lost) {
      if (random.nextBoolean()) {
        healedBefore += store.remove(key) ? 0 : 1;
        assertNull(store.get(key));
        assertFalse(store.containsKey(key));
        assertFalse(store.remove(key));
        assertTrue(store.putIfAbsent(key, value(number(key))));
      } else {
        store.put(key, value(number(key)));
      }
      int now = entriesLost(store);
      twins += Math.max(0, left - now - 1);
      left = now;
    }
    assertTrue(healedBefore <= twins, healedBefore + " were not lost any more, of " + twins);
  }

  private static int entriesLost(Store store) {
    return store.health().lost().stream().mapToInt(StoreHealth.Lost::entries).sum();
  }
}
