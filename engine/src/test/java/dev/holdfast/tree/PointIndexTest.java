package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.DramRegion;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The point index against a map, growing, shrinking, with hashes that are alike, under threads. */
final class PointIndexTest {
  private static final long MEMORY = 1L << 30;

  private final DramRegion memory = new DramRegion(MEMORY, true);

  @AfterEach
  void close() {
    memory.close();
  }

  private static long hash(long key) {
    long h = (key + 0x9E3779B97F4A7C15L) * 0xBF58476D1CE4E5B9L;
    h = (h ^ h >>> 29) * 0x94D049BB133111EBL;
    return h ^ h >>> 32;
  }

  /** The address of a record; a key's version moves it, so that the key can be told from it. */
  private static long address(long key, long version) {
    return (key << 8) | (version & 255);
  }

  private static long keyOf(long address) {
    return address >>> 8;
  }

  /** As a get follows slots: the address whose record has the key, 0 if there is none. */
  private static long lookUp(PointIndex index, long key, LongUnaryOperator hashes) {
    long hash = hashes.applyAsLong(key);
    while (true) {
      long version = index.version(hash);
      for (long at = index.find(hash); at != PointIndex.NONE; at = index.after(hash, at)) {
        long address = PointIndex.addressOf(index.slotAt(at));
        if (address != 0 && keyOf(address) == key) {
          return address;
        }
      }
      if (index.isCurrent(hash, version)) {
        return 0;
      }
    }
  }

