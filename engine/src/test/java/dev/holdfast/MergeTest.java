package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.scan;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Deletes give space back: leaves with little left in them become one. */
final class MergeTest {
  private static final int KEYS = 3_000;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private static void fillMixed(Store store) {
    for (int i = 0; i < KEYS; i++) {
      int mixed = (int) (i * 7919L % KEYS);
      store.put(key(mixed), value(mixed));
    }
  }

  private static long usedPages(Store store) {
    StoreStats stats = store.stats();
    return (stats.capacityBytes() - stats.freeBytes()) / PAGE;
  }

  enum Order {
    UP,
    DOWN,
    MIXED;

    int of(int i) {
      return switch (this) {
        case UP -> i;
        case DOWN -> KEYS - 1 - i;
        case MIXED -> (int) (i * 1237L % KEYS);
      };
    }
  }

  @ParameterizedTest
  @EnumSource
  void deletingEverythingGivesThePagesBack(Order order) {
    try (Store store = Store.builder(path()).open()) {
      long empty = usedPages(store);
      fillMixed(store);
      long full = usedPages(store);
      assertTrue(full > empty + 300, full + " pages");
      for (int i = 0; i < KEYS; i++) {
        assertTrue(store.remove(key(order.of(i))));
      }
      assertEquals(0, store.stats().entries());
      assertTrue(usedPages(store) <= empty + 8, usedPages(store) + " pages, were " + empty);
      fillMixed(store);
      TestStores.assertHolds(store, 0, KEYS);
      assertTrue(usedPages(store) <= full * 11 / 10, usedPages(store) + " pages, were " + full);
    }
    try (Store store = Store.open(path())) {
      TestStores.assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void whatStaysIsFoundAndWalkedOverAlsoAfterACrashAndOnEitherLeg() throws Exception {
    try (Store store = Store.builder(path()).open()) {
      fillMixed(store);
      long full = usedPages(store);
      for (int i = 0; i < KEYS; i++) {
        int number = Order.MIXED.of(i);
        if (number % 20 != 7) {
          assertTrue(store.remove(key(number)));
        }
      }
      assertTrue(usedPages(store) < full / 4, usedPages(store) + " pages of " + full);
      assertHoldsOneInTwenty(store);
      crashImage(path(), directory.resolve("image"));
    }
    for (int leg = 0; leg < 2; leg++) {
      Path alone = directory.resolve("alone-" + leg);
      crashImage(directory.resolve("image"), alone);
      java.nio.file.Files.delete(alone.resolve("leg-" + (1 - leg) + ".pmem"));
      try (Store store = Store.builder(alone).openDegraded().open()) {
        assertHoldsOneInTwenty(store);
      }
    }
    try (Store store = Store.open(directory.resolve("image"))) {
      assertHoldsOneInTwenty(store);
      fillMixed(store);
      TestStores.assertHolds(store, 0, KEYS);
    }
  }

  private static void assertHoldsOneInTwenty(Store store) {
    for (int i = 0; i < KEYS; i++) {
      assertArrayEquals(i % 20 == 7 ? value(i) : null, store.get(key(i)), "key " + i);
    }
    for (boolean reverse : new boolean[] {false, true}) {
      List<byte[]> keys = scan(store, reverse).keys();
      assertEquals(KEYS / 20, keys.size());
      for (int i = 0; i < keys.size(); i++) {
        int number = reverse ? KEYS / 20 - 1 - i : i;
        assertArrayEquals(key(number * 20 + 7), keys.get(i));
      }
    }
  }

  /** Readers, walks in both directions and writers meet merges and splits of the same leaves. */
  @Test
  void readersWalksAndWritersMeetMerges() throws Exception {
    try (Store store = Store.builder(path()).open();
        ExecutorService pool = Executors.newFixedThreadPool(5);
        StopFlag stop = new StopFlag()) {
      fillMixed(store);
      List<Future<?>> others = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        boolean reverse = t == 1;
        others.add(
            pool.submit(() -> {
              while (!stop.get()) {
                assertWalkSeesAllThatStays(store, reverse);
              }
            }));
      }
      others.add(
          pool.submit(() -> {
            SplittableRandom random = new SplittableRandom(3);
            while (!stop.get()) {
              int number = random.nextInt(KEYS / 20) * 20;
              assertArrayEquals(value(number), store.get(key(number)), "key " + number);
            }
          }));
      List<Future<?>> writers = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        int half = t;
        writers.add(
            pool.submit(() -> {
              for (int round = 0; round < 6; round++) {
                for (int i = 0; i < KEYS; i++) {
                  int number = Order.MIXED.of(i);
                  if (number % 20 != 0 && number % 2 == half) {
                    assertEquals(round % 2 == 0, store.containsKey(key(number)));
                    if (round % 2 == 0) {
                      assertTrue(store.remove(key(number)), "key " + number);
                    } else {
                      store.put(key(number), value(number));
                    }
                  }
                }
              }
            }));
      }
      for (Future<?> writer : writers) {
        writer.get();
      }
      stop.set();
      for (Future<?> other : others) {
        other.get();
      }
      TestStores.assertHolds(store, 0, KEYS);
      assertEquals(KEYS, store.stats().entries());
    }
  }

