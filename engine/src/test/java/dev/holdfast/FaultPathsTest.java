package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertAbsent;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keySet;
import static dev.holdfast.TestStores.keysIn;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Each way through the tree, warm, meets a page that is gone and a device that is gone: on a mirror
 * nothing fails and nothing is wrong; on a single leg the error says what it is, and names exactly
 * what was lost.
 *
 * <p>Nobody is told of the fault but by the access that meets it.
 */
final class FaultPathsTest {
  private static final int KEYS = 600;

  /** So many of them get large values, where the path is that of large values. */
  private static final int LARGE = 60;

  /** So often a path is gone before its fault: the JIT has compiled it by then. */
  private static final int WARM = 12_000;

  @TempDir(factory = FastPlace.class)
  Path directory;

  /** A way through the tree. */
  enum Way {
    /** Slot, record. */
    GET,

    /** Down the separators to the leaf of a key that is not there yet, and to its end. */
    DESCEND,

    /** A record is appended behind others of its leaf. */
    OVERWRITE,

    /** A full leaf goes to new pages, its live records alone. */
    REWRITE,

    /** A full leaf becomes two. */
    SPLIT,

    SCAN,
    REVERSE_SCAN,

    /** A large value lies in pages of its own. */
    LARGE_VALUE
  }

  /** What the keys have to have. */
  private static final class Model {
    final TreeMap<byte[], byte[]> entries = new TreeMap<>(Arrays::compareUnsigned);
    final Random random;
    int next;

    Model(long seed) {
      random = new Random(seed);
    }

    void put(Store store, byte[] key, byte[] value) {
      store.put(key, value);
      entries.put(key, value);
    }

    /** A key between two that are there. */
    byte[] fresh() {
      byte[] near = key(random.nextInt(KEYS));
      byte[] fresh = Arrays.copyOf(near, near.length + 4);
      for (int i = 0; i < 4; i++) {
        fresh[near.length + i] = (byte) (next >>> (8 * i));
      }
      next++;
      return fresh;
    }

    void walk(Store store, boolean reverse) {
      int from = random.nextInt(KEYS - 20);
      KeyRange range = KeyRange.closedOpen(key(from), key(from + 20));
      var part = entries.subMap(key(from), true, key(from + 20), false);
      try (Cursor cursor = reverse ? store.reverseCursor(range) : store.cursor(range)) {
        for (Map.Entry<byte[], byte[]> entry : (reverse ? part.descendingMap() : part).entrySet()) {
          assertTrue(cursor.next(), "an entry is missing");
          assertArrayEquals(entry.getKey(), cursor.key());
          assertArrayEquals(entry.getValue(), cursor.value());
        }
        assertFalse(cursor.next());
      }
    }

    void step(Store store, Way way) {
      int i = random.nextInt(KEYS);
      switch (way) {
        case GET -> assertArrayEquals(entries.get(key(i)), store.get(key(i)), "key " + i);
        case DESCEND -> {
          byte[] fresh = fresh();
          put(store, fresh, new byte[4]);
          assertTrue(store.remove(fresh));
          entries.remove(fresh);
        }
        case OVERWRITE -> put(store, key(i), value(random.nextInt(1_000), 30));
        case REWRITE -> put(store, key(i % 40), value(random.nextInt(1_000), 1_200));
        case SPLIT -> put(store, fresh(), value(random.nextInt(1_000), 900));
        case SCAN, REVERSE_SCAN -> walk(store, way == Way.REVERSE_SCAN);
        case LARGE_VALUE -> {
          int k = i % LARGE;
          if (random.nextBoolean()) {
            put(store, key(k), value(random.nextInt(1_000), 9_000));
          } else {
            assertArrayEquals(entries.get(key(k)), store.get(key(k)));
          }
        }
      }
    }

    void assertHeldBy(Store store) {
      entries.forEach((key, value) -> assertArrayEquals(value, store.get(key)));
      assertEquals(entries.size(), store.stats().entries());
    }
  }

  private static int warm(Way way) {
    return switch (way) {
      case SPLIT -> 2_500;
      case SCAN, REVERSE_SCAN -> 1_500; // of 20 entries each
      case LARGE_VALUE -> 3_000;
      default -> WARM;
    };
  }

