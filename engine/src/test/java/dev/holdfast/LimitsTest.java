package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.health.StoreState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The sizes that are promised, and a store that is full. */
final class LimitsTest {
  /** What the records of so many large values may take, in leaves that are more or less full. */
  private static final int LEAVES = 512 << 10;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private static byte[] keyOf(int length, int seed) {
    byte[] key = new byte[length];
    Arrays.fill(key, (byte) seed);
    return key;
  }

  @Test
  void keysOfOneByteToFourKibibytesAreTakenAndOthersRefused() {
    int[] lengths = {1, 2, 15, 16, 17, 63, 64, 65, 4000, 4047, 4048, 4049, 4095, 4096};
    try (Store store = store().open()) {
      for (int length : lengths) {
        store.put(keyOf(length, length), value(length));
      }
      for (byte[] wrong : new byte[][] {{}, new byte[4097]}) {
        assertThrows(IllegalArgumentException.class, () -> store.put(wrong, value(1)));
        assertThrows(IllegalArgumentException.class, () -> store.get(wrong));
        assertThrows(IllegalArgumentException.class, () -> store.remove(wrong));
        assertThrows(IllegalArgumentException.class, () -> store.containsKey(wrong));
        assertThrows(
            IllegalArgumentException.class,
            () -> store.put(MemorySegment.ofArray(wrong), MemorySegment.ofArray(wrong)));
      }
    }
    try (Store store = store().open()) {
      for (int length : lengths) {
        assertArrayEquals(value(length), store.get(keyOf(length, length)), "length " + length);
      }
      assertEquals(lengths.length, store.stats().entries());
    }
  }

  @Test
  void valuesOfNoByteToSixtyFourMebibytesComeBack() {
    int[] lengths = {
      0, 1, 15, 16, 4095, 4096, 4097, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1 << 20, 64 << 20
    };
    try (Store store = store().single().open()) {
      for (int length : lengths) {
        store.put(key(length), value(3, length));
      }
      for (int length : lengths) {
        assertTrue(Arrays.equals(value(3, length), store.get(key(length))), "length " + length);
      }
    }
    try (Store store = store().open()) {
      for (int length : lengths) {
        assertTrue(Arrays.equals(value(3, length), store.get(key(length))), "length " + length);
      }
    }
  }

  @Test
  void aValueThatIsLongerThanPromisedIsRefused() {
    try (Store store = store().open();
        Arena arena = Arena.ofConfined()) {
      MemorySegment tooLong = arena.allocate(Store.MAX_VALUE_LENGTH + 1L);
      assertThrows(
          IllegalArgumentException.class, () -> store.put(MemorySegment.ofArray(key(1)), tooLong));
      assertNull(store.get(key(1)));
    }
  }

