package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.WriteBatch;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rule T10: all of a batch or nothing, wherever the power is cut. */
@Timeout(300)
final class T10BatchCrashTest {
  private static final int ENTRIES = 40;
  private static final int SAMPLE = 12;
  private static final long SEED = 11;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private static byte[] blob(int number) {
    byte[] bytes = new byte[9_000 + number];
    new Random(number).nextBytes(bytes);
    return bytes;
  }

  private static StoreBuilder builder(Path place, String topology, PersistenceMode mode) {
    StoreBuilder builder = Store.builder(place).initialCapacity(2 << 20).persistence(mode);
    if (topology.endsWith("log")) {
      boolean isOne = topology.startsWith("single");
      Path second = place.resolve("log-1.pmem");
      builder =
          isOne
              ? builder.log(place.resolve("log-0.pmem"))
              : builder.log(place.resolve("log-0.pmem"), second);
    }
    return topology.startsWith("single") ? builder.single() : builder;
  }

  /** Three operations: a new value, large, in the place of another; a removal; an overwrite. */
  private static WriteBatch batch(boolean longRecords) {
    WriteBatch batch = new WriteBatch();
    batch.put(key(3), blob(103)).remove(key(7)).put(key(20), value(120));
    for (int i = 0; longRecords && i < 6; i++) {
      batch.put(key(1000 + i), Arrays.copyOf(blob(i), 1200)); // more than fits into a slot
    }
    return batch;
  }

  private static void before(Store store) {
    Entries.put(store, 0, ENTRIES);
    store.put(key(3), blob(3));
  }

  private static byte @Nullable [] expected(int number, boolean done) {
    return switch (number) {
      case 3 -> blob(done ? 103 : 3);
      case 7 -> done ? null : value(7);
      case 20 -> value(done ? 120 : 20);
      default -> value(number);
    };
  }

  /** Whether the batch was done; fails if it was done in part. */
  private static boolean look(Store store, boolean longRecords) {
    boolean done = Arrays.equals(store.get(key(20)), value(120));
    for (int i = 0; i < ENTRIES; i++) {
      assertArrayEquals(expected(i, done), store.get(key(i)), "key " + i + ", done: " + done);
    }
    int more = longRecords && done ? 6 : 0;
    for (int i = 0; longRecords && i < 6; i++) {
      byte[] want = done ? Arrays.copyOf(blob(i), 1200) : null;
      assertArrayEquals(want, store.get(key(1000 + i)), "key " + (1000 + i) + ", done: " + done);
    }
    assertEquals((done ? ENTRIES - 1 : ENTRIES) + more, store.stats().entries());
    return done;
  }

  @ParameterizedTest
  @CsvSource({
    "mirror, DAX, false",
    "single, DAX, true",
    "mirror, FILE, true",
    "single, FILE, false",
    "single, PROCESS, false",
    "mirror, PROCESS, true",
    "single with log, DAX, true",
    "mirror with log, FILE, false"
  })
  void aPowerCutLeavesAllOrNothing(String topology, PersistenceMode mode, boolean longRecords)
      throws Exception {
    Path recorded = Files.createDirectories(directory.resolve("s"));
    CrashLog log;
    int begin;
    int acknowledged;
    try (CrashRecorder recorder = CrashRecorder.start(recorded)) {
      try (Store store = builder(recorded, topology, mode).open()) {
        before(store);
      }
      Store store = builder(recorded, topology, mode).open();
      begin = recorder.position();
      store.write(batch(longRecords));
      acknowledged = recorder.position();
      store.put(key(20), value(120)); // what follows settles nothing
      log = recorder.log();
      store.close();
    }
    Set<Long> visited = new HashSet<>();
    int done = 0;
    int undone = 0;
    try (CrashPlace place =
        CrashPlace.of(log, Files.createDirectories(directory.resolve("place")))) {
      for (int point = begin; point < log.points(); point++) {
        for (CrashImage image : log.images(point, SAMPLE, SEED)) {
          if (!visited.add(image.hash() * 31 + (point >= acknowledged ? 1 : 0))) {
            continue;
          }
          place.show(image);
          boolean was = reopen(directory.resolve("place"), topology, mode, longRecords, image);
          if (point >= acknowledged && !was) {
            fail("acknowledged, and not there: " + image);
          }
          done += was ? 1 : 0;
          undone += was ? 0 : 1;
        }
      }
    }
    System.out.println(
        "  " + topology + " " + mode + ": " + visited.size() + " states, " + done + " with it");
    assertTrue(done > 1 && undone > 1, "expected states with and without the batch");
  }

  private static boolean reopen(
      Path place, String topology, PersistenceMode mode, boolean longRecords, CrashImage image) {
    boolean done;
    try (Store store = builder(place, topology, mode).open()) {
      done = look(store, longRecords);
      // What was found goes on to be so, whatever is written now.
      store.write(new WriteBatch().put(key(2000), value(1)).put(key(2001), blob(1)));
      store.put(key(2002), blob(2));
      store.remove(key(2000));
      store.remove(key(2001));
      store.remove(key(2002));
      assertEquals(done, look(store, longRecords));
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(image + ": " + e.getMessage(), e);
    }
    try (Store store = builder(place, topology, mode).open()) {
      assertEquals(done, look(store, longRecords), () -> "after another open: " + image);
    }
    return done;
  }
}
