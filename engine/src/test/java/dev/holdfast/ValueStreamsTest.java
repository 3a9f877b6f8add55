package dev.holdfast;

import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.rules.FastPlace;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Values that come from streams and go to streams, and what happens on their way. */
@Timeout(60)
@SuppressWarnings("try") // closing by hand is what is tested
final class ValueStreamsTest {
  private static final int CHUNK = 256 << 10;
  private static final int LARGE = 5 * CHUNK + 17;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(8 << 20);
  }

  /** No part of it is as another one. */
  private static byte[] bytes(int seed, int length) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static InputStream stream(byte[] value) {
    return new ByteArrayInputStream(value);
  }

  /** Something that happens before a chunk is read. */
  private interface Step {
    void run() throws Exception;
  }

  /** A source that has something happen before the chunk of each number is read. */
  private static final class Eventful extends InputStream {
    private final InputStream from;
    private final List<Step> steps = new ArrayList<>();
    private int number;

    Eventful(byte[] value) {
      this.from = stream(value);
    }

    /** Once so many chunks are stored. */
    Eventful after(int chunks, Step step) {
      while (steps.size() <= chunks) {
        steps.add(() -> {});
      }
      steps.set(chunks, step);
      return this;
    }

    @Override
    public int readNBytes(byte[] target, int at, int length) throws IOException {
      try {
        if (number < steps.size()) {
          steps.get(number).run();
        }
      } catch (IOException | RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new AssertionError(e);
      }
      number++;
      return from.readNBytes(target, at, length);
    }

    @Override
    public int read(byte[] target, int at, int length) throws IOException {
      return from.read(target, at, length);
    }

    @Override
    public int read() throws IOException {
      return from.read();
    }
  }

  private static byte[] read(Store store, byte[] key) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    long length = store.read(key, out);
    assertEquals(length, out.size());
    return out.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 100, 1_536, 1_537, 4_096, CHUNK, CHUNK + 1, LARGE})
  void whatAStreamGivesIsTheValue(int length) throws Exception {
    byte[] value = bytes(1, length);
    try (Store store = builder().open()) {
      store.put(key(1), stream(value), length);
      store.put(key(2), Channels.newChannel(stream(value)), length);
      store.put(key(3), stream(Arrays.copyOf(value, length + 100)), length);
      for (int key = 1; key <= 3; key++) {
        assertArrayEquals(value, store.get(key(key)), "key " + key);
        assertArrayEquals(value, read(store, key(key)), "key " + key);
      }
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      assertEquals(length, store.read(key(1), Channels.newChannel(out)));
      assertArrayEquals(value, out.toByteArray());
      assertEquals(-1, store.read(key(9), out));
    }
    try (Store store = builder().open()) {
      leg(store, 0).faults().remove();
      assertArrayEquals(value, store.get(key(1)));
      assertArrayEquals(value, store.get(key(2)));
    }
  }

  @Test
  void aPartOfAValueIsCopied() throws Exception {
    byte[] value = bytes(1, LARGE);
    try (Store store = builder().open()) {
      store.put(key(1), stream(value), LARGE);
      byte[] into = new byte[10_000];
      MemorySegment segment = MemorySegment.ofArray(into);
      assertEquals(into.length, store.get(key(1), CHUNK - 5_000L, segment));
      assertArrayEquals(Arrays.copyOfRange(value, CHUNK - 5_000, CHUNK + 5_000), into);
      assertEquals(17, store.get(key(1), LARGE - 17L, segment));
      assertArrayEquals(Arrays.copyOfRange(value, LARGE - 17, LARGE), Arrays.copyOf(into, 17));
      assertEquals(0, store.get(key(1), LARGE, segment));
      assertEquals(0, store.get(key(1), Long.MAX_VALUE, segment));
      assertEquals(-1, store.get(key(2), 0, segment));
      assertThrows(IllegalArgumentException.class, () -> store.get(key(1), -1, segment));
    }
  }

  @Test
  void noneOfItLiesOnTheHeapAsAWhole() throws Exception {
    int length = 48 << 20;
    try (Store store = builder().initialCapacity(64 << 20).single().open()) {
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      store.put(key(0), new Zeros(), 1 << 20); // Whatever is made once.
      store.read(key(0), OutputStream.nullOutputStream());
      long before = threads.getCurrentThreadAllocatedBytes();
      store.put(key(1), new Zeros(), length);
      assertEquals(length, store.read(key(1), OutputStream.nullOutputStream()));
      long allocated = threads.getCurrentThreadAllocatedBytes() - before;
      assertTrue(allocated < 4 << 20, allocated + " bytes for a value of " + length);
    }
  }

  private static final class Zeros extends InputStream {
    @Override
    public int read() {
      return 0;
    }

    @Override
    public int readNBytes(byte[] target, int at, int length) {
      Arrays.fill(target, at, at + length, (byte) 0);
      return length;
    }
  }

  // ---------------------------------------------------------------- sources that fail

  @Test
  void whereTheSourceFailsTheFormerValueStaysAndNoRoomIsLost() throws Exception {
    byte[] former = bytes(1, 2 * CHUNK);
    try (Store store = builder().maxCapacity(8 << 20).open()) {
      store.put(key(1), former);
      long free = store.stats().freeBytes();
      for (int i = 0; i < 10; i++) {
        EOFException ended =
            assertThrows(
                EOFException.class, () -> store.put(key(1), stream(bytes(2, 3 * CHUNK)), LARGE));
        assertTrue(String.valueOf(ended.getMessage()).contains("has ended"), ended::getMessage);
        InputStream broken =
            new Eventful(bytes(2, LARGE))
                .after(
                    4,
                    () -> {
                      throw new IOException("planted");
                    });
        assertEquals(
            "planted",
            assertThrows(IOException.class, () -> store.put(key(1), broken, LARGE)).getMessage());
        InputStream wrong =
            new Eventful(bytes(2, LARGE))
                .after(
                    1,
                    () -> {
                      throw new IllegalStateException("planted");
                    });
        assertThrows(IllegalStateException.class, () -> store.put(key(1), wrong, LARGE));
      }
      assertThrows(EOFException.class, () -> store.put(key(1), stream(new byte[10]), 100));
      assertArrayEquals(former, store.get(key(1)));
      assertEquals(free, store.stats().freeBytes());
    }
  }

  @Test
  void whatCannotBeStoredIsToldBeforeTheSourceIsRead() throws Exception {
    InputStream untouched =
        new InputStream() {
          @Override
          public int read(byte[] target, int at, int length) {
            throw new AssertionError("read");
          }

          @Override
          public int read() {
            throw new AssertionError("read");
          }
        };
    try (Store store = builder().maxCapacity(8 << 20).open()) {
      store.put(key(1), value(1));
      assertThrows(IllegalArgumentException.class, () -> store.put(new byte[0], untouched, LARGE));
      assertThrows(IllegalArgumentException.class, () -> store.put(key(1), untouched, -1));
      assertThrows(IllegalArgumentException.class, () -> store.put(key(1), untouched, 1L << 31));
      assertThrows(OutOfSpaceException.class, () -> store.put(key(1), untouched, 16 << 20));
      assertArrayEquals(value(1), store.get(key(1)));
    }
  }

  @Test
  void aTargetThatFailsKeepsNoLease() throws Exception {
    OutputStream broken =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("planted");
          }
        };
    try (Store store = builder().open()) {
      store.put(key(1), bytes(1, LARGE));
      assertThrows(IOException.class, () -> store.read(key(1), broken));
      assertEquals(0, store.health().leases().open());
    }
  }

  // ---------------------------------------------------------------- faults on the way

  @Test
  void aLegThatIsLostOnTheWayIsNotNoticed() throws Exception {
    byte[] value = bytes(1, LARGE);
    try (Store store = builder().open()) {
      store.put(key(1), new Eventful(value).after(2, () -> leg(store, 0).faults().remove()), LARGE);
      assertArrayEquals(value, store.get(key(1)));
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertEquals(List.of(), store.health().lost());
    }
  }

  /** What was stored while a leg was away is copied to it, though no record leads there yet. */
  @Test
  void aLegThatComesBackOnTheWayHasAllOfIt() throws Exception {
    byte[] value = bytes(1, LARGE);
    try (Store store = builder().open()) {
      store.put(
          key(1),
          new Eventful(value)
              .after(1, () -> leg(store, 1).faults().remove())
              .after(
                  3,
                  () -> {
                    leg(store, 1).faults().reinsert();
                    awaitState(store, StoreState.ONLINE);
                  })
              .after(5, () -> leg(store, 0).faults().remove()),
          LARGE);
      assertArrayEquals(value, store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  /** Where the first chunk of a value that is on its way was stored. */
  private long placeOf(byte[] value) throws IOException {
    byte[] file = Files.readAllBytes(directory.resolve("s").resolve("leg-0.pmem"));
    for (int at = 0; at < file.length - 64; at += 4_096) {
      if (Arrays.equals(file, at, at + 64, value, 0, 64)) {
        return at;
      }
    }
    throw new AssertionError("the value is nowhere");
  }

  /** Makes a part of a value unreadable that is on its way, and waits until that is known. */
  private void poison(Store store, byte[] value, int leg, long offset) throws IOException {
    leg(store, leg).faults().failClears(1_000_000);
    leg(store, leg).faults().poison(placeOf(value) + offset, 1);
    await().until(() -> !store.health().legs().get(leg).badRanges().isEmpty());
  }

  @Test
  void aPageThatIsLostOnOneLegIsReadFromTheOther() throws Exception {
    byte[] value = bytes(77, LARGE);
    try (Store store = builder().open()) {
      store.put(key(1), new Eventful(value).after(3, () -> poison(store, value, 0, 9_000)), LARGE);
      assertArrayEquals(value, store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  @Test
  void aPageThatIsOnNoLegAnyMoreEndsThePutAndTheFormerValueStays() throws Exception {
    byte[] value = bytes(77, LARGE);
    try (Store store = builder().single().open()) {
      store.put(key(1), value(5));
      InputStream source = new Eventful(value).after(3, () -> poison(store, value, 0, 9_000));
      assertThrows(HoldfastException.class, () -> store.put(key(1), source, LARGE));
      assertArrayEquals(value(5), store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  /** Nobody owns what is on its way: a page that failed is made readable, and has nothing in it. */
  private void clear(Store store, byte[] value, int leg, long offset) throws IOException {
    leg(store, leg).faults().poison(placeOf(value) + offset, 1);
    TestStores.awaitRepaired(store);
  }

  @Test
  void aPageThatWasClearedOnTheWayEndsThePutAndTheFormerValueStays() throws Exception {
    byte[] value = bytes(77, LARGE);
    try (Store store = builder().single().open()) {
      store.put(key(1), value(5));
      InputStream source = new Eventful(value).after(3, () -> clear(store, value, 0, 9_000));
      assertThrows(HoldfastException.class, () -> store.put(key(1), source, LARGE));
      assertArrayEquals(value(5), store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  @Test
  void aPageThatWasClearedOnOneLegIsRightOnBothInTheEnd() throws Exception {
    byte[] value = bytes(77, LARGE);
    try (Store store = builder().open()) {
      store.put(key(1), new Eventful(value).after(3, () -> clear(store, value, 0, 9_000)), LARGE);
      ScrubReport _ = store.scrub();
      leg(store, 1).faults().remove();
      assertArrayEquals(value, store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
    }
  }

  @Test
  void aPageThatIsBadBeforeItIsStoredToIsLeftOut() throws Exception {
    byte[] value = bytes(77, LARGE);
    long[] bad = new long[1];
    try (Store store = builder().single().open()) {
      store.put(
          key(1),
          new Eventful(value)
              .after(
                  3,
                  () -> {
                    bad[0] = placeOf(value) + 4L * CHUNK;
                    poison(store, value, 0, 4L * CHUNK);
                  }),
          LARGE);
      assertArrayEquals(value, store.get(key(1)));
      assertEquals(List.of(), store.health().lost());
      StoreExtent extent = largeValueOf(store, key(1));
      assertFalse(
          extent.offset() <= bad[0] && bad[0] < extent.offset() + extent.length(),
          extent + " has the bad page " + bad[0]);
      assertNotEquals(0, bad[0]);
    }
  }

  // ---------------------------------------------------------------- sources that take their time

  @Test
  void aSlowSourceHoldsNothingUp() throws Exception {
    byte[] value = bytes(1, LARGE);
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    Store store = builder().open();
    store.put(key(2), value(2));
    FutureTask<Boolean> put =
        new FutureTask<>(() -> {
          store.put(
              key(1),
              new Eventful(value)
                  .after(
                      2,
                      () -> {
                        begun.countDown();
                        goOn.await();
                      }),
              LARGE);
          return true;
        });
    Thread.ofPlatform().start(put);
    begun.await();
    assertNull(store.get(key(1)));
    store.put(key(1), value(7)); // Older than the one that is on its way.
    try (Snapshot snapshot = store.snapshot()) {
      assertArrayEquals(value(7), snapshot.get(key(1)));
    }
    leg(store, 1).faults().remove();
    store.put(key(2), value(3));
    leg(store, 1).faults().reinsert();
    awaitState(store, StoreState.ONLINE);
    assertTrue(store.compact().complete());
    assertEquals(0, store.scrub().allFaults());
    store.close();
    goOn.countDown();
    ExecutionException told = assertThrows(ExecutionException.class, put::get);
    assertTrue(told.getCause() instanceof StoreClosedException, () -> "was " + told.getCause());
    try (Store again = builder().open()) {
      assertArrayEquals(value(7), again.get(key(1)));
      try (FileChannel file = from(value)) {
        again.put(key(1), file, LARGE);
      }
      assertArrayEquals(value, again.get(key(1)));
    }
  }

  private FileChannel from(byte[] value) throws IOException {
    Path file = directory.resolve("value");
    Files.write(file, value);
    return FileChannel.open(file, StandardOpenOption.READ);
  }
}
