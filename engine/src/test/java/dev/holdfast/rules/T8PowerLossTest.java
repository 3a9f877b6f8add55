package dev.holdfast.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * T8 where power is cut: pages come to the medium in any order until an msync of them is over, and
 * whatever comes of that has everything that was acknowledged.
 */
@Timeout(300)
final class T8PowerLossTest {
  private static final int KEYS = 60;
  private static final int POINTS = 70;
  private static final int IMAGES = 5;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(boolean mirror) {
    StoreBuilder builder =
        Store.builder(directory)
            .initialCapacity(2 << 20)
            .maxCapacity(2 << 20)
            .persistence(PersistenceMode.FILE);
    return mirror ? builder : builder.single();
  }

  /** What was done to a key, and when. */
  private static final class Write {
    /** Null where it was removed. */
    final byte @Nullable [] value;

    /** How many events there were before. */
    final int began;

    /** How many there were when it was said to be durable; -1 if it never was. */
    final int acknowledged;

    Write(byte @Nullable [] value, int began, int acknowledged) {
      this.value = value;
      this.began = began;
      this.acknowledged = acknowledged;
    }
  }

  private final Map<Integer, List<Write>> writes = new HashMap<>();

  private static byte[] key(int number) {
    return String.format("key-%04d", number).getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[] value(Random random, int number) {
    // Most fill leaves; some are too large for one.
    int length = random.nextInt(12) == 0 ? 2_000 + random.nextInt(9_000) : random.nextInt(700);
    byte[] bytes = new byte[length + 4];
    random.nextBytes(bytes);
    bytes[0] = (byte) number;
    return bytes;
  }

  private void write(Store store, CrashRecorder recorder, Random random, int key, int number) {
    PersistenceMode mode = random.nextInt(4) == 0 ? PersistenceMode.FILE : PersistenceMode.PROCESS;
    byte[] value = random.nextInt(10) == 0 ? null : value(random, number);
    int began = recorder.position();
    if (value == null) {
      boolean _ = store.remove(key(key), mode);
    } else {
      store.put(key(key), value, mode);
    }
    int acknowledged = mode == PersistenceMode.FILE ? recorder.position() : -1;
    synchronized (writes) {
      writes
          .computeIfAbsent(key, _ -> new ArrayList<>())
          .add(new Write(value, began, acknowledged));
    }
  }

  /** What a key may have after a cut. */
  private void assertMayHave(int key, byte @Nullable [] found, int point, String where) {
    List<Write> all = writes.getOrDefault(key, List.of());
    boolean right = false;
    int i = all.size() - 1;
    for (; i >= 0; i--) {
      Write write = all.get(i);
      if (write.began > point) {
        continue;
      }
      right |= Arrays.equals(found, write.value);
      if (write.acknowledged >= 0 && write.acknowledged <= point) {
        break;
      }
    }
    right |= i < 0 && found == null;
    assertTrue(right, () -> where + ": key " + key + ": what was acknowledged is not there");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everythingAcknowledgedIsThereWhateverGotToTheMedium(boolean mirror) throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println(
        "everythingAcknowledgedIsThereWhateverGotToTheMedium " + mirror + ": -Dseed=" + seed);
    int writers = 2;
    int first;
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = builder(mirror).open()) {
        first = recorder.position();
        List<Thread> threads = new ArrayList<>();
        ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        for (int writer = 0; writer < writers; writer++) {
          int mine = writer;
          Random random = new Random(seed + writer);
          threads.add(
              Thread.ofPlatform()
                  .start(() -> {
                    for (int i = 0; i < 1_000; i++) {
                      int key = random.nextInt(KEYS / writers) * writers + mine;
                      try {
                        write(store, recorder, random, key, i);
                      } catch (RuntimeException e) {
                        failures.add(e);
                      }
                    }
                  }));
        }
        for (Thread thread : threads) {
          thread.join();
        }
        assertNull(failures.peek());
        log = recorder.log();
      }
    }
    assertTrue(log.flushSites().getOrDefault("commit of switches", 0) > 20, "no leaf was switched");
    Random random = new Random(seed);
    // Anywhere, and where most is on its way.
    List<Integer> fullest =
        IntStream.range(first, log.points())
            .filter(point -> log.next(point).startsWith("flush \"commit\""))
            .boxed()
            .toList();
    int[] points =
        IntStream.concat(
                random.ints(POINTS / 2, first, log.points()),
                random.ints(POINTS / 2, 0, fullest.size()).map(fullest::get))
            .sorted()
            .toArray();
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      for (int point : points) {
        int number = 0;
        for (CrashImage image : log.images(point, IMAGES, seed)) {
          place.show(image);
          String where = "point " + point + " before " + log.next(point) + ", image " + number;
          try (Store store = builder(mirror).open()) {
            assertEquals(List.of(), store.health().lost(), where);
            for (int key = 0; key < KEYS; key++) {
              assertMayHave(key, store.get(key(key)), point, where);
            }
          }
          if (++number == IMAGES) {
            break;
          }
        }
      }
    }
  }

  /** What a durable record leads to stays what it is until another one has taken its place. */
  @Test
  void pagesAreNotUsedAgainBeforeWhatTookTheirPlaceIsDurable() {
    int large = 40;
    List<byte[]> values = new ArrayList<>();
    List<Integer> points = new ArrayList<>();
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = builder(false).maxCapacity(8 << 20).initialCapacity(8 << 20).open()) {
        for (int round = 0; round < 12; round++) {
          for (int key = 0; key < large; key++) {
            byte[] value = new byte[9_000];
            Arrays.fill(value, (byte) values.size());
            values.add(value);
            store.put(key(key), value, PersistenceMode.PROCESS);
          }
          if (round == 0) {
            store.sync();
          }
          points.add(recorder.position());
        }
        log = recorder.log();
      }
    }
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      for (int point : points) {
        int number = 0;
        for (CrashImage image : log.images(point, 4, 0)) {
          place.show(image);
          try (Store store = builder(false).maxCapacity(8 << 20).open()) {
            for (int key = 0; key < large; key++) {
              byte[] found = store.get(key(key));
              String where = "point " + point + ", image " + number + ", key " + key;
              assertTrue(values.stream().anyMatch(value -> Arrays.equals(value, found)), where);
            }
          }
          if (++number == 4) {
            break;
          }
        }
      }
    }
  }

  @Test
  void whatWasSyncedIsThere() {
    int before;
    int after;
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = builder(true).open()) {
        for (int i = 0; i < KEYS; i++) {
          store.put(key(i), new byte[300], PersistenceMode.PROCESS);
        }
        before = recorder.position();
        store.sync();
        after = recorder.position();
        log = recorder.log();
      }
    }
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      place.show(log.images(before, 2, 0).iterator().next());
      try (Store store = builder(true).open()) {
        assertTrue(store.stats().entries() < KEYS, "nothing is shown by this test");
      }
      for (CrashImage image : log.images(after, 8, 0)) {
        place.show(image);
        try (Store store = builder(true).open()) {
          assertEquals(KEYS, store.stats().entries());
        }
      }
    }
  }

  /** What one process left in the page cache is durable before another builds on it. */
  @Test
  void whatAnOpenFindsIsDurableBeforeItServes() throws Exception {
    try (Store store = builder(false).open()) {
      store.put(key(1), new byte[300]);
    }
    int point;
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store _ = builder(false).open()) {
        point = recorder.position();
        log = recorder.log();
      }
    }
    assertTrue(log.flushSites().getOrDefault("open", 0) == 1, "sites: " + log.flushSites());
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      place.show(log.images(point, 2, 0).iterator().next());
      try (Store store = builder(false).open()) {
        assertEquals(1, store.stats().entries());
      }
    }
  }
}
