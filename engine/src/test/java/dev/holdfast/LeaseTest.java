package dev.holdfast;

import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static java.util.Objects.requireNonNull;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.MappingRevokedException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases while nothing fails: what they show, what they keep, how they end. */
@SuppressWarnings("try") // closing by hand is what is tested
final class LeaseTest {
  private static final byte[] KEY = key(7);

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  static Lease lease(Store store, byte[] key) {
    return requireNonNull(store.lease(key));
  }

  static byte[] bytesOf(Lease lease) {
    byte[] bytes = new byte[(int) lease.length()];
    lease.copyTo(0, bytes, 0, bytes.length);
    return bytes;
  }

  /** Reads a value in every way there is, in many places. */
  static void assertShows(byte[] expected, Lease lease, Random random) {
    assertEquals(expected.length, lease.length());
    assertArrayEquals(expected, bytesOf(lease));
    ByteBuffer words = ByteBuffer.wrap(expected).order(ByteOrder.LITTLE_ENDIAN);
    List<Integer> places = new ArrayList<>(List.of(0, 1, 4089, 4093, 4095, 4096, 8190));
    for (int i = 0; i < 20 && expected.length > 0; i++) {
      places.add(random.nextInt(expected.length));
    }
    places.add(expected.length - 8);
    for (int at : places) {
      if (at >= 0 && at < expected.length) {
        assertEquals(expected[at], lease.getByte(at), "byte " + at);
      }
      if (at >= 0 && at + 4 <= expected.length) {
        assertEquals(words.getInt(at), lease.getInt(at), "int " + at);
      }
      if (at >= 0 && at + 8 <= expected.length) {
        assertEquals(words.getLong(at), lease.getLong(at), "long " + at);
      }
    }
    int from = random.nextInt(expected.length + 1);
    int length = random.nextInt(expected.length - from + 1);
    byte[] some = new byte[length + 3];
    lease.copyTo(from, some, 2, length);
    assertEquals(
        MemorySegment.ofArray(some)
            .asSlice(2, length)
            .mismatch(MemorySegment.ofArray(expected).asSlice(from, length)),
        -1);
    assertEquals(0, some[1]);
    assertEquals(0, some[length + 2]);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment target = arena.allocate(length + 1);
      lease.copyTo(from, target, 1, length);
      assertEquals(
          -1,
          target
              .asSlice(1, length)
              .mismatch(MemorySegment.ofArray(expected).asSlice(from, length)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 8, 100, 1535, 1536, 1537, 4096, 4097, 12_288, 300_000, 2_000_001})
  void showsWhatWasPutInEveryWay(int length) {
    Random random = new Random(seed("showsWhatWasPutInEveryWay"));
    byte[] expected = value(3, length);
    try (Store store = store().open()) {
      fill(store, 0, 100);
      store.put(KEY, expected);
      assertNull(store.lease(key(100)));
      try (Lease lease = lease(store, KEY)) {
        assertShows(expected, lease, random);
      }
      boolean done = store.compact().complete(); // The record has its short form from here on.
      assertTrue(done);
      try (Lease lease = lease(store, KEY)) {
        assertShows(expected, lease, random);
      }
      for (int i = 0; i < 100; i++) {
        if (i != 7) {
          try (Lease lease = lease(store, key(i))) {
            assertShows(value(i), lease, random);
          }
        }
      }
    }
    try (Store store = store().open();
        Lease lease = lease(store, KEY)) {
      assertShows(expected, lease, random);
    }
  }

  @Test
  void aValueInManyExtentsIsShownWhole() {
    Random random = new Random(seed("aValueInManyExtentsIsShownWhole"));
    try (Store store = store().maxCapacity(8 << 20).open()) {
      for (int i = 0; i < 60; i++) {
        store.put(key(i), value(i, 64 << 10));
      }
      for (int i = 0; i < 60; i += 2) {
        assertTrue(store.remove(key(i)));
      }
      byte[] expected = value(99, 1_500_001);
      store.put(key(99), expected);
      long extents =
          store.owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
              .filter(extent -> java.util.Arrays.equals(extent.key(), key(99)))
              .filter(extent -> extent.what().equals("large value"))
              .count();
      assertTrue(extents > 1, "extents: " + extents);
      try (Lease lease = lease(store, key(99))) {
        assertShows(expected, lease, random);
        assertEquals(1, store.health().leases().open());
        boolean removed = store.remove(key(99));
        assertTrue(removed);
        for (int i = 0; i < 300; i++) { // Each part of it is kept, not only the first.
          store.put(key(i % 60 / 2 * 2), value(i, 64 << 10));
        }
        assertShows(expected, lease, random);
        assertEquals(0, store.health().leases().gaveWay());
      }
    }
  }

  // ---------------------------------------------------------------- what it keeps

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void showsTheFormerValueWhateverBecomesOfItsKey(PersistenceMode mode) {
    int rounds = 400;
    Random random = new Random(seed("showsTheFormerValueWhateverBecomesOfItsKey"));
    byte[] small = value(1, 900);
    byte[] large = value(2, 200_000);
    try (Store store = store().persistence(mode).maxCapacity(16 << 20).open()) {
      fill(store, 0, 50);
      store.put(key(1), small);
      store.put(key(2), large);
      try (Lease first = lease(store, key(1));
          Lease second = lease(store, key(2))) {
        for (int i = 0; i < rounds; i++) {
          store.put(key(1), value(i, 900));
          store.put(key(2), value(i, 200_000));
          if (i % 100 == 0) {
            assertShows(small, first, random);
            assertShows(large, second, random);
          }
        }
        assertTrue(store.remove(key(1)) && store.remove(key(2)));
        boolean done = store.compact().complete();
        assertTrue(done);
        for (int i = 0; i < rounds; i++) { // The pages that were given up are used again.
          store.put(key(3), value(i, 200_000));
        }
        assertShows(small, first, random);
        assertShows(large, second, random);
        assertEquals(2, store.health().leases().open());
        assertTrue(store.health().leases().bytesHeld() >= 200_000);
        assertEquals(0, store.health().leases().gaveWay());
      }
      assertEquals(0, store.health().leases().open());
      boolean done = store.compact().complete();
      assertTrue(done);
      assertEquals(0, store.health().leases().bytesHeld());
    }
  }

  @Test
  void whatLeasesKeptIsUsedAgainOnceTheyAreClosed() {
    byte[] large = value(2, 1 << 20);
    try (Store store = store().single().maxCapacity(8 << 20).open()) {
      for (int round = 0; round < 40; round++) {
        store.put(KEY, large);
        Lease lease = lease(store, KEY);
        store.put(KEY, value(round, 1 << 20));
        assertArrayEquals(large, bytesOf(lease));
        lease.close();
      }
      assertEquals(0, store.health().leases().gaveWay());
    }
  }

  @Test
  void theOldestLeaseGivesWayWhereAWriteHasNoOtherRoom() {
    byte[] first = value(1, 2 << 20);
    byte[] second = value(2, 2 << 20);
    try (Store store = store().single().maxCapacity(8 << 20).open()) {
      store.put(KEY, first);
      Lease older = lease(store, KEY);
      store.put(KEY, second);
      Lease newer = lease(store, KEY);
      for (int i = 0; store.health().leases().gaveWay() == 0; i++) {
        assertTrue(i < 100);
        store.put(KEY, value(i, 2 << 20));
        if (store.health().leases().gaveWay() == 0) {
          assertArrayEquals(first, bytesOf(older));
        }
      }
      assertArrayEquals(second, bytesOf(newer));
      MappingRevokedException e =
          assertThrows(MappingRevokedException.class, () -> older.getByte(0));
      assertNull(e.getCause());
      assertEquals(1, store.health().leases().open());
      for (int i = 0; i < 20; i++) {
        store.put(KEY, value(i, 2 << 20));
      }
      older.close();
      newer.close();
    }
  }

  @Test
  void aLeaseThatWasForgottenEnds() {
    try (Store store = store().open()) {
      store.put(KEY, value(1, 50_000));
      forget(store);
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> {
            System.gc();
            return store.health().leases().open() == 0;
          });
      assertEquals(0, leasesOn(store));
    }
  }

