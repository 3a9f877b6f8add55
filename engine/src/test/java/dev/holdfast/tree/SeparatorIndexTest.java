package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.DramRegion;
import dev.holdfast.volume.GracePeriod;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The index of separators against a sorted map, and its readers beside a writer. */
final class SeparatorIndexTest {
  private final DramRegion memory = new DramRegion(1L << 30, false);

  @AfterEach
  void close() {
    memory.close();
  }

  /** What keys look like. */
  enum Mix {
    SHORT {
      @Override
      byte[] next(Random random) {
        byte[] key = new byte[random.nextInt(3)];
        random.nextBytes(key);
        return key;
      }
    },
    WORDS {
      @Override
      byte[] next(Random random) {
        byte[] key = new byte[16];
        random.nextBytes(key);
        return key;
      }
    },
    /** The same beginning, shorter and longer than what a node holds of it. */
    ALIKE {
      @Override
      byte[] next(Random random) {
        int begin = new int[] {3, 8, 55, 56, 57, 64, 130, 1000}[random.nextInt(8)];
        byte[] key = new byte[begin + random.nextInt(12)];
        Arrays.fill(key, 0, begin, (byte) 'a');
        for (int i = begin; i < key.length; i++) {
          key[i] = (byte) (random.nextBoolean() ? random.nextInt(3) : 254 + random.nextInt(2));
        }
        return key;
      }
    },
    /** Prefixes of each other; zeros, which are what padding looks like; the highest byte. */
    NESTED {
      @Override
      byte[] next(Random random) {
        byte[] key = new byte[random.nextInt(40)];
        Arrays.fill(key, random.nextBoolean() ? (byte) 0 : (byte) -1);
        if (key.length > 0 && random.nextBoolean()) {
          key[random.nextInt(key.length)] = (byte) random.nextInt();
        }
        return key;
      }
    },
    LONG {
      @Override
      byte[] next(Random random) {
        byte[] key = new byte[random.nextInt(8) == 0 ? 4096 : random.nextInt(4097)];
        for (int i = 0; i < 3 && key.length > 0; i++) {
          key[random.nextInt(key.length)] = (byte) random.nextInt();
        }
        return key;
      }
    },
    MIXED {
      @Override
      byte[] next(Random random) {
        return PLAIN.get(random.nextInt(PLAIN.size())).next(random);
      }
    };

    private static final List<Mix> PLAIN = List.of(SHORT, WORDS, ALIKE, NESTED, LONG);

    abstract byte[] next(Random random);
  }