  private Store open(int legs) {
    StoreBuilder builder = Store.builder(directory.resolve("s")).initialCapacity(8 << 20);
    return (legs == 1 ? builder.single() : builder).open();
  }

  private static Model filled(Store store, Way way, long seed) {
    Model model = new Model(seed);
    for (int i = 0; i < KEYS; i++) {
      model.put(store, key(i), value(i, 60));
    }
    for (int i = 0; i < warm(way); i++) {
      model.step(store, way);
    }
    return model;
  }

  private static long seed(String test, Way way) {
    return TestStores.seed(test + " " + way);
  }

  /** The path is gone by one thread while another breaks a leg, again and again. */
  @ParameterizedTest
  @EnumSource
  void mirrorHidesPagesThatGo(Way way) throws Exception {
    long seed = seed("mirrorHidesPagesThatGo", way);
    Random random = new Random(seed);
    try (Store store = open(2)) {
      Model model = filled(store, way, seed);
      underWay(
          store,
          model,
          way,
          more -> {
            for (int fault = 0; fault < 4; fault++) {
              more.accept(random.nextInt(200));
              EmulatedDevice device = leg(store, random.nextInt(2));
              device.faults().notifyNever();
              device.faults().poison(placeOfAny(store, random, way), 1);
              more.accept(50);
              device.faults().notifyAfter(Duration.ZERO);
              TestStores.awaitRepaired(store);
            }
          });
      assertTrue(store.health().lost().isEmpty());
      model.assertHeldBy(store);
      awaitState(store, StoreState.ONLINE);
      leg(store, random.nextInt(2)).faults().remove();
      model.assertHeldBy(store);
    }
  }

  private static byte[] hot(Random random, Way way) {
    return key(random.nextInt(way == Way.REWRITE ? 40 : way == Way.LARGE_VALUE ? LARGE : KEYS));
  }

