package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.device;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.health.HealthEvent;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** T5: walks go from leaf to leaf in the order of the keys; they copy a leaf, verify, hand out. */
final class T5OrderIndexTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private static byte[] key(int i) {
    return "%05d".formatted(i).getBytes(US_ASCII);
  }

  private static byte[] value(int i) {
    return ("value of " + i + "-".repeat(i % 200)).getBytes(US_ASCII);
  }

  private static Cursor walk(Store store, KeyRange range, boolean reverse) {
    return reverse ? store.reverseCursor(range) : store.cursor(range);
  }

  /** Ranges of every kind, in both directions, in a tree of many leaves, against a map. */
  @Test
  void walksGiveWhatAMapGives() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("walksGiveWhatAMapGives: -Dseed=" + seed);
    Random random = new Random(seed);
    TreeMap<Integer, byte[]> model = new TreeMap<>();
    try (Store store = Entries.open(directory.resolve("s"))) {
      for (int change = 0; change < 4_000; change++) {
        int i = random.nextInt(3_000);
        if (random.nextInt(4) == 0) {
          assertEquals(model.remove(i) != null, store.remove(key(i)));
        } else {
          store.put(key(i), value(i));
          model.put(i, value(i));
        }
      }
      for (int round = 0; round < 300; round++) {
        int from = random.nextInt(3_000);
        int to = from + random.nextInt(300);
        boolean fromInclusive = random.nextBoolean();
        boolean toInclusive = random.nextBoolean();
        boolean reverse = random.nextBoolean();
        var expected = model.subMap(from, fromInclusive || from == to, to, toInclusive);
        var entries = reverse ? expected.descendingMap() : expected;
        KeyRange range = new KeyRange(key(from), fromInclusive || from == to, key(to), toInclusive);
        try (Cursor cursor = walk(store, range, reverse)) {
          for (var entry : entries.entrySet()) {
            assertTrue(cursor.next());
            assertArrayEquals(key(entry.getKey()), cursor.key());
            assertArrayEquals(entry.getValue(), cursor.value());
          }
          assertTrue(!cursor.next());
        }
      }
    }
  }

  /** Every other key is there all the time; around them leaves are split and written anew. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void walkSeesWhatIsThereAllTheTimeWhateverIsSplit(boolean reverse) throws Exception {
    int keys = 2_000;
    try (Store store = Entries.open(directory.resolve("s"))) {
      for (int i = 0; i < keys; i += 2) {
        store.put(key(i), value(i));
      }
      AtomicBoolean stop = new AtomicBoolean();
      AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  Random random = new Random(1);
                  while (!stop.get()) {
                    int i = random.nextInt(keys / 2) * 2 + 1;
                    if (random.nextInt(3) == 0) {
                      boolean _ = store.remove(key(i));
                    } else {
                      store.put(key(i), new byte[random.nextInt(1_400)]);
                    }
                    store.put(key(i - 1), value(i - 1));
                  }
                } catch (Throwable e) {
                  failed.set(e);
                }
              });
      for (int round = 0; round < 60; round++) {
        int next = reverse ? keys - 2 : 0;
        byte[] before = null;
        try (Cursor cursor = walk(store, KeyRange.all(), reverse)) {
          while (cursor.next()) {
            byte[] key = cursor.key();
            int order = before == null ? 0 : Arrays.compareUnsigned(before, key);
            assertTrue(before == null || (reverse ? order > 0 : order < 0), "in order, once");
            before = key;
            int i = Integer.parseInt(new String(key, US_ASCII));
            if (i % 2 == 0) {
              assertEquals(next, i, "one that was there all the time");
              assertArrayEquals(value(i), cursor.value());
              next += reverse ? -2 : 2;
            }
          }
        }
        assertEquals(reverse ? -2 : keys, next);
      }
      stop.set(true);
      writer.join();
      assertEquals(null, failed.get());
    }
  }

  /** What a walk has come to is a copy: nothing that happens to the device changes it. */
  @Test
  void walkHandsOutCopies() {
    try (Store store = Entries.open(directory.resolve("s"))) {
      for (int i = 0; i < 200; i++) {
        store.put(key(i), value(i));
      }
      Cursor cursor = store.cursor(KeyRange.atLeast(key(100)));
      assertTrue(cursor.next());
      byte[] key = cursor.key();
      byte[] value = cursor.value();
      key[0] ^= 1;
      value[0] ^= 1;
      assertArrayEquals(value(100), cursor.value(), "the caller's copy is his own");
      store.put(key(100), new byte[1]);
      assertArrayEquals(value(100), cursor.value());
      device(store, 0).faults().remove();
      device(store, 1).faults().remove();
      assertArrayEquals(key(100), cursor.key());
      assertArrayEquals(value(100), cursor.value());
      assertThrows(DeviceOfflineException.class, cursor::next, "all reads fail alike");
      cursor.close();
    }
  }

  /** Each bit of a record, in either direction: right from the other leg, and never wrong. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void walkVerifiesWhatItHandsOut(int legs) {
    Events events = new Events();
    var builder = Store.builder(directory.resolve("s")).initialCapacity(2 << 20).listener(events);
    try (Store store = (legs == 1 ? builder.single() : builder).open()) {
      for (int i = 0; i < 200; i++) {
        store.put(key(i), value(i));
      }
      for (int at = 0; at < 30; at++) {
        int victim = 100 + at;
        StoreExtent record = Entries.extent(store, key(victim));
        device(store, 0).faults().flipBit(record.offset() + at, at % 8);
        int seen = 0;
        int lost = 0;
        try (Cursor cursor = walk(store, KeyRange.all(), at % 2 == 0)) {
          while (true) {
            try {
              if (!cursor.next()) {
                break;
              }
              int i = Integer.parseInt(new String(cursor.key(), US_ASCII));
              assertArrayEquals(value(i), cursor.value());
              seen++;
            } catch (DataLostException e) {
              lost++;
            }
          }
        }
        assertEquals(legs == 1 ? 199 - at : 200, seen, "flipped in byte " + at);
        assertEquals(legs == 1, lost > 0);
      }
      for (int i = 0; i < 200; i++) {
        int each = i;
        if (legs == 1 && i >= 100 && i < 130) {
          assertThrows(DataLostException.class, () -> store.get(key(each)));
        } else {
          assertArrayEquals(value(i), store.get(key(i)));
        }
      }
      if (legs == 2) {
        // What a walk reads from elsewhere is mended by who reads or scrubs it.
        await().until(() -> events.contains(HealthEvent.Kind.RANGE_REPAIRED, 0));
        assertTrue(store.health().lost().isEmpty());
      }
    }
  }
}
