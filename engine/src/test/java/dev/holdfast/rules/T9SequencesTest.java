package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.tree.DeviceLeaves;
import dev.holdfast.tree.DeviceLeaves.Appended;
import dev.holdfast.tree.DeviceLeaves.Leaf;
import dev.holdfast.volume.LegMarks;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * T9: one counter for all records, of which no number is given twice, whatever happens to the
 * process; of two records of a key the one with the higher number counts.
 */
final class T9SequencesTest {
  private static final byte[] KEY = "key-5x".getBytes(US_ASCII);
  private static final byte[] FORMER = "former".getBytes(US_ASCII);
  private static final byte[] VALUE = "latest".getBytes(US_ASCII);

  @TempDir(factory = FastPlace.class)
  Path directory;

  /** The highest number of a record or a generation that lies on any leg. */
  private static long highest(Store store) {
    long highest = 0;
    for (int leg = 0; leg < 2; leg++) {
      for (Leaf leaf : DeviceLeaves.on(device(store, leg))) {
        highest = Math.max(highest, leaf.generation());
        for (Appended record : leaf.records()) {
          highest = Math.max(highest, record.sequence());
        }
      }
    }
    return highest;
  }

  private static long sequenceOf(Store store, byte[] key) {
    return DeviceLeaves.of(device(store, 0), key).records().stream()
        .filter(record -> java.util.Arrays.equals(record.key(), key))
        .mapToLong(Appended::sequence)
        .max()
        .orElseThrow();
  }

  @Test
  void laterRecordsHaveHigherNumbersInAllLeaves() {
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 300);
      long before = 0;
      for (int i = 0; i < 50; i++) {
        byte[] key = key(i * 37 % 300);
        store.put(key, VALUE);
        long now = sequenceOf(store, key);
        assertTrue(now > before, "key " + i);
        before = now;
      }
    }
  }

  /** Closed in order or killed, again and again: what comes later is above what was before. */
  @Test
  void numbersGoOnBehindCloseAndKill() throws Exception {
    Path path = directory.resolve("s0");
    long before = 0;
    for (int open = 1; open <= 8; open++) {
      Path image = directory.resolve("s" + open);
      boolean killed = open % 3 != 0;
      try (Store store = Entries.open(path)) {
        store.put(KEY, VALUE);
        long now = sequenceOf(store, KEY);
        assertTrue(now > before, "open " + open);
        put(store, 0, 60); // leaves that are written anew take numbers, too
        before = highest(store);
        if (killed) {
          CrashImage.of(path, image);
        }
      }
      path = killed ? image : path;
      if (!killed) {
        CrashImage.of(path, image);
        path = image;
      }
    }
  }

  /** What a put took that failed half-way is not given again, and never comes to light. */
  @Test
  void numberOfAPutThatFailedIsVoid() throws Exception {
    Path image = directory.resolve("image");
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 10);
      store.put(KEY, FORMER);
      MemorySegment gone;
      try (Arena arena = Arena.ofConfined()) {
        gone = arena.allocate(700);
      }
      for (int i = 0; i < 3; i++) {
        assertThrows(
            IllegalStateException.class, () -> store.put(MemorySegment.ofArray(KEY), gone));
        assertArrayEquals(FORMER, store.get(KEY));
      }
      CrashImage.of(directory.resolve("s"), image);
      put(store, 3, 4);
      assertArrayEquals(FORMER, store.get(KEY));
    }
    try (Store store = Store.open(image)) {
      assertArrayEquals(FORMER, store.get(KEY));
      assertHolds(store, 0, 10);
      long before = highest(store);
      store.put(KEY, VALUE);
      assertTrue(sequenceOf(store, KEY) > before);
    }
  }

  /**
   * Two records of a key that were appended in the order of their numbers, or in the other one, as
   * a batch may: behind an open, in a walk, and when the leaf is written anew, the higher counts.
   */
  @ParameterizedTest
  @CsvSource({"1, 2, VALUE", "2, 1, VALUE", "1, 2, TOMBSTONE", "2, 1, TOMBSTONE"})
  void higherNumberCountsWhateverTheOrderOfAppends(int first, int second, String newest)
      throws Exception {
    Path image = directory.resolve("image");
    long base;
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 10);
      store.put(KEY, "oldest".getBytes(US_ASCII));
      base = highest(store);
      CrashImage.of(directory.resolve("s"), image);
    }
    byte[] wins = newest.equals("VALUE") ? VALUE : new byte[0];
    for (int leg = 0; leg < 2; leg++) {
      try (EmulatedDevice device = device(image, leg)) {
        Leaf leaf = DeviceLeaves.of(device, KEY);
        long secret = LegMarks.secret(device);
        long at = leaf.offset() + leaf.tail();
        for (int number : List.of(first, second)) {
          byte[] record =
              DeviceLeaves.record(
                  secret, leaf, at, KEY, number == 2 ? wins : FORMER, base + number);
          device.faults().misdirectedWrite(at, record);
          at += record.length;
        }
      }
    }
    byte[] expected = newest.equals("VALUE") ? VALUE : null;
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(image)) {
        assertArrayEquals(expected, store.get(KEY));
        assertEquals(expected == null ? 10 : 11, store.stats().entries());
        Set<String> walked = new HashSet<>();
        try (Cursor cursor = store.cursor(KeyRange.all())) {
          while (cursor.next()) {
            assertTrue(walked.add(new String(cursor.key(), US_ASCII)));
            if (java.util.Arrays.equals(KEY, cursor.key())) {
              assertArrayEquals(expected, cursor.value());
            }
          }
        }
        assertEquals(expected == null ? 10 : 11, walked.size());
        long before = DeviceLeaves.of(device(store, 0), key(3)).generation();
        while (DeviceLeaves.of(device(store, 0), key(3)).generation() == before) {
          store.put(key(3), new byte[800]);
        }
        put(store, 3, 4);
        assertArrayEquals(expected, store.get(KEY), "written anew");
        assertHolds(store, 0, 10);
      }
    }
  }
}
