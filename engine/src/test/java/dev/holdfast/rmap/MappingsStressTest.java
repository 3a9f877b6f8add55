package dev.holdfast.rmap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@SuppressWarnings("ThreadPriorityCheck") // yields so that few processors get through sooner
class MappingsStressTest {
  private static final long MIB = 1 << 20;
  private static final long NOT_PINNED = 0;

  // Words that two threads write, each in cache lines of its own.
  private static final int FAR_APART = 64;
  private static final int FENCED = FAR_APART;
  private static final int PINNER = 2 * FAR_APART;
  private static final int FENCER = 3 * FAR_APART;

  /**
   * Every worker publishes each of its pins after pin returned, and takes it back before unpin
   * begins. What a lookup finds published before it began and unchanged after it ended was live all
   * the time, so the lookup must have shown it.
   */
  @ParameterizedTest
  @CsvSource({"1, 2, 3, 24", "2, 64, 2, 3", "1, 2, 2, 400", "2, 2, 40, 8"})
  void indexContainsAllThatIsLiveAllTheTime(int stripes, int buckets, int workers, int pinsEach)
      throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("MappingsStressTest: -Dseed=" + seed);
    MappingIndex index = new MappingIndex(stripes, buckets);
    int count = workers * pinsEach;
    AtomicLongArray published = new AtomicLongArray(count);
    NamedHandle[] handles = new NamedHandle[count];
    for (int i = 0; i < count; i++) {
      handles[i] = new NamedHandle(i);
    }
    AtomicBoolean done = new AtomicBoolean();
    AtomicLong pins = new AtomicLong();
    ThreadFactory factory =
        workers > 8 ? Thread.ofVirtual().factory() : Thread.ofPlatform().factory();
    try (ExecutorService threads = Executors.newThreadPerTaskExecutor(factory)) {
      List<Future<?>> running = new ArrayList<>();
      for (int w = 0; w < workers; w++) {
        int first = w * pinsEach;
        SplittableRandom random = new SplittableRandom(seed + w);
        running.add(
            threads.submit(() -> {
              long[] tokens = new long[pinsEach];
              long n = 0;
              while (!done.get()) {
                int which = random.nextInt(pinsEach);
                int name = first + which;
                if (published.get(name) != NOT_PINNED) {
                  published.set(name, NOT_PINNED);
                  assertTrue(index.unpin(tokens[which]));
                } else {
                  long offset = 1 + random.nextLong(12 * MIB);
                  tokens[which] = index.pin(offset, lengthOf(name, offset), handles[name]);
                  // No two pins of a name have the same value: the offset and a count.
                  published.set(name, ++n << 32 | offset);
                }
                if ((n & 63) == 0) {
                  Thread.yield();
                }
              }
              pins.addAndGet(n);
            }));
      }
      long checked = 0;
      try {
        SplittableRandom random = new SplittableRandom(seed - 1);
        long[] before = new long[count];
        boolean[] found = new boolean[count];
        long end = System.nanoTime() + 1_500_000_000L;
        for (int round = 0; round < 500 || System.nanoTime() < end; round++) {
          long from = random.nextInt(3) == 0 ? 0 : random.nextLong(12 * MIB);
          long to = from + (random.nextInt(3) == 0 ? 1L << 45 : random.nextLong(2 * MIB) + 1);
          for (int i = 0; i < count; i++) {
            before[i] = published.get(i);
            found[i] = false;
          }
          index.visit(
              from,
              to - from,
              (offset, length, handle) -> {
                int name = ((NamedHandle) handle).name();
                // Whatever is shown was one pin, not parts of two.
                assertEquals(lengthOf(name, offset), length, "torn, seed " + seed);
                found[name] |= (int) before[name] == offset;
              });
          for (int i = 0; i < count; i++) {
            long offset = (int) before[i];
            boolean touches = offset < to && from < offset + lengthOf(i, offset);
            if (before[i] != NOT_PINNED && touches && published.get(i) == before[i]) {
              assertTrue(found[i], "seed " + seed + ": missed " + handles[i].describe());
              checked++;
            }
          }
        }
      } finally {
        done.set(true);
      }
      for (Future<?> worker : running) {
        worker.get();
      }
      System.out.println("MappingsStressTest: " + pins + " pins, " + checked + " checked");
      assertTrue(checked > 100, "too few were live during a lookup: " + checked);
    }
  }

  /** Differs for every handle and offset, and spans several size classes. */
  private static long lengthOf(int name, long offset) {
    long scrambled = (offset * 31 + name) * 0x9E3779B97F4A7C15L;
    return 1 + (scrambled >>> 44) * (scrambled >>> 62 == 0 ? 64 : 1);
  }

  /**
   * The order that makes a removal safe: who pins and then finds the device not fenced, and who
   * fences it and then finds no pin, must not both happen.
   */
  @Test
  void pinAndFenceCannotMissEachOther() throws Exception {
    MappingIndex index = new MappingIndex(1, 64);
    int rounds = 400_000;
    AtomicIntegerArray shared = new AtomicIntegerArray(4 * FAR_APART);
    AtomicIntegerArray sawNoFence = new AtomicIntegerArray(rounds + 1);
    NamedHandle handle = new NamedHandle(1);
    NamedHandle other = new NamedHandle(2);
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Future<?> pinner =
          threads.submit(() -> {
            for (int round = 1; round <= rounds; round++) {
              meet(shared, PINNER, FENCER, 2 * round - 1);
              delay(round % (round % 2 == 0 ? 61 : 7));
              long token = index.pin(0, 4096, handle);
              sawNoFence.setPlain(round, shared.get(FENCED) < round ? 1 : 0);
              meet(shared, PINNER, FENCER, 2 * round);
              index.unpin(token);
            }
          });
      int[] found = new int[1];
      int missedBoth = 0;
      for (int round = 1; round <= rounds; round++) {
        found[0] = 0;
        // Takes cache lines away from the pinner, so that its stores stay on the way for longer.
        index.unpin(index.pin(0, 4096, other));
        if (round % 4 < 2) {
          shared.set(FENCED, round - 1);
        }
        meet(shared, FENCER, PINNER, 2 * round - 1);
        delay(round % (round % 2 == 0 ? 67 : 11));
        shared.setRelease(FENCED, round);
        index.visit(0, 4096, (offset, length, h) -> found[0]++);
        meet(shared, FENCER, PINNER, 2 * round);
        missedBoth += found[0] == 0 && sawNoFence.getPlain(round) == 1 ? 1 : 0;
      }
      pinner.get();
      assertEquals(0, missedBoth, "rounds in which neither saw the other");
    }
  }

  /** Two delays of different period on two threads go through all the ways to be out of step. */
  private static void delay(int steps) {
    for (int i = 0; i < steps; i++) {
      VarHandle.fullFence();
    }
  }

  private static void meet(AtomicIntegerArray shared, int mine, int other, int at) {
    shared.set(mine, at);
    for (int spins = 0; shared.get(other) < at; spins++) {
      if (spins > 10_000) {
        Thread.yield();
      } else {
        Thread.onSpinWait();
      }
    }
  }

  @Test
  void ofManyWhoDropOnePinOneDoes() throws Exception {
    MappingIndex index = new MappingIndex(1, 2);
    int rounds = 100_000;
    AtomicLongArray tokens = new AtomicLongArray(rounds);
    AtomicIntegerArray drops = new AtomicIntegerArray(rounds);
    NamedHandle handle = new NamedHandle(1);
    AtomicIntegerArray shared = new AtomicIntegerArray(4 * FAR_APART);
    long own = index.pin(0, 1, handle);
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Future<?> other =
          threads.submit(() -> {
            for (int round = 0; round < rounds; round++) {
              meet(shared, PINNER, FENCER, round + 1);
              if (index.unpin(tokens.get(round))) {
                drops.incrementAndGet(round);
              }
            }
          });
      for (int round = 0; round < rounds; round++) {
        tokens.set(round, index.pin(0, 1, handle));
        meet(shared, FENCER, PINNER, round + 1);
        if (index.unpin(tokens.get(round))) {
          drops.incrementAndGet(round);
        }
      }
      other.get();
    }
    for (int round = 0; round < rounds; round++) {
      assertEquals(1, drops.get(round), "round " + round);
    }
    int[] live = new int[1];
    index.visit(0, 1, (offset, length, h) -> live[0]++);
    assertEquals(1, live[0]);
    assertTrue(index.unpin(own));
  }

  @Test
  void tenThousandVirtualThreadsPinAtOnce() throws Exception {
    ReverseMap map = new ReverseMap();
    int count = 10_000;
    CountDownLatch pinned = new CountDownLatch(count);
    CountDownLatch release = new CountDownLatch(1);
    AtomicInteger dropped = new AtomicInteger();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        NamedHandle handle = new NamedHandle(i);
        // Half of them in one region, the rest all over the volume.
        long offset = i % 2 == 0 ? i : i * MIB;
        running.add(
            threads.submit(() -> {
              for (int n = 0; n < 20; n++) {
                assertTrue(map.unpin(map.pin(offset, 4096, handle)));
              }
              long narrow = map.pin(offset, 4096, handle);
              long wide = map.pin(offset, 100 * MIB, handle);
              pinned.countDown();
              release.await();
              if (map.unpin(narrow) && map.unpin(wide)) {
                dropped.incrementAndGet();
              }
              return null;
            }));
      }
      int[] all = new int[1];
      int[] one = new int[count];
      try {
        pinned.await();
        map.mappings(0, 1L << 50, (offset, length, handle) -> all[0]++);
        for (int i = 0; i < count; i += 501) {
          long offset = i % 2 == 0 ? i : i * MIB;
          int name = i;
          map.mappings(
              offset,
              1,
              (o, length, handle) -> one[name] += ((NamedHandle) handle).name() == name ? 1 : 0);
          assertEquals(2, one[i], "pins found of thread " + i);
        }
      } finally {
        release.countDown();
      }
      for (Future<?> thread : running) {
        thread.get();
      }
      assertEquals(2 * count, all[0]);
      assertEquals(count, dropped.get());
      all[0] = 0;
      map.mappings(0, 1L << 50, (offset, length, handle) -> all[0]++);
      assertEquals(0, all[0]);
    }
  }
}
