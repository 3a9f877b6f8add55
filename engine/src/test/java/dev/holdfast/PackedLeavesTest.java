package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keySet;
import static dev.holdfast.TestStores.keysIn;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.records;
import static dev.holdfast.TestStores.scan;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.volume.VolumeLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Leaves whose records have the short form: every path that comes to them. */
final class PackedLeavesTest {
  private static final int KEYS = 3_000;

  /** The length of a value with which every other record begins on half a granule. */
  private static final int ODD = 104;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder builder() {
    return Store.builder(path()).initialCapacity(8 << 20);
  }

  private static void compact(Store store) {
    assertTrue(store.compact().complete());
  }

  private static void assertScans(Map<byte[], byte[]> expected, Store store) {
    for (boolean reverse : new boolean[] {false, true}) {
      TestStores.Scan found = scan(store, reverse);
      List<byte[]> keys = reverse ? found.keys().reversed() : found.keys();
      List<byte[]> values = reverse ? found.values().reversed() : found.values();
      assertEquals(expected.size(), keys.size());
      int i = 0;
      for (Map.Entry<byte[], byte[]> each : expected.entrySet()) {
        assertArrayEquals(each.getKey(), keys.get(i));
        assertArrayEquals(each.getValue(), values.get(i++));
      }
    }
  }

  /** The bytes that the records of a store take. */
  private static long recordBytes(Store store) {
    return records(store).stream().mapToLong(StoreExtent::length).sum();
  }

