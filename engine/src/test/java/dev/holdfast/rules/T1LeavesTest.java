package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.tree.DeviceLeaves;
import dev.holdfast.tree.DeviceLeaves.Leaf;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * T1: leaves hold the records of one key range, appended, never overwritten within a generation; a
 * full leaf is written anew into new pages; the old ones are freed only when the switch is durable.
 */
final class T1LeavesTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private Store open() {
    return Entries.open(directory.resolve("s"));
  }

  /** One life of some pages. */
  private record Life(int leg, long offset, long generation) {}

  /** After each of many changes, by the bytes of both legs. */
  @Test
  void whatWasAppendedIsNeverOverwrittenWithinAGeneration() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("whatWasAppendedIsNeverOverwrittenWithinAGeneration: -Dseed=" + seed);
    Random random = new Random(seed);
    Map<Life, Leaf> before = new HashMap<>();
    int seenTwice = 0;
    try (Store store = open()) {
      for (int change = 0; change < 250; change++) {
        byte[] key = key(random.nextInt(60));
        if (random.nextInt(4) == 0) {
          boolean _ = store.remove(key);
        } else {
          store.put(key, new byte[random.nextInt(1_200)]);
        }
        Map<Life, Leaf> now = lives(store);
        for (Map.Entry<Life, Leaf> entry : now.entrySet()) {
          Leaf old = before.get(entry.getKey());
          if (old != null) {
            seenTwice++;
            int tail = old.tail();
            assertTrue(entry.getValue().tail() >= tail, "records are gone");
            assertEquals(
                -1,
                Arrays.mismatch(old.bytes(), 0, tail, entry.getValue().bytes(), 0, tail),
                () -> "overwritten: " + entry.getKey());
          }
        }
        before = now;
      }
      assertTrue(seenTwice > 250, "of leaves that stayed there were only " + seenTwice);
      assertTrue(before.keySet().stream().map(Life::generation).distinct().count() > 3);
    }
  }

  private static Map<Life, Leaf> lives(Store store) {
    Map<Life, Leaf> lives = new HashMap<>();
    for (int leg = 0; leg < 2; leg++) {
      for (Leaf leaf : DeviceLeaves.on(device(store, leg))) {
        lives.put(new Life(leg, leaf.offset(), leaf.generation()), leaf);
      }
    }
    return lives;
  }

  @Test
  void updateIsAppendedBehindTheRecordThatItReplaces() {
    try (Store store = open()) {
      put(store, 0, 10);
      StoreExtent old = Entries.extent(store, key(7));
      byte[] bytes = bytes(store, 0, old);
      store.put(key(7), "new".getBytes(US_ASCII));
      StoreExtent now = Entries.extent(store, key(7));
      assertTrue(now.offset() > old.offset());
      for (int leg = 0; leg < 2; leg++) {
        assertArrayEquals(bytes, bytes(store, leg, old), "the old record stays");
      }
      Leaf leaf = DeviceLeaves.of(device(store, 0), key(7));
      assertEquals(now.offset(), leaf.records().getLast().offset(), "the new one is the last one");
      assertTrue(store.remove(key(7)));
      for (int leg = 0; leg < 2; leg++) {
        assertTrue(DeviceLeaves.of(device(store, leg), key(7)).records().getLast().isTombstone());
        assertArrayEquals(bytes, bytes(store, leg, old), "the old record stays");
      }
    }
  }

  private static byte[] bytes(Store store, int leg, StoreExtent extent) {
    byte[] bytes = new byte[(int) extent.length()];
    device(store, leg).read(extent.offset(), bytes, 0, bytes.length);
    return bytes;
  }

  /** Overwrites one key until its leaf is written anew; what it was before, and is behind it. */
  private static Leaf[] rewritten(Store store, byte[] key) {
    Leaf before = DeviceLeaves.of(device(store, 0), key);
    for (int i = 0; ; i++) {
      store.put(key, new byte[700 + i]);
      Leaf now = DeviceLeaves.of(device(store, 0), key);
      if (now.generation() != before.generation()) {
        return new Leaf[] {before, now};
      }
      before = now;
    }
  }

  @Test
  void fullLeafIsWrittenAnewIntoOtherPagesOfAHigherGenerationOnEveryLeg() {
    try (Store store = open()) {
      put(store, 0, 10);
      Leaf[] leaves = rewritten(store, key(3));
      assertTrue(leaves[1].generation() > leaves[0].generation());
      assertTrue(
          leaves[1].offset() >= leaves[0].offset() + leaves[0].bytes().length
              || leaves[0].offset() >= leaves[1].offset() + leaves[1].bytes().length,
          "new pages");
      assertTrue(leaves[1].records().size() < leaves[0].records().size(), "compacted");
      for (int leg = 0; leg < 2; leg++) {
        assertArrayEquals(leaves[1].bytes(), DeviceLeaves.of(device(store, leg), key(3)).bytes());
        byte[] old = new byte[leaves[0].tail()];
        device(store, leg).read(leaves[0].offset(), old, 0, old.length);
        assertEquals(
            -1, Arrays.mismatch(leaves[0].bytes(), 0, old.length, old, 0, old.length), "as it was");
      }
      store.remove(key(3));
      put(store, 3, 4);
      assertHolds(store, 0, 10);
    }
  }

  /** The switch was lost on both legs, and then the process dies: the old pages serve as before. */
  @Test
  void oldPagesServeWhereTheSwitchDidNotBecomeDurable() throws Exception {
    Path image = directory.resolve("image");
    byte[] last = {};
    try (Store store = open()) {
      put(store, 0, 10);
      Leaf before = DeviceLeaves.of(device(store, 0), key(3));
      for (int i = 0; ; i++) {
        List<FaultInjector.StaleRange> table = new ArrayList<>();
        for (int leg = 0; leg < 2; leg++) {
          for (StoreExtent extent : store.owners(VolumeLayout.RECORDS_OFFSET, 1 << 20)) {
            if (extent.key() == null) {
              table.add(
                  device(store, leg).faults().remember(extent.offset(), (int) extent.length()));
            }
          }
        }
        assertFalse(table.isEmpty(), "where the leaf table lies");
        byte[] value = new byte[700 + i];
        store.put(key(3), value);
        if (DeviceLeaves.of(device(store, 0), key(3)).generation() != before.generation()) {
          table.forEach(FaultInjector.StaleRange::restore);
          break;
        }
        last = value;
      }
      CrashImage.of(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertHolds(store, 0, 3);
      assertHolds(store, 4, 10);
      assertArrayEquals(last, store.get(key(3)), "the put that wrote the leaf anew is not there");
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Leaves that live share no page; what two of them hold does not overlap. */
  @Test
  void eachLeafHasPagesAndARangeOfItsOwn() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("eachLeafHasPagesAndARangeOfItsOwn: -Dseed=" + seed);
    Random random = new Random(seed);
    try (Store store = open()) {
      for (int round = 0; round < 4; round++) {
        for (int change = 0; change < 1_500; change++) {
          byte[] key = "%04d".formatted(random.nextInt(2_000)).getBytes(US_ASCII);
          if (random.nextInt(3) == 0) {
            boolean _ = store.remove(key);
          } else {
            store.put(key, new byte[random.nextInt(600)]);
          }
        }
        NavigableMap<String, Leaf> live = live(store);
        assertTrue(round == 0 || live.size() > 3, "leaves: " + live.size());
        Map<Long, Leaf> byPage = new HashMap<>();
        for (Map.Entry<String, Leaf> entry : live.entrySet()) {
          Leaf leaf = entry.getValue();
          String next = live.higherKey(entry.getKey());
          for (DeviceLeaves.Appended record : leaf.records()) {
            String key = new String(record.key(), US_ASCII);
            assertTrue(key.compareTo(entry.getKey()) >= 0, "a key before the range of its leaf");
            assertTrue(next == null || key.compareTo(next) < 0, "a key behind the range");
          }
          for (long page = 0; page < leaf.bytes().length; page += 4096) {
            assertNull(byPage.put(leaf.offset() + page, leaf), "a page of two leaves");
          }
        }
      }
    }
  }

  /** The leaves that hold what the store says it has, by where their ranges begin. */
  private static NavigableMap<String, Leaf> live(Store store) {
    List<Leaf> all = DeviceLeaves.on(device(store, 0));
    NavigableMap<String, Leaf> live = new TreeMap<>();
    Map<Long, Leaf> byRecord = new HashMap<>();
    for (Leaf leaf : all) {
      for (DeviceLeaves.Appended record : leaf.records()) {
        // Where pages were used again, what a former leaf had there is gone.
        byRecord.merge(record.offset(), leaf, (a, b) -> a.generation() > b.generation() ? a : b);
      }
    }
    for (StoreExtent extent : store.owners(VolumeLayout.RECORDS_OFFSET, 1L << 30)) {
      Leaf leaf = extent.key() == null ? null : byRecord.get(extent.offset());
      if (extent.key() != null) {
        if (leaf == null) {
          throw new AssertionError("a record in no leaf");
        }
        String separator =
            leaf.separator().length == 0
                ? ""
                : new String(leaf.separator(), 1, leaf.separator().length - 1, US_ASCII);
        Leaf other = live.put(separator, leaf);
        assertTrue(other == null || other.equals(leaf), "two leaves for one range");
      }
    }
    return live;
  }

  /** Within a generation a leaf gets no key behind what was the end of its range at any time. */
  @Test
  void keyRangeWidensOnlyByWritingAnew() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("keyRangeWidensOnlyByWritingAnew: -Dseed=" + seed);
    Random random = new Random(seed);
    Map<Life, String> ends = new HashMap<>();
    int looked = 0;
    try (Store store = open()) {
      for (int round = 0; round < 30; round++) {
        for (int change = 0; change < 200; change++) {
          // It grows in the first half, and shrinks in the second.
          byte[] key = "%04d".formatted(random.nextInt(1_500)).getBytes(US_ASCII);
          if (random.nextInt(4) < (round < 15 ? 1 : 3)) {
            boolean _ = store.remove(key);
          } else {
            store.put(key, new byte[300]);
          }
        }
        NavigableMap<String, Leaf> live = live(store);
        for (Map.Entry<String, Leaf> entry : live.entrySet()) {
          Leaf leaf = entry.getValue();
          Life life = new Life(0, leaf.offset(), leaf.generation());
          String end = live.higherKey(entry.getKey());
          String least = ends.merge(life, end == null ? "~" : end, (x, y) -> min(x, y));
          for (DeviceLeaves.Appended record : leaf.records()) {
            looked++;
            assertTrue(new String(record.key(), US_ASCII).compareTo(least) < 0, "a wider range");
          }
        }
      }
    }
    assertTrue(looked > 1_000);
  }

  private static String min(String x, String y) {
    return x.compareTo(y) < 0 ? x : y;
  }
}
