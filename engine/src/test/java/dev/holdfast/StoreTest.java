package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class StoreTest {
  @TempDir Path directory;

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  @Test
  void whatIsPutIsThereAfterAReopen() {
    try (Store store = Store.open(directory.resolve("s"))) {
      store.put(bytes("a"), bytes("1"));
      store.put(bytes("b"), new byte[0]);
      assertArrayEquals(bytes("1"), store.get(bytes("a")));
      assertArrayEquals(new byte[0], store.get(bytes("b")));
      assertNull(store.get(bytes("c")));
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertArrayEquals(bytes("1"), store.get(bytes("a")));
      assertArrayEquals(new byte[0], store.get(bytes("b")));
      assertNull(store.get(bytes("c")));
      assertEquals(2, store.stats().entries());
    }
  }

  @Test
  void conditionalWritesDoWhatTheySay() {
    try (Store store = Store.open(directory.resolve("s"))) {
      assertTrue(store.putIfAbsent(bytes("k"), bytes("1")));
      assertFalse(store.putIfAbsent(bytes("k"), bytes("2")));
      assertArrayEquals(bytes("1"), store.get(bytes("k")));
      assertFalse(store.replace(bytes("x"), bytes("1")));
      assertTrue(store.replace(bytes("k"), bytes("3")));
      assertFalse(store.replace(bytes("k"), bytes("1"), bytes("4")));
      assertTrue(store.replace(bytes("k"), bytes("3"), bytes("4")));
      assertArrayEquals(bytes("4"), store.get(bytes("k")));
      assertTrue(store.remove(bytes("k")));
      assertFalse(store.remove(bytes("k")));
      assertNull(store.get(bytes("k")));
    }
  }

  /** Random operations against a sorted map, with reopens in between; grows from a small store. */
  @Test
  void behavesAsASortedMapThroughReopens() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("behavesAsASortedMapThroughReopens: -Dseed=" + seed);
    Random random = new Random(seed);
    TreeMap<byte[], byte[]> model = new TreeMap<>(Arrays::compareUnsigned);
    for (int round = 0; round < 5; round++) {
      try (Store store = Store.builder(directory.resolve("s")).initialCapacity(2 << 20).open()) {
        assertSame(model, store);
        for (int i = 0; i < 2_000; i++) {
          byte[] key = bytes("k" + random.nextInt(500));
          byte[] value =
              new byte[random.nextInt(20) == 0 ? random.nextInt(50_000) : random.nextInt(200)];
          random.nextBytes(value);
          switch (random.nextInt(4)) {
            case 0 -> assertEquals(model.remove(key) != null, store.remove(key));
            case 1 ->
                assertEquals(model.putIfAbsent(key, value) == null, store.putIfAbsent(key, value));
            default -> {
              model.put(key, value);
              store.put(key, value);
            }
          }
          byte[] probe = bytes("k" + random.nextInt(500));
          assertArrayEquals(model.get(probe), store.get(probe));
        }
        assertSame(model, store);
      }
    }
  }

  static void assertSame(NavigableMap<byte[], byte[]> model, Store store) {
    List<byte[]> forward = new ArrayList<>();
    try (Cursor cursor = store.cursor(KeyRange.all())) {
      for (Map.Entry<byte[], byte[]> expected : model.entrySet()) {
        assertTrue(cursor.next());
        assertArrayEquals(expected.getKey(), cursor.key());
        assertArrayEquals(expected.getValue(), cursor.value());
        forward.add(cursor.key());
      }
      assertFalse(cursor.next());
    }
    try (Cursor cursor = store.reverseCursor(KeyRange.all())) {
      for (int i = forward.size() - 1; i >= 0; i--) {
        assertTrue(cursor.next());
        assertArrayEquals(forward.get(i), cursor.key());
      }
      assertFalse(cursor.next());
    }
    assertEquals(model.size(), store.stats().entries());
  }

  @Test
  void scanShowsWhatACursorDoes() {
    try (Store store = Store.open(directory.resolve("s"))) {
      Random random = new Random(1);
      for (int i = 0; i < 3_000; i++) {
        byte[] value = new byte[random.nextInt(50) == 0 ? 5_000 : random.nextInt(200)];
        random.nextBytes(value);
        store.put(TestStores.key(random.nextInt(2_000)), value);
        if (i % 5 == 0) {
          store.remove(TestStores.key(random.nextInt(2_000)));
        }
      }
      for (KeyRange range :
          List.of(
              KeyRange.all(),
              KeyRange.closedOpen(TestStores.key(300), TestStores.key(1_200)),
              KeyRange.atLeast(TestStores.key(700)))) {
        for (boolean reverse : new boolean[] {false, true}) {
          List<String> expected = new ArrayList<>();
          try (Cursor cursor = reverse ? store.reverseCursor(range) : store.cursor(range)) {
            while (cursor.next()) {
              expected.add(
                  text(cursor.key(), 0, cursor.key().length)
                      + "="
                      + Arrays.hashCode(cursor.value()));
            }
          }
          List<String> seen = new ArrayList<>();
          long shown =
              store.scan(
                  range,
                  reverse,
                  (keys, keyAt, keyLength, values, valueAt, valueLength) ->
                      seen.add(
                          text(keys, keyAt, keyLength)
                              + "="
                              + Arrays.hashCode(
                                  Arrays.copyOfRange(values, valueAt, valueAt + valueLength))));
          assertFalse(expected.isEmpty());
          assertEquals(expected, seen);
          assertEquals(expected.size(), shown);
        }
      }
      assertEquals(
          2,
          store.scan(
              KeyRange.all(),
              false,
              new EntryVisitor() {
                private int left = 2;

                @Override
                public boolean visit(
                    byte[] keys,
                    int keyAt,
                    int keyLength,
                    byte[] values,
                    int valueAt,
                    int valueLength) {
                  return --left > 0;
                }
              }));
    }
  }

  private static String text(byte[] bytes, int at, int length) {
    return new String(bytes, at, length, UTF_8);
  }
}