  @ParameterizedTest
  @CsvSource({
    "SHORT,4",
    "WORDS,168",
    "WORDS,4",
    "ALIKE,168",
    "ALIKE,7",
    "NESTED,168",
    "NESTED,5",
    "LONG,16",
    "MIXED,168",
    "MIXED,4"
  })
  void answersAsASortedMapDoes(Mix mix, int capacity) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("answersAsASortedMapDoes: -Dseed=" + seed);
    Random random = new Random(seed);
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited(), capacity);
    TreeMap<byte[], Integer> model = new TreeMap<>(Arrays::compareUnsigned);
    int operations = mix == Mix.LONG ? 20_000 : 100_000;
    for (int i = 0; i < operations; i++) {
      // Grows, and shrinks until nothing is left, twice.
      boolean grows = i % (operations / 2) < operations / 4;
      byte[] key = mix.next(random);
      if (!grows && !model.isEmpty() && random.nextInt(4) > 0) {
        byte[] near = model.floorKey(key);
        key = near == null ? model.firstKey() : near;
      }
      byte[] wanted = key;
      if (!model.containsKey(wanted)) {
        assertThrows(IllegalStateException.class, () -> index.remove(wanted));
        assertThrows(IllegalStateException.class, () -> index.replace(wanted, 1));
        if (random.nextInt(10) < (grows ? 8 : 1)) {
          index.insert(wanted, i);
          model.put(wanted, i);
        }
      } else if (random.nextInt(10) < (grows ? 1 : 9)) {
        index.remove(wanted);
        model.remove(wanted);
      } else {
        assertThrows(IllegalStateException.class, () -> index.insert(wanted, 1));
        index.replace(wanted, i);
        model.put(wanted, i);
      }
      assertAlike(model, index, mix.next(random), random);
      assertAlike(model, index, wanted, random);
      assertEquals(model.size(), index.size());
      if (i % 1000 == 0) {
        index.reclaim(() -> random.nextInt(3) > 0);
      }
    }
    for (byte[] key : List.copyOf(model.keySet())) {
      assertAlike(model, index, key, random);
      index.remove(key);
      model.remove(key);
    }
    assertAlike(model, index, new byte[0], random);
  }

  private static void assertAlike(
      NavigableMap<byte[], Integer> model, SeparatorIndex index, byte[] key, Random random) {
    // Somewhere in an array, with bytes around it that do not count.
    int before = random.nextInt(9);
    byte[] within = new byte[before + key.length + random.nextInt(9)];
    random.nextBytes(within);
    System.arraycopy(key, 0, within, before, key.length);
    Map.Entry<byte[], Integer> floor = model.floorEntry(key);
    Map.Entry<byte[], Integer> higher = model.higherEntry(key);
    assertEquals(leafOf(floor), index.floor(within, before, key.length));
    assertEquals(leafOf(higher), index.higher(within, before, key.length));
    assertEquals(leafOf(model.lowerEntry(key)), index.lower(key));
    assertEquals(leafOf(model.firstEntry()), index.first());
    assertEquals(leafOf(model.lastEntry()), index.last());
    assertArrayEquals(higher == null ? null : higher.getKey(), index.higherSeparator(key));
    if (floor == null) {
      assertThrows(IllegalStateException.class, () -> index.floorSeparator(key));
    } else {
      assertArrayEquals(floor.getKey(), index.floorSeparator(key));
    }
  }

  private static int leafOf(Map.@Nullable Entry<byte[], Integer> entry) {
    return entry == null ? SeparatorIndex.NO_LEAF : entry.getValue();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 147, 148, 30_000})
  void loadedIndexIsAsOneThatWasFilled(int count) {
    Random random = new Random(count);
    TreeMap<byte[], Integer> model = new TreeMap<>(Arrays::compareUnsigned);
    while (model.size() < count) {
      model.put(Mix.MIXED.next(random), model.size());
    }
    List<byte[]> keys = List.copyOf(model.keySet());
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited());
    index.load(count, keys::get, i -> model.get(keys.get(i)));
    for (int i = 0; i < 20_000; i++) {
      byte[] key = Mix.MIXED.next(random);
      assertAlike(model, index, key, random);
      if (model.put(key, i) == null) {
        index.insert(key, i);
      } else {
        index.replace(key, i);
      }
    }
    assertThrows(IllegalStateException.class, () -> index.load(0, keys::get, i -> i));
    SeparatorIndex other = new SeparatorIndex(memory, MemoryBudget.unlimited());
    assertThrows(
        IllegalArgumentException.class,
        () -> other.load(2, i -> new byte[] {(byte) (5 - i)}, i -> i));
    assertEquals(SeparatorIndex.NO_LEAF, other.first());
  }

  @Test
  void separatorThatIsTooLongIsRefused() {
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited());
    assertThrows(
        IllegalArgumentException.class,
        () -> index.insert(new byte[SeparatorIndex.LONGEST + 1], 1));
  }

  @Test
  void insertsAndRemovesForEverTakeNoMoreMemory() {
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited());
    index.insert(new byte[0], 0);
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("insertsAndRemovesForEverTakeNoMoreMemory: -Dseed=" + seed);
    Random random = new Random(seed);
    int places = 5_000;
    Map<Integer, byte[]> present = new HashMap<>();
    long settled = 0;
    for (int i = 0; i < 1_000_000; i++) {
      int at = random.nextInt(places);
      byte[] there = present.remove(at);
      if (there != null) {
        index.remove(there);
      } else {
        byte[] key = new byte[8 + random.nextInt(random.nextInt(50) == 0 ? 500 : 40)];
        random.nextBytes(key);
        index.insert(key, at);
        present.put(at, key);
      }
      if (index.retiredBytes() > 1 << 20) {
        index.reclaim(() -> true);
        assertEquals(0, index.retiredBytes());
      }
      if (i == 300_000) {
        settled = index.bytes();
      }
    }
    long bytes = index.bytes();
    assertTrue(bytes < settled * 5 / 4, "bytes: " + settled + ", then " + bytes);
  }

  /** Few separators are left of many, spread or in a row: the nodes go. */
  @ParameterizedTest
  @ValueSource(ints = {1, 50})
  void nodesGoWithTheirEntries(int spread) {
    int many = 100_000;
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited());
    for (int i = 0; i < many; i++) {
      index.insert(bigEndian(i), i);
    }
    int left = many / 50;
    for (int i = 0; i < many; i++) {
      boolean stays = spread == 1 ? i < left : i % spread == 0;
      if (!stays) {
        index.remove(bigEndian(i));
        if (i % 100 == 0) {
          index.reclaim(() -> true);
        }
      }
    }
    index.reclaim(() -> true);
    assertEquals(left, index.size());
    long used = index.bytes() - index.freeBytes();
    assertTrue(used < 200L * left, "bytes for each that is left: " + (double) used / left);
    for (int i = 0; i < many; i++) {
      if (spread == 1 ? i < left : i % spread == 0) {
        index.remove(bigEndian(i));
        index.reclaim(() -> true);
      }
    }
    assertEquals(index.bytes(), index.freeBytes());
  }

  @Test
  void ascendingSeparatorsTakeFewBytes() {
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited());
    int many = 100_000;
    for (int i = 0; i < many; i++) {
      index.insert(bigEndian(i), i);
      if (i % 100 == 0) {
        index.reclaim(() -> true);
      }
    }
    assertTrue(index.bytes() < 50L * many, "bytes for each: " + (double) index.bytes() / many);
  }

  private static byte[] bigEndian(int i) {
    return ByteBuffer.allocate(8).putInt(7).putInt(i).array();
  }

  @Test
  void placesThatSomebodyMayReadAreNotUsedAgain() {
    assertTrue(bytesOfChanges(() -> true) * 4 < bytesOfChanges(() -> false));
  }

  private static long bytesOfChanges(BooleanSupplier grace) {
    try (DramRegion place = new DramRegion(1L << 30, false)) {
      SeparatorIndex index = new SeparatorIndex(place, MemoryBudget.unlimited());
      for (int i = 0; i < 5_000; i++) {
        index.insert(bigEndian(i), i);
        index.reclaim(grace);
      }
      return index.bytes();
    }
  }

  /** No change is made in part: what was there before the memory ended is there after it. */
  @Test
  void indexThatIsFullIsATypedErrorAndStaysAsItWas() {
    try (DramRegion small = new DramRegion(256L << 10, false)) {
      SeparatorIndex index = new SeparatorIndex(small, MemoryBudget.unlimited(), 4);
      TreeMap<byte[], Integer> model = new TreeMap<>(Arrays::compareUnsigned);
      Random random = new Random(1);
      int refused = 0;
      for (int i = 0; refused < 100; i++) {
        byte[] key = Mix.WORDS.next(random);
        try {
          index.insert(key, i);
          model.put(key, i);
        } catch (OutOfSpaceException expected) {
          refused++;
          assertAlike(model, index, key, random);
          index.reclaim(() -> true);
        }
      }
      for (byte[] key : List.copyOf(model.keySet())) {
        assertAlike(model, index, key, random);
        index.remove(key);
        model.remove(key);
        index.reclaim(() -> true);
      }
      assertAlike(model, index, new byte[0], random);
      // Nothing was lost in a change that failed.
      assertEquals(index.bytes(), index.freeBytes());
    }
  }

  /**
   * Separators that stay are found whatever happens beside them; a key between two of them finds
   * the lower one, or one of those that come and go there.
   */
  @ParameterizedTest
  @ValueSource(ints = {4, 168})
  void readersSeeTheTreeBeforeOrAfterAChange(int capacity) throws Exception {
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited(), capacity);
    int permanent = 2_000;
    int between = 8;
    for (int i = 0; i < permanent; i++) {
      index.insert(i == 0 ? new byte[0] : bigEndian(i * between), i * between);
    }
    GracePeriod lookups = new GracePeriod();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<Throwable> failed = new AtomicReference<>();
    List<Thread> readers = new ArrayList<>();
    for (int r = 0; r < 2; r++) {
      Random random = new Random(r);
      readers.add(
          start(
              failed,
              () -> {
                while (!stop.get()) {
                  int lookup = lookups.enter();
                  try {
                    readAround(
                        index, 1 + random.nextInt(permanent - 2), permanent, between, random);
                  } finally {
                    lookups.exit(lookup);
                  }
                }
              }));
    }
    Random random = new Random(7);
    boolean[] present = new boolean[permanent * between];
    long end = System.nanoTime() + 3_000_000_000L;
    while (System.nanoTime() - end < 0 && failed.get() == null) {
      // Runs of them, so that nodes are split, merged and go.
      int from = random.nextInt(present.length - 200);
      boolean adds = random.nextBoolean();
      for (int i = from; i < from + 200; i++) {
        if (i % between != 0 && present[i] != adds) {
          if (adds) {
            index.insert(bigEndian(i), i);
          } else {
            index.remove(bigEndian(i));
          }
          present[i] = adds;
        }
      }
      if (index.retiredBytes() > 1 << 20) {
        index.reclaim(() -> lookups.await(1_000_000_000L));
      }
    }
    stop.set(true);
    for (Thread reader : readers) {
      reader.join();
    }
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
  }

  /** The leaf of a separator is odd only while another one stands before it. */
  @Test
  void neighbourIsOneOfTheSameMoment() throws Exception {
    byte[][] keys = {{}, alike(1), alike(2), {'y'}, {'y', 1}, {'y', 2}};
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited(), 4);
    index.load(keys.length, i -> keys[i], i -> 2 * i);
    GracePeriod lookups = new GracePeriod();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<Throwable> failed = new AtomicReference<>();
    Thread reader =
        start(
            failed,
            () -> {
              byte[] before = alike(3);
              byte[] behind = {'y', 0};
              while (!stop.get()) {
                int lookup = lookups.enter();
                try {
                  int next = index.higher(before, 0, before.length);
                  assertEquals(0, next % 2, "odd: seen without what came before it");
                  int former = index.lower(keys[3]);
                  assertTrue(former == 4 || former == 100, () -> "lower: " + former);
                  assertEquals(8, index.higher(behind, 0, behind.length));
                } finally {
                  lookups.exit(lookup);
                }
              }
            });
    byte[] comes = alike(4);
    long end = System.nanoTime() + 2_000_000_000L;
    while (System.nanoTime() - end < 0 && failed.get() == null) {
      index.insert(comes, 100);
      index.replace(keys[3], 7);
      index.replace(keys[3], 6);
      index.remove(comes);
      if (index.retiredBytes() > 1 << 20) {
        index.reclaim(() -> lookups.await(1_000_000_000L));
      }
    }
    stop.set(true);
    reader.join();
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
  }

  /** So long that a reader is on its way for a while. */
  private static byte[] alike(int last) {
    byte[] key = new byte[SeparatorIndex.LONGEST];
    Arrays.fill(key, (byte) 'x');
    key[key.length - 1] = (byte) last;
    return key;
  }

  private static void readAround(
      SeparatorIndex index, int p, int permanent, int between, Random random) {
    byte[] key = bigEndian(p * between);
    assertEquals(p * between, index.floor(key, 0, key.length));
    assertArrayEquals(key, index.floorSeparator(key));
    int inside = p * between + 1 + random.nextInt(between - 1);
    byte[] other = bigEndian(inside);
    int found = index.floor(other, 0, other.length);
    assertTrue(found >= p * between && found <= inside, () -> "floor: " + found);
    int next = index.higher(key, 0, key.length);
    assertTrue(next > p * between && next <= (p + 1) * between, () -> "higher: " + next);
    int former = index.lower(key);
    assertTrue(former >= (p - 1) * between && former < p * between, () -> "lower: " + former);
    assertEquals(0, index.first());
    assertTrue(index.last() >= (permanent - 1) * between);
  }

  private static Thread start(AtomicReference<Throwable> failed, Runnable body) {
    return Thread.ofPlatform()
        .start(() -> {
          try {
            body.run();
          } catch (Throwable t) {
            failed.set(t);
          }
        });
  }
}
