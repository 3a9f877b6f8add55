package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.SnapshotTooOldException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Backups of a store that is in use. */
@Timeout(60)
@SuppressWarnings("try") // closing by hand is what is tested
final class CheckpointTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private Path backup() {
    return directory.resolve("backup");
  }

  /** What is beside the store: nothing unfinished stays. */
  private List<String> beside() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> !name.equals("s"))
          .toList();
    }
  }

  @Test
  void aCheckpointOpensAsAStoreThatHoldsTheSame() throws Exception {
    CheckpointReport report;
    List<CheckpointProgress> told = new ArrayList<>();
    try (Store store = builder().open()) {
      fill(store, 0, 20_000);
      assertTrue(store.remove(key(7)));
      store.put(key(20_000), value(1, 3_000_000));
      store.put(key(20_001), new byte[0]);
      report = store.checkpoint(backup(), new CheckpointOptions().progress(told::add));
      store.put(key(8), value(9)); // It is of the moment before.
      assertEquals(20_001, report.entries());
      assertEquals(List.of(), report.lost());
      assertEquals(backup(), report.directory());
    }
    assertEquals(List.of("backup"), beside());
    assertTrue(told.size() > 3, () -> "told " + told.size() + " times");
    assertEquals(report.entries(), told.getLast().entriesDone());
    assertEquals(report.bytes(), told.getLast().bytesDone());
    // Wherever it is put.
    Path moved = directory.resolve("moved");
    Files.move(backup(), moved);
    try (Store copy = Store.open(moved)) {
      assertEquals(20_001, copy.stats().entries());
      assertHolds(copy, 0, 7);
      assertHolds(copy, 8, 20_000);
      assertNull(copy.get(key(7)));
      assertArrayEquals(value(1, 3_000_000), copy.get(key(20_000)));
      assertArrayEquals(new byte[0], copy.get(key(20_001)));
      assertEquals(1, copy.devices().size());
      copy.put(key(7), value(7));
      int _ = copy.attach(directory.resolve("second.pmem"));
      assertEquals(StoreState.ONLINE, copy.health().state());
    }
  }

  @Test
  void aCheckpointCanHaveTwoLegs() {
    try (Store store = builder().single().open()) {
      fill(store, 0, 100);
      CheckpointReport _ = store.checkpoint(backup(), new CheckpointOptions().mirror());
    }
    try (Store copy = Store.open(backup())) {
      leg(copy, 0).faults().remove();
      assertHolds(copy, 0, 100);
    }
  }

  /** Each thread writes the same number to two keys, one behind the other, and both at once. */
  @Test
  void underLoadItIsOfOneMoment() throws Exception {
    try (Store store = builder().open();
        ExecutorService pool = Executors.newFixedThreadPool(2);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, 5_000);
      AtomicLong written = new AtomicLong();
      List<Future<?>> writers = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        byte[] first = {'a', (byte) t};
        byte[] second = {'z', (byte) t};
        byte[] third = {'b', (byte) t};
        byte[] fourth = {'y', (byte) t};
        Callable<?> load =
            () -> {
              WriteBatch batch = new WriteBatch();
              for (long i = 1; !stop.get(); i++) {
                byte[] number = number(i);
                store.put(first, number);
                store.put(second, number);
                batch.clear();
                store.write(batch.put(third, number).put(fourth, number));
                written.incrementAndGet();
              }
              return null;
            };
        writers.add(pool.submit(load));
      }
      for (int round = 0; round < 3; round++) {
        long before = written.get();
        await().until(() -> written.get() > before + 200);
        Path place = directory.resolve("backup-" + round);
        CheckpointReport _ = store.checkpoint(place);
        try (Store copy = Store.open(place)) {
          assertHolds(copy, 0, 5_000);
          for (int t = 0; t < 2; t++) {
            long first = number(copy, 'a', t);
            long second = number(copy, 'z', t);
            assertTrue(first == second || first == second + 1, first + " and " + second);
            assertEquals(number(copy, 'b', t), number(copy, 'y', t), "half a batch");
          }
        }
      }
      stop.set();
      for (Future<?> writer : writers) {
        writer.get();
      }
    }
  }

  private static byte[] number(long i) {
    return ByteBuffer.allocate(Long.BYTES).putLong(i).array();
  }

  private static long number(Store store, char prefix, int thread) {
    byte[] value = store.get(new byte[] {(byte) prefix, (byte) thread});
    return ByteBuffer.wrap(Objects.requireNonNull(value)).getLong();
  }

  @Test
  void aLegThatIsLostMeanwhileIsNotNoticed() {
    try (Store store = builder().open()) {
      fill(store, 0, 20_000);
      CheckpointReport _ =
          store.checkpoint(
              backup(),
              new CheckpointOptions()
                  .progress(_ -> {
                    if (leg(store, 0).state() == DeviceState.LIVE) {
                      leg(store, 0).faults().remove();
                    }
                  }));
      assertEquals(StoreState.DEGRADED, store.health().state());
    }
    try (Store copy = Store.open(backup())) {
      assertHolds(copy, 0, 20_000);
    }
  }

  // ---------------------------------------------------------------- what cannot be done

  @Test
  void wherePlacesAreTakenNothingIsTouched() throws Exception {
    Files.createDirectory(backup());
    Path file = Files.writeString(directory.resolve("file"), "mine");
    try (Store store = builder().open()) {
      fill(store, 0, 10);
      for (Path place : List.of(backup(), file, directory.resolve("s"))) {
        assertThrows(IllegalArgumentException.class, () -> store.checkpoint(place));
      }
      Path nowhere = directory.resolve("none").resolve("backup");
      assertThrows(IllegalArgumentException.class, () -> store.checkpoint(nowhere));
      assertEquals("mine", Files.readString(file));
      assertEquals(2, beside().size());
    }
  }

  @Test
  void aPlaceWithoutRoomIsSaidToBeFullAndNothingIsLeftThere() throws Exception {
    String missing = LoopXfs.missing();
    assumeTrue(missing == null, missing);
    try (LoopXfs small =
            LoopXfs.make(directory.resolve("image"), directory.resolve("small"), LoopXfs.SMALLEST);
        Store store = builder().open()) {
      fill(store, 0, 40_000);
      long room = Files.getFileStore(small.directory()).getUsableSpace();
      EmulatedDevice.create(
              small.directory().resolve("filler"), room - (6 << 20), PersistenceMode.PROCESS)
          .close();
      assertThrows(
          OutOfSpaceException.class, () -> store.checkpoint(small.directory().resolve("backup")));
      try (Stream<Path> files = Files.list(small.directory())) {
        assertEquals(List.of("filler"), files.map(file -> file.getFileName().toString()).toList());
      }
      CheckpointReport _ = store.checkpoint(backup());
    }
    try (Store copy = Store.open(backup())) {
      assertHolds(copy, 0, 40_000);
    }
  }

  @Test
  void whoIsToldMayEndItAndNothingIsLeft() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 20_000);
      CheckpointOptions options =
          new CheckpointOptions()
              .progress(_ -> {
                throw new IllegalStateException("enough");
              });
      assertThrows(IllegalStateException.class, () -> store.checkpoint(backup(), options));
      assertEquals(List.of(), beside());
      assertHolds(store, 0, 100);
    }
  }

  @Test
  void aStoreThatIsClosedMeanwhileLeavesNothing() throws Exception {
    Store store = builder().open();
    fill(store, 0, 20_000);
    CheckpointOptions options = new CheckpointOptions().progress(_ -> store.close());
    assertThrows(StoreClosedException.class, () -> store.checkpoint(backup(), options));
    assertThrows(StoreClosedException.class, () -> store.checkpoint(backup()));
    assertEquals(List.of(), beside());
  }

  @Test
  void whereTooMuchIsOverwrittenMeanwhileItSaysSo() throws Exception {
    try (Store store = builder().snapshotBytes(0).open()) {
      fill(store, 0, 20_000);
      CheckpointOptions options =
          new CheckpointOptions()
              .progress(_ -> {
                for (int i = 0; i < 3; i++) {
                  fill(store, 0, 20_000);
                }
              });
      assertThrows(SnapshotTooOldException.class, () -> store.checkpoint(backup(), options));
      assertEquals(List.of(), beside());
    }
  }

  @Test
  void whatIsLostIsNamedAndLeftOutOnlyWhereThatIsAskedFor() throws Exception {
    try (Store store = builder().single().open()) {
      fill(store, 0, 2_000);
      leg(store, 0).faults().failClears(1_000_000);
      long _ = leg(store, 0).faults().poison(recordOf(store, key(1_000)).offset(), 1).length();
      await().until(() -> !store.health().lost().isEmpty());
      DataLostException named =
          assertThrows(DataLostException.class, () -> store.checkpoint(backup()));
      assertTrue(String.valueOf(named.getMessage()).contains("key"), named::getMessage);
      assertEquals(List.of(), beside());
      CheckpointReport report = store.checkpoint(backup(), new CheckpointOptions().leaveOutLost());
      assertFalse(report.lost().isEmpty());
      assertEquals(store.stats().entries(), report.entries());
      assertTrue(report.entries() > 1_000 && report.entries() < 2_000, report::toString);
      try (Store copy = Store.open(backup())) {
        assertEquals(report.entries(), copy.stats().entries());
        assertHolds(copy, 0, 10);
        assertHolds(copy, 1_990, 2_000);
        assertNull(copy.get(key(1_000)));
      }
    }
  }
}
