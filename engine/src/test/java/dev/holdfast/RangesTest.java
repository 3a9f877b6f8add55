package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.StoreClosedException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ranges of all kinds, walks that jump, and neighbours of keys, against a map of the JDK. */
final class RangesTest {
  private static final int ENTRIES = 600;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private final NavigableMap<byte[], byte[]> model = new TreeMap<>(Arrays::compareUnsigned);
  private final Random random = new Random(7);
  private Store store;

  @BeforeEach
  void fill() {
    store = Store.open(directory.resolve("s"));
    for (int i = 0; i < ENTRIES; i++) {
      byte[] key = key();
      byte[] value = ByteBuffer.allocate(200).putInt(i).array();
      store.put(key, value);
      model.put(key, value);
    }
    for (int i = 0; i < ENTRIES / 4; i++) {
      byte[] key = key();
      assertEquals(model.remove(key) != null, store.remove(key));
    }
  }

  @AfterEach
  void close() {
    store.close();
  }

  /** Of 1 to 3 bytes, many with the same begin, high bytes among them. */
  private byte[] key() {
    byte[] key = new byte[1 + random.nextInt(3)];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) (random.nextInt(16) * 17);
    }
    return key;
  }

  private static byte @Nullable [] keyOf(Map.@Nullable Entry<byte[], byte[]> entry) {
    return entry == null ? null : entry.getKey();
  }

  private static void assertSame(Map.@Nullable Entry<byte[], byte[]> expected, @Nullable Entry is) {
    assertArrayEquals(keyOf(expected), is == null ? null : is.key());
    if (expected != null && is != null) {
      assertArrayEquals(expected.getValue(), is.value());
    }
  }

  /** What the JDK holds in a range, in order. */
  private List<byte[]> expected(KeyRange range) {
    return model.keySet().stream()
        .filter(key -> {
          byte[] from = range.from();
          byte[] to = range.to();
          int low = from == null ? 1 : Arrays.compareUnsigned(key, from);
          int high = to == null ? -1 : Arrays.compareUnsigned(key, to);
          return (low > 0 || (low == 0 && range.fromInclusive()))
              && (high < 0 || (high == 0 && range.toInclusive()));
        })
        .toList();
  }

  private static List<byte[]> keys(Stream<Entry> entries) {
    try (entries) {
      return entries.map(Entry::key).toList();
    }
  }

  private static void assertKeys(List<byte[]> expected, List<byte[]> actual, String what) {
    assertEquals(
        expected.stream().map(Arrays::toString).toList(),
        actual.stream().map(Arrays::toString).toList(),
        what);
  }

  private KeyRange range(byte[] a, byte[] b) {
    return switch (random.nextInt(9)) {
      case 0 -> KeyRange.all();
      case 1 -> KeyRange.atLeast(a);
      case 2 -> KeyRange.greaterThan(a);
      case 3 -> KeyRange.atMost(a);
      case 4 -> KeyRange.lessThan(a);
      case 5 -> KeyRange.closed(a, b);
      case 6 -> KeyRange.closedOpen(a, b);
      case 7 -> KeyRange.openClosed(a, b);
      default -> KeyRange.open(a, b);
    };
  }

  @Test
  void rangesOfAllKindsBothWays() {
    for (int i = 0; i < 2_000; i++) {
      KeyRange range = range(key(), key()); // Often one that ends before it begins.
      List<byte[]> expected = expected(range);
      assertKeys(expected, keys(store.stream(range)), "ascending " + i);
      assertKeys(expected.reversed(), keys(store.reverseStream(range)), "descending " + i);
      byte[] key = key();
      assertEquals(
          model.containsKey(key) && range.contains(key),
          expected.stream().anyMatch(each -> Arrays.equals(each, key)));
      assertTrue(!range.isEmpty() || expected.isEmpty());
      List<byte[]> shown = new ArrayList<>();
      long count =
          store.scan(
              range,
              false,
              (k, at, length, _, _, _) -> shown.add(Arrays.copyOfRange(k, at, at + length)));
      assertEquals(expected.size(), count);
      assertKeys(expected, shown, "shown " + i);
    }
  }

  @Test
  void streamsGoNoFurtherThanTheyAreAsked() {
    try (Stream<Entry> entries = store.stream(KeyRange.all()).limit(3)) {
      assertKeys(
          model.keySet().stream().limit(3).toList(), entries.map(Entry::key).toList(), "limit");
    }
    Stream<Entry> closed = store.stream(KeyRange.all());
    closed.close();
    assertThrows(IllegalStateException.class, () -> closed.findFirst());
  }

  @Test
  void aWalkJumpsAheadAndBack() {
    for (int i = 0; i < 300; i++) {
      KeyRange range = range(key(), key());
      boolean reverse = random.nextBoolean();
      NavigableMap<byte[], byte[]> in = new TreeMap<>(Arrays::compareUnsigned);
      expected(range).forEach(key -> in.put(key, new byte[0]));
      NavigableMap<byte[], byte[]> way = reverse ? in.descendingMap() : in;
      try (Cursor cursor = reverse ? store.reverseCursor(range) : store.cursor(range)) {
        byte[] at = way.isEmpty() ? null : way.firstKey();
        for (int step = 0; step < 40; step++) {
          if (random.nextInt(3) == 0) {
            byte[] to = key();
            cursor.seek(to);
            assertThrows(IllegalStateException.class, cursor::key, "there is no entry yet");
            at = way.ceilingKey(to);
          }
          assertEquals(at != null, cursor.next());
          if (at != null) {
            assertArrayEquals(at, cursor.key());
            at = way.higherKey(at);
          }
        }
      }
    }
  }

  @Test
  void aClosedCursorDoesNotJump() {
    Cursor cursor = store.cursor(KeyRange.all());
    cursor.close();
    assertThrows(StoreClosedException.class, () -> cursor.seek(key()));
  }

  @Test
  void neighboursOfKeys() {
    try (Snapshot snapshot = store.snapshot()) {
      for (ReadableMap map : List.of(store, snapshot)) {
        assertSame(model.firstEntry(), map.first());
        assertSame(model.lastEntry(), map.last());
        for (int i = 0; i < 1_000; i++) {
          byte[] key = key();
          assertSame(model.floorEntry(key), map.floor(key));
          assertSame(model.ceilingEntry(key), map.ceiling(key));
          assertSame(model.lowerEntry(key), map.lower(key));
          assertSame(model.higherEntry(key), map.higher(key));
        }
      }
      Entry first = store.first();
      assertTrue(first != null && store.remove(first.key()));
      assertSame(model.firstEntry(), snapshot.first());
      assertSame(model.higherEntry(model.firstKey()), store.first());
    }
  }

  @Test
  void aStoreWithNothingInIt() {
    try (Store empty = Store.open(directory.resolve("empty"))) {
      assertNull(empty.first());
      assertNull(empty.last());
      assertNull(empty.floor(key()));
      assertNull(empty.higher(key()));
      assertEquals(List.of(), keys(empty.stream(KeyRange.all())));
      assertFalse(KeyRange.all().isEmpty());
    }
  }

  /** Which one is next to a key is not known where an entry beside it is lost. */
  @Test
  void aLostNeighbourIsToldAndNotSkipped() {
    try (Store single =
        Store.builder(directory.resolve("one"))
            .single()
            .scrubEvery(java.time.Duration.ZERO)
            .open()) {
      for (int i = 0; i < 100; i++) {
        single.put(TestStores.key(i), TestStores.value(i));
      }
      StoreExtent record = TestStores.recordOf(single, TestStores.key(40));
      TestStores.leg(single, 0).faults().flipBit(record.offset() + 20, 3);
      byte[] lost = TestStores.key(40);
      assertThrows(DataLostException.class, () -> single.ceiling(lost));
      assertThrows(DataLostException.class, () -> single.floor(lost));
      assertThrows(DataLostException.class, () -> single.higher(TestStores.key(39)));
      assertThrows(DataLostException.class, () -> single.lower(TestStores.key(41)));
      single.put(lost, TestStores.value(1));
      Entry healed = single.ceiling(lost);
      assertArrayEquals(lost, healed == null ? null : healed.key());
    }
  }
}
