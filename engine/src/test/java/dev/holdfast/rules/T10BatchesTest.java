package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.WriteBatch;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rule T10: batches go through the redo log; all of one, or nothing. */
@Timeout(120)
final class T10BatchesTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private static byte[] blob(int number) {
    byte[] bytes = new byte[10_000 + number];
    new Random(number).nextBytes(bytes);
    return bytes;
  }

  @Test
  void aBatchDoesAllThatItSays() {
    try (Store store = Entries.open(directory)) {
      Entries.put(store, 0, 100);
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < 100; i += 2) {
        batch.remove(key(i));
      }
      batch.put(key(200), blob(200)).put(key(1), value(1001));
      batch.put(MemorySegment.ofArray(key(201)), MemorySegment.ofArray(blob(201)));
      batch.put(MemorySegment.ofArray(key(202)), MemorySegment.ofArray(value(202)));
      store.write(batch);
      assertWritten(store);
      assertEquals(53, store.stats().entries());
    }
    try (Store store = Entries.open(directory)) {
      assertWritten(store);
      assertEquals(53, store.stats().entries());
    }
  }

  private static void assertWritten(Store store) {
    for (int i = 0; i < 100; i += 2) {
      assertNull(store.get(key(i)));
      if (i > 0) {
        assertArrayEquals(value(i + 1), store.get(key(i + 1)));
      }
    }
    assertArrayEquals(value(1001), store.get(key(1)));
    assertArrayEquals(blob(200), store.get(key(200)));
    assertArrayEquals(blob(201), store.get(key(201)));
    assertArrayEquals(value(202), store.get(key(202)));
  }

  @Test
  void ofSeveralOperationsOnAKeyTheLastOneCounts() {
    try (Store store = Entries.open(directory)) {
      WriteBatch batch = new WriteBatch();
      batch.put(key(2), value(1)).put(key(1), blob(1)).put(key(2), value(2)).remove(key(1));
      batch.remove(key(3)).put(key(3), value(3)).put(key(3), blob(3));
      store.write(batch);
      assertArrayEquals(value(2), store.get(key(2)));
      assertNull(store.get(key(1)));
      assertArrayEquals(blob(3), store.get(key(3)));
      assertEquals(2, store.stats().entries());
      assertEquals(7, batch.size());
    }
  }

  @Test
  void anEmptyBatchDoesNothing() {
    try (Store store = Entries.open(directory)) {
      store.write(new WriteBatch());
      WriteBatch batch = new WriteBatch().put(key(1), value(1));
      batch.clear();
      assertEquals(0, batch.size());
      assertEquals(0, batch.bytes());
      store.write(batch);
      assertEquals(0, store.stats().entries());
    }
  }

  @Test
  void aBatchCanBeWrittenAgainAndFilledAgain() {
    try (Store store = Entries.open(directory)) {
      WriteBatch batch = new WriteBatch().put(key(1), value(1)).put(key(2), blob(2));
      assertEquals(key(1).length + value(1).length + key(2).length + 10_002, batch.bytes());
      store.write(batch);
      store.remove(key(1));
      store.put(key(2), value(3));
      store.write(batch);
      assertArrayEquals(value(1), store.get(key(1)));
      assertArrayEquals(blob(2), store.get(key(2)));
      batch.clear();
      store.write(batch.put(key(3), value(3)));
      assertArrayEquals(value(3), store.get(key(3)));
      assertEquals(3, store.stats().entries());
    }
  }

  @Test
  void keysAndValuesHaveTheLimitsOfAPut() {
    WriteBatch batch = new WriteBatch();
    assertThrows(IllegalArgumentException.class, () -> batch.put(new byte[0], value(1)));
    assertThrows(IllegalArgumentException.class, () -> batch.remove(new byte[4097]));
    assertEquals(0, batch.size());
    try (Store store = Entries.open(directory)) {
      byte[] longest = new byte[4096];
      Arrays.fill(longest, (byte) 7);
      store.write(batch.put(longest, new byte[0]).put(key(1), new byte[1536]));
      assertArrayEquals(new byte[0], store.get(longest));
      assertArrayEquals(new byte[1536], store.get(key(1)));
    }
  }

  @ParameterizedTest
  @CsvSource({"100000, true", "20000, false"})
  void largeBatches(int operations, boolean ordered) {
    Random random = new Random(5);
    TreeMap<String, byte[]> model = new TreeMap<>();
    try (Store store = Store.builder(directory).initialCapacity(4 << 20).open()) {
      for (int i = 0; i < 3000; i++) {
        put(store, model, random.nextInt(operations), i);
      }
      for (int round = 0; round < 2; round++) {
        WriteBatch batch = new WriteBatch();
        for (int i = 0; i < operations; i++) {
          int number = ordered ? i : random.nextInt(operations);
          if (!ordered && random.nextInt(5) == 0) {
            batch.remove(name(number).getBytes(StandardCharsets.US_ASCII));
            model.remove(name(number));
          } else {
            byte[] value = value(number + round);
            batch.put(name(number).getBytes(StandardCharsets.US_ASCII), value);
            model.put(name(number), value);
          }
        }
        store.write(batch);
        assertSame(model, store);
        for (int i = 0; i < 3000; i++) {
          put(store, model, random.nextInt(operations), i);
        }
        assertSame(model, store);
      }
    }
    try (Store store = Entries.open(directory)) {
      assertSame(model, store);
    }
  }

  private static String name(int number) {
    return String.format("k%07d", number);
  }

  private static void put(Store store, Map<String, byte[]> model, int number, int value) {
    store.put(name(number).getBytes(StandardCharsets.US_ASCII), value(value));
    model.put(name(number), value(value));
  }

  private static void assertSame(Map<String, byte[]> model, Store store) {
    assertEquals(model.size(), store.stats().entries());
    int seen = 0;
    try (Cursor cursor = store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        String key = new String(cursor.key(), StandardCharsets.US_ASCII);
        assertArrayEquals(model.get(key), cursor.value(), key);
        seen++;
      }
    }
    assertEquals(model.size(), seen);
    for (var entry : model.entrySet()) {
      assertArrayEquals(
          entry.getValue(),
          store.get(entry.getKey().getBytes(StandardCharsets.US_ASCII)),
          entry.getKey());
    }
  }

  @ParameterizedTest
  @CsvSource({"inline, 40000", "large, 100"})
  void aBatchThatDoesNotFitChangesNothing(String kind, int operations) {
    try (Store store =
        Store.builder(directory).initialCapacity(2 << 20).maxCapacity(4 << 20).open()) {
      Entries.put(store, 0, 1000);
      long free = store.stats().freeBytes();
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < operations; i++) {
        batch.put(key(500 + i), kind.equals("large") ? new byte[100_000] : new byte[200]);
      }
      batch.remove(key(3));
      assertThrows(OutOfSpaceException.class, () -> store.write(batch));
      Entries.assertHoldsOnly(store, 0, 1000);
      if (kind.equals("large")) {
        assertTrue(store.stats().freeBytes() >= free, "what it took is not given back");
      }
      // The keys are free again, and so is the log.
      store.put(key(501), value(501));
      store.write(new WriteBatch().put(key(502), value(502)).remove(key(999)));
      Entries.assertHoldsOnly(store, 0, 999);
    }
    try (Store store = Entries.open(directory)) {
      assertHolds(store, 0, 999);
    }
  }

  /** A batch that is carried further than the store: it outlives what is in the page cache only. */
  @Test
  void aBatchHasAModeOfItsOwn() {
    try (Store store = Entries.open(directory)) {
      store.write(new WriteBatch().put(key(1), value(1)), PersistenceMode.FILE);
      store.write(new WriteBatch().put(key(2), blob(2)), PersistenceMode.PROCESS);
      assertThrows(
          IllegalArgumentException.class,
          () -> store.write(new WriteBatch().put(key(3), value(3)), PersistenceMode.DAX));
      assertArrayEquals(value(1), store.get(key(1)));
      assertArrayEquals(blob(2), store.get(key(2)));
      assertNull(store.get(key(3)));
    }
    try (Store store = Entries.open(directory)) {
      assertArrayEquals(value(1), store.get(key(1)));
      assertArrayEquals(blob(2), store.get(key(2)));
      assertEquals(2, store.stats().entries());
    }
  }

  @Test
  void manySmallBatches() {
    Random random = new Random(3);
    TreeMap<String, byte[]> model = new TreeMap<>();
    WriteBatch batch = new WriteBatch();
    try (Store store = Entries.open(directory)) {
      for (int i = 0; i < 20_000; i++) {
        batch.clear();
        for (int j = 0; j < 3; j++) {
          String name = name(random.nextInt(2000));
          if (random.nextInt(3) == 0) {
            batch.remove(name.getBytes(StandardCharsets.US_ASCII));
            model.remove(name);
          } else {
            byte[] value = ByteBuffer.allocate(40).putInt(i).array();
            batch.put(name.getBytes(StandardCharsets.US_ASCII), value);
            model.put(name, value);
          }
        }
        store.write(batch);
      }
      assertSame(model, store);
    }
    try (Store store = Entries.open(directory)) {
      assertSame(model, store);
    }
  }
}
