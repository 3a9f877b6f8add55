package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bytes that can be read and are not what was written: never a wrong value. */
final class WrongBytesTest {
  private static final int KEYS = 200;

  /** What lies in front of the volume in the file of a device. */
  private static final long LABEL = 64 << 10;

  private static final byte[] KEY = key(KEYS);
  private static final byte[] VALUE = value(KEYS, 90);

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private static byte[] bytesOf(EmulatedDevice device, long offset, int length) {
    byte[] bytes = new byte[length];
    device.read(offset, bytes, 0, length);
    return bytes;
  }

  /** Waits until a range of leg 0 is what it is on leg 1. */
  private static void awaitSame(Store store, long offset, int length) {
    await()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .until(() ->
            Arrays.equals(
                bytesOf(leg(store, 0), offset, length), bytesOf(leg(store, 1), offset, length)));
  }

  @Test
  void eachFlippedBitOfARecordOnOneLegIsRepairedFromTheOther() {
    try (Store store = store().open()) {
      fill(store, 0, 10);
      store.put(KEY, VALUE);
      StoreExtent record = recordOf(store, KEY);
      // All that is used; what rounds the record up to whole granules belongs to nobody.
      int used = 16 + 1 + KEY.length + VALUE.length;
      for (int at = 0; at < used; at++) {
        leg(store, 0).faults().flipBit(record.offset() + at, at % 8);
        assertArrayEquals(VALUE, store.get(KEY), "bit flipped in byte " + at);
        awaitSame(store, record.offset(), used);
      }
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(store.health().lost().isEmpty());
      leg(store, 1).faults().remove();
      assertArrayEquals(VALUE, store.get(KEY));
      assertHolds(store, 0, 10);
    }
  }

  @Test
  void eachFlippedBitOfARecordOnASingleLegLosesItAndNeverShowsAWrongValue() {
    long seed = seed("eachFlippedBitOfARecordOnASingleLegLosesItAndNeverShowsAWrongValue");
    Random random = new Random(seed);
    try (Store store = store().single().open()) {
      fill(store, 0, 10);
      int used = 16 + 1 + KEY.length + VALUE.length;
      for (int at = 0; at < used; at++) {
        store.put(KEY, VALUE);
        StoreExtent record = recordOf(store, KEY);
        leg(store, 0).faults().flipBit(record.offset() + at, random.nextInt(8));
        assertThrows(DataLostException.class, () -> store.get(KEY), "bit flipped in byte " + at);
        assertThrows(DataLostException.class, () -> store.get(KEY));
        assertEquals(1, store.health().lost().size());
      }
      assertHolds(store, 0, 10);
      store.put(KEY, VALUE);
      assertArrayEquals(VALUE, store.get(KEY));
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Whatever bit is flipped while the store is closed, by whatever way it was closed. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aBitFlippedInAClosedMirrorIsNoticed(boolean crashed) throws IOException {
    Path image = directory.resolve("s");
    long offset;
    try (Store store = store().open()) {
      fill(store, 0, 10);
      store.put(KEY, VALUE);
      offset = recordOf(store, KEY).offset();
      if (crashed) {
        image = crashImage(image, directory.resolve("crashed"));
      }
    }
    int used = 16 + 1 + KEY.length + VALUE.length;
    for (int at = 0; at < used; at += 7) {
      flip(image.resolve("leg-0.pmem"), LABEL + offset + at, at % 8);
      try (Store store = Store.open(image)) {
        assertArrayEquals(VALUE, store.get(KEY), "bit flipped in byte " + at);
        assertEquals(11, store.stats().entries());
        awaitSame(store, offset, used);
      }
    }
  }

  private static void flip(Path file, long at, int bit) throws IOException {
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(at);
      int old = f.read();
      f.seek(at);
      f.write(old ^ 1 << bit);
    }
  }

  /** One leg loses all writes for a while: what it shows then is old, and validates. */
  @Test
  void lostWritesOfOneLegAreNoticedAndRepaired() {
    long seed = seed("lostWritesOfOneLegAreNoticedAndRepaired");
    Random random = new Random(seed);
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      for (int round = 0; round < 20; round++) {
        int length = (int) (leg(store, 0).capacity() - (1 << 20));
        FaultInjector.StaleRange stale = leg(store, 0).faults().remember(1 << 20, length);
        for (int i = 0; i < 50; i++) {
          int k = random.nextInt(KEYS);
          if (random.nextInt(4) == 0) {
            store.remove(key(k));
          }
          store.put(key(k), value(k));
        }
        stale.restore();
        assertHolds(store, 0, KEYS);
        for (StoreExtent record : TestStores.records(store)) {
          awaitSame(store, record.offset(), 48 + KEY.length);
        }
      }
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
    }
  }