  @Test
  void aRecordTakesEightBytesBesideItsValueAndTheRestOfItsKey() {
    try (Store store = builder().open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(i, 100));
      }
      long before = recordBytes(store);
      assertEquals(KEYS * 128L, before); // 16, the map, the key, the value, in eights
      compact(store);
      // Of "key-000000" a leaf of some hundreds has 7 or so in common.
      assertTrue(recordBytes(store) <= KEYS * 114L, recordBytes(store) + " bytes of records");
      assertHoldsAll(store, 100);
    }
  }

  private static void assertHoldsAll(Store store, int length) {
    for (int i = 0; i < KEYS; i++) {
      assertArrayEquals(value(i, length), store.get(key(i)), "key " + i);
    }
  }

  @Test
  void whatIsWrittenBehindThemCountsAndSoDoesACrash() {
    Path image = directory.resolve("image");
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      compact(store);
      for (int i = 0; i < KEYS; i += 3) {
        store.put(key(i), value(i + 1));
        if (i % 2 == 0) {
          assertTrue(store.remove(key(i + 1)));
        }
      }
      store.put(key(KEYS), value(KEYS));
      crashImage(path(), image);
      assertChanged(store);
      compact(store);
      assertChanged(store);
    }
    for (Path each : List.of(path(), image)) {
      try (Store store = Store.open(each)) {
        assertChanged(store);
        compact(store);
        assertChanged(store);
      }
    }
  }

  private static void assertChanged(Store store) {
    Map<byte[], byte[]> expected = new TreeMap<>(Arrays::compareUnsigned);
    for (int i = 0; i <= KEYS; i++) {
      byte[] value = i % 3 == 0 && i < KEYS ? value(i + 1) : i % 6 == 1 ? null : value(i);
      assertArrayEquals(value, store.get(key(i)), "key " + i);
      if (value != null) {
        expected.put(key(i), value);
      }
    }
    assertScans(expected, store);
  }

  /** Keys of all lengths, with long begins in common and with none, of tiny values and large. */
  @Test
  void keysAndValuesOfAllLengths() {
    long seed = seed("keysAndValuesOfAllLengths");
    Random random = new Random(seed);
    Map<byte[], byte[]> expected = new TreeMap<>(Arrays::compareUnsigned);
    for (int i = 0; i < 4_000; i++) {
      byte[] key = new byte[1 + (i % 5 == 0 ? random.nextInt(300) : random.nextInt(80))];
      int common = random.nextInt(3) * 30;
      for (int at = 0; at < key.length; at++) {
        key[at] = at < common ? (byte) 'c' : (byte) random.nextInt(3);
      }
      int length = i % 50 == 0 ? random.nextInt(9_000) : random.nextInt(i % 2 == 0 ? 5 : 200);
      expected.put(key, value(i, length));
    }
    try (Store store = builder().open()) {
      expected.forEach(store::put);
      for (int round = 0; round < 2; round++) {
        compact(store);
        expected.forEach((key, value) -> assertArrayEquals(value, store.get(key)));
        assertScans(expected, store);
      }
    }
    try (Store store = Store.open(path())) {
      assertScans(expected, store);
      expected.forEach((key, value) -> assertArrayEquals(value, store.get(key)));
      assertEquals(expected.size(), store.stats().entries());
    }
  }

  /** More records than a leaf has in the ordinary form: copies grow beyond the leaf's bytes. */
  @Test
  void recordsOfAFewBytes() {
    Map<byte[], byte[]> expected = new TreeMap<>(Arrays::compareUnsigned);
    for (int i = 0; i < 40_000; i++) {
      expected.put(new byte[] {'t', (byte) (i >>> 8), (byte) i}, new byte[i % 2]);
    }
    try (Store store = builder().open()) {
      expected.forEach(store::put);
      compact(store);
      expected.forEach((key, value) -> assertArrayEquals(value, store.get(key)));
      assertScans(expected, store);
      for (int i = 0; i < 40_000; i += 100) {
        byte[] key = {'t', (byte) (i >>> 8), (byte) i};
        store.put(key, value(i));
        expected.put(key, value(i));
      }
      assertScans(expected, store);
    }
    try (Store store = Store.open(path())) {
      expected.forEach((key, value) -> assertArrayEquals(value, store.get(key)));
    }
  }

  /** The index reads the keys anew when it grows. */
  @Test
  void theIndexGrowsOverThem() {
    int many = 120_000;
    try (Store store = builder().initialCapacity(32 << 20).open()) {
      for (int i = 0; i < many / 4; i++) {
        store.put(key(i), value(i, 8));
      }
      compact(store);
      for (int i = many / 4; i < many; i++) {
        store.put(key(i), value(i, 8));
      }
      for (int i = 0; i < many; i++) {
        assertArrayEquals(value(i, 8), store.get(key(i)), "key " + i);
      }
      assertEquals(many, store.stats().entries());
    }
  }

  /**
   * The same while they are made: a slot that leads there already is of a key that can be told. The
   * index reads keys anew where it has grown to so many entries, and some more.
   */
  @Test
  void theIndexGrowsWhileTheyAreMade() throws Exception {
    int before = 50_000;
    int many = 65_000;
    for (int round = 0; round < 8; round++) {
      Path place = directory.resolve("s" + round);
      try (Store store = Store.builder(place).single().initialCapacity(32 << 20).open();
          ExecutorService pool = Executors.newSingleThreadExecutor()) {
        for (int i = 0; i < before; i++) {
          int mixed = (int) (i * 7_919L % before);
          store.put(key(mixed), value(mixed, 40));
        }
        Future<?> packer = pool.submit(() -> compact(store));
        for (int i = before; i < many; i++) {
          store.put(key(i), value(i, 40));
        }
        packer.get();
        for (int i = 0; i < many; i++) {
          assertArrayEquals(value(i, 40), store.get(key(i)), "key " + i);
        }
      }
    }
  }

  /** What is packed becomes larger when it is written to: never more than two leaves can hold. */
  @Test
  void aLeafThatIsWrittenToAgainIsNoLargerThanOthers() {
    byte[] common = "a long begin that all of the keys have in common ".getBytes(US_ASCII);
    int many = 20_000;
    try (Store store = builder().open()) {
      for (int i = 0; i < many; i++) {
        store.put(withBegin(common, i), new byte[1]);
      }
      compact(store);
      assertTrue(recordBytes(store) <= many * 20L, recordBytes(store) + " bytes of records");
      for (int i = 0; i < many; i += 500) {
        store.put(withBegin(common, i), new byte[2]);
      }
      int leaves = 0;
      byte[] head = new byte[24];
      for (long at = VolumeLayout.RECORDS_OFFSET; at < store.stats().capacityBytes(); at += PAGE) {
        leg(store, 0).read(at, head, 0, head.length);
        if (new String(head, 0, 4, US_ASCII).equals("HLEF")) {
          leaves++;
          assertTrue(head[20] <= 16 && head[21] == 0, "pages of a leaf: " + head[20]);
        }
      }
      assertTrue(leaves > 10, "leaves: " + leaves);
      for (int i = 0; i < many; i++) {
        byte[] expected = new byte[i % 500 == 0 ? 2 : 1];
        assertArrayEquals(expected, store.get(withBegin(common, i)), "key " + i);
      }
    }
  }

  private static byte[] withBegin(byte[] common, int number) {
    byte[] key = Arrays.copyOf(common, common.length + 4);
    ByteBuffer.wrap(key).putInt(common.length, number);
    return key;
  }

  /** Each page of a leaf, the first one too: what others hold is read, what it held is named. */
  @Test
  void aLostPageOfALeafCostsWhatItHeld() {
    try (Store store = builder().single().open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(i, ODD));
      }
      compact(store);
      long first = TestStores.recordOf(store, key(0)).offset() / PAGE * PAGE;
      for (int page = 0; page < 12; page += 3) {
        long at = first + (long) page * PAGE;
        Set<byte[]> held = keysIn(store, at, PAGE);
        assertTrue(held.size() > 20, "records in page " + page);
        leg(store, 0).faults().poison(at, 1);
        held.forEach(key -> assertLost(store, key));
        assertEquals(held, keySet(TestStores.lostKeys(store, KEYS)));
        for (int i = 0; i < KEYS; i++) {
          if (!held.contains(key(i))) {
            assertArrayEquals(value(i, ODD), store.get(key(i)), "key " + i);
          }
        }
        held.forEach(
            key -> store.put(key, value(Integer.parseInt(new String(key, 4, 6, US_ASCII)), ODD)));
        awaitRepaired(store);
        assertHoldsAll(store, ODD);
        assertEquals(List.of(), store.health().lost());
        compact(store);
        assertHoldsAll(store, ODD);
        first = TestStores.recordOf(store, key(0)).offset() / PAGE * PAGE;
      }
    }
    try (Store store = Store.open(path())) {
      assertHoldsAll(store, ODD);
    }
  }

  @Test
  void aPageThatOneLegHasLostComesFromTheOther() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      compact(store);
      Random random = new Random(seed("aPageThatOneLegHasLostComesFromTheOther"));
      for (int round = 0; round < 6; round++) {
        // A leaf of its own each time: what is flipped may not be repaired yet.
        StoreExtent record = TestStores.recordOf(store, key(500 * round + random.nextInt(200)));
        if (random.nextBoolean()) {
          leg(store, random.nextInt(2)).faults().poison(record.offset(), 1);
        } else {
          leg(store, 0) // which is read first
              .faults()
              .flipBit(record.offset() + random.nextInt((int) record.length()), random.nextInt(8));
        }
        assertHolds(store, 0, KEYS);
        awaitRepaired(store);
      }
      assertEquals(List.of(), store.health().lost());
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS);
    }
  }

  /** The short form has no place for a sequence of its own: what pins need is not written so. */
  @Test
  void snapshotsFromBeforeAndBehindSeeWhatWas() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      try (Snapshot before = store.snapshot()) {
        for (int i = 0; i < KEYS; i += 2) {
          store.put(key(i), value(i + 7));
        }
        assertTrue(store.remove(key(1)));
        compact(store);
        for (int i = 0; i < KEYS; i++) {
          assertArrayEquals(value(i), before.get(key(i)), "key " + i);
        }
      }
      compact(store);
      try (Snapshot behind = store.snapshot()) {
        for (int i = 0; i < KEYS; i++) {
          store.put(key(i), value(i + 9));
        }
        compact(store);
        for (int i = 0; i < KEYS; i++) {
          byte[] was = i == 1 ? null : i % 2 == 0 ? value(i + 7) : value(i);
          assertArrayEquals(was, behind.get(key(i)), "key " + i);
          assertArrayEquals(value(i + 9), store.get(key(i)), "key " + i);
        }
      }
      assertNull(store.get(key(KEYS)));
    }
  }

  /** The generation is drawn before anybody looks for pins: one that comes behind is newer. */
  @Test
  void snapshotsThatAreTakenMeanwhileSeeEverything() throws Exception {
    try (Store store = builder().open();
        ExecutorService pool = Executors.newSingleThreadExecutor();
        StopFlag stop = new StopFlag()) {
      fill(store, 0, KEYS);
      Future<?> packer =
          pool.submit(() -> {
            for (int round = 0; !stop.get(); round++) {
              for (int i = 50; i < KEYS; i += 100) {
                store.put(key(i), value(i + round)); // or there would be nothing to write anew
              }
              compact(store);
            }
          });
      for (int taken = 0; taken < 6_000; taken++) {
        try (Snapshot snapshot = store.snapshot()) {
          for (int i = taken % 100; i < KEYS; i += 500) {
            byte[] found = snapshot.get(key(i));
            assertNotNull(found, "key " + i + " in snapshot " + taken);
          }
        }
        Thread.onSpinWait();
      }
      stop.set();
      packer.get();
    }
  }

  @Test
  void batchesOverThemAreAllOrNothing() {
    Path image = directory.resolve("image");
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      compact(store);
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < KEYS; i += 5) {
        batch.put(key(i), value(i + 3));
        batch.remove(key(i + 1));
      }
      store.write(batch);
      crashImage(path(), image);
      compact(store);
    }
    for (Path each : List.of(path(), image)) {
      try (Store store = Store.open(each)) {
        for (int i = 0; i < KEYS; i++) {
          byte[] expected = i % 5 == 0 ? value(i + 3) : i % 5 == 1 ? null : value(i);
          assertArrayEquals(expected, store.get(key(i)), "key " + i);
        }
      }
    }
  }
}