  @ParameterizedTest
  @EnumSource
  void mirrorHidesALegThatGoes(Way way) throws Exception {
    long seed = seed("mirrorHidesALegThatGoes", way);
    Random random = new Random(seed);
    try (Store store = open(2)) {
      Model model = filled(store, way, seed);
      underWay(
          store,
          model,
          way,
          more -> {
            for (int fault = 0; fault < 2; fault++) {
              more.accept(random.nextInt(200));
              EmulatedDevice device = leg(store, random.nextInt(2));
              device.faults().notifyNever();
              device.faults().remove();
              more.accept(50);
              device.faults().notifyAfter(Duration.ZERO);
              device.faults().reinsert();
              awaitState(store, StoreState.ONLINE);
            }
          });
      assertTrue(store.health().lost().isEmpty());
      model.assertHeldBy(store);
      leg(store, random.nextInt(2)).faults().remove();
      model.assertHeldBy(store);
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** Waits until the path was gone so many more times. */
  @FunctionalInterface
  private interface More {
    void accept(long times);
  }

  @FunctionalInterface
  private interface Breaks {
    void run(More more);
  }

  private static void underWay(Store store, Model model, Way way, Breaks breaks)
      throws InterruptedException {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong steps = new AtomicLong();
    AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();
    Thread walker =
        Thread.ofPlatform()
            .start(() -> {
              try {
                while (!stop.get()) {
                  model.step(store, way);
                  steps.incrementAndGet();
                  if (way == Way.SPLIT) {
                    LockSupport.parkNanos(20_000); // the store is not to grow without end
                  }
                }
              } catch (Throwable e) {
                failed.set(e);
                stop.set(true);
              }
            });
    try {
      breaks.run(times -> {
        long until = steps.get() + times;
        while (steps.get() < until && !stop.get()) {
          LockSupport.parkNanos(50_000);
        }
      });
    } finally {
      stop.set(true);
      walker.join();
    }
    assertNull(failed.get(), () -> failed.get() + " " + Arrays.toString(stack(failed.get())));
  }

  private static StackTraceElement[] stack(@Nullable Throwable error) {
    return error == null ? new StackTraceElement[0] : error.getStackTrace();
  }

  /** The only leg goes: one kind of error, nothing acknowledged is missing when it is back. */
  @ParameterizedTest
  @EnumSource
  void singleLegThatGoesIsOffline(Way way) {
    long seed = seed("singleLegThatGoesIsOffline", way);
    try (Store store = open(1)) {
      Model model = filled(store, way, seed);
      for (int fault = 0; fault < 2; fault++) {
        leg(store, 0).faults().notifyNever();
        leg(store, 0).faults().remove();
        for (int i = 0; i < 20; i++) {
          assertThrows(DeviceOfflineException.class, () -> model.step(store, way));
        }
        leg(store, 0).faults().notifyAfter(Duration.ZERO);
        leg(store, 0).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
        assertTrue(store.health().lost().isEmpty());
        model.assertHeldBy(store);
        for (int i = 0; i < 50; i++) {
          model.step(store, way);
        }
      }
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /**
   * A new key is taken for a lost one if 18 bits of their hashes are the same, and ends its loss:
   * with 400 of them beside 60 lost ones in three rounds that is one run in four.
   */
  private static final int MOST_MISTAKEN = 2;

  /** A page of the only leg goes: what it held is lost, by name, and nothing else is. */
  @ParameterizedTest
  @EnumSource
  void singleLegLosesWhatThePageHeldAndNothingElse(Way way) {
    long seed = seed("singleLegLosesWhatThePageHeldAndNothingElse", way);
    Random random = new Random(seed);
    Set<byte[]> lost = keySet();
    Model model;
    try (Store store = open(1)) {
      model = filled(store, way, seed);
      for (int fault = 0; fault < 3; fault++) {
        long page = placeOf(store, victim(model, lost, random, way), way) / PAGE * PAGE;
        Set<byte[]> held = keysIn(store, page, PAGE);
        leg(store, 0).faults().notifyNever();
        leg(store, 0).faults().poison(page, 1);
        Set<byte[]> healed = keySet();
        for (int i = 0; i < 400; i++) {
          stepPast(store, model, way, lost, held, healed);
        }
        for (byte[] key : held) {
          if (!healed.contains(key)) {
            lost.add(key);
          }
        }
        lost.removeAll(healed);
        assertExactly(store, model, lost);
      }
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertExactly(store, model, lost);
      lost.forEach(key -> store.put(key, key));
      lost.forEach(key -> assertArrayEquals(key, store.get(key)));
      assertTrue(store.health().lost().isEmpty(), () -> "still: " + store.health().lost());
    }
  }

  /** Where the record of a key is; of a large value where a part of the value is. */
  private static long placeOf(Store store, byte[] key, Way way) {
    return extentOf(store, key, way).orElseThrow().offset();
  }

  /** The same of a key that is hot, and is there while another thread overwrites and removes. */
  private static long placeOfAny(Store store, Random random, Way way) {
    return Stream.generate(() -> extentOf(store, hot(random, way), way))
        .limit(1_000)
        .flatMap(Optional::stream)
        .findFirst()
        .orElseThrow()
        .offset();
  }

  private static Optional<StoreExtent> extentOf(Store store, byte[] key, Way way) {
    return TestStores.records(store).stream()
        .filter(extent -> Arrays.equals(extent.key(), key))
        .filter(extent -> way != Way.LARGE_VALUE || extent.length() >= PAGE)
        .findFirst();
  }

  private static byte[] victim(Model model, Set<byte[]> lost, Random random, Way way) {
    for (int tries = 0; tries < 10_000; tries++) {
      byte[] key = hot(random, way);
      if (model.entries.containsKey(key) && !lost.contains(key)) {
        return key;
      }
    }
    throw new AssertionError("everything was lost");
  }

  /** One step of the path; where it meets what is lost it says so, and otherwise it works. */
  private static void stepPast(
      Store store, Model model, Way way, Set<byte[]> lost, Set<byte[]> held, Set<byte[]> healed) {
    Set<byte[]> gone = keySet(lost);
    gone.addAll(held);
    gone.removeAll(healed);
    int i = model.random.nextInt(KEYS);
    switch (way) {
      case GET -> {
        if (gone.contains(key(i))) {
          assertThrows(DataLostException.class, () -> store.get(key(i)));
        } else {
          assertArrayEquals(model.entries.get(key(i)), store.get(key(i)), "key " + i);
        }
      }
      case SCAN, REVERSE_SCAN -> walkPast(store, model, gone, way == Way.REVERSE_SCAN);
      case LARGE_VALUE -> {
        byte[] key = key(i % LARGE);
        if (gone.contains(key)) {
          assertThrows(DataLostException.class, () -> store.get(key));
        } else {
          assertArrayEquals(model.entries.get(key), store.get(key));
        }
      }
      case OVERWRITE -> heal(store, model, key(i), value(i, 30), healed);
      case REWRITE -> heal(store, model, key(i % 40), value(i, 1_200), healed);
      case SPLIT -> heal(store, model, model.fresh(), value(i, 900), healed);
      case DESCEND -> {
        byte[] fresh = model.fresh();
        heal(store, model, fresh, value(i, 4), healed);
        assertTrue(store.remove(fresh));
        model.entries.remove(fresh);
      }
    }
  }

  private static void heal(Store store, Model model, byte[] key, byte[] value, Set<byte[]> healed) {
    store.put(key, value);
    model.entries.put(key, value);
    healed.add(key);
  }

  private static void walkPast(Store store, Model model, Set<byte[]> gone, boolean reverse) {
    int from = model.random.nextInt(KEYS - 20);
    KeyRange range = KeyRange.closedOpen(key(from), key(from + 20));
    Set<byte[]> expected = keySet(model.entries.subMap(key(from), key(from + 20)).keySet());
    boolean hits = expected.stream().anyMatch(gone::contains);
    expected.removeAll(gone);
    int told = 0;
    Set<byte[]> seen = keySet();
    try (Cursor cursor = reverse ? store.reverseCursor(range) : store.cursor(range)) {
      while (true) {
        try {
          if (!cursor.next()) {
            break;
          }
          assertArrayEquals(model.entries.get(cursor.key()), cursor.value());
          assertTrue(seen.add(cursor.key()));
        } catch (DataLostException e) {
          told++;
        }
      }
    }
    assertEquals(expected, seen);
    assertTrue(!hits || told > 0, "nothing was said of what is lost");
  }

  private static void assertExactly(Store store, Model model, Set<byte[]> lost) {
    int mistaken = 0;
    for (Map.Entry<byte[], byte[]> entry : model.entries.entrySet()) {
      if (!lost.contains(entry.getKey())) {
        assertArrayEquals(entry.getValue(), present(store.get(entry.getKey())));
      } else if (!isLost(store, entry.getKey())) {
        mistaken++;
      }
    }
    assertTrue(mistaken <= MOST_MISTAKEN, mistaken + " lost keys count as absent");
    assertAbsent(store, KEYS + 1, KEYS + 21);
    assertEquals(model.entries.size() - lost.size(), store.stats().entries());
  }

  private static boolean isLost(Store store, byte[] key) {
    try {
      assertNull(store.get(key), "a lost key has a value");
      return false;
    } catch (DataLostException e) {
      return true;
    }
  }

  private static byte[] present(byte @Nullable [] value) {
    assertNotNull(value, "taken for absent");
    return value;
  }

  /** The files of the legs are damaged, or gone, when the store is opened. */
  @ParameterizedTest
  @EnumSource
  void openMeetsAPageThatIsGone(Way way) {
    long seed = seed("openMeetsAPageThatIsGone", way);
    Random random = new Random(seed);
    Model model;
    long[] pages = new long[2];
    try (Store store = open(2)) {
      model = filled(store, way, seed);
      for (int leg = 0; leg < 2; leg++) {
        byte[] key = key(leg * KEYS / 2 + random.nextInt(KEYS / 4));
        pages[leg] = recordOf(store, key).offset() / PAGE * PAGE;
      }
    }
    for (int leg = 0; leg < 2; leg++) {
      Path file = directory.resolve("s").resolve("leg-" + leg + ".pmem");
      try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
        device.faults().poison(pages[leg], 1);
      }
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      for (int i = 0; i < 200; i++) {
        model.step(store, way);
      }
      model.assertHeldBy(store);
      assertTrue(store.health().lost().isEmpty());
      TestStores.awaitRepaired(store);
      awaitState(store, StoreState.ONLINE);
      leg(store, random.nextInt(2)).faults().remove();
      model.assertHeldBy(store);
    }
  }
}
