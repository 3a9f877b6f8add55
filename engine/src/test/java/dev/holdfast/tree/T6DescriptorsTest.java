package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.MemoryTempDirs;
import dev.holdfast.Store;
import dev.holdfast.pmem.DramRegion;
import dev.holdfast.volume.GracePeriod;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * T6: a descriptor is read as a whole or not at all; a reader that was stopped on its way finds the
 * memory that it was in as it was; memory that was replaced is used again, so that there is a bound
 * to it.
 */
final class T6DescriptorsTest {
  private static final long A_MOMENT = Duration.ofMillis(20).toNanos();
  private static final long A_WHILE = Duration.ofSeconds(20).toNanos();

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private final DramRegion memory = new DramRegion(64 << 20, false);

  @AfterEach
  void close() {
    memory.close();
  }

  private static long hashOf(long number) {
    long hash = number * 0x9E3779B97F4A7C15L;
    return hash ^ hash >>> 29;
  }

  @Test
  void pointIndexKeepsWhatAReaderThatWasStoppedIsIn() {
    GracePeriod grace = new GracePeriod();
    MemoryBudget budget = MemoryBudget.unlimited();
    PointIndex index = new PointIndex(memory, budget, 0, T6DescriptorsTest::hashOf);
    index.insert(hashOf(1), 1, 7);
    int reader = grace.enter();
    long found = index.find(hashOf(1));
    assertNotEquals(PointIndex.NONE, found);
    long slot = index.slotAt(found);
    for (int i = 2; i < 20_000; i++) {
      index.insert(hashOf(i), i, 7);
      if (i % 1_000 == 0) {
        index.reclaim(() -> grace.await(A_MOMENT));
      }
    }
    assertEquals(slot, index.slotAt(found), "what the reader is in");
    assertFalse(index.isCurrent(hashOf(1), found & -PointIndex.SEGMENT_BYTES));
    grace.exit(reader);
    index.reclaim(() -> grace.await(A_WHILE));
    assertEquals(0, index.slotAt(found), "is used again once nobody is there");
    for (int i = 1; i < 20_000; i++) {
      assertTrue(index.leadsTo(hashOf(i), i), "entry " + i);
    }
  }

  @Test
  void segmentsThatWereReplacedAreUsedAgain() {
    GracePeriod grace = new GracePeriod();
    MemoryBudget budget = MemoryBudget.unlimited();
    PointIndex index = new PointIndex(memory, budget, 0, T6DescriptorsTest::hashOf);
    int entries = 200_000;
    for (int i = 1; i <= entries; i++) {
      index.insert(hashOf(i), i, 7);
      if (i % 1_000 == 0) {
        index.reclaim(() -> grace.await(A_WHILE));
      }
    }
    // Slots of 8 bytes in segments that are half full at least.
    assertTrue(budget.used() < 18L * entries, () -> "bytes " + budget.used());
  }

  private static byte[] separator(int i) {
    return ByteBuffer.allocate(4).putInt(i * 0x9E3779B1).array();
  }

  @Test
  void orderIndexKeepsWhatAReaderThatWasStoppedIsIn() throws InterruptedException {
    GracePeriod grace = new GracePeriod();
    SeparatorIndex index = new SeparatorIndex(memory, MemoryBudget.unlimited(), 8);
    index.insert(new byte[0], 0);
    for (int i = 1; i < 2_000; i++) {
      index.insert(separator(i), i);
    }
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong wrong = new AtomicLong();
    AtomicLong lookups = new AtomicLong();
    List<Thread> readers = new ArrayList<>();
    for (int r = 0; r < 2; r++) {
      Random random = new Random(r);
      readers.add(
          Thread.ofPlatform()
              .start(() -> {
                while (!stop.get()) {
                  int i = 1 + random.nextInt(1_999);
                  int entered = grace.enter();
                  byte[] key = separator(i);
                  // Those that are not taken out and put in again by the writer.
                  if (i % 2 == 1 && index.floor(key, 0, key.length) != i) {
                    wrong.incrementAndGet();
                  }
                  grace.exit(entered);
                  lookups.incrementAndGet();
                }
              }));
    }
    try {
      for (int round = 0; round < 20 || lookups.get() < 10_000; round++) {
        for (int i = 2; i < 2_000; i += 2) {
          index.remove(separator(i));
        }
        index.reclaim(() -> grace.await(A_WHILE));
        for (int i = 2; i < 2_000; i += 2) {
          index.insert(separator(i), i);
        }
        index.reclaim(() -> grace.await(A_WHILE));
      }
    } finally {
      stop.set(true);
      for (Thread reader : readers) {
        reader.join();
      }
    }
    assertEquals(0, wrong.get(), () -> wrong + " of " + lookups + " lookups");
  }

  /** Its fields belong together where the version is even, and the same before and behind. */
  @Test
  void descriptorIsReadAsAWhole() throws InterruptedException {
    try (Leaves leaves = new Leaves(64, MemoryBudget.unlimited())) {
      int leaf = 7;
      leaves.place(leaf, 1, 1, 1);
      AtomicBoolean stop = new AtomicBoolean();
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 2; !stop.get(); i = i % 1_000_000 + 1) {
                  leaves.changing(leaf);
                  leaves.place(leaf, i, i, i);
                  leaves.tail(leaf, i);
                  leaves.changed(leaf);
                }
              });
      int whole = 0;
      int torn = 0;
      while (whole < 200_000) {
        long version = leaves.version(leaf);
        long page = leaves.page(leaf);
        int pages = leaves.pages(leaf);
        long generation = leaves.generation(leaf);
        if ((version & 1) == 0 && leaves.version(leaf) == version) {
          torn += page == pages && page == generation ? 0 : 1;
          whole++;
        }
      }
      stop.set(true);
      writer.join();
      assertEquals(0, torn);
    }
  }

  @Test
  void indexesOfEntriesThatComeAndGoAreBounded() {
    try (Store store = Store.builder(directory.resolve("s")).single().open()) {
      long[] used = new long[20];
      for (int round = 0; round < used.length; round++) {
        for (int i = 0; i < 20_000; i++) {
          store.put(ByteBuffer.allocate(8).putLong(hashOf(i)).array(), new byte[20]);
        }
        for (int i = 0; i < 20_000; i++) {
          assertTrue(store.remove(ByteBuffer.allocate(8).putLong(hashOf(i)).array()));
        }
        used[round] = store.stats().memory().usedBytes();
      }
      long early = used[1];
      long late = used[used.length - 1];
      assertTrue(late < early * 3 / 2, () -> "bytes early " + early + ", late " + late);
    }
  }
}
