package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.DataLostException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.DeviceLeaves;
import dev.holdfast.tree.DeviceLeaves.Leaf;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * T3: what does not validate below the durable tail is damage, zeros included, and never quietly an
 * older version; above it what is invalid is the torn end, unless something valid follows.
 */
final class T3DamageTest {
  private static final byte[] KEY = "key-5x".getBytes(US_ASCII);
  private static final byte[] FORMER = "former".getBytes(US_ASCII);
  private static final byte[] VALUE = "latest".getBytes(US_ASCII);

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder builder(int legs) {
    StoreBuilder builder = Store.builder(path()).initialCapacity(2 << 20);
    return legs == 1 ? builder.single() : builder;
  }

  /** Ten entries, then a key in two versions; where its latest record is. */
  private static StoreExtent twoVersions(Store store) {
    put(store, 0, 10);
    store.put(KEY, FORMER);
    store.put(KEY, VALUE);
    return extent(store, KEY);
  }

  private static void overwrite(Path store, int legs, StoreExtent record, byte fill) {
    for (int leg = 0; leg < legs; leg++) {
      try (EmulatedDevice device = device(store, leg)) {
        byte[] bytes = new byte[(int) record.length()];
        Arrays.fill(bytes, fill);
        device.faults().misdirectedWrite(record.offset(), bytes);
      }
    }
  }

  private static void assertLatestIsLost(Store store) {
    assertThrows(DataLostException.class, () -> store.get(KEY));
    assertThrows(DataLostException.class, () -> store.containsKey(KEY));
    assertThrows(DataLostException.class, () -> store.replace(KEY, FORMER, VALUE));
    assertThrows(DataLostException.class, () -> store.putIfAbsent(KEY, FORMER));
    for (boolean reverse : new boolean[] {false, true}) {
      assertTrue(lossesOnTheWay(store, reverse, null) > 0, "a walk tells of it");
    }
    for (int i = 0; i < 10; i++) {
      try {
        // What was appended in front of the damage may have been overwritten there.
        assertArrayEquals(value(i), store.get(key(i)));
      } catch (DataLostException e) {
        assertNotNull(e.getMessage());
      }
    }
  }