  private static void forget(Store store) {
    Lease lease = lease(store, KEY);
    assertEquals(1, store.health().leases().open());
    assertEquals(1, leasesOn(store));
    assertEquals(value(1, 50_000)[3], lease.getByte(3));
  }

  private static long leasesOn(Store store) {
    return ((OpenStore) store)
        .mappings(VolumeLayout.RECORDS_OFFSET, store.stats().capacityBytes()).stream()
            .filter(handle -> handle.describe().startsWith("lease on key"))
            .count();
  }

  @Test
  void theReverseMapHasItWhereItsValueLies() {
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, value(1, 50_000));
      StoreExtent large = TestStores.largeValueOf(store, KEY);
      StoreExtent small = TestStores.recordOf(store, key(9));
      OpenStore open = (OpenStore) store;
      try (Lease a = lease(store, KEY);
          Lease b = lease(store, key(9))) {
        assertEquals(List.of(a.toString()), leases(open.mappings(large.offset(), large.length())));
        assertEquals(List.of(b.toString()), leases(open.mappings(small.offset(), small.length())));
      }
      assertEquals(List.of(), leases(open.mappings(large.offset(), large.length())));
      assertEquals(0, leasesOn(store));
    }
  }

  private static List<String> leases(List<dev.holdfast.rmap.MappingHandle> handles) {
    return handles.stream()
        .map(dev.holdfast.rmap.MappingHandle::describe)
        .filter(text -> text.startsWith("lease on key"))
        .toList();
  }

  // ---------------------------------------------------------------- misuse, and the end

  @ParameterizedTest
  @ValueSource(ints = {0, 10, 10_000})
  void aRangeThatIsNotInsideTheValueIsRefusedByNumbers(int length) {
    try (Store store = store().open()) {
      store.put(KEY, value(1, length));
      try (Lease lease = lease(store, KEY)) {
        byte[] target = new byte[4];
        List<Executable> outside =
            List.of(
                () -> lease.getByte(-1),
                () -> lease.getByte(length),
                () -> lease.getByte(Long.MAX_VALUE),
                () -> lease.getByte(Long.MIN_VALUE),
                () -> lease.getInt(length - 3),
                () -> lease.getInt(Long.MAX_VALUE - 1),
                () -> lease.getLong(length - 7),
                () -> lease.getLong(-8),
                () -> lease.copyTo(length, target, 0, 1),
                () -> lease.copyTo(-1, target, 0, 1),
                () -> lease.copyTo(0, target, 0, -1),
                () -> lease.copyTo(1, target, 0, Integer.MAX_VALUE),
                () -> lease.copyTo(0, MemorySegment.ofArray(target), 0, Long.MAX_VALUE));
        for (Executable each : outside) {
          IndexOutOfBoundsException e = assertThrows(IndexOutOfBoundsException.class, each);
          assertTrue(e.toString().contains("[0, " + length + ")"), e::toString);
        }
        lease.copyTo(length, target, 4, 0);
        if (length > 4) {
          assertThrows(IndexOutOfBoundsException.class, () -> lease.copyTo(0, target, 1, 4));
          assertThrows(IndexOutOfBoundsException.class, () -> lease.copyTo(0, target, -1, 4));
          MemorySegment readOnly = MemorySegment.ofArray(target).asReadOnly();
          assertThrows(IllegalArgumentException.class, () -> lease.copyTo(0, readOnly, 0, 4));
        }
        assertArrayEquals(new byte[4], target);
      }
      assertThrows(IllegalArgumentException.class, () -> store.lease(new byte[0]));
    }
  }

  @Test
  void aClosedLeaseThrowsWhatAClosedLeaseThrows() {
    try (Store store = store().open()) {
      store.put(KEY, value(1, 10_000));
      Lease lease = lease(store, KEY);
      assertEquals(value(1, 10_000)[0], lease.getByte(0));
      lease.close();
      lease.close();
      assertEquals(10_000, lease.length());
      for (Executable each : accesses(lease)) {
        assertThrows(IllegalStateException.class, each);
      }
      assertEquals(0, store.health().leases().open());
    }
  }

  private static List<Executable> accesses(Lease lease) {
    return List.of(
        () -> lease.getByte(0),
        () -> lease.getInt(0),
        () -> lease.getLong(5_000),
        () -> lease.copyTo(0, new byte[1], 0, 1),
        () -> lease.copyTo(0, MemorySegment.ofArray(new byte[9_000]), 0, 9_000));
  }

  @Test
  void aClosedStoreThrowsThroughItsLeasesAndIsNotHeldUpByThem() {
    Store store = store().open();
    store.put(KEY, value(1, 10_000));
    Lease lease = lease(store, KEY);
    assertEquals(value(1, 10_000)[0], lease.getByte(0));
    store.close();
    for (Executable each : accesses(lease)) {
      assertThrows(StoreClosedException.class, each);
    }
    assertThrows(StoreClosedException.class, () -> store.lease(KEY));
    assertEquals(1, store.health().leases().open());
    lease.close();
    assertThrows(IllegalStateException.class, () -> lease.getByte(0));
    try (Store again = store().open();
        Lease other = lease(again, KEY)) {
      assertArrayEquals(value(1, 10_000), bytesOf(other));
    }
  }

  @Test
  void aTargetThatIsClosedDoesNotHurtTheLease() {
    try (Store store = store().open()) {
      store.put(KEY, value(1, 10_000));
      try (Lease lease = lease(store, KEY)) {
        Arena arena = Arena.ofShared();
        MemorySegment target = arena.allocate(10_000);
        arena.close();
        assertThrows(IllegalStateException.class, () -> lease.copyTo(0, target, 0, 10_000));
        assertArrayEquals(value(1, 10_000), bytesOf(lease));
      }
    }
  }

  @Test
  void aBatchIsLeasedAsItWasWritten() {
    try (Store store = store().open()) {
      store.put(KEY, value(1, 10_000));
      store.write(new WriteBatch().put(KEY, value(2, 20_000)).put(key(8), value(8)));
      try (Lease lease = lease(store, KEY)) {
        assertArrayEquals(value(2, 20_000), bytesOf(lease));
        store.write(new WriteBatch().remove(KEY).put(key(8), value(9)));
        assertArrayEquals(value(2, 20_000), bytesOf(lease));
        assertNull(store.lease(KEY));
      }
    }
  }

  /** A scoped read has a copy of its own: it cannot be written to, and is not the store's. */
  @Test
  void aScopedReadShowsAPrivateCopy() {
    try (Store store = store().open()) {
      store.put(KEY, value(1, 10_000));
      byte[] read =
          store.read(
              KEY,
              found -> {
                assertTrue(found.isReadOnly());
                assertFalse(found.isNative());
                store.put(KEY, value(2, 10_000));
                return found.toArray(ValueLayout.JAVA_BYTE);
              });
      assertArrayEquals(value(1, 10_000), read);
    }
  }
}