  /** Memory on and off the heap, and too short a place for the value. */
  @Test
  void memorySegmentsAreTakenAndFilled() {
    try (Store store = store().open();
        Arena arena = Arena.ofShared()) {
      MemorySegment key = arena.allocate(8).fill((byte) 'k');
      MemorySegment value = MemorySegment.ofArray(value(5, 1000));
      store.put(key, arena.allocate(1000).copyFrom(value));
      MemorySegment into = arena.allocate(1001);
      assertEquals(1000, store.get(key, into));
      assertEquals(-1, into.asSlice(0, 1000).mismatch(value));
      MemorySegment small = arena.allocate(999);
      assertEquals(1000, store.get(key, small));
      assertEquals(0, small.get(ValueLayout.JAVA_BYTE, 0));
      assertEquals(-1, store.get(MemorySegment.ofArray(key(1)), into));
      Long length = store.read(keyOf(8, 'k'), found -> found.byteSize());
      assertEquals(1000L, length);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aFullStoreTakesOverwritesAndDeletesAndNothingElse(int legs) {
    StoreBuilder builder = store().maxCapacity(8 << 20);
    if (legs == 1) {
      builder.single();
    }
    int count = 0;
    int back;
    try (Store store = builder.open()) {
      try {
        while (true) {
          store.put(key(count), value(count, 3_000));
          count++;
        }
      } catch (OutOfSpaceException e) {
        assertNull(store.get(key(count)), "a phantom of what did not fit");
        assertEquals(count, store.stats().entries());
      }
      assertTrue(count > 1_500, "full at " + count);
      byte[] next = key(count);
      assertThrows(OutOfSpaceException.class, () -> store.put(next, value(1, 3_000)));
      assertThrows(OutOfSpaceException.class, () -> store.put(key(1), value(1, 32 << 20)));
      for (int round = 0; round < 20; round++) {
        for (int i = 0; i < count; i++) {
          store.put(key(i), value(i + round, 3_000));
        }
      }
      for (int i = 0; i < count; i++) {
        assertArrayEquals(value(i + 19, 3_000), store.get(key(i)));
      }
      long full = store.stats().freeBytes();
      back = count / 2;
      for (int round = 0; round < 5; round++) {
        for (int i = 0; i < count / 2; i++) {
          assertEquals(i < back, store.remove(key(i)));
        }
        assertTrue(store.stats().freeBytes() >= full + back * 3_000L - LEAVES);
        back = putBack(store, count / 2);
        assertTrue(back >= count / 2 * 19 / 20, "only " + back + " of " + count / 2 + " fit again");
      }
      assertTrue(Math.abs(full - store.stats().freeBytes()) <= LEAVES);
      assertEquals(8 << 20, leg(store, 0).capacity());
      assertEquals(StoreState.ONLINE, store.health().state());
    }
    try (Store store = store().maxCapacity(8 << 20).open()) {
      assertEquals(count - (count / 2 - back), store.stats().entries());
      for (int i = 0; i < count; i++) {
        byte[] expected = i < back || i >= count / 2 ? value(i + 19, 3_000) : null;
        assertArrayEquals(expected, store.get(key(i)));
      }
      assertNull(store.get(key(count)));
    }
  }

  /** Puts entries that were removed, as far as they fit: leaves are in other pieces since. */
  private static int putBack(Store store, int count) {
    int i = 0;
    try {
      while (i < count) {
        store.put(key(i), value(i + 19, 3_000));
        i++;
      }
    } catch (OutOfSpaceException e) {
      assertNull(store.get(key(i)), "a phantom of what did not fit");
    }
    return i;
  }

  /** Values of many sizes: overwriting each by one of its size works at full, however they lie. */
  @Test
  void aFullStoreOfManySizesTakesOverwritesOfTheSameSize() {
    long seed = TestStores.seed("aFullStoreOfManySizesTakesOverwritesOfTheSameSize");
    java.util.Random random = new java.util.Random(seed);
    java.util.ArrayList<Integer> lengths = new java.util.ArrayList<>();
    try (Store store = store().maxCapacity(16 << 20).open()) {
      try {
        while (true) {
          int length = random.nextInt(10) == 0 ? random.nextInt(200_000) : random.nextInt(2_000);
          store.put(key(lengths.size()), value(1, length));
          lengths.add(length);
        }
      } catch (OutOfSpaceException e) {
        assertTrue(lengths.size() > 100);
      }
      for (int round = 0; round < 20; round++) {
        for (int n = 0; n < lengths.size(); n++) {
          int i = random.nextInt(lengths.size());
          store.put(key(i), value(1, lengths.get(i)));
        }
      }
      for (int i = 0; i < lengths.size(); i++) {
        assertArrayEquals(value(1, lengths.get(i)), store.get(key(i)));
      }
    }
  }

  @Test
  void aStoreGrowsAsFarAsItIsAllowed() {
    try (Store store = store().initialCapacity(2 << 20).maxCapacity(64 << 20).open()) {
      for (int i = 0; i < 40; i++) {
        store.put(key(i), value(i, 1 << 20));
      }
      assertTrue(leg(store, 0).capacity() > 40 << 20);
      assertEquals(leg(store, 0).capacity(), leg(store, 1).capacity());
      leg(store, 0).faults().remove();
      for (int i = 0; i < 40; i++) {
        assertArrayEquals(value(i, 1 << 20), store.get(key(i)));
      }
    }
  }
}