  /** One leg loses the writes to one place, and then the process dies. */
  @Test
  void lostWritesToAPlaceOfOneLegAreNoticedAfterACrash() {
    long seed = seed("lostWritesToAPlaceOfOneLegAreNoticedAfterACrash");
    Random random = new Random(seed);
    for (int round = 0; round < 12; round++) {
      Path image = directory.resolve("crashed-" + round);
      boolean[] there = new boolean[KEYS];
      try (Store store =
          Store.builder(directory.resolve("s-" + round)).initialCapacity(4 << 20).open()) {
        fill(store, 0, KEYS);
        Arrays.fill(there, true);
        for (int i = 0; i < 100; i++) {
          int k = random.nextInt(KEYS);
          StoreExtent place = there[k] ? recordOf(store, key(k)) : null;
          EmulatedDevice unlucky = leg(store, random.nextInt(2));
          FaultInjector.StaleRange stale =
              place == null
                  ? null
                  : unlucky.faults().remember(place.offset(), (int) place.length());
          if (random.nextInt(3) == 0) {
            store.remove(key(k));
            there[k] = false;
          } else {
            store.put(key(k), value(k + 1));
            store.put(key(k), value(k));
            there[k] = true;
          }
          if (i == 99 && stale != null) {
            // Whatever was stored there since, the record of another key even.
            stale.restore();
          }
        }
        crashImage(directory.resolve("s-" + round), image);
      }
      try (Store store = Store.open(image)) {
        for (int i = 0; i < KEYS; i++) {
          byte[] value = store.get(key(i));
          if (there[i]) {
            assertArrayEquals(value(i), value, "key " + i);
          } else {
            assertNull(value, "key " + i);
          }
        }
      }
    }
  }

  @Test
  void aLostWriteOnASingleLegIsLostAndNotOld() {
    try (Store store = store().single().open()) {
      fill(store, 0, 10);
      store.put(KEY, value(1));
      int length = (int) (leg(store, 0).capacity() - (1 << 20));
      FaultInjector.StaleRange stale = leg(store, 0).faults().remember(1 << 20, length);
      store.put(KEY, VALUE);
      stale.restore();
      assertThrows(DataLostException.class, () -> store.get(KEY));
      assertHolds(store, 0, 10);
      store.put(KEY, VALUE);
      assertArrayEquals(VALUE, store.get(KEY));
    }
  }

  /** A write that went to another place carries a checksum of the place it was meant for. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aMisdirectedWriteIsNeverTakenForARecord(int legs) {
    StoreBuilder builder = legs == 1 ? store().single() : store();
    byte[] other = key(KEYS + 1);
    Path image = directory.resolve("crashed");
    try (Store store = builder.open()) {
      fill(store, 0, 10);
      store.put(KEY, VALUE);
      store.put(other, value(7, 90));
      StoreExtent from = recordOf(store, KEY);
      StoreExtent to = recordOf(store, other);
      assertEquals(from.length(), to.length());
      byte[] bytes = bytesOf(leg(store, 0), from.offset(), (int) from.length());
      leg(store, 0).faults().misdirectedWrite(to.offset(), bytes);
      // And once more where nothing lives.
      leg(store, 0).faults().misdirectedWrite((4 << 20) - from.length(), bytes);
      crashImage(directory.resolve("s"), image);
      assertArrayEquals(VALUE, store.get(KEY));
      if (legs == 1) {
        assertThrows(DataLostException.class, () -> store.get(other));
      } else {
        assertArrayEquals(value(7, 90), store.get(other));
        awaitSame(store, to.offset(), (int) to.length());
        leg(store, 1).faults().remove();
        assertArrayEquals(value(7, 90), store.get(other));
      }
    }
    try (Store store = Store.open(image)) {
      assertArrayEquals(VALUE, store.get(KEY));
      assertHolds(store, 0, 10);
      if (legs == 2) {
        assertArrayEquals(value(7, 90), store.get(other));
        awaitState(store, StoreState.ONLINE);
      }
    }
  }

  /** A put that failed leaves a freed place; a record that is stored there later stands. */
  @Test
  void aPlaceThatAFailedPutLeftBehindDoesNotTakeALaterRecordAway() {
    Path image = directory.resolve("crashed");
    try (Store store = store().open()) {
      fill(store, 0, 10);
      java.lang.foreign.MemorySegment gone = TruncatedFile.mapped(directory, VALUE.length);
      assertThrows(
          dev.holdfast.error.HoldfastException.class,
          () -> store.put(java.lang.foreign.MemorySegment.ofArray(KEY), gone));
      int length = (int) (leg(store, 0).capacity() - (1 << 20));
      FaultInjector.StaleRange stale = leg(store, 0).faults().remember(1 << 20, length);
      store.put(KEY, VALUE);
      stale.restore();
      crashImage(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertArrayEquals(VALUE, store.get(KEY));
    }
  }
}
