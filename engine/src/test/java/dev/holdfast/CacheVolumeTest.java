package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Role;
import dev.holdfast.policy.Verdict;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Copies of large values on a fast device, and that its loss costs nothing but speed. */
@Timeout(60)
final class CacheVolumeTest {
  private static final int LARGE = 9_000;
  private static final int COUNT = 20;
  private static final long BYTES = 8 << 20;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path place() {
    return directory.resolve("store");
  }

  private Path bulk() {
    return directory.resolve("bulk.pmem");
  }

  private Path cache() {
    return directory.resolve("cache.pmem");
  }

  private StoreBuilder builder() {
    return Store.builder(place()).initialCapacity(4 << 20).bulk(bulk()).cache(cache(), BYTES);
  }

  private static StoreStats.Cache figures(Store store) {
    return Objects.requireNonNull(store.stats().cache(), "the cache");
  }

  private static EmulatedDevice device(Store store) {
    return (EmulatedDevice) ((OpenStore) store).cacheDevices().getFirst();
  }

  private static void fill(Store store) {
    for (int i = 0; i < COUNT; i++) {
      store.put(key(i), value(i, LARGE));
    }
  }

  private static void assertAll(Store store) {
    for (int i = 0; i < COUNT; i++) {
      assertArrayEquals(value(i, LARGE), store.get(key(i)), "key " + i);
    }
  }

  @Test
  void whatWasReadOnceIsReadFromThere() {
    try (Store store = builder().open()) {
      fill(store);
      assertEquals(new StoreStats.Cache(true, null, 0, 0, 0, 0, 0), figures(store));
      assertAll(store);
      assertEquals(COUNT, figures(store).misses());
      assertEquals(0, figures(store).hits());
      assertAll(store);
      byte[] into = new byte[LARGE + 1];
      MemorySegment segment = MemorySegment.ofArray(into);
      assertEquals(LARGE, store.get(MemorySegment.ofArray(key(3)), segment));
      assertArrayEquals(value(3, LARGE), Arrays.copyOf(into, LARGE));
      StoreStats.Cache now = figures(store);
      assertEquals(COUNT, now.misses());
      assertEquals(COUNT + 1, now.hits());
      assertEquals(COUNT, now.entries());
      assertTrue(now.bytes() >= COUNT * LARGE, now.toString());
      assertEquals((COUNT + 1.0) / (2 * COUNT + 1), now.hitRate());

      store.put(key(0), value(50, LARGE));
      assertArrayEquals(value(50, LARGE), store.get(key(0)), "never the copy of a former value");
      assertTrue(store.remove(key(1)));
      assertNull(store.get(key(1)));
      await().atMost(Duration.ofSeconds(20)).until(() -> figures(store).entries() == COUNT - 1);
    }
  }

  @Test
  void aReadIntoASegmentIsCopiedToo() {
    try (Store store = builder().open()) {
      fill(store);
      MemorySegment into = MemorySegment.ofArray(new byte[LARGE]);
      for (int round = 0; round < 2; round++) {
        assertEquals(LARGE, store.get(MemorySegment.ofArray(key(3)), into));
        assertEquals(-1, into.mismatch(MemorySegment.ofArray(value(3, LARGE))));
      }
      assertEquals(1, figures(store).misses());
      assertEquals(1, figures(store).hits());
    }
  }

  @Test
  void copiesAreThereAtTheNextOpen() {
    try (Store store = builder().open()) {
      fill(store);
      assertAll(store);
    }
    try (Store store = builder().open()) {
      await().atMost(Duration.ofSeconds(20)).until(() -> figures(store).entries() == COUNT);
      assertAll(store);
      assertEquals(COUNT, figures(store).hits());
      assertEquals(0, figures(store).misses());
    }
  }

  @Test
  void theLossOfItsDeviceCostsNothing() throws IOException {
    Queue<String> told = new ConcurrentLinkedQueue<>();
    try (Store store = builder().listener(event -> told.add(event.detail())).open()) {
      fill(store);
      assertAll(store);
      device(store).faults().remove();
      assertAll(store);
      fill(store);
      assertAll(store);
      StoreStats.Cache now = figures(store);
      assertFalse(now.inUse());
      assertTrue(String.valueOf(now.problem()).startsWith("CACHE"), now.problem());
      assertEquals(StoreState.ONLINE, store.health().state(), "nothing is missing");
      await().until(() -> told.stream().anyMatch(text -> text.startsWith("CACHE")));
    }
    try (Store store = builder().open()) {
      assertFalse(figures(store).inUse(), "its device is away");
      assertAll(store);
    }
    FaultInjector.reinsert(cache());
    try (Store store = builder().open()) {
      assertTrue(figures(store).inUse());
      assertAll(store);
      assertAll(store);
      assertTrue(figures(store).hits() >= COUNT);
    }
    Files.delete(cache());
    try (Store store = builder().open()) {
      assertTrue(figures(store).inUse(), "made anew where its device is gone");
      assertAll(store);
      assertAll(store);
      assertEquals(COUNT, figures(store).hits());
    }
  }

  @Test
  void itsDeviceMayGoWheneverItAsks() {
    try (Store store = builder().open()) {
      fill(store);
      assertAll(store);
      device(store).faults().removeOrderly(Duration.ofSeconds(5)); // Throws if it is refused.
      assertAll(store);
      assertFalse(figures(store).inUse());
      assertEquals(StoreState.ONLINE, store.health().state(), "nothing is missing");
      store.put(key(0), value(60, LARGE));
      assertArrayEquals(value(60, LARGE), store.get(key(0)));
    }
  }

