package dev.holdfast.codec.chronicle;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import net.openhft.chronicle.bytes.Bytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BytesViewTest {
  @TempDir Path directory;

  @Test
  void bytesOnTheHeapAndOffItComeBack() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      Bytes<?> heapKey = Bytes.allocateElasticOnHeap(16);
      Bytes<?> nativeValue = Bytes.allocateElasticDirect(16);
      Bytes<?> into = Bytes.allocateElasticDirect(4);
      try {
        heapKey.append("heap");
        for (int i = 0; i < 500; i++) {
          nativeValue.writeInt(i);
        }
        view.put(heapKey, nativeValue);
        assertEquals(4, heapKey.readRemaining());
        into.writeInt(-1);
        assertTrue(view.get(heapKey, into));
        // Appended, behind what was there.
        assertEquals(-1, into.readInt());
        for (int i = 0; i < 500; i++) {
          assertEquals(i, into.readInt());
        }
        assertEquals(0, into.readRemaining());
        assertTrue(view.remove(heapKey));
        assertFalse(view.remove(heapKey));
        assertFalse(view.get(heapKey, into));
        assertEquals(0, into.readRemaining());
      } finally {
        heapKey.releaseLast();
        nativeValue.releaseLast();
        into.releaseLast();
      }
    }
  }

  @Test
  void onlyTheReadableBytesCount() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      Bytes<?> key = Bytes.allocateElasticDirect(16);
      Bytes<?> value = Bytes.allocateElasticOnHeap(16);
      Bytes<?> into = Bytes.allocateElasticOnHeap(16);
      try {
        key.append("xxkey").readSkip(2);
        value.append("yyyvalue").readSkip(3);
        view.put(key, value);
        assertTrue(view.get(key, into));
        assertEquals("value", into.toString());
        assertEquals("value", new String(value(store), US_ASCII));
        value.clear();
        view.put(key, value);
        into.clear();
        assertTrue(view.get(key, into));
        assertEquals(0, into.readRemaining());
      } finally {
        key.releaseLast();
        value.releaseLast();
        into.releaseLast();
      }
    }
  }

  private static Bytes<?> bytes(String text) {
    return Bytes.from(text);
  }

  private static Bytes<?> bytes(int length, int seed) {
    Bytes<byte[]> bytes = Bytes.allocateElasticOnHeap(Math.max(1, length));
    for (int i = 0; i < length; i++) {
      bytes.writeByte((byte) (i * 31 + seed));
    }
    return bytes;
  }

  @Test
  void valuesOfEveryLengthComeBackWhateverCameBefore() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      int[] lengths = {100, 0, 5_000, 100, 1, 4_096, 4_097, 100, 3_000_000, 7, 4_095};
      for (int i = 0; i < lengths.length; i++) {
        int length = lengths[i];
        Bytes<?> value = bytes(length, i);
        view.put(bytes("key " + i), value, PersistenceMode.PROCESS);
        assertEquals(
            true,
            view.read(bytes("key " + i), found -> found.contentEquals(value)),
            "length " + length);
      }
      for (int i = 0; i < lengths.length; i++) {
        Bytes<?> into = Bytes.allocateElasticOnHeap();
        assertTrue(view.get(bytes("key " + i), into));
        assertTrue(into.contentEquals(bytes(lengths[i], i)), "length " + lengths[i]);
        assertTrue(view.containsKey(bytes("key " + i)));
      }
      assertFalse(view.containsKey(bytes("key")));
      assertNull(view.read(bytes("key"), Bytes::readRemaining));
    }
  }

  @Test
  void aReaderMayUseTheViewAndKeepsItsValue() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store.map("named"));
      view.put(bytes("a"), bytes("first"));
      view.put(bytes("b"), bytes("second"));
      String both =
          view.read(
              bytes("a"),
              first -> view.read(bytes("b"), second -> second.toString()) + ", " + first);
      assertEquals("second, first", both);
      assertNull(store.get("a".getBytes(US_ASCII)));
    }
  }

  /** More threads than there are places for what they share. */
  @Test
  void whatAThreadDidToWhatItWasLentIsNoMatterToTheNext() throws Exception {
    try (Store store = Store.open(directory.resolve("s"));
        ExecutorService pool = Executors.newFixedThreadPool(80)) {
      BytesView view = BytesView.of(store);
      view.put(bytes("short"), bytes(3, 1));
      view.put(bytes("long"), bytes(300, 2));
      CountDownLatch all = new CountDownLatch(80);
      List<Future<?>> readers = new ArrayList<>();
      for (int t = 0; t < 80; t++) {
        int thread = t;
        readers.add(
            pool.submit(() -> {
              all.countDown();
              all.await(); // All of them live.
              for (int i = 0; i < 50; i++) {
                long length =
                    Objects.requireNonNull(view.read(bytes("short"), Bytes::readRemaining));
                assertEquals(3, length);
                Object _ = view.read(bytes("short"), value -> misuse(value, thread % 3));
                assertEquals(
                    true, view.read(bytes("long"), value -> value.contentEquals(bytes(300, 2))));
              }
              return null;
            }));
      }
      for (Future<?> each : readers) {
        Object _ = each.get();
      }
    }
  }

  private static boolean misuse(Bytes<?> value, int how) {
    switch (how) {
      case 0 -> value.writeLimit(3);
      case 1 -> value.lenient(true);
      default -> value.releaseLast();
    }
    return true;
  }

  @Test
  void aScanShowsEntriesInOrderUntilItIsEnough() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      for (int i = 0; i < 300; i++) {
        view.put(bytes(String.format("k%03d", i)), bytes("v" + i));
      }
      List<String> seen = new ArrayList<>();
      KeyRange range = KeyRange.prefix("k1".getBytes(US_ASCII));
      assertEquals(100, view.scan(range, false, (key, value) -> seen.add(key + "=" + value)));
      assertEquals("k100=v100", seen.getFirst());
      assertEquals("k199=v199", seen.getLast());
      seen.clear();
      assertEquals(
          3,
          view.scan(
              range,
              true,
              (key, value) -> {
                Bytes<?> again = Bytes.allocateElasticOnHeap();
                assertTrue(view.get(key, again));
                assertEquals(value.toString(), again.toString());
                seen.add(key.toString());
                return seen.size() < 3;
              }));
      assertEquals(List.of("k199", "k198", "k197"), seen);
    }
  }

  @Test
  void keysThatCannotBeAreRefused() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      Bytes<?> into = Bytes.allocateElasticOnHeap();
      for (Bytes<?> key : List.of(bytes(""), bytes(Store.MAX_KEY_LENGTH + 1, 1))) {
        assertThrows(IllegalArgumentException.class, () -> view.put(key, into));
        assertThrows(IllegalArgumentException.class, () -> view.get(key, into));
      }
      view.put(bytes(Store.MAX_KEY_LENGTH, 1), bytes("v"));
      assertTrue(view.get(bytes(Store.MAX_KEY_LENGTH, 1), into));
      assertEquals("v", into.toString());
    }
  }

  @Test
  void nothingIsAllocatedForEachOperation() {
    try (Store store = Store.builder(directory.resolve("s")).single().open()) {
      BytesView view = BytesView.of(store);
      Bytes<?> key = Bytes.allocateElasticDirect(16);
      Bytes<?> value = Bytes.allocateElasticDirect(200);
      Bytes<?> into = Bytes.allocateElasticDirect(400);
      int rounds = 30_000;
      long[] seen = new long[1];
      Runnable puts =
          () -> {
            for (int i = 0; i < rounds; i++) {
              key.clear().writeInt(i % 1_000);
              value.clear();
              for (int j = 0; j < 1 + i % 5; j++) {
                value.writeLong(i);
              }
              view.put(key, value);
            }
          };
      Runnable gets =
          () -> {
            for (int i = 0; i < rounds; i++) {
              key.clear().writeInt(i % 1_000);
              into.clear();
              assertTrue(view.get(key, into));
            }
          };
      Runnable reads =
          () -> {
            for (int i = 0; i < rounds; i++) {
              key.clear().writeInt(i % 1_000);
              view.read(key, BytesViewTest::first);
            }
          };
      Runnable scan =
          () -> {
            long _ =
                view.scan(
                    KeyRange.all(),
                    false,
                    (_, shown) -> {
                      seen[0] += shown.readRemaining();
                      return true;
                    });
          };
      assertAllocatesNothing("put", puts, rounds);
      assertAllocatesNothing("get", gets, rounds);
      assertAllocatesNothing("read", reads, rounds);
      for (int i = 0; i < 2 * rounds; i++) {
        key.clear().writeInt(i);
        view.put(key, value);
      }
      assertAllocatesNothing("scan", scan, 2 * rounds); // What a scan has for itself is made once.
      assertTrue(seen[0] > 0);
      key.releaseLast();
      value.releaseLast();
      into.releaseLast();
    }
  }

  private static Object first(Bytes<?> value) {
    return value.readByte(value.readPosition()) < 0 ? BytesViewTest.class : BytesView.class;
  }

  /** Whatever is made once was made by the first runs; the smallest object has 16 bytes. */
  private static void assertAllocatesNothing(String what, Runnable operations, int count) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    operations.run();
    operations.run();
    long before = threads.getCurrentThreadAllocatedBytes();
    operations.run();
    long bytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertTrue(bytes < 8L * count, () -> what + ": " + bytes + " bytes in " + count + " rounds");
  }

  private static byte[] value(Store store) {
    return java.util.Objects.requireNonNull(store.get("key".getBytes(US_ASCII)));
  }
}
