package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.ObservedStores;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.WriteBatch;
import dev.holdfast.error.BatchUnsettledException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.BatchObserver;
import dev.holdfast.tree.BatchObserver.Step;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Rule T10: all of a batch or nothing, whatever is lost between two of its steps. */
@Timeout(120)
final class T10BatchFaultsTest {
  private static final int ENTRIES = 2000;
  private static final int PAGE = 4096;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private static byte[] blob(int number) {
    byte[] bytes = new byte[20_000 + number];
    new Random(number).nextBytes(bytes);
    return bytes;
  }

  /** Runs something once, at the n-th time that a step is reached. */
  private static final class At implements BatchObserver {
    private final Step wanted;
    private final AtomicInteger left;
    private volatile @Nullable Runnable action;

    At(Step wanted, int time) {
      this.wanted = wanted;
      this.left = new AtomicInteger(time);
    }

    void arm(Runnable what) {
      action = what;
    }

    @Override
    public void reached(Step step) {
      Runnable now = action;
      if (now != null && step == wanted && left.decrementAndGet() == 0) {
        now.run();
      }
    }
  }

  private StoreBuilder builder(boolean single, BatchObserver observer) {
    StoreBuilder builder = Store.builder(directory).initialCapacity(4 << 20);
    return ObservedStores.observing(single ? builder.single() : builder, observer);
  }

  /** Over many leaves: overwrites, removals, new keys, large values. */
  private static WriteBatch batch() {
    WriteBatch batch = new WriteBatch();
    for (int i = 0; i < ENTRIES; i += 50) {
      batch.put(key(i), value(i + 1)).remove(key(i + 1)).put(key(10_000 + i), value(i));
    }
    return batch.put(key(500), blob(2)).put(key(777_777), blob(3)).remove(key(99));
  }

  private static void before(Store store) {
    Entries.put(store, 0, ENTRIES);
    store.put(key(500), blob(1));
    store.put(key(99), blob(0));
  }

  /** Whether the batch was done; fails if it was done in part. */
  private static boolean isDone(Store store) {
    boolean done = Arrays.equals(value(1), store.get(key(0)));
    for (int i = 0; i < ENTRIES; i++) {
      byte[] want =
          i == 500
              ? blob(done ? 2 : 1)
              : i == 99
                  ? (done ? null : blob(0))
                  : i % 50 == 0 ? value(done ? i + 1 : i) : i % 50 == 1 && done ? null : value(i);
      assertArrayEquals(want, store.get(key(i)), "key " + i + ", done: " + done);
      if (i % 50 == 0) {
        assertArrayEquals(done ? value(i) : null, store.get(key(10_000 + i)));
      }
    }
    assertArrayEquals(done ? blob(3) : null, store.get(key(777_777)));
    assertEquals(ENTRIES, store.stats().entries());
    return done;
  }

  private static List<Arguments> steps() {
    List<Arguments> all = new ArrayList<>();
    for (Step step : Step.values()) {
      all.add(Arguments.of(step, 1));
    }
    all.add(Arguments.of(Step.LEAF_APPLIED, 4));
    return all;
  }

  static Stream<Arguments> stepsAndLegs() {
    return steps().stream()
        .flatMap(
            step -> Stream.of(0, 1).map(leg -> Arguments.of(step.get()[0], step.get()[1], leg)));
  }

  @ParameterizedTest
  @MethodSource("stepsAndLegs")
  void theLossOfALegGoesUnnoticed(Step step, int time, int leg) {
    At at = new At(step, time);
    try (Store store = builder(false, at).open()) {
      before(store);
      at.arm(() -> {
        device(store, leg).faults().notifyNever();
        device(store, leg).faults().remove();
      });
      store.write(batch());
      assertTrue(isDone(store));
      store.write(new WriteBatch().put(key(0), value(1)));
      assertTrue(isDone(store));
      assertEquals(StoreState.DEGRADED, store.health().state());
    }
    try (Store store = Store.builder(directory).open()) {
      assertTrue(isDone(store));
    }
  }

  /** Whatever page of one leg is lost, between whatever steps: the other one has it. */
  @ParameterizedTest
  @MethodSource("steps")
  void poisonOnOneLegGoesUnnoticed(Step step, int time) {
    At at = new At(step, time);
    try (Store store = builder(false, at).open()) {
      before(store);
      at.arm(() -> {
        EmulatedDevice device = device(store, time % 2);
        device.faults().notifyNever();
        // The whole log table, and every second page of what follows.
        device.faults().poison(VolumeLayout.LOG_TABLE_OFFSET, VolumeLayout.LOG_TABLE_SIZE);
        for (long page = VolumeLayout.RECORDS_OFFSET; page < 2 << 20; page += 2 * PAGE) {
          device.faults().poison(page, PAGE);
        }
      });
      store.write(batch());
      assertTrue(isDone(store));
      store.write(new WriteBatch().put(key(0), value(1)));
      assertTrue(isDone(store));
    }
    try (Store store = Store.builder(directory).open()) {
      assertTrue(isDone(store));
    }
  }

