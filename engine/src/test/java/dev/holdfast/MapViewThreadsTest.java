package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.codec.Codecs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What several threads make of one map view. */
final class MapViewThreadsTest {
  private static final int THREADS = 4;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Store store;
  private ConcurrentNavigableMap<Integer, Long> map;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).open();
    map = TypedMap.of(store, Codecs.INTEGER, Codecs.LONG).asMap();
  }

  @AfterEach
  void close() {
    store.close();
  }

  /** Runs a body on each of the threads at once, and gives what they returned. */
  private static <T> List<T> together(IntFunction<Callable<T>> body) throws Exception {
    CyclicBarrier begin = new CyclicBarrier(THREADS);
    try (ExecutorService threads = Executors.newFixedThreadPool(THREADS)) {
      List<Future<T>> futures = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        Callable<T> each = body.apply(thread);
        futures.add(
            threads.submit(() -> {
              int _ = begin.await();
              return each.call();
            }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    }
  }

  @Test
  void polledEntriesAreTakenOnceFromBothEnds() throws Exception {
    int count = 2_000;
    for (int i = 0; i < count; i++) {
      map.put(i, (long) i);
    }
    List<List<Integer>> taken =
        together(thread ->
            () -> {
              NavigableMap<Integer, Long> view = thread % 2 == 0 ? map : map.descendingMap();
              List<Integer> mine = new ArrayList<>();
              for (Map.Entry<Integer, Long> entry = view.pollFirstEntry();
                  entry != null;
                  entry = view.pollFirstEntry()) {
                mine.add(entry.getKey());
              }
              return mine;
            });
    Set<Integer> all = new HashSet<>();
    for (List<Integer> mine : taken) {
      for (int key : mine) {
        assertTrue(all.add(key), () -> key + " was taken twice");
      }
    }
    assertEquals(count, all.size());
    assertTrue(map.isEmpty());
  }

  /** What is polled has the value that it had when it went: none of the sums is lost. */
  @Test
  void polledValuesAreThoseThatWereRemoved() throws Exception {
    int rounds = 3_000;
    AtomicBoolean done = new AtomicBoolean();
    List<Long> sums =
        together(thread ->
            () -> {
              long sum = 0;
              if (thread == 0) {
                try {
                  for (int i = 0; i < rounds; i++) {
                    Long _ = map.merge(i % 3, 1L, Long::sum);
                  }
                } finally {
                  done.set(true);
                }
              } else {
                while (!done.get()) {
                  Map.Entry<Integer, Long> entry = map.pollFirstEntry();
                  sum += entry == null ? 0 : entry.getValue();
                }
              }
              return sum;
            });
    long rest = map.values().stream().mapToLong(Long::longValue).sum();
    assertEquals(rounds, rest + sums.stream().mapToLong(Long::longValue).sum());
  }

  @Test
  void whatIsComputedIfAbsentIsTheSameForAll() throws Exception {
    int keys = 1_000;
    List<List<Long>> seen =
        together(thread ->
            () -> {
              List<Long> mine = new ArrayList<>();
              for (int key = 0; key < keys; key++) {
                mine.add(map.computeIfAbsent(key, _ -> (long) thread));
              }
              return mine;
            });
    for (List<Long> each : seen) {
      assertEquals(seen.getFirst(), each);
    }
    assertEquals(seen.getFirst(), List.copyOf(map.values()));
  }

  @Test
  void sumsLoseNothing() throws Exception {
    int rounds = 500;
    List<Boolean> _ =
        together(_ ->
            () -> {
              for (int i = 0; i < rounds; i++) {
                Long _ = map.merge(1, 1L, Long::sum);
                Long _ = map.compute(2, (_, value) -> value == null ? 1L : value + 1);
                while (true) {
                  Long former = map.putIfAbsent(3, 1L);
                  if (former == null || map.replace(3, former, former + 1)) {
                    break;
                  }
                }
                Long _ = map.putIfAbsent(4, 0L);
                map.headMap(4, true).tailMap(4).replaceAll((_, value) -> value + 1);
              }
              return true;
            });
    long sum = (long) THREADS * rounds;
    assertEquals(Map.of(1, sum, 2, sum, 3, sum, 4, sum), map);
  }

  @Test
  void entriesGoOnceToWhoRemovesThem() throws Exception {
    int count = 2_000;
    for (int i = 0; i < count; i++) {
      map.put(i, 7L);
    }
    List<Integer> removed =
        together(thread ->
            () -> {
              int mine = 0;
              for (int key = 0; key < count; key++) {
                boolean gone =
                    switch (thread) {
                      case 0 -> map.remove(key, (Object) 7L);
                      case 1 -> map.keySet().remove(key);
                      case 2 -> map.entrySet().remove(Map.entry(key, 7L));
                      default -> map.remove(key) != null;
                    };
                mine += gone ? 1 : 0;
              }
              return mine;
            });
    assertEquals(count, removed.stream().mapToInt(Integer::intValue).sum());
    assertTrue(map.isEmpty());
  }

  /**
   * What is there all the time is seen exactly once, in order, whatever comes and goes beside it.
   */
  @Test
  void iteratorsBesideWritersSeeWhatStays() throws Exception {
    int count = 4_000;
    for (int i = 0; i < count; i += 2) {
      map.put(i, (long) i);
    }
    AtomicBoolean done = new AtomicBoolean();
    List<Integer> walks =
        together(thread ->
            () -> {
              int round = 0;
              if (thread == 0) {
                try {
                  for (; round < 20; round++) {
                    assertStaysAreSeen(round % 2 == 0 ? map : map.descendingMap(), count);
                  }
                } finally {
                  done.set(true);
                }
              } else {
                for (int i = thread; !done.get(); i += 7919, round++) {
                  int odd = i % count | 1;
                  Long _ = round % 2 == 0 ? map.put(odd, -1L) : map.remove(odd);
                }
              }
              return round;
            });
    assertEquals(20, walks.getFirst());
  }

  private static void assertStaysAreSeen(NavigableMap<Integer, Long> view, int count) {
    boolean ascending = view.comparator() == null;
    int expected = ascending ? 0 : count - 2;
    Integer before = null;
    for (Map.Entry<Integer, Long> entry : view.entrySet()) {
      int key = entry.getKey();
      assertTrue(before == null || (ascending ? before < key : before > key));
      before = key;
      if (key % 2 == 0) {
        assertEquals(expected, key);
        assertEquals(key, entry.getValue());
        expected += ascending ? 2 : -2;
      }
    }
    assertNotNull(before);
    assertEquals(ascending ? count : -2, expected);
  }

  @Test
  void aSetValueBesideARemovalIsSeenOrThrows() throws Exception {
    for (int round = 0; round < 300; round++) {
      map.put(1, 0L);
      Map.Entry<Integer, Long> entry = map.entrySet().iterator().next();
      List<Boolean> happened =
          together(thread ->
              () -> {
                if (thread == 0) {
                  return map.remove(1) != null;
                }
                if (thread > 1) {
                  return false;
                }
                try {
                  Long _ = entry.setValue(1L);
                  return true;
                } catch (IllegalStateException e) {
                  return false;
                }
              });
      assertTrue(happened.getFirst());
      assertNull(map.get(1));
      assertFalse(happened.get(2));
    }
  }
}
