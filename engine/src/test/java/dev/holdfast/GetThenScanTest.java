package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a get was told, a walk that begins behind it knows, too: although a writer may have come to
 * a stop between what the one looks at and what the other does. More threads than processors, so
 * that many are stopped there.
 */
final class GetThenScanTest {
  private static final int WRITERS = 6;
  private static final int LOOKS = 60_000;
  private static final byte[] NONE = new byte[Long.BYTES];

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private static byte[] name(int writer) {
    return new byte[] {(byte) writer};
  }

  private static long number(byte[] value) {
    return ByteBuffer.wrap(value).getLong();
  }

  private static long get(Store store, int writer) {
    byte[] value = store.get(name(writer));
    return number(value == null ? NONE : value);
  }

  /** What a walk says of each; 0 if it did not come to it. */
  private static long[] scan(Store store, boolean reverse) {
    long[] numbers = new long[WRITERS];
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        numbers[cursor.key()[0]] = number(cursor.value());
      }
    }
    return numbers;
  }

  /** What a writer does, with 1, 2, 3, … */
  @FunctionalInterface
  private interface Writer {
    void write(Store store, int index, long number);
  }

  /** What is asked, and has to be so, again and again. */
  @FunctionalInterface
  private interface Look {
    void at(Store store, int look);
  }

  private void besideWriters(Writer writer, Look look) throws Exception {
    try (Store store = Store.builder(directory.resolve("s")).initialCapacity(16 << 20).open();
        ExecutorService pool = Executors.newFixedThreadPool(WRITERS);
        StopFlag stop = new StopFlag()) {
      List<Future<?>> writers = new ArrayList<>();
      for (int w = 0; w < WRITERS; w++) {
        int index = w;
        writers.add(
            pool.submit(() -> {
              for (long n = 1; !stop.get(); n++) {
                writer.write(store, index, n);
              }
            }));
      }
      for (int i = 0; i < LOOKS; i++) {
        look.at(store, i);
      }
      stop.set();
      for (Future<?> each : writers) {
        each.get();
      }
    }
  }

  private static void put(Store store, int writer, long number) {
    store.put(name(writer), ByteBuffer.allocate(Long.BYTES).putLong(number).array());
  }

  private static long[] getAll(Store store) {
    long[] told = new long[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
      told[w] = get(store, w);
    }
    return told;
  }

  @Test
  void aWalkIsNotBehindAGetThatWasBeforeIt() throws Exception {
    besideWriters(
        GetThenScanTest::put,
        (store, look) -> {
          long[] told = getAll(store);
          long[] found = scan(store, look % 2 == 1);
          for (int w = 0; w < WRITERS; w++) {
            assertTrue(
                found[w] >= told[w],
                "look " + look + ", key " + w + ": a get said " + told[w] + ", a walk " + found[w]);
          }
        });
  }

  @Test
  void aWalkDoesNotFindWhatAGetDidNotFindAnyMore() throws Exception {
    AtomicLongArray put = new AtomicLongArray(WRITERS);
    besideWriters(
        (store, writer, n) -> {
          put(store, writer, n);
          put.set(writer, n);
          store.remove(name(writer));
        },
        (store, look) -> {
          long[] removed = new long[WRITERS];
          for (int w = 0; w < WRITERS; w++) {
            // What was put before, and is not there: it will not come back.
            long before = put.get(w);
            removed[w] = get(store, w) == 0 ? before : 0;
          }
          long[] found = scan(store, look % 2 == 1);
          for (int w = 0; w < WRITERS; w++) {
            assertTrue(
                found[w] == 0 || found[w] > removed[w],
                "look " + look + ", key " + w + ": a get said that " + removed[w] + " is removed");
          }
        });
  }

  @Test
  void aWalkFindsTheNewKeyThatAGetFound() throws Exception {
    AtomicLongArray removed = new AtomicLongArray(WRITERS);
    besideWriters(
        (store, writer, n) -> {
          put(store, writer, n);
          removed.set(writer, n); // At most so many are about to be.
          store.remove(name(writer));
        },
        (store, look) -> {
          long[] told = getAll(store);
          long[] found = scan(store, look % 2 == 1);
          for (int w = 0; w < WRITERS; w++) {
            // Nobody had begun to remove it when the walk was over.
            boolean isThere = told[w] > removed.get(w);
            assertTrue(
                !isThere || found[w] == told[w],
                "look " + look + ", key " + w + ": a get said " + told[w] + ", a walk " + found[w]);
          }
        });
  }
}
