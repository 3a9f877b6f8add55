package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.DataLostException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** L1: copy out, barrier, verify; on a fault or mismatch report it and try the next leg. */
final class L1GetTest {
  /** Reads prefer this leg while both are there, so this is where damage is met. */
  private static final int PREFERRED = 0;

  private static final int OTHER = 1;
  private static final int COUNT = 300;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private final Events events = new Events();

  private Store open() {
    return Store.builder(directory.resolve("s")).initialCapacity(2 << 20).listener(events).open();
  }

  /** What was damaged is told, rewritten, and right where the other leg is gone. */
  private void assertRepaired(Store store) {
    await().until(() -> events.contains(HealthEvent.Kind.RANGE_REPAIRED, PREFERRED));
    await().until(() -> store.health().state() == StoreState.ONLINE);
    device(store, OTHER).faults().remove();
    assertHolds(store, 0, COUNT);
    assertTrue(store.health().lost().isEmpty());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void everyKeyIsReadFromTheOtherLegWhereOneIsRemovedAndNobodyTold(int lost) {
    try (Store store = open()) {
      put(store, 0, COUNT);
      device(store, lost).faults().notifyNever();
      device(store, lost).faults().remove();
      assertHolds(store, 0, COUNT);
      put(store, COUNT, COUNT + 1); // a write meets the leg that nobody reads
      assertEquals(LegState.REMOVED, store.health().legs().get(lost).state());
      await().until(() -> events.contains(HealthEvent.Kind.FAULT_CAUGHT, lost));
    }
  }

  /** What a writer has freed and could not replace yet, since a leg died, is no damage. */
  @RepeatedTest(30)
  void readerOfAKeyThatIsOverwrittenDuringALossSeesNoDamage() throws Exception {
    try (Store store = open()) {
      put(store, 0, 2);
      AtomicBoolean stop = new AtomicBoolean();
      AtomicReference<Throwable> failed = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      Runnable writer =
          () -> {
            for (int n = 0; !stop.get(); n++) {
              store.put(key(n % 2), value(n % 2));
            }
          };
      Runnable reader =
          () -> {
            while (!stop.get()) {
              assertHolds(store, 0, 2);
            }
          };
      for (Runnable body : List.of(writer, writer, reader, reader)) {
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    body.run();
                  } catch (Throwable e) {
                    failed.set(e);
                  }
                }));
      }
      device(store, PREFERRED).faults().notifyNever();
      device(store, PREFERRED).faults().remove();
      await()
          .pollInterval(Duration.ofMillis(2))
          .until(() -> store.health().state() == StoreState.DEGRADED);
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
      assertTrue(store.health().lost().isEmpty());
    }
  }

  @Test
  void poisonedRecordIsReadFromTheOtherLegAndRepaired() {
    try (Store store = open()) {
      put(store, 0, COUNT);
      StoreExtent place = extent(store, key(7));
      device(store, PREFERRED).faults().notifyNever();
      device(store, PREFERRED).faults().poison(place.offset(), place.length());
      assertHolds(store, 0, COUNT);
      assertTrue(store.stats().faultsCaught() > 0);
      await().until(() -> events.contains(HealthEvent.Kind.RANGE_POISONED, PREFERRED));
      await().until(() -> device(store, PREFERRED).badBlocks().isEmpty());
      assertRepaired(store);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 9, 17, 21, 25, 50, 60})
  void flippedBitAnywhereInARecordIsReadFromTheOtherLegAndRepaired(int byteOfRecord) {
    try (Store store = open()) {
      put(store, 0, COUNT);
      StoreExtent place = extent(store, key(7));
      device(store, PREFERRED).faults().flipBit(place.offset() + byteOfRecord, 3);
      assertHolds(store, 0, COUNT);
      assertRepaired(store);
    }
  }

  @Test
  void lostWriteThatLeavesAnOlderVersionInPlaceIsNotBelieved() {
    try (Store store = open()) {
      put(store, 0, COUNT);
      EmulatedDevice device = device(store, PREFERRED);
      byte[] older = value(7).clone();
      older[0] ^= 1;
      // The same key in the same leaf: a write that is lost leaves what was there before it.
      FaultInjector.StaleRange stale;
      long end;
      do {
        store.put(key(7), older);
        StoreExtent place = extent(store, key(7));
        end = place.offset() + place.length();
        stale = device.faults().remember(place.offset(), 2 * (int) place.length());
        store.put(key(7), value(7));
      } while (extent(store, key(7)).offset() != end); // the leaf was full, and written anew
      stale.restore();
      assertHolds(store, 0, COUNT);
      assertRepaired(store);
    }
  }

  /** Pages are used again: but for the generation of the leaf all of the older record validates. */
  @Test
  void lostWriteThatLeavesAnOlderVersionOfAFormerLeafInPlaceIsNotBelieved() {
    try (Store store = open()) {
      put(store, 0, COUNT);
      EmulatedDevice device = device(store, PREFERRED);
      byte[] older = value(7).clone();
      older[0] ^= 1;
      store.put(key(7), older);
      Map<Long, FaultInjector.StaleRange> olds = new HashMap<>();
      for (int round = 0; round < 200; round++) {
        writeLeafAnew(store);
        StoreExtent place = extent(store, key(7));
        olds.put(place.offset(), device.faults().remember(place.offset(), (int) place.length()));
      }
      store.put(key(7), value(7));
      FaultInjector.StaleRange stale = null;
      for (int round = 0; stale == null; round++) {
        assertTrue(round < 1_000, "no place is used again");
        writeLeafAnew(store);
        stale = olds.get(extent(store, key(7)).offset());
      }
      stale.restore();
      assertHolds(store, 0, COUNT);
      assertRepaired(store);
    }
  }

  /** Overwrites its neighbour until the leaf of key 7 has no room, and it is elsewhere. */
  private static void writeLeafAnew(Store store) {
    long before = extent(store, key(7)).offset();
    while (extent(store, key(7)).offset() == before) {
      for (int i = 0; i < 20; i++) {
        store.put(key(8), value(8));
      }
    }
  }

  @Test
  void misdirectedWriteOfAnotherRecordIsNotBelieved() {
    try (Store store = open()) {
      put(store, 0, COUNT);
      EmulatedDevice device = device(store, PREFERRED);
      StoreExtent from = extent(store, key(8));
      StoreExtent to = extent(store, key(7));
      byte[] record = new byte[(int) Math.min(from.length(), to.length())];
      device.read(from.offset(), record, 0, record.length);
      device.faults().misdirectedWrite(to.offset(), record);
      assertHolds(store, 0, COUNT);
      assertRepaired(store);
    }
  }

  @Test
  void recordThatIsWrongOnEveryLegIsNamedAsLostAndNothingElseIs() {
    try (Store store = open()) {
      put(store, 0, COUNT);
      StoreExtent place = extent(store, key(7));
      for (int leg = 0; leg < 2; leg++) {
        device(store, leg).faults().flipBit(place.offset() + 20, leg);
      }
      assertThrows(DataLostException.class, () -> store.get(key(7)));
      assertThrows(DataLostException.class, () -> store.putIfAbsent(key(7), value(7)));
      assertEquals(1, store.health().lost().size());
      assertEquals(1, store.health().lost().get(0).entries());
      assertHolds(store, 0, 7);
      assertHolds(store, 8, COUNT);
    }
    try (Store store = open()) {
      assertThrows(DataLostException.class, () -> store.get(key(7)));
      store.put(key(7), value(7));
      assertHolds(store, 0, COUNT);
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** A put that failed half-way frees its place; that must not outweigh what comes there later. */
  @Test
  void lostWriteBehindAFailedPutTakesNothingAway() throws Exception {
    Path image = directory.resolve("image");
    try (Store store = open()) {
      put(store, 0, 10);
      byte[] large = new byte[600 << 10];
      MemorySegment dead;
      try (Arena arena = Arena.ofConfined()) {
        dead = arena.allocate(large.length);
      }
      assertThrows(
          IllegalStateException.class, () -> store.put(MemorySegment.ofArray(key(10)), dead));
      assertNull(store.get(key(10)));
      // Both legs carry what freed the place; then one of them loses the write of the next record.
      long place = extent(store, key(9)).offset() + extent(store, key(9)).length();
      FaultInjector.StaleRange freed = device(store, OTHER).faults().remember(place, 64);
      store.put(key(10), large);
      assertEquals(place, extent(store, key(10)).offset());
      freed.restore();
      CrashImage.of(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertEquals(600 << 10, Objects.requireNonNull(store.get(key(10))).length);
      assertHolds(store, 0, 10);
    }
  }
}