  private static void assertWalkSeesAllThatStays(Store store, boolean reverse) {
    int expected = reverse ? KEYS - 20 : 0;
    byte[] before = null;
    for (byte[] key : scan(store, reverse).keys()) {
      if (before != null) {
        assertTrue(java.util.Arrays.compareUnsigned(before, key) < 0 != reverse, "in order, once");
      }
      before = key;
      if (java.util.Arrays.equals(key, key(expected))) {
        expected += reverse ? -20 : 20;
      }
    }
    assertEquals(reverse ? -20 : KEYS, expected, "all that were there throughout");
  }

  @Test
  void overwritingEverythingTwentyTimesTakesNoMoreSpace() {
    try (Store store = Store.builder(path()).open()) {
      fillMixed(store);
      long used = 0;
      long capacity = 0;
      for (int round = 0; round < 20; round++) {
        for (int i = 0; i < KEYS; i++) {
          int number = Order.MIXED.of(i);
          store.put(key(number), value(number + round, value(number).length));
        }
        if (round == 2) {
          used = usedPages(store);
          capacity = store.stats().capacityBytes();
        }
      }
      assertTrue(usedPages(store) <= used * 11 / 10, usedPages(store) + " pages, were " + used);
      assertEquals(capacity, store.stats().capacityBytes());
    }
  }