  static Stream<Arguments> stepsAndModes() {
    return steps().stream()
        .flatMap(step ->
            Stream.of(PersistenceMode.PROCESS, PersistenceMode.FILE)
                .map(mode -> Arguments.of(step.get()[0], step.get()[1], mode)));
  }

  /** The only leg goes and comes back: the exception says whether the batch counts. */
  @ParameterizedTest
  @MethodSource("stepsAndModes")
  void theLossOfTheOnlyLegLeavesAllOrNothing(Step step, int time, PersistenceMode mode) {
    At at = new At(step, time);
    try (Store store = builder(true, at).persistence(mode).open()) {
      before(store);
      at.arm(() -> {
        device(store, 0).faults().notifyNever();
        device(store, 0).faults().remove();
      });
      Boolean committed = writeWithout(store);
      assertThrows(DeviceOfflineException.class, () -> store.get(key(0)));
      device(store, 0).faults().notifyAfter(Duration.ZERO);
      device(store, 0).faults().reinsert();
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> store.health().state() == StoreState.ONLINE);
      boolean done = isDone(store);
      if (committed != null) {
        assertEquals(committed, done, "what the exception said");
      }
      // Its keys can be written again, alone and together.
      store.put(key(0), value(done ? 1 : 0));
      store.write(new WriteBatch().put(key(50), value(done ? 51 : 50)));
      assertEquals(done, isDone(store));
    }
    try (Store store = Store.builder(directory).persistence(mode).open()) {
      boolean _ = isDone(store);
    }
  }

  /** Whether the batch is known to count; null where that is not known. */
  private static @Nullable Boolean writeWithout(Store store) {
    try {
      store.write(batch());
      return true; // It ended before it met the loss.
    } catch (BatchUnsettledException e) {
      return e.outcome() == BatchUnsettledException.Outcome.COMMITTED ? true : null;
    } catch (DeviceOfflineException e) {
      return false;
    }
  }

  /** The same, but the process ends while the leg is away. */
  @ParameterizedTest
  @MethodSource("steps")
  void theLossOfTheOnlyLegLeavesAllOrNothingAtTheNextOpen(Step step, int time) {
    At at = new At(step, time);
    Boolean committed;
    try (Store store = builder(true, at).open()) {
      before(store);
      at.arm(() -> {
        device(store, 0).faults().notifyNever();
        device(store, 0).faults().remove();
      });
      committed = writeWithout(store);
    }
    FaultInjector.reinsert(CrashImage.leg(directory, 0));
    try (Store store = Store.builder(directory).open()) {
      boolean done = isDone(store);
      if (committed != null) {
        assertEquals(committed, done, "what the exception said");
      }
    }
  }

  /** A medium that refuses a flush stops writes: before the commit nothing was done, else all. */
  @ParameterizedTest
  @MethodSource("steps")
  void aRefusedFlushLeavesAllOrNothing(Step step, int time) {
    At at = new At(step, time);
    Boolean committed;
    try (Store store = builder(true, at).persistence(PersistenceMode.FILE).open()) {
      before(store);
      at.arm(() -> device(store, 0).faults().failFlushes(1));
      committed = writeWithoutFlush(store);
      if (store.health().state() == StoreState.READ_ONLY) {
        // What cannot be completed now is not shown in part.
        boolean _ = isAllOrNothing(store);
      }
    }
    try (Store store = Store.builder(directory).open()) {
      boolean done = isDone(store);
      if (committed != null) {
        assertEquals(committed, done, "what the exception said");
      }
    }
  }

  private static @Nullable Boolean writeWithoutFlush(Store store) {
    try {
      store.write(batch());
      return true;
    } catch (BatchUnsettledException e) {
      return e.outcome() == BatchUnsettledException.Outcome.COMMITTED ? true : null;
    } catch (HoldfastException e) {
      return false;
    }
  }

  private static boolean isAllOrNothing(Store store) {
    boolean done = Arrays.equals(value(1), store.get(key(0)));
    for (int i = 0; i < ENTRIES; i += 50) {
      if (i != 500) {
        assertArrayEquals(value(done ? i + 1 : i), store.get(key(i)));
      }
      assertArrayEquals(done ? null : value(i + 1), store.get(key(i + 1)));
      assertArrayEquals(done ? value(i) : null, store.get(key(10_000 + i)));
    }
    return done;
  }

  /** A close in the middle: what was committed is there at the next open. */
  @ParameterizedTest
  @EnumSource(
      value = Step.class,
      names = {"VALUES_STORED", "RESERVED", "COMMITTED", "LEAF_APPLIED", "VISIBLE"})
  void aCloseInTheMiddleLeavesAllOrNothing(Step step) {
    At at = new At(step, 1);
    Boolean committed;
    try (Store store = builder(false, at).open()) {
      before(store);
      at.arm(store::close);
      committed = writeWithoutFlush(store);
    }
    assertEquals(step.compareTo(Step.COMMITTED) >= 0, committed);
    try (Store store = Store.builder(directory).open()) {
      assertEquals(committed, isDone(store));
    }
  }

  /** What a crash leaves, at every step, opened read-only and then to be written. */
  @ParameterizedTest
  @MethodSource("steps")
  void aReadOnlyOpenShowsAllOrNothing(Step step, int time) throws Exception {
    At at = new At(step, time);
    Path image = directory.resolveSibling(directory.getFileName() + "-image");
    try (Store store = builder(false, at).open()) {
      before(store);
      at.arm(() -> copy(directory, image));
      store.write(batch());
    }
    try (Store store = Store.builder(image).readOnly().open()) {
      boolean shown = isAllOrNothing(store);
      assertEquals(step.compareTo(Step.SETTLED) >= 0, shown, "what is not settled is not shown");
    }
    try (Store store = Store.builder(image).open()) {
      assertEquals(step.compareTo(Step.COMMITTED) >= 0, isDone(store));
    }
  }

  private static void copy(Path from, Path to) {
    try {
      CrashImage.of(from, to);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The log is lost after a crash: nothing of the batch shows, and the store says so. */
  @ParameterizedTest
  @EnumSource(
      value = Step.class,
      names = {"COMMITTED", "LEAF_APPLIED", "VISIBLE", "SETTLED"})
  void aLostLogNamesTheBatchAtRisk(Step step) throws Exception {
    At at = new At(step, 1);
    Path image = directory.resolveSibling(directory.getFileName() + "-lost");
    try (Store store = builder(true, at).open()) {
      before(store);
      at.arm(() -> copy(directory, image));
      store.write(batch());
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(CrashImage.leg(image, 0), PersistenceMode.PROCESS)) {
      // The slots, not the heads.
      device
          .faults()
          .poison(VolumeLayout.LOG_TABLE_OFFSET + PAGE, VolumeLayout.LOG_TABLE_SIZE - 2L * PAGE);
    }
    try (Store store = Store.builder(image).open()) {
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertEquals(step == Step.SETTLED, isAllOrNothing(store));
      assertEquals(1, store.health().batchesAtRisk().size());
    }
  }

  /** Old slots never count again. */
  @Test
  void anOldLogNeverReplays() {
    byte[] table = new byte[VolumeLayout.LOG_TABLE_SIZE];
    try (Store store = builder(true, BatchObserver.NONE).open()) {
      store.write(new WriteBatch().put(key(1), value(1)).put(key(2), value(2)));
      device(store, 0).read(VolumeLayout.LOG_TABLE_OFFSET, table, 0, table.length);
    }
    for (int round = 0; round < 2; round++) {
      try (Store store = Store.builder(directory).open()) {
        assertEquals(round == 0 ? 2 : 0, store.stats().entries());
        store.remove(key(1));
        store.remove(key(2));
      }
      // The slot of the first batch comes back, as by a write that was lost.
      restore(table);
    }
    try (Store store = Store.builder(directory).open()) {
      assertNull(store.get(key(1)));
      assertNull(store.get(key(2)));
      assertFalse(store.health().state() == StoreState.READ_ONLY);
    }
  }

  private void restore(byte[] table) {
    try (EmulatedDevice device = device(directory, 0)) {
      Consumer<Integer> page =
          number ->
              device
                  .faults()
                  .misdirectedWrite(
                      VolumeLayout.LOG_TABLE_OFFSET + (long) number * PAGE,
                      Arrays.copyOfRange(table, number * PAGE, (number + 1) * PAGE));
      for (int i = 1; i < VolumeLayout.LOG_TABLE_SIZE / PAGE - 1; i++) {
        page.accept(i);
      }
    }
  }
}
