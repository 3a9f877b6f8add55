package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.seed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot is one moment of the whole store, also while others write. */
final class SnapshotConsistencyTest {
  private static final int ACCOUNTS = 300;
  private static final int START = 1_000;
  private static final int WRITERS = 3;
  private static final int KEYS = 150;
  private static final int STEPS = 8_000;

  @TempDir Path directory;

  private Store open() {
    return Store.builder(directory.resolve("s")).initialCapacity(8 << 20).open();
  }

  private static byte[] amount(int amount, Random random) {
    return ByteBuffer.allocate(random.nextInt(300) + 4).putInt(0, amount).array();
  }

  private static int amountOf(byte @Nullable [] value) {
    assertNotNull(value);
    return ByteBuffer.wrap(value).getInt();
  }

  /**
   * One writer moves amounts: first it takes, then it gives. So what is missing in a snapshot is
   * what was on its way, and never is there more than there should be.
   */
  @Test
  void nothingIsThereTwiceAndNoMoreIsMissingThanIsOnItsWay() {
    Random random = new Random(seed("nothingIsThereTwiceAndNoMoreIsMissingThanIsOnItsWay"));
    long writerSeed = random.nextLong();
    int most = 50;
    try (Store store = open()) {
      for (int i = 0; i < ACCOUNTS; i++) {
        store.put(key(i), amount(START, random));
      }
      CompletableFuture<Void> writer =
          CompletableFuture.runAsync(() -> {
            Random moves = new Random(writerSeed);
            int[] amounts = new int[ACCOUNTS];
            java.util.Arrays.fill(amounts, START);
            for (int n = 0; n < 40_000; n++) {
              int from = moves.nextInt(ACCOUNTS);
              int to = moves.nextInt(ACCOUNTS);
              int moved = moves.nextInt(most + 1);
              amounts[from] -= moved;
              store.put(key(from), amount(amounts[from], moves));
              amounts[to] += moved;
              store.put(key(to), amount(amounts[to], moves));
            }
          });
      List<Snapshot> kept = new ArrayList<>();
      List<Integer> sums = new ArrayList<>();
      int taken = 0;
      while (!writer.isDone() || taken < 20) {
        Snapshot snapshot = store.snapshot();
        int sum = taken % 2 == 0 ? sumOfGets(snapshot, random) : sumOfWalk(snapshot);
        assertTrue(sum <= ACCOUNTS * START && sum >= ACCOUNTS * START - most, "the sum was " + sum);
        if (kept.size() < 50 && random.nextInt(4) == 0) {
          kept.add(snapshot);
          sums.add(sum);
        } else {
          snapshot.close();
        }
        taken++;
      }
      writer.join();
      for (int i = 0; i < kept.size(); i++) {
        assertEquals(sums.get(i), sumOfGets(kept.get(i), random), "it shows something else now");
        assertEquals(sums.get(i), sumOfWalk(kept.get(i)));
        kept.get(i).close();
      }
      System.out.println(taken + " snapshots, " + kept.size() + " of them kept");
    }
  }

  private static int sumOfGets(Snapshot snapshot, Random random) {
    int begin = random.nextInt(ACCOUNTS);
    return IntStream.range(0, ACCOUNTS)
        .map(i -> amountOf(snapshot.get(key((begin + i) % ACCOUNTS))))
        .sum();
  }

  private static int sumOfWalk(Snapshot snapshot) {
    int sum = 0;
    int seen = 0;
    try (Cursor cursor = snapshot.cursor(KeyRange.all())) {
      while (cursor.next()) {
        sum += amountOf(cursor.value());
        seen++;
      }
    }
    assertEquals(ACCOUNTS, seen);
    return sum;
  }

