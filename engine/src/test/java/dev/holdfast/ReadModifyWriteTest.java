package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Read, modify, write as one: what each answers, that it is atomic, and what a loss does to it. */
@Timeout(60)
final class ReadModifyWriteTest {
  private static final int LARGE = 5_000;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Store store;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).initialCapacity(4 << 20).open();
  }

  @AfterEach
  void close() {
    store.close();
  }

  private static byte[] text(String text) {
    return text.getBytes(US_ASCII);
  }

  private static byte[] counter(long value) {
    return ByteBuffer.allocate(Long.BYTES).putLong(value).array();
  }

  // ---------------------------------------------------------------- what each does

  @Test
  void computeSetsChangesAndRemoves() {
    byte[] set =
        store.compute(
            key(1),
            (key, value) -> {
              assertArrayEquals(key(1), key);
              assertNull(value);
              return text("a");
            });
    assertArrayEquals(text("a"), set);
    assertArrayEquals(text("a"), store.get(key(1)));
    byte[] changed =
        store.compute(
            key(1),
            (_, value) -> {
              assertArrayEquals(text("a"), value);
              return value(2, LARGE);
            });
    assertArrayEquals(value(2, LARGE), changed);
    assertArrayEquals(value(2, LARGE), store.get(key(1)));
    assertNull(store.compute(key(1), (_, _) -> null));
    assertFalse(store.containsKey(key(1)));
    assertNull(store.compute(key(1), (_, _) -> null));
  }

  @Test
  void computeIfAbsentAsksOnlyWhereThereIsNone() {
    assertNull(store.computeIfAbsent(key(1), _ -> null));
    assertFalse(store.containsKey(key(1)));
    assertArrayEquals(key(1), store.computeIfAbsent(key(1), key -> key));
    assertArrayEquals(
        key(1),
        store.computeIfAbsent(
            key(1),
            _ -> {
              throw new AssertionError("asked for what is there");
            }));
  }

  @Test
  void computeIfPresentAsksOnlyWhereThereIsOne() {
    assertNull(
        store.computeIfPresent(
            key(1),
            (_, _) -> {
              throw new AssertionError("asked for what is not there");
            }));
    store.put(key(1), text("a"));
    assertArrayEquals(
        text("ab"),
        store.computeIfPresent(
            key(1),
            (_, value) -> {
              assertArrayEquals(text("a"), value);
              return text("ab");
            }));
    assertArrayEquals(text("ab"), store.get(key(1)));
    assertNull(store.computeIfPresent(key(1), (_, _) -> null));
    assertFalse(store.containsKey(key(1)));
  }

  @Test
  void mergeSetsOrCombines() {
    assertArrayEquals(
        text("a"),
        store.merge(
            key(1),
            text("a"),
            (_, _) -> {
              throw new AssertionError("nothing to combine");
            }));
    assertArrayEquals(
        text("ab"),
        store.merge(
            key(1), text("b"), (a, b) -> text(new String(a, US_ASCII) + new String(b, US_ASCII))));
    assertArrayEquals(text("ab"), store.get(key(1)));
    assertNull(store.merge(key(1), text("b"), (_, _) -> null));
    assertFalse(store.containsKey(key(1)));
  }

  @Test
  void theFormerValueIsGiven() {
    assertNull(store.getAndPut(key(1), text("a")));
    assertArrayEquals(text("a"), store.getAndPut(key(1), value(1, LARGE)));
    assertArrayEquals(value(1, LARGE), store.getAndPutIfAbsent(key(1), text("b")));
    assertArrayEquals(value(1, LARGE), store.getAndRemove(key(1)));
    assertNull(store.getAndRemove(key(1)));
    assertNull(store.getAndPutIfAbsent(key(1), text("b")));
    assertArrayEquals(text("b"), store.get(key(1)));
  }

  @Test
  void whatHasAnotherValueIsNotRemoved() {
    assertFalse(store.remove(key(1), text("a")));
    store.put(key(1), value(1, LARGE));
    assertFalse(store.remove(key(1), value(2, LARGE)));
    assertArrayEquals(value(1, LARGE), store.get(key(1)));
    assertTrue(store.remove(key(1), value(1, LARGE)));
    assertFalse(store.containsKey(key(1)));
    store.put(key(2), text("a"));
    assertFalse(store.remove(key(2), text("b")));
    assertTrue(store.remove(key(2), text("a"), PersistenceMode.PROCESS));
    assertEquals(0, store.stats().entries());
  }

  @Test
  void aCounterCountsAndSaysWhatItIsNot() {
    assertEquals(5, store.add(key(1), 5));
    assertEquals(-2, store.add(key(1), -7));
    assertArrayEquals(counter(-2), store.get(key(1)));
    store.put(key(1), counter(Long.MAX_VALUE));
    assertThrows(ArithmeticException.class, () -> store.add(key(1), 1));
    assertArrayEquals(counter(Long.MAX_VALUE), store.get(key(1)));
    store.put(key(2), text("seven b"));
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> store.add(key(2), 1));
    assertEquals(
        "key \"key-000002\": expected a counter of 8 bytes, was a value of 7", e.getMessage());
    assertArrayEquals(text("seven b"), store.get(key(2)));
  }

  @Test
  void aFunctionThatThrowsChangesNothingAndWhatItIsGivenIsACopy() {
    store.put(key(1), text("a"));
    assertThrows(
        UnsupportedOperationException.class,
        () ->
            store.compute(
                key(1),
                (key, value) -> {
                  key[0] = 'x';
                  assert value != null;
                  value[0] = 'x';
                  throw new UnsupportedOperationException();
                }));
    assertArrayEquals(text("a"), store.get(key(1)));
    byte[] key = key(1);
    store.compute(
        key,
        (given, value) -> {
          given[0] = 'x';
          assert value != null;
          value[0] = 'b';
          return value;
        });
    assertArrayEquals(key(1), key);
    assertArrayEquals(text("b"), store.get(key(1)));
    assertEquals(1, store.stats().entries());
  }

  /** Nothing is locked while a function runs: it may write, the very key too. */
  @Test
  void aFunctionIsCalledAgainWhereSomebodyWroteInBetween() {
    List<String> seen = new ArrayList<>();
    store.put(key(1), text("a"));
    store.compute(
        key(1),
        (key, value) -> {
          assert value != null;
          seen.add(new String(value, US_ASCII));
          switch (seen.size()) {
            case 1 -> store.put(key, text("b"));
            case 2 -> store.write(new WriteBatch().put(key, text("c")));
            default -> {}
          }
          return text(new String(value, US_ASCII) + "!");
        });
    assertEquals(List.of("a", "b", "c"), seen);
    assertArrayEquals(text("c!"), store.get(key(1)));
    seen.clear();
    assertArrayEquals(
        text("n"),
        store.computeIfAbsent(
            key(2),
            key -> {
              store.put(key, text("n"));
              return text("m");
            }));
    assertNull(
        store.compute(
            key(2),
            (key, value) -> {
              seen.add(value == null ? "-" : new String(value, US_ASCII));
              if (seen.size() == 1) {
                assertTrue(store.remove(key));
              }
              return null;
            }));
    assertEquals(List.of("n", "-"), seen);
  }

  // ---------------------------------------------------------------- faults

  @Test
  void whatIsLostIsNotTakenForAbsent() {
    store.close();
    store = Store.builder(directory.resolve("one")).single().initialCapacity(4 << 20).open();
    store.put(key(1), value(1));
    leg(store, 0).faults().poison(recordOf(store, key(1)).offset(), 1);
    await().atMost(Duration.ofSeconds(20)).until(() -> !store.health().lost().isEmpty());
    List<Executable> all =
        List.of(
            () -> store.compute(key(1), (_, _) -> text("a")),
            () -> store.compute(key(1), (_, _) -> null),
            () -> store.computeIfAbsent(key(1), _ -> text("a")),
            () -> store.computeIfPresent(key(1), (_, _) -> text("a")),
            () -> store.merge(key(1), text("a"), (_, _) -> text("a")),
            () -> store.getAndPut(key(1), text("a")),
            () -> store.getAndPutIfAbsent(key(1), text("a")),
            () -> store.getAndRemove(key(1)),
            () -> store.remove(key(1), text("a")),
            () -> store.add(key(1), 1));
    for (Executable each : all) {
      assertThrows(DataLostException.class, each);
    }
    assertThrows(DataLostException.class, () -> store.get(key(1)));
    store.put(key(1), counter(1));
    assertEquals(2, store.add(key(1), 1));
  }

  // ---------------------------------------------------------------- threads

  /**
   * Four threads count up, and each hands a mark of its own around: no count and no mark gets lost,
   * whatever leg is pulled out meanwhile and whatever batches and puts write the same keys.
   */
  @Test
  void nothingThatThreadsDoToTheSameKeysGetsLost() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("nothingThatThreadsDoToTheSameKeysGetsLost: -Dseed=" + seed);
    int threads = 4;
    int each = 1_500;
    CyclicBarrier start = new CyclicBarrier(threads + 1);
    ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
    List<Thread> running = new ArrayList<>();
    long[] added = new long[threads];
    store.put(key(2), new byte[0]);
    for (int thread = 0; thread < threads; thread++) {
      int me = thread;
      running.add(
          Thread.ofPlatform()
              .daemon()
              .start(() -> {
                try {
                  Random random = new Random(seed + me);
                  start.await();
                  for (int i = 0; i < each; i++) {
                    int delta = random.nextInt(9) - 4;
                    long _ = store.add(key(1), delta);
                    added[me] += delta;
                    toggle(me, random);
                    if (i % 64 == 0) {
                      store.write(new WriteBatch().put(key(10), value(i)).put(key(11), value(i)));
                    }
                  }
                } catch (Throwable e) {
                  failures.add(e);
                }
              }));
    }
    start.await();
    leg(store, 1).faults().remove();
    for (Thread thread : running) {
      thread.join();
    }
    assertTrue(failures.isEmpty(), () -> "failed: " + failures.peek());
    long sum = 0;
    for (long of : added) {
      sum += of;
    }
    assertArrayEquals(counter(sum), store.get(key(1)));
    assertArrayEquals(new byte[0], store.get(key(2)));
  }

  /** Adds a mark to the set of marks that a value is, and takes it out again. */
  private void toggle(int mark, Random random) {
    boolean byMerge = random.nextBoolean();
    byte[] with =
        byMerge
            ? store.merge(key(2), new byte[] {(byte) mark}, ReadModifyWriteTest::with)
            : store.compute(
                key(2),
                (_, set) -> {
                  assert set != null;
                  return with(set, new byte[] {(byte) mark});
                });
    assertEquals(1, count(Objects.requireNonNull(with), mark));
    byte[] left = store.computeIfPresent(key(2), (_, set) -> without(set, mark));
    assertEquals(0, count(Objects.requireNonNull(left), mark));
  }

  private static byte[] with(byte[] set, byte[] mark) {
    byte[] more = Arrays.copyOf(set, set.length + 1);
    more[set.length] = mark[0];
    return more;
  }

  private static byte[] without(byte[] set, int mark) {
    byte[] less = new byte[set.length - 1];
    int at = 0;
    for (byte each : set) {
      if (each != mark) {
        less[at++] = each;
      }
    }
    return less;
  }

  private static int count(byte[] set, int mark) {
    int count = 0;
    for (byte each : set) {
      count += each == mark ? 1 : 0;
    }
    return count;
  }
}