  @Test
  void whatIsLostOfItIsReadFromTheBulkVolumeAndCopiedAnew() {
    try (Store store = builder().open()) {
      fill(store);
      assertAll(store);
      EmulatedDevice device = device(store);
      for (long page = 1 << 20; page < device.capacity(); page += 3L * TestStores.PAGE) {
        device.faults().poison(page, 1);
        assertAll(store);
      }
      assertTrue(figures(store).misses() > COUNT, "copies were lost");
      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(() -> {
            assertAll(store);
            long misses = figures(store).misses();
            assertAll(store);
            assertTrue(!figures(store).inUse() || figures(store).misses() == misses);
          });
    }
  }

  @Test
  void aCopyWithWrongBytesIsNoAnswer() {
    try (Store store = builder().open()) {
      fill(store);
      assertAll(store);
      EmulatedDevice device = device(store);
      for (long at = 1 << 20; at < device.capacity(); at += TestStores.PAGE / 2) {
        device.faults().flipBit(at, 1);
      }
      for (int round = 0; round < 3; round++) {
        assertAll(store);
      }
    }
  }

  @Test
  void copiesDriveEachOtherOut() {
    int large = 64 << 10;
    int count = 300;
    try (Store store = builder().open()) {
      for (int i = 0; i < count; i++) {
        store.put(key(i), value(i, large));
      }
      for (int round = 0; round < 3; round++) {
        for (int i = 0; i < count; i++) {
          assertArrayEquals(value(i, large), store.get(key(i)));
          assertArrayEquals(value(0, large), store.get(key(0)));
        }
      }
      StoreStats.Cache now = figures(store);
      assertTrue(now.inUse(), String.valueOf(now.problem()));
      assertTrue(now.bytes() <= BYTES, now.toString());
      assertTrue(now.evictions() > 0, now.toString());
      assertTrue(now.hits() > 2L * count, "what is asked for often stays: " + now);
      assertTrue(device(store).capacity() <= BYTES);
      store.put(key(count), value(1, 2 << 20));
      long misses = figures(store).misses();
      for (int i = 0; i < 2; i++) {
        assertArrayEquals(value(1, 2 << 20), store.get(key(count)));
      }
      assertEquals(misses + 2, figures(store).misses(), "too large to be copied");
    }
  }

  @Test
  void whatItHasServesWhileTheBulkVolumeIsAway() {
    try (Store store = builder().open()) {
      fill(store);
      assertArrayEquals(value(1, LARGE), store.get(key(1)));
      VolumeAdmin values = assertNotNullAnd(store.bulk());
      ((EmulatedDevice) values.devices().getFirst()).faults().remove();
      assertArrayEquals(value(1, LARGE), store.get(key(1)));
      assertThrows(DeviceOfflineException.class, () -> store.get(key(2)));
      ((EmulatedDevice) values.devices().getFirst()).faults().reinsert();
      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(() -> assertArrayEquals(value(2, LARGE), store.get(key(2))));
    }
  }

  private static <T> T assertNotNullAnd(@Nullable T it) {
    assertNotNull(it);
    return Objects.requireNonNull(it);
  }

  @Test
  void thePolicyIsAskedAboutIt() {
    Queue<Verdict> said = new ConcurrentLinkedQueue<>();
    FailurePolicy standard = FailurePolicy.standard();
    try (Store store =
        builder()
            .policy((topology, subject, fault) -> {
              Verdict verdict = standard.decide(topology, subject, fault);
              if (subject.role() == Role.CACHE) {
                said.add(verdict);
              }
              return verdict;
            })
            .open()) {
      fill(store);
      assertAll(store);
      device(store).faults().poison(device(store).capacity() / 2, 1);
      await().atMost(Duration.ofSeconds(20)).until(() -> said.contains(new Verdict.Detach()));
      assertAll(store);
    }
  }

  @Test
  void readersWritersAndEvictionsAgree() throws Exception {
    int keys = 200;
    try (Store store = builder().open();
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < keys; i++) {
        store.put(key(i), stamped(i, 0));
      }
      List<Future<Integer>> running = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int seed = t;
        running.add(
            threads.submit(() -> {
              SplittableRandom random = new SplittableRandom(seed);
              for (int i = 0; i < 2_000; i++) {
                int k = random.nextInt(keys);
                if (seed == 0) {
                  store.put(key(k), stamped(k, random.nextInt(256)));
                } else {
                  byte[] found = Objects.requireNonNull(store.get(key(k)), "key " + k);
                  assertArrayEquals(stamped(k, found.length - 80_000), found);
                }
              }
              return 0;
            }));
      }
      for (Future<Integer> each : running) {
        assertEquals(0, each.get());
      }
      assertTrue(figures(store).inUse(), String.valueOf(figures(store).problem()));
    }
  }

  private static byte[] stamped(int key, int stamp) {
    byte[] bytes = new byte[80_000 + stamp];
    Arrays.fill(bytes, (byte) stamp);
    bytes[0] = (byte) key;
    return bytes;
  }

  @Test
  void badInputIsRefused() throws IOException {
    assertThrows(
        IllegalArgumentException.class, () -> Store.builder(place()).cache(cache(), BYTES - 1));
    assertThrows(
        IllegalArgumentException.class, () -> Store.builder(place()).cache(cache(), BYTES).open());
    assertThrows(
        IllegalArgumentException.class,
        () -> Store.builder(place()).bulk(bulk()).cache(bulk(), BYTES).open());
    Files.writeString(cache(), "somebody's");
    try {
      assertThrows(InvalidImageException.class, () -> builder().open());
      assertEquals("somebody's", Files.readString(cache()));
    } finally {
      Files.delete(cache());
    }
    try (Store store = builder().open()) {
      fill(store);
      assertAll(store);
    }
    try (Store store = builder().readOnly().open()) {
      assertAll(store);
      assertNull(store.stats().cache());
    }
  }
}
