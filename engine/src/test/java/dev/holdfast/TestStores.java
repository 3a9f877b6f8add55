package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** What tests of stores share: keys and values by number, and where their records lie. */
final class TestStores {
  static final int PAGE = FaultInjector.pageSize();

  private TestStores() {}

  static byte[] key(int i) {
    return String.format("key-%06d", i).getBytes(UTF_8);
  }

  static byte[] value(int i) {
    return value(i, 20 + i * 37 % 700);
  }

  /** A value that tells by each of its bytes whose it is. */
  static byte[] value(int i, int length) {
    byte[] bytes = new byte[length];
    for (int at = 0; at < length; at++) {
      bytes[at] = (byte) (i * 31 + at * 7 + (at >>> 8));
    }
    return bytes;
  }

  static void fill(RawMap map, int from, int to) {
    for (int i = from; i < to; i++) {
      map.put(key(i), value(i));
    }
  }

  static void assertHolds(Store store, int from, int to) {
    for (int i = from; i < to; i++) {
      assertArrayEquals(value(i), store.get(key(i)), "key " + i);
    }
  }

  static EmulatedDevice leg(Store store, int leg) {
    return (EmulatedDevice) store.devices().get(leg);
  }

  /** A place that no leg has had yet is as one that a leg has left. */
  static LegState state(Store store, int leg) {
    List<StoreHealth.Leg> legs = store.health().legs();
    return leg < legs.size() ? legs.get(leg).state() : LegState.DETACHED;
  }

  /** Where the record of a key lies. */
  static StoreExtent recordOf(Store store, byte[] key) {
    return extentOf(store, key, "record");
  }

  /** Where the large value of a key lies, of which there is one part. */
  static StoreExtent largeValueOf(Store store, byte[] key) {
    return extentOf(store, key, "large value");
  }

  private static StoreExtent extentOf(Store store, byte[] key, String what) {
    List<StoreExtent> found =
        records(store).stream()
            .filter(extent -> Arrays.equals(extent.key(), key) && extent.what().equals(what))
            .toList();
    assertEquals(1, found.size(), what + " of the key");
    return found.getFirst();
  }

  static List<StoreExtent> records(Store store) {
    return store.owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
        .filter(extent -> extent.key() != null)
        .toList();
  }

  /** The keys that have a part of their record in a range. */
  static Set<byte[]> keysIn(Store store, long offset, long length) {
    Set<byte[]> keys = keySet();
    for (StoreExtent extent : store.owners(offset, length)) {
      byte[] key = extent.key();
      if (key != null) {
        keys.add(key);
      }
    }
    return keys;
  }

  static Set<byte[]> keySet() {
    return new TreeSet<>(Arrays::compareUnsigned);
  }

  static Set<byte[]> keySet(Collection<byte[]> keys) {
    Set<byte[]> set = keySet();
    set.addAll(keys);
    return set;
  }

  /**
   * The keys by number that are lost and lie in a range that the store names as lost. Of keys that
   * nobody ever stored one in 2^18 is taken for each lost one.
   *
   * @param count how many keys there are
   */
  static Set<byte[]> lostKeys(Store store, int count) {
    Set<byte[]> keys = keySet();
    List<StoreHealth.Lost> lost = store.health().lost();
    for (int i = 0; i < count && !lost.isEmpty(); i++) {
      byte[] key = key(i);
      if (lost.stream().anyMatch(range -> covers(range, key)) && isLost(store, key)) {
        keys.add(key);
      }
    }
    return keys;
  }

  /** Of keys that were never stored hardly one looks like a lost one: 18 bits of their hashes. */
  static void assertAbsent(Store store, int from, int to) {
    int mistaken = 0;
    for (int i = from; i < to; i++) {
      try {
        assertNull(store.get(key(i)));
      } catch (DataLostException e) {
        mistaken++;
      }
    }
    assertTrue(mistaken <= 2, mistaken + " keys that were never stored count as lost");
  }

  private static boolean covers(StoreHealth.Lost lost, byte[] key) {
    byte[] low = lost.low();
    byte[] high = lost.high();
    return (low == null || Arrays.compareUnsigned(low, key) <= 0)
        && (high == null || Arrays.compareUnsigned(key, high) < 0);
  }

  private static boolean isLost(Store store, byte[] key) {
    try {
      byte[] _ = store.get(key);
      return false;
    } catch (DataLostException e) {
      return true;
    }
  }

  static void assertLost(Store store, byte[] key) {
    assertThrows(DataLostException.class, () -> store.get(key));
    assertThrows(DataLostException.class, () -> store.containsKey(key));
    assertThrows(DataLostException.class, () -> store.replace(key, key));
    assertThrows(DataLostException.class, () -> store.replace(key, key, key));
    assertThrows(DataLostException.class, () -> store.putIfAbsent(key, key));
    assertThrows(DataLostException.class, () -> store.read(key, value -> value.byteSize()));
  }

  /** Walks over everything; where a key was lost, goes on behind it. */
  static Scan scan(Store store, boolean reverse) {
    List<byte[]> keys = new ArrayList<>();
    List<byte[]> values = new ArrayList<>();
    int lost = 0;
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      while (true) {
        try {
          if (!cursor.next()) {
            return new Scan(keys, values, lost);
          }
          keys.add(cursor.key());
          values.add(cursor.value());
        } catch (DataLostException e) {
          lost++;
        }
      }
    }
  }

  record Scan(List<byte[]> keys, List<byte[]> values, int lost) {}

  /** Waits until no leg has a bad range any more. */
  static void awaitRepaired(Store store) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() ->
            store.health().legs().stream().allMatch(leg -> leg.badRanges().isEmpty())
                && store.devices().stream().allMatch(device -> device.badBlocks().isEmpty()));
  }

  static void awaitState(Store store, StoreState state) {
    await().atMost(Duration.ofSeconds(20)).until(() -> store.health().state() == state);
  }

  /** Copies the files of a store that is open: what a crash would leave at this moment. */
  static Path crashImage(Path store, Path to) {
    try (Stream<Path> files = Files.list(store)) {
      Files.createDirectories(to);
      for (Path file : files.toList()) {
        if (!file.getFileName().toString().equals("lock")) {
          Files.copy(file, to.resolve(file.getFileName()));
        }
      }
      return to;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static long seed(String test) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println(test + ": -Dseed=" + seed);
    return seed;
  }
}