  @Test
  void overwritingLargeValuesReusesTheirPages() {
    try (Store store = Store.builder(path()).initialCapacity(16 << 20).open()) {
      long capacity = store.stats().capacityBytes();
      for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 40; i++) {
          store.put(key(i), value(i + round, 50_000 + i * 1_000));
        }
      }
      assertEquals(capacity, store.stats().capacityBytes());
      for (int i = 0; i < 40; i++) {
        assertArrayEquals(value(i + 39, 50_000 + i * 1_000), store.get(key(i)));
        assertTrue(store.remove(key(i)));
      }
      assertTrue(usedPages(store) < 80, usedPages(store) + " pages");
    }
  }

  /** A page that is used again shows nothing of the value that was there. */
  @Test
  void freedPagesShowNothingOfWhatWasThere() {
    byte[] secret = new byte[3 * PAGE];
    java.util.Arrays.fill(secret, (byte) 0x5a);
    try (Store store = Store.builder(path()).single().initialCapacity(2 << 20).open()) {
      int large = 60;
      for (int i = 0; i < large; i++) {
        store.put(key(i), secret);
      }
      for (int i = 0; i < large; i++) {
        assertTrue(store.remove(key(i)));
      }
      store.put(key(large), value(1));
      // All of the room, in values that do not fill their last page.
      int i = 0;
      while (store.stats().freeBytes() > 40L * PAGE) {
        store.put(key(large + i), value(i, 2 * PAGE + 17));
        i++;
      }
      for (StoreExtent extent : TestStores.records(store)) {
        long end = (extent.offset() + extent.length() + PAGE - 1) / PAGE * PAGE;
        byte[] bytes = new byte[(int) (end - extent.offset() / PAGE * PAGE)];
        leg(store, 0).read(extent.offset() / PAGE * PAGE, bytes, 0, bytes.length);
        assertTrue(longestRun(bytes) < 64, "at " + extent.offset());
      }
    }
  }

  private static int longestRun(byte[] bytes) {
    int longest = 0;
    int run = 0;
    for (byte b : bytes) {
      run = b == 0x5a ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    return longest;
  }

  // ---------------------------------------------------------------- power cuts

  private static final int FEW = 110;
  private static final int LENGTH = 700;

  /** A power cut at any store of a merge, on legs that differ by then. */
  @Test
  void aPowerCutInAMergeLosesNothingAndBringsNothingBack() {
    CrashLog log;
    List<Integer> from = new ArrayList<>();
    List<Integer> to = new ArrayList<>();
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store =
          Store.builder(directory)
              .persistence(PersistenceMode.DAX)
              .initialCapacity(VolumeLayout.RECORDS_OFFSET + (1 << 20))
              .open()) {
        for (int i = 0; i < FEW; i++) {
          store.put(key(i * 37 % FEW), value(i * 37 % FEW, LENGTH));
        }
        for (int i = 0; i < FEW; i++) {
          from.add(recorder.position());
          assertTrue(store.remove(key(i)));
          to.add(recorder.position());
        }
      }
      log = recorder.log();
    }
    assertTrue(log.flushSites().containsKey("merged leaf"), () -> "sites: " + log.flushSites());
    int states = 0;
    int merges = 0;
    Logger opens = Logger.getLogger("dev.holdfast.Store"); // It says a line at every open.
    opens.setLevel(Level.SEVERE);
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      Set<Long> visited = new HashSet<>();
      for (int i = 0; i < FEW; i++) {
        if (!hasMerge(log, from.get(i), to.get(i))) {
          continue; // One record, and nothing else.
        }
        merges++;
        for (int point = from.get(i); point <= to.get(i); point++) {
          for (CrashImage image : log.images(point, 12, point)) {
            if (visited.add(image.hash() * 31 + i)) {
              place.show(image);
              assertIsLeftAfter(i);
              states++;
            }
          }
        }
      }
    } finally {
      opens.setLevel(null);
    }
    assertTrue(merges > 0, "no remove merged leaves");
    System.out.println("merges cut: " + merges + ", states: " + states);
  }

  private static boolean hasMerge(CrashLog log, int from, int to) {
    return IntStream.range(from, to).anyMatch(point -> log.next(point).contains("\"merged leaf\""));
  }

  private void assertIsLeftAfter(int removing) {
    try (Store store = Store.builder(directory).persistence(PersistenceMode.DAX).open()) {
      TreeMap<Integer, byte[]> model = new TreeMap<>();
      for (int i = removing + 1; i < FEW; i++) {
        model.put(i, value(i, LENGTH));
      }
      for (int i = 0; i < FEW; i++) {
        byte[] found = store.get(key(i));
        if (i != removing) {
          assertArrayEquals(model.get(i), found, "key " + i);
        } else if (found != null) {
          model.put(i, found);
          assertArrayEquals(value(i, LENGTH), found);
        }
      }
      assertEquals(model.size(), scan(store, false).keys().size());
      store.put(key(FEW), value(FEW, LENGTH));
      assertArrayEquals(value(FEW, LENGTH), store.get(key(FEW)));
      assertNull(store.get(key(FEW + 1)));
      assertTrue(store.health().lost().isEmpty());
    }
  }
}