  /** Walks over everything; of {@code KEY} it may find one value only. */
  private static int lossesOnTheWay(Store store, boolean reverse, byte @Nullable [] value) {
    int losses = 0;
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      while (true) {
        try {
          if (!cursor.next()) {
            return losses;
          }
          if (Arrays.equals(KEY, cursor.key())) {
            assertArrayEquals(value, cursor.value());
          }
        } catch (DataLostException e) {
          losses++;
        }
      }
    }
  }

  /** Closed in order, and then the last record of the leaf is gone: only the tail knows of it. */
  @ParameterizedTest
  @CsvSource({"1, 0", "1, -1", "2, 0", "2, 77"})
  void whatIsInvalidBelowTheTailOfAStoreThatWasClosedIsLost(int legs, byte fill) {
    StoreExtent record;
    try (Store store = builder(legs).open()) {
      record = twoVersions(store);
      assertEquals(
          record.offset(),
          DeviceLeaves.of(device(store, 0), KEY).records().getLast().offset(),
          "nothing follows it");
    }
    overwrite(path(), legs, record, fill);
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(path())) {
        assertLatestIsLost(store);
      }
    }
    try (Store store = Store.open(path())) {
      store.put(KEY, VALUE);
      put(store, 0, 10);
      assertArrayEquals(VALUE, store.get(KEY));
    }
    try (Store store = Store.open(path())) {
      assertArrayEquals(VALUE, store.get(KEY));
      assertHolds(store, 0, 10);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void whatOneLegLacksBelowTheTailComesFromTheOther(int lacking) {
    StoreExtent record;
    try (Store store = builder(2).open()) {
      record = twoVersions(store);
    }
    try (EmulatedDevice device = device(path(), lacking)) {
      device.faults().misdirectedWrite(record.offset(), new byte[(int) record.length()]);
    }
    try (Store store = Store.open(path())) {
      assertArrayEquals(VALUE, store.get(KEY));
      assertHolds(store, 0, 10);
      assertTrue(store.health().lost().isEmpty());
      assertEquals(11, store.stats().entries());
      if (lacking == 0) {
        // What was read and found wrong is made right.
        await()
            .until(() -> {
              byte[] bytes = new byte[(int) record.length()];
              device(store, 0).read(record.offset(), bytes, 0, bytes.length);
              return !Arrays.equals(bytes, new byte[bytes.length]);
            });
        await().until(() -> store.health().state() == StoreState.ONLINE);
        device(store, 1).faults().remove();
        assertArrayEquals(VALUE, store.get(KEY));
      }
    }
  }

  /** A leg whose table says less than the other's; the record is on neither. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void highestTailOfAllLegsCounts(int behind) {
    List<StoreExtent> table = new ArrayList<>();
    List<byte[]> former = new ArrayList<>();
    try (Store store = builder(2).open()) {
      put(store, 0, 10);
      store.put(KEY, FORMER);
      store.owners(VolumeLayout.RECORDS_OFFSET, 1 << 30).stream()
          .filter(extent -> extent.key() == null)
          .forEach(table::add);
    }
    assertTrue(!table.isEmpty());
    try (EmulatedDevice device = device(path(), behind)) {
      for (StoreExtent extent : table) {
        byte[] bytes = new byte[(int) extent.length()];
        device.read(extent.offset(), bytes, 0, bytes.length);
        former.add(bytes);
      }
    }
    StoreExtent record;
    try (Store store = Store.open(path())) {
      store.put(KEY, VALUE);
      record = extent(store, KEY);
    }
    try (EmulatedDevice device = device(path(), behind)) {
      for (int i = 0; i < table.size(); i++) {
        device.faults().misdirectedWrite(table.get(i).offset(), former.get(i));
      }
    }
    overwrite(path(), 2, record, (byte) 0);
    try (Store store = Store.open(path())) {
      assertLatestIsLost(store);
    }
  }

  /** Behind the tail of a crashed store: the last record did not come through on any leg. */
  @ParameterizedTest
  @CsvSource({"1, 0", "1, 13", "2, 0", "2, 13"})
  void invalidRecordBehindWhichNothingIsValidIsTheTornEnd(int legs, byte fill) throws Exception {
    Path image = directory.resolve("image");
    Path again = directory.resolve("again");
    StoreExtent record;
    try (Store store = builder(legs).open()) {
      record = twoVersions(store);
      CrashImage.of(path(), image);
    }
    overwrite(image, legs, record, fill);
    try (Store store = Store.open(image)) {
      assertArrayEquals(FORMER, store.get(KEY), "as if it had not been written");
      assertTrue(store.health().lost().isEmpty());
      assertHolds(store, 0, 10);
      for (int leg = 0; leg < legs; leg++) {
        Leaf leaf = DeviceLeaves.of(device(store, leg), KEY);
        byte[] rest = Arrays.copyOfRange(leaf.bytes(), leaf.tail(), leaf.bytes().length);
        assertArrayEquals(new byte[rest.length], rest, "cut, to the end of the leaf");
      }
      store.put(KEY, VALUE);
      assertEquals(record.offset(), extent(store, KEY).offset(), "it goes on where it was cut");
      CrashImage.of(image, again);
    }
    try (Store store = Store.open(again)) {
      assertArrayEquals(VALUE, store.get(KEY));
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Records were stored in order: where a later one came through, an earlier one had, too. */
  @ParameterizedTest
  @CsvSource({"1, 0", "1, 13", "2, 0", "2, 13"})
  void invalidRecordBehindWhichOneIsValidIsDamage(int legs, byte fill) throws Exception {
    Path image = directory.resolve("image");
    StoreExtent record;
    try (Store store = builder(legs).open()) {
      record = twoVersions(store);
      put(store, 9, 10);
      CrashImage.of(path(), image);
    }
    overwrite(image, legs, record, fill);
    for (int open = 0; open < 2; open++) {
      try (Store store = Store.open(image)) {
        assertLatestIsLost(store);
        assertHolds(store, 9, 10); // behind the damage
      }
    }
  }

  /** Where pages come to the medium in any order, the same is the torn end. */
  @Test
  void inFileModeInvalidBytesBehindTheTailAreTheTornEnd() throws Exception {
    Path image = directory.resolve("image");
    StoreExtent record;
    try (Store store = builder(1).persistence(PersistenceMode.FILE).open()) {
      record = twoVersions(store);
      store.put("key-last".getBytes(US_ASCII), VALUE);
      CrashImage.of(path(), image);
    }
    overwrite(image, 1, record, (byte) 13);
    try (Store store = Store.builder(image).persistence(PersistenceMode.FILE).open()) {
      assertArrayEquals(FORMER, store.get(KEY));
      assertNull(store.get("key-last".getBytes(US_ASCII)));
      assertTrue(store.health().lost().isEmpty());
      assertHolds(store, 0, 10);
    }
  }

  /** Of a running store: the page of the latest version is gone, that of the former one is not. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void whatWasOverwrittenDoesNotComeBackWhereThePageOfTheLatestIsLost(int legs) {
    try (Store store = builder(legs).open()) {
      put(store, 0, 10);
      for (int loss = 0; loss < 3; loss++) {
        StoreExtent former;
        StoreExtent latest;
        do {
          store.put(KEY, FORMER);
          former = extent(store, KEY);
          // What was named as lost before stands, and its leaf has been written anew.
          store.put("key-5w".getBytes(US_ASCII), new byte[1_500]);
          store.put(("key-5y" + loss).getBytes(US_ASCII), new byte[1_500]);
          store.put("key-5z".getBytes(US_ASCII), new byte[1_500]);
          store.put(KEY, VALUE);
          latest = extent(store, KEY);
        } while (former.offset() / 4096 == latest.offset() / 4096
            || latest.offset() / 4096 != (latest.offset() + latest.length() - 1) / 4096);
        for (int leg = 0; leg < legs; leg++) {
          device(store, leg).faults().notifyNever();
          device(store, leg).faults().failClears(1_000);
        }
        for (int leg = 0; leg < legs; leg++) {
          device(store, leg).faults().poison(latest.offset(), 1);
        }
        assertTrue(lossesOnTheWay(store, loss % 2 == 0, null) > 0);
        assertThrows(DataLostException.class, () -> store.get(KEY));
        for (int leg = 0; leg < legs; leg++) {
          device(store, leg).faults().failClears(0);
        }
      }
    }
    try (Store store = Store.open(path())) {
      assertThrows(DataLostException.class, () -> store.get(KEY));
      assertTrue(lossesOnTheWay(store, false, null) > 0);
    }
  }
}