  /**
   * Each writer does its steps one by one, removals too, and each step leaves its number. Of each
   * writer a snapshot shows exactly what its steps up to some number have left; and no fewer than
   * were done before the snapshot began.
   */
  @Test
  void ofEachWriterItShowsAllStepsUpToOneAndNoneBehindIt() {
    long base = seed("ofEachWriterItShowsAllStepsUpToOneAndNoneBehindIt");
    try (Store store = open();
        ExecutorService threads = Executors.newCachedThreadPool()) {
      AtomicIntegerArray done = new AtomicIntegerArray(WRITERS);
      List<CompletableFuture<Void>> writers =
          IntStream.range(0, WRITERS)
              .mapToObj(w -> CompletableFuture.runAsync(() -> write(store, base, w, done), threads))
              .toList();
      List<CompletableFuture<Integer>> readers =
          IntStream.range(0, 2)
              .mapToObj(r ->
                  CompletableFuture.supplyAsync(() -> read(store, base, r, done, writers), threads))
              .toList();
      writers.forEach(CompletableFuture::join);
      for (CompletableFuture<Integer> reader : readers) {
        assertTrue(reader.join() > 0);
      }
      assertEquals(0, store.stats().snapshots().open());
    }
  }

  private static byte[] keyOf(int writer, int key) {
    return key(key * WRITERS + writer); // side by side with those of the others
  }

  /** What a step does: to which key, and whether it removes it. */
  private record Step(int key, boolean removes, int length) {
    static Step of(long base, int writer, int number) {
      Random random = new Random(base + writer * 1_000_003L + number * 7_919L);
      boolean large = random.nextInt(200) == 0;
      return new Step(
          random.nextInt(KEYS),
          random.nextInt(5) == 0,
          large ? 2_000 + random.nextInt(8_000) : 4 + random.nextInt(200));
    }
  }

  private static void write(Store store, long base, int writer, AtomicIntegerArray done) {
    for (int number = 1; number <= STEPS; number++) {
      Step step = Step.of(base, writer, number);
      if (step.removes) {
        boolean _ = store.remove(keyOf(writer, step.key));
      }
      // Its number, so that a snapshot tells how far it goes.
      store.put(keyOf(writer, KEYS), ByteBuffer.allocate(4).putInt(0, number).array());
      if (!step.removes) {
        store.put(
            keyOf(writer, step.key), ByteBuffer.allocate(step.length).putInt(0, number).array());
      }
      done.set(writer, number);
    }
  }

  private static int read(
      Store store,
      long base,
      int reader,
      AtomicIntegerArray done,
      List<CompletableFuture<Void>> writers) {
    Random random = new Random(base + reader);
    int taken = 0;
    while (writers.stream().anyMatch(w -> !w.isDone())) {
      int[] before = IntStream.range(0, WRITERS).map(done::get).toArray();
      try (Snapshot snapshot = store.snapshot()) {
        int writer = random.nextInt(WRITERS);
        assertIsPrefix(snapshot, base, writer, before[writer]);
        taken++;
      }
    }
    return taken;
  }

  private static void assertIsPrefix(Snapshot snapshot, long base, int writer, int atLeast) {
    byte[] counter = snapshot.get(keyOf(writer, KEYS));
    int number = counter == null ? 0 : ByteBuffer.wrap(counter).getInt();
    assertTrue(number >= atLeast, "step " + atLeast + " was done before, it shows " + number);
    int[] last = new int[KEYS];
    int[] lengths = new int[KEYS];
    for (int n = 1; n <= number; n++) {
      Step step = Step.of(base, writer, n);
      last[step.key] = step.removes ? 0 : n;
      lengths[step.key] = step.length;
    }
    // Between its number and what it puts: the step may be half done. So may be the next removal.
    Step half = Step.of(base, writer, Math.max(1, number));
    Step next = Step.of(base, writer, number + 1);
    for (int k = 0; k < KEYS; k++) {
      byte[] value = snapshot.get(keyOf(writer, k));
      boolean mayDiffer =
          (k == half.key && !half.removes && number > atLeast) || (k == next.key && next.removes);
      if (mayDiffer && (value == null || ByteBuffer.wrap(value).getInt() != last[k])) {
        continue;
      }
      if (last[k] == 0) {
        assertNull(value, "key " + k + " at step " + number);
      } else {
        assertNotNull(value, "key " + k + " at step " + number);
        assertArrayEquals(
            ByteBuffer.allocate(lengths[k]).putInt(0, last[k]).array(), value, "key " + k);
      }
    }
  }
}