  /** With few bits, many keys have the same hash in all that the index keeps of it. */
  @ParameterizedTest
  @ValueSource(ints = {64, 24, 15})
  void answersAsAMapDoes(int hashBits) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("answersAsAMapDoes: -Dseed=" + seed);
    Random random = new Random(seed);
    LongUnaryOperator hashes =
        key -> (hash(key) >>> (64 - hashBits) << (64 - hashBits)) | (hash(key) >>> 33);
    PointIndex index =
        new PointIndex(
            memory, MemoryBudget.unlimited(), 0, address -> hashes.applyAsLong(keyOf(address)));
    Map<Long, Long> model = new HashMap<>();
    int keys = 60_000;
    for (long i = 0; i < 300_000; i++) {
      long key = 1L + random.nextInt(keys);
      long hash = hashes.applyAsLong(key);
      Long old = model.get(key);
      long next = address(key, i);
      // Grows, and shrinks in the end.
      boolean removes = random.nextInt(10) < (i < 200_000 ? 2 : 8);
      if (old == null) {
        assertEquals(0, lookUp(index, key, hashes));
        assertFalse(index.remove(hash, next));
        index.insert(hash, next, (int) i);
        model.put(key, next);
      } else if (removes) {
        assertTrue(index.remove(hash, old));
        model.remove(key);
      } else if (next != old) {
        assertFalse(index.move(hash, next, old, (int) i), "nobody leads there");
        assertTrue(index.move(hash, old, next, (int) i));
        model.put(key, next);
      }
      if (i % 50_000 == 0) {
        index.reclaim(() -> true);
      }
    }
    for (long key = 1; key <= keys; key++) {
      assertEquals(model.getOrDefault(key, 0L), lookUp(index, key, hashes));
    }
  }

  @Test
  void checkBitsComeBack() {
    PointIndex index =
        new PointIndex(memory, MemoryBudget.unlimited(), 0, address -> hash(keyOf(address)));
    for (int check = 0; check < 256; check++) {
      index.insert(hash(check), address(check + 1L, 0), check);
    }
    for (int check = 0; check < 256; check++) {
      assertEquals(check, PointIndex.checkOf(index.slotAt(index.find(hash(check)))));
    }
  }

  /** Keys are read again in one split of six, and what it takes is bounded. */
  @Test
  void growsWithoutReadingKeysButSeldomAndTakesFewBytes() {
    AtomicLong read = new AtomicLong();
    PointIndex index =
        new PointIndex(
            memory,
            MemoryBudget.unlimited(),
            0,
            address -> {
              read.incrementAndGet();
              return hash(keyOf(address));
            });
    int keys = 2_000_000;
    for (long key = 1; key <= keys; key++) {
      index.insert(hash(key), address(key, 0), 0);
      if (key % 100_000 == 0) {
        index.reclaim(() -> true);
      }
    }
    for (long key = 1; key <= keys; key += 7) {
      assertEquals(address(key, 0), lookUp(index, key, PointIndexTest::hash));
    }
    assertTrue(read.get() < keys / 8, "keys read again: " + read.get());
    assertTrue(index.bytes() < 24L * keys, "bytes for an entry: " + (double) index.bytes() / keys);
  }

  @Test
  void putsAndRemovesForEverTakeNoMoreMemory() {
    PointIndex index =
        new PointIndex(memory, MemoryBudget.unlimited(), 0, address -> hash(keyOf(address)));
    long settled = Long.MAX_VALUE / 5;
    for (int round = 0; round < 60; round++) {
      for (long key = 1; key <= 20_000; key++) {
        index.insert(hash(key + round * 20_000L), address(key + round * 20_000L, 0), 0);
      }
      for (long key = 1; key <= 20_000; key++) {
        assertTrue(index.remove(hash(key + round * 20_000L), address(key + round * 20_000L, 0)));
      }
      index.reclaim(() -> true);
      if (round == 20) {
        settled = index.bytes();
      }
    }
    assertTrue(index.bytes() < settled * 5 / 4, () -> "bytes: " + index.bytes());
  }

  @Test
  void segmentsThatSomebodyMayReadAreNotUsedAgain() {
    assertTrue(bytesOfGrowth(() -> true) < bytesOfGrowth(() -> false));
  }

  private static long bytesOfGrowth(BooleanSupplier grace) {
    try (DramRegion place = new DramRegion(MEMORY, false)) {
      PointIndex index =
          new PointIndex(place, MemoryBudget.unlimited(), 0, address -> hash(keyOf(address)));
      for (long key = 1; key <= 50_000; key++) {
        index.insert(hash(key), address(key, 0), 0);
        if (key % 1_000 == 0) {
          index.reclaim(grace);
        }
      }
      return index.bytes();
    }
  }

  @Test
  void indexThatIsFullIsATypedError() {
    try (DramRegion small = new DramRegion(4L * PointIndex.SEGMENT_BYTES, false)) {
      PointIndex index =
          new PointIndex(small, MemoryBudget.unlimited(), 0, address -> hash(keyOf(address)));
      assertThrows(
          OutOfSpaceException.class,
          () -> {
            for (long key = 1; key < 100_000; key++) {
              index.insert(hash(key), address(key, 0), 0);
            }
          });
    }
  }

  /** Readers find every key that is there, whatever writers do to others and to its place. */
  @Test
  void readersMissNothingWhileSegmentsAreSplit() throws Exception {
    PointIndex index =
        new PointIndex(memory, MemoryBudget.unlimited(), 0, address -> hash(keyOf(address)));
    int writers = 2;
    int keysEach = 400_000;
    AtomicLong[] done = {new AtomicLong(), new AtomicLong()};
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<Throwable> failed = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int w = 0; w < writers; w++) {
      long first = 1 + (long) w * keysEach;
      AtomicLong mine = done[w];
      threads.add(
          start(
              failed,
              () -> {
                for (long key = first; key < first + keysEach; key++) {
                  index.insert(hash(key), address(key, 0), 0);
                  mine.setRelease(key - first + 1);
                  long moved = first + (key - first) / 2;
                  long was = lookUp(index, moved, PointIndexTest::hash);
                  assertTrue(index.move(hash(moved), was, address(moved, was + 1), 0));
                }
              }));
    }
    List<Thread> readers = new ArrayList<>();
    for (int r = 0; r < 2; r++) {
      Random random = new Random(r);
      readers.add(
          start(
              failed,
              () -> {
                while (!stop.get()) {
                  int w = random.nextInt(writers);
                  int there = (int) done[w].getAcquire();
                  if (there > 0) {
                    long key = 1 + (long) w * keysEach + random.nextInt(there);
                    assertEquals(key, keyOf(lookUp(index, key, PointIndexTest::hash)));
                  }
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    stop.set(true);
    for (Thread reader : readers) {
      reader.join();
    }
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
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
