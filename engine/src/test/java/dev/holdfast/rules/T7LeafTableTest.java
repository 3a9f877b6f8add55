package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.assertHoldsOnly;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.tree.DeviceLeaves;
import dev.holdfast.tree.DeviceLeaves.Leaf;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * T7: a leaf is switched by one entry of the table; the sibling that a split makes counts with the
 * switch of its left leaf; of two legs' entries the higher generation counts, and comes to both.
 */
final class T7LeafTableTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private static List<StoreExtent> table(Store store) {
    List<StoreExtent> table =
        store.owners(VolumeLayout.RECORDS_OFFSET, 1 << 30).stream()
            .filter(extent -> extent.key() == null)
            .toList();
    assertTrue(!table.isEmpty(), "where the leaf table lies");
    return table;
  }

  private static byte[] bytes(EmulatedDevice device, List<StoreExtent> extents) {
    int length = extents.stream().mapToInt(extent -> (int) extent.length()).sum();
    byte[] all = new byte[length];
    int at = 0;
    for (StoreExtent extent : extents) {
      device.read(extent.offset(), all, at, (int) extent.length());
      at += (int) extent.length();
    }
    return all;
  }

  /** One leg lost the writes to its table by which a leaf was written anew, or split. */
  @ParameterizedTest
  @ValueSource(strings = {"0, rewrite", "1, rewrite", "0, split", "1, split"})
  void ofTwoLegsTheHigherGenerationCountsAndComesToBoth(String what) throws Exception {
    int unlucky = what.charAt(0) - '0';
    boolean splits = what.endsWith("split");
    Path image = directory.resolve("image");
    int entries = 10;
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, entries);
      while (true) {
        List<FaultInjector.StaleRange> former = new ArrayList<>();
        for (StoreExtent extent : table(store)) {
          former.add(
              device(store, unlucky).faults().remember(extent.offset(), (int) extent.length()));
        }
        long before = latest(store);
        if (splits) {
          put(store, entries, ++entries);
        } else {
          store.put(key(3), new byte[1_000]);
          put(store, 3, 4);
        }
        if (splits ? leaves(store) > 1 : latest(store) != before) {
          former.forEach(FaultInjector.StaleRange::restore);
          break;
        }
      }
      dev.holdfast.rules.CrashImage.of(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertHoldsOnly(store, 0, entries);
      assertTrue(store.health().lost().isEmpty());
      assertArrayEquals(
          bytes(device(store, 0), table(store)), bytes(device(store, 1), table(store)));
      device(store, 1 - unlucky).faults().remove();
      assertHoldsOnly(store, 0, entries);
    }
  }

  private static long latest(Store store) {
    return DeviceLeaves.of(device(store, 0), key(3)).generation();
  }

  private static long leaves(Store store) {
    return DeviceLeaves.on(device(store, 0)).stream().mapToInt(Leaf::number).distinct().count();
  }

  /**
   * Power is cut at every store of a put that splits a leaf: everything is there once, and the new
   * entry as a whole or not at all.
   */
  @Test
  void siblingCountsOnlyWithTheSwitchOfItsLeftLeaf() throws Exception {
    Path recorded = Files.createDirectory(directory.resolve("recorded"));
    Path shown = Files.createDirectory(directory.resolve("shown"));
    CrashLog log;
    int from;
    int to;
    int entries = 0;
    try (CrashRecorder recorder = CrashRecorder.start(recorded)) {
      try (Store store = Store.builder(recorded).initialCapacity(2 << 20).open()) {
        // Not in the order of the keys, so that a full leaf is split in its middle.
        do {
          from = recorder.position();
          store.put(mixed(entries), value(entries));
          entries++;
          to = recorder.position();
        } while (leaves(store) == 1);
        log = recorder.log();
      }
    }
    int last = entries - 1;
    int states = 0;
    int there = 0;
    try (CrashPlace place = CrashPlace.of(log, shown)) {
      for (int point = from; point <= to; point++) {
        for (CrashImage image : log.images(point, 3, 1)) {
          place.show(image);
          states++;
          try (Store store = Store.open(shown)) {
            boolean done = store.containsKey(mixed(last));
            there += done ? 1 : 0;
            assertEquals(done ? entries : last, store.stats().entries(), log.next(point));
            for (int i = 0; i < (done ? entries : last); i++) {
              assertArrayEquals(value(i), store.get(mixed(i)), "entry " + i);
            }
            int walked = 0;
            try (Cursor cursor = store.cursor(KeyRange.all())) {
              byte[] before = {};
              while (cursor.next()) {
                assertTrue(Arrays.compareUnsigned(before, cursor.key()) < 0);
                before = cursor.key();
                walked++;
              }
            }
            assertEquals(done ? entries : last, walked);
            assertTrue(store.health().lost().isEmpty());
          }
        }
      }
    }
    assertTrue(states > 10 && there > 0 && there < states, there + " of " + states);
  }

  private static byte[] mixed(int i) {
    return ("key-" + i * 7919 % 10_000).getBytes(US_ASCII);
  }

  /** The table is there twice on each leg: one copy of four is enough. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void oneCopyOfTheTableIsEnough(int left) {
    Path path = directory.resolve("s");
    List<StoreExtent> table;
    try (Store store = Entries.open(path)) {
      put(store, 0, 300);
      table = table(store);
    }
    int half = table.size() / 2;
    for (int copy = 0; copy < 4; copy++) {
      if (copy != left) {
        try (EmulatedDevice device = device(path, copy / 2)) {
          for (StoreExtent extent : table.subList(copy % 2 * half, copy % 2 * half + half)) {
            byte[] noise = new byte[(int) extent.length()];
            Arrays.fill(noise, (byte) (17 + copy));
            device.faults().misdirectedWrite(extent.offset(), noise);
          }
        }
      }
    }
    try (Store store = Store.open(path)) {
      assertHoldsOnly(store, 0, 300);
      assertTrue(store.health().lost().isEmpty());
      put(store, 300, 320);
    }
    try (Store store = Store.open(path)) {
      assertHoldsOnly(store, 0, 320);
      device(store, left / 2).faults().remove();
      assertHolds(store, 0, 320);
    }
  }

  /** Closed in order and opened: each leaf is where and what it was, with the range it had. */
  @Test
  void openFindsTheLeavesThatWereThere() {
    Path path = directory.resolve("s");
    List<String> before;
    try (Store store = Entries.open(path)) {
      put(store, 0, 1_000);
      before = described(store);
    }
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(path)) {
        assertHoldsOnly(store, 0, 1_000);
        assertEquals(before, described(store));
      }
    }
  }

  /** Bytes have no sign: where the first one of a key is above 0x7f, too. */
  @Test
  void openFindsLeavesOfKeysOfAnyBytes() {
    Path path = directory.resolve("s");
    int count = 3_000;
    for (int open = 0; open < 2; open++) {
      try (Store store = Entries.open(path)) {
        for (int i = 0; i < count; i++) {
          store.put(scattered(i), value(i % 300));
        }
      }
      try (Store store = Store.open(path)) {
        assertEquals(count, store.stats().entries());
        for (int i = 0; i < count; i++) {
          assertArrayEquals(value(i % 300), store.get(scattered(i)));
        }
      }
    }
  }

  private static byte[] scattered(int i) {
    int spread = i * 0x9E3779B1;
    return new byte[] {
      (byte) (spread >>> 24), (byte) (spread >>> 16), (byte) (spread >>> 8), (byte) spread
    };
  }

  private static List<String> described(Store store) {
    return store.owners(VolumeLayout.RECORDS_OFFSET, 1 << 30).stream()
        .filter(extent -> extent.key() != null)
        .map(extent -> extent.offset() + " " + extent.length())
        .toList();
  }
}
