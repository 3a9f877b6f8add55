package dev.holdfast;

import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.BatchUnsettledException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.RemovalRefusedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Role;
import dev.holdfast.policy.Verdict;
import dev.holdfast.tree.BatchObserver.Step;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A store whose redo log has devices of its own, and what the loss of those means: nothing. */
@Timeout(60)
final class LogVolumeTest {
  private static final int ENTRIES = 200;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  /** Does something once, when a batch has come to a step. */
  private final AtomicReference<@Nullable Runnable> action = new AtomicReference<>();

  private volatile Step at = Step.COMMITTED;

  private Path place() {
    return directory.resolve("store");
  }

  private Path log(int leg) {
    return directory.resolve("log-" + leg + ".pmem");
  }

  private StoreBuilder plain(Path place) {
    return Store.builder(place)
        .initialCapacity(4 << 20)
        .batchObserver(step -> {
          if (step == at) {
            Runnable now = action.getAndSet(null);
            if (now != null) {
              now.run();
            }
          }
        });
  }

  private StoreBuilder builder(int logLegs) {
    return logLegs == 1 ? plain(place()).log(log(0)) : plain(place()).log(log(0), log(1));
  }

  private static OpenStore open(StoreBuilder builder) {
    return (OpenStore) builder.open();
  }

  private static EmulatedDevice logLeg(OpenStore store, int leg) {
    return (EmulatedDevice) store.logDevices().get(leg);
  }

  private static boolean isInUse(Store store) {
    StoreHealth.Log log = store.health().log();
    return log != null && log.inUse();
  }

  /** More than fits into a slot, over several leaves. */
  private static WriteBatch batch(int round) {
    WriteBatch batch = new WriteBatch();
    for (int i = 0; i < ENTRIES; i += 5) {
      batch.put(key(i), value(i + round, 400));
    }
    return batch.remove(key(1)).put(key(2), value(round, 9_000));
  }

  private static void before(Store store) {
    for (int i = 0; i < ENTRIES; i++) {
      store.put(key(i), value(i, 400));
    }
  }

  /** Whether the batch of a round is there; fails if a part of it is. */
  private static boolean isDone(Store store, int round) {
    boolean done = Arrays.equals(value(round, 400), store.get(key(0)));
    for (int i = 0; i < ENTRIES; i++) {
      byte[] want =
          done && i == 1
              ? null
              : done && i == 2
                  ? value(round, 9_000)
                  : value(done && i % 5 == 0 ? i + round : i, 400);
      assertArrayEquals(want, store.get(key(i)), "key " + i + ", done: " + done);
    }
    return done;
  }

  /** What the death of the process leaves when a batch has come to a step. */
  private Path crashedAt(Step step, int logLegs, boolean withLog) throws IOException {
    Path image = directory.resolve("image");
    try (OpenStore store = open(builder(logLegs))) {
      before(store);
      at = step;
      action.set(() -> {
        Path _ = crashImage(place(), image);
        for (int leg = 0; withLog && leg < logLegs; leg++) {
          copy(log(leg), image.resolve("log-" + leg + ".pmem"));
        }
      });
      store.write(batch(7));
    }
    return image;
  }

  private static void copy(Path from, Path to) {
    try {
      Path _ = Files.copy(from, to);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  // ---------------------------------------------------------------- in use

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aBatchGoesThereAndIsCompletedFromThereBehindACrash(int legs) throws IOException {
    Path image = crashedAt(Step.COMMITTED, legs, true);
    StoreBuilder builder = plain(image);
    Path first = image.resolve("log-0.pmem");
    builder = legs == 1 ? builder.log(first) : builder.log(first, image.resolve("log-1.pmem"));
    try (Store store = builder.open()) {
      assertTrue(isDone(store, 7), "committed, and only its log has it");
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(isInUse(store));
      assertEquals(legs, logOf(store).legs().size());
    }
    try (Store store = builder.open()) {
      assertTrue(isDone(store, 7));
    }
  }

  @Test
  void aStoreWithoutOneIsAsItWas() {
    try (Store store = plain(place()).open()) {
      store.write(batch(1));
      assertNull(store.health().log());
    }
    assertFalse(Files.exists(place().resolve("log-witness")));
  }

  @Test
  void aStoreGetsOneAndDoesWithoutAgain() {
    for (boolean with : new boolean[] {false, true, true, false, false, true}) {
      try (Store store = with ? builder(1).open() : plain(place()).open()) {
        store.write(batch(3));
        assertEquals(with, isInUse(store));
        assertEquals(StoreState.ONLINE, withoutLogProblem(store, with));
        assertArrayEquals(value(3, 400), store.get(key(0)));
      }
    }
  }

  private static StoreHealth.Log logOf(Store store) {
    return Objects.requireNonNull(store.health().log());
  }

  private static String reasonOf(Store store) {
    return String.valueOf(store.health().reason());
  }

  /** Who leaves it away once is told so, and not again. */
  private static StoreState withoutLogProblem(Store store, boolean with) {
    StoreState state = store.health().state();
    if (!with && state == StoreState.DEGRADED) {
      assertTrue(reasonOf(store).contains("was not named"), reasonOf(store));
      return StoreState.ONLINE;
    }
    return state;
  }

  /** A batch that has no room there goes to the log that lies with the entries. */
  @Test
  void aBatchLargerThanTheLogIsWrittenAllTheSame() {
    try (OpenStore store = open(builder(1))) {
      int count = (int) (StoreLog.CAPACITY / 1_000) + 1_000;
      WriteBatch batch = new WriteBatch();
      for (int i = 0; i < count; i++) {
        batch.put(key(i), value(i, 1_000));
      }
      store.write(batch);
      assertTrue(isInUse(store));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(count, store.stats().entries());
      assertArrayEquals(value(count - 1, 1_000), store.get(key(count - 1)));
    }
  }

  @Test
  void whatIsWrittenToTheMediumIsWrittenToThatOfTheLog() {
    try (OpenStore store = open(builder(2))) {
      store.write(new WriteBatch().put(key(0), value(0)));
      long before = logLeg(store, 0).faults().flushes();
      store.write(new WriteBatch().put(key(0), value(1)), PersistenceMode.FILE);
      assertTrue(logLeg(store, 0).faults().flushes() > before);
      assertTrue(logLeg(store, 1).faults().flushes() > before);
    }
  }

  // ---------------------------------------------------------------- loss while it is open

  @ParameterizedTest
  @EnumSource(Step.class)
  void theLossOfOneLegOfItGoesUnnoticed(Step step) {
    try (OpenStore store = open(builder(2))) {
      before(store);
      at = step;
      action.set(() -> lose(logLeg(store, 0)));
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store), "the other leg of it goes on");
      store.write(batch(0));
      await().until(() -> logOf(store).legs().get(0).state() == LegState.REMOVED);
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertTrue(reasonOf(store).contains("LOG leg 0"), reasonOf(store));
    }
    try (Store store = builder(2).open()) {
      assertArrayEquals(value(0, 400), store.get(key(0)));
      assertEquals(StoreState.DEGRADED, store.health().state(), "its place is taken: " + log(0));
      assertTrue(isInUse(store));
    }
  }

  private static void lose(EmulatedDevice device) {
    device.faults().notifyNever();
    device.faults().remove();
  }

  @ParameterizedTest
  @EnumSource(Step.class)
  void theLossOfAllOfItUnderABatchGoesUnnoticed(Step step) {
    Queue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    try (OpenStore store = open(builder(2).listener(events::add))) {
      before(store);
      at = step;
      action.set(() -> {
        lose(logLeg(store, 0));
        lose(logLeg(store, 1));
      });
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      store.write(batch(8));
      await().until(() -> !isInUse(store));
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertTrue(reasonOf(store).contains("LOG: its volume is lost"));
      assertTrue(reasonOf(store).contains("open the store again"), "what to do");
      await().until(() -> events.stream().anyMatch(event -> event.detail().contains("LOG: its")));
      Path image = crashImage(place(), directory.resolve("image"));
      try (Store crashed = plain(image).open()) {
        assertEquals(StoreState.ONLINE, crashed.health().state(), "the log matters no more");
        assertEquals(List.of(), crashed.health().batchesAtRisk());
        assertArrayEquals(value(8, 400), crashed.get(key(0)));
      }
    }
    try (Store store = plain(place()).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertArrayEquals(value(8, 400), store.get(key(0)));
    }
  }

  /** From the moment on at which a batch counts anew, whatever is left completes it or has none. */
  @ParameterizedTest
  @EnumSource(
      value = Step.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"VALUES_STORED", "RESERVED"})
  void aCrashBehindTheLossOfAllOfItLeavesAllOrNothing(Step step) throws IOException {
    Path image = directory.resolve("image");
    try (OpenStore store = open(builder(1))) {
      before(store);
      at = Step.RESERVED;
      action.set(() -> {
        lose(logLeg(store, 0));
        at = step;
        action.set(() -> crashImage(place(), image));
      });
      store.write(batch(7));
    }
    try (Store store = plain(image).open()) {
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void nothingIsLostWhenAllOfItGoesUnderBatchesOfManyThreads() throws Exception {
    int threads = 4;
    int rounds = 60;
    Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    try (OpenStore store = open(builder(2))) {
      List<Thread> all = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int thread = t;
        all.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    for (int round = 1; round <= rounds; round++) {
                      WriteBatch batch = new WriteBatch();
                      for (int i = 0; i < 20; i++) {
                        batch.put(key(thread * 1_000 + i), value(round, 300));
                      }
                      store.write(batch);
                      if (thread == 0 && round == 20) {
                        logLeg(store, 0).faults().remove();
                      } else if (thread == 1 && round == 40) {
                        logLeg(store, 1).faults().remove();
                      }
                    }
                  } catch (RuntimeException | Error e) {
                    failures.add(e);
                  }
                }));
      }
      for (Thread thread : all) {
        thread.join();
      }
      assertEquals(List.of(), List.copyOf(failures));
      await().until(() -> !isInUse(store));
      assertRounds(store, threads, rounds);
    }
    try (Store store = plain(place()).open()) {
      assertRounds(store, threads, rounds);
    }
  }

  private static void assertRounds(Store store, int threads, int round) {
    for (int thread = 0; thread < threads; thread++) {
      for (int i = 0; i < 20; i++) {
        assertArrayEquals(value(round, 300), store.get(key(thread * 1_000 + i)));
      }
    }
  }

  @Test
  void theLossAtRestIsNoticedWithoutABatch() {
    try (OpenStore store = open(builder(1))) {
      before(store);
      logLeg(store, 0).faults().remove();
      await().until(() -> !isInUse(store));
      assertEquals(StoreState.DEGRADED, store.health().state());
      store.write(batch(7));
      assertTrue(isDone(store, 7));
    }
  }

  /** Its mapping takes every store, and nothing of it comes anywhere. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aFileSystemThatDiedUnderItIsNoticedWithoutABatch(int legs) {
    try (OpenStore store = open(builder(legs).heartbeat(Duration.ofMillis(20)))) {
      before(store);
      logLeg(store, 0).faults().shutDownFileSystem();
      await().until(() -> store.health().state() == StoreState.DEGRADED);
      await().until(() -> legs == 2 || !isInUse(store));
      StoreHealth.Log log = Objects.requireNonNull(store.health().log());
      assertEquals(legs == 2, log.inUse());
      if (legs == 2) {
        assertNotEquals(LegState.ONLINE, log.legs().get(0).state());
        assertEquals(LegState.ONLINE, log.legs().get(1).state());
      }
      store.write(batch(7));
      assertTrue(isDone(store, 7));
    }
    try (OpenStore store = open(builder(legs))) {
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store), "made anew");
    }
  }

  @Test
  void aMediumThatRefusesIsLetGoOf() {
    try (OpenStore store = open(builder(1).persistence(PersistenceMode.FILE))) {
      before(store);
      logLeg(store, 0).faults().failFlushes(1);
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      await().until(() -> !isInUse(store));
    }
  }

  /** The last copy of a log is waited for no longer than one of two: the entries do without it. */
  @Test
  void aMediumThatIsSilentIsLetGoOf() {
    StoreBuilder builder =
        builder(1).persistence(PersistenceMode.FILE).expelAfter(Duration.ofMillis(200));
    try (OpenStore store = open(builder)) {
      before(store);
      logLeg(store, 0).faults().flushLatency(Duration.ofSeconds(3));
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      await().until(() -> !isInUse(store));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void poisonInSlotsAndRecordsIsWorkedAround(int legs) {
    try (OpenStore store = open(builder(legs))) {
      before(store);
      // The next slot, the first page of the records, and one behind it.
      for (long at :
          new long[] {
            VolumeLayout.LOG_TABLE_OFFSET + 4096,
            VolumeLayout.RECORDS_OFFSET,
            VolumeLayout.RECORDS_OFFSET + 8192
          }) {
        logLeg(store, 0).faults().notifyNever();
        logLeg(store, 0).faults().poison(at, 4096);
      }
      Path image = directory.resolve("image");
      at = Step.COMMITTED;
      action.set(() -> {
        Path _ = crashImage(place(), image);
        for (int leg = 0; leg < legs; leg++) {
          copy(log(leg), image.resolve("log-" + leg + ".pmem"));
          Path bad = log(leg).resolveSibling("log-" + leg + ".pmem.badblocks");
          if (Files.exists(bad)) {
            copy(bad, image.resolve("log-" + leg + ".pmem.badblocks"));
          }
        }
      });
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store));
      StoreBuilder crashed = plain(image);
      Path first = image.resolve("log-0.pmem");
      crashed = legs == 1 ? crashed.log(first) : crashed.log(first, image.resolve("log-1.pmem"));
      try (Store other = crashed.open()) {
        assertTrue(isDone(other, 7), "completed from what is good there");
      }
    }
  }

  /** All slots, or the superblocks: no batch can lie there. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void poisonOfAllSlotsOrOfTheSuperblocksIsSurvived(boolean slots) {
    try (OpenStore store = open(builder(1))) {
      before(store);
      logLeg(store, 0)
          .faults()
          .poison(
              slots ? VolumeLayout.LOG_TABLE_OFFSET : 0,
              slots ? VolumeLayout.LOG_TABLE_SIZE : 2L * VolumeLayout.SUPERBLOCK_SIZE);
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      store.write(batch(8));
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() ->
              isInUse(store)
                  ? logOf(store).legs().getFirst().badRanges().isEmpty()
                  : store.health().state() == StoreState.DEGRADED);
    }
    try (Store store = plain(place()).open()) {
      assertArrayEquals(value(8, 400), store.get(key(0)));
    }
  }

  /** Behind a close in order nothing is there that counts; behind a crash it may be. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void poisonThatIsFoundAtAnOpenMattersBehindACrashAlone(boolean inOrder) throws IOException {
    Path image = directory.resolve("image");
    try (OpenStore store = open(builder(1))) {
      before(store);
      store.write(batch(7));
      if (!inOrder) {
        Path _ = crashImage(place(), image);
        copy(log(0), image.resolve("log-0.pmem"));
      }
    }
    Path store = inOrder ? place() : image;
    Path file = inOrder ? log(0) : image.resolve("log-0.pmem");
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
      device.faults().poison(VolumeLayout.LOG_TABLE_OFFSET + 4096, 4096);
    }
    try (Store opened = plain(store).log(file).open()) {
      assertEquals(
          inOrder ? StoreState.ONLINE : StoreState.READ_ONLY,
          opened.health().state(),
          file::toString);
      assertEquals(inOrder ? 0 : 1, opened.health().batchesAtRisk().size());
      assertTrue(isDone(opened, 7), "it had settled");
    }
    try (Store opened = plain(store).log(file).openDegraded().open()) {
      assertEquals(StoreState.ONLINE, opened.health().state(), "made anew");
      assertTrue(isDone(opened, 7));
      opened.write(batch(8));
    }
  }

  /** The entries are away, and the log goes meanwhile: memory has what it had. */
  @Test
  void aBatchThatWaitsForTheEntriesSurvivesTheLossOfItsLog() {
    try (OpenStore store = open(plain(place()).single().log(log(0)))) {
      before(store);
      at = Step.COMMITTED;
      EmulatedDevice leg = TestStores.leg(store, 0);
      action.set(() -> leg.faults().remove());
      WriteBatch batch = batch(7);
      BatchUnsettledException e =
          assertThrows(BatchUnsettledException.class, () -> store.write(batch));
      assertEquals(BatchUnsettledException.Outcome.COMMITTED, e.outcome());
      batch.clear();
      batch.put(key(0), value(99));
      logLeg(store, 0).faults().remove();
      leg.faults().reinsert();
      awaitState(store, StoreState.DEGRADED);
      assertTrue(isDone(store, 7));
      await().until(() -> !isInUse(store));
      store.write(batch(8));
    }
    try (Store store = plain(place()).open()) {
      assertArrayEquals(value(8, 400), store.get(key(0)));
      assertEquals(List.of(), store.health().batchesAtRisk());
    }
  }

  @Test
  void aDeviceThatIsRemovedInOrderIsLetGoOf() {
    try (OpenStore store = open(builder(1))) {
      before(store);
      logLeg(store, 0).faults().removeOrderly(Duration.ofSeconds(5));
      assertFalse(isInUse(store));
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.DEGRADED, store.health().state());
    }
  }

  // ---------------------------------------------------------------- return while it is open

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aLogWhoseDevicesAreBackIsMadeAnewBesideTheStore(int legs) {
    Queue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    StoreBuilder options = builder(legs).listener(events::add).heartbeat(Duration.ofMillis(50));
    try (OpenStore store = open(options)) {
      before(store);
      store.write(batch(3));
      List<EmulatedDevice> lost = new ArrayList<>();
      for (int leg = 0; leg < legs; leg++) {
        lost.add(logLeg(store, leg));
        logLeg(store, leg).faults().remove();
      }
      await().until(() -> !isInUse(store));
      store.write(batch(4));
      for (int leg = 0; leg < legs; leg++) {
        assertFalse(isInUse(store), "not before the last of them is back");
        lost.get(leg).faults().reinsert();
      }
      awaitState(store, StoreState.ONLINE);
      assertTrue(isInUse(store));
      assertEquals(legs, logOf(store).legs().size());
      assertTrue(
          events.stream().anyMatch(event -> event.detail().contains("made there anew")),
          events::toString);
      Path image = directory.resolve("image");
      at = Step.COMMITTED;
      action.set(() -> {
        Path _ = crashImage(place(), image);
        for (int leg = 0; leg < legs; leg++) {
          copy(log(leg), image.resolve("log-" + leg + ".pmem"));
        }
      });
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      try (Store crashed = plain(image).open()) {
        assertEquals(StoreState.READ_ONLY, crashed.health().state(), "it is in the log alone");
      }
      Path first = image.resolve("log-0.pmem");
      Path second = image.resolve("log-1.pmem");
      StoreBuilder found = plain(image);
      try (Store crashed = (legs == 1 ? found.log(first) : found.log(first, second)).open()) {
        assertTrue(isDone(crashed, 7));
      }
      // It is looked after as the first one was.
      logLeg(store, legs - 1).faults().shutDownFileSystem();
      await().until(() -> legs == 2 || !isInUse(store));
      if (legs == 2) {
        await().until(() -> logOf(store).legs().get(1).state() != LegState.ONLINE);
        EmulatedDevice last = logLeg(store, 0);
        last.faults().removeOrderly(Duration.ofSeconds(5));
        assertFalse(isInUse(store), "it was asked");
        last.faults().reinsert();
      }
    }
    try (Store store = builder(legs).open()) {
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void whatLiesInThePlaceOfALegByNowIsLeftAlone() throws IOException {
    byte[] theirs = new byte[100_000];
    Arrays.fill(theirs, (byte) 7);
    try (OpenStore store = open(builder(2))) {
      before(store);
      EmulatedDevice first = logLeg(store, 0);
      EmulatedDevice second = logLeg(store, 1);
      first.faults().remove();
      second.faults().remove();
      await().until(() -> !isInUse(store));
      first.faults().reinsert();
      Path _ = Files.move(log(0), log(2));
      Path _ = Files.write(log(0), theirs);
      second.faults().reinsert();
      await().until(() -> reasonOf(store).contains("another file lies there now"));
      assertArrayEquals(theirs, Files.readAllBytes(log(0)));
      assertTrue(Files.exists(log(1)));
      Path _ = Files.move(log(2), log(0), StandardCopyOption.REPLACE_EXISTING);
      awaitState(store, StoreState.ONLINE);
      assertTrue(isInUse(store));
    }
  }

  @Test
  void aLegOfTheLogThatReturnsIsALegAgain() {
    try (OpenStore store = open(builder(2))) {
      before(store);
      EmulatedDevice first = logLeg(store, 0);
      first.faults().remove();
      await().until(() -> logOf(store).legs().get(0).state() == LegState.REMOVED);
      store.write(batch(3));
      assertTrue(isInUse(store));
      first.faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      logLeg(store, 1).faults().remove();
      await().until(() -> store.health().state() == StoreState.DEGRADED);
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store), "the one that was away serves");
      assertEquals(LegState.ONLINE, logOf(store).legs().get(0).state());
    }
  }

  @Test
  void aLogThatComesAndGoesUnderBatchesLosesNothing() throws Exception {
    int threads = 3;
    AtomicBoolean ends = new AtomicBoolean();
    AtomicInteger[] rounds = new AtomicInteger[threads];
    Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    try (OpenStore store = open(builder(2))) {
      List<Thread> all = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int thread = t;
        AtomicInteger rounded = new AtomicInteger();
        rounds[t] = rounded;
        all.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    while (!ends.get()) {
                      int round = rounded.incrementAndGet();
                      WriteBatch batch = new WriteBatch();
                      for (int i = 0; i < 20; i++) {
                        batch.put(key(thread * 1_000 + i), value(round, 300));
                      }
                      store.write(batch);
                    }
                  } catch (RuntimeException | Error e) {
                    failures.add(e);
                  }
                }));
      }
      try {
        for (int i = 0; i < 3; i++) {
          EmulatedDevice first = logLeg(store, 0);
          EmulatedDevice second = logLeg(store, 1);
          first.faults().remove();
          if (i > 0) {
            second.faults().remove();
            second.faults().reinsert();
          }
          first.faults().reinsert();
          awaitState(store, StoreState.ONLINE);
          assertTrue(isInUse(store));
          assertNotEquals(first, logLeg(store, 0));
        }
      } finally {
        ends.set(true);
        for (Thread thread : all) {
          thread.join();
        }
      }
      assertEquals(List.of(), List.copyOf(failures));
      for (int t = 0; t < threads; t++) {
        for (int i = 0; i < 20; i++) {
          assertArrayEquals(value(rounds[t].get(), 300), store.get(key(t * 1_000 + i)));
        }
      }
    }
    try (Store store = builder(2).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      for (int t = 0; t < threads; t++) {
        assertArrayEquals(value(rounds[t].get(), 300), store.get(key(t * 1_000)));
      }
    }
  }

  @Test
  void aCloseThatMeetsTheReturnOfTheLogLeavesAStoreThatOpens() throws InterruptedException {
    for (int i = 0; i < 12; i++) {
      try (OpenStore store = open(builder(2))) {
        if (i == 0) {
          before(store);
        }
        EmulatedDevice first = logLeg(store, 0);
        first.faults().remove();
        store.write(batch(i));
        await().until(() -> logOf(store).legs().get(0).state() == LegState.REMOVED);
        first.faults().reinsert();
        Thread.sleep(2L * i); // It is made anew at once, which takes a few milliseconds.
      }
    }
    try (Store store = builder(2).open()) {
      assertTrue(isDone(store, 11));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(isInUse(store));
    }
  }

  /** A medium that said no once may do so again: somebody looks at it before it is used. */
  @Test
  void aMediumThatRefusedIsUsedAgainAtTheNextOpenAlone() throws InterruptedException {
    try (OpenStore store = open(builder(2).persistence(PersistenceMode.FILE))) {
      before(store);
      EmulatedDevice first = logLeg(store, 0);
      first.faults().failFlushes(1);
      store.write(batch(7));
      await().until(() -> logOf(store).legs().get(0).state() == LegState.FAULTED);
      Thread.sleep(1_500);
      assertEquals(LegState.FAULTED, logOf(store).legs().get(0).state());
      assertEquals(first, logLeg(store, 0));
      EmulatedDevice second = logLeg(store, 1);
      second.faults().remove();
      await().until(() -> !isInUse(store));
      second.faults().reinsert();
      Thread.sleep(1_500);
      assertFalse(isInUse(store), "what comes back alone does not make the other one good");
    }
    try (Store store = builder(2).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void aPolicyThatWantsNoLogBackIsHeard() throws InterruptedException {
    FailurePolicy standard = FailurePolicy.standard();
    AtomicInteger asked = new AtomicInteger();
    FailurePolicy policy =
        (topology, subject, fault) -> {
          if (subject.role() == Role.LOG && fault == FaultKind.RETURNED) {
            asked.incrementAndGet();
            return new Verdict.Ignore();
          }
          return standard.decide(topology, subject, fault);
        };
    try (OpenStore store = open(builder(1).policy(policy))) {
      EmulatedDevice device = logLeg(store, 0);
      device.faults().remove();
      await().until(() -> !isInUse(store));
      device.faults().reinsert();
      await().until(() -> asked.get() > 0);
      Thread.sleep(100);
      assertFalse(isInUse(store));
    }
  }

  @Test
  void aPolicyThatKeepsTheLogIsHeard() {
    FailurePolicy standard = FailurePolicy.standard();
    FailurePolicy policy =
        (topology, subject, fault) ->
            subject.role() == Role.LOG && fault == FaultKind.PRE_REMOVE
                ? new Verdict.RefuseRemoval()
                : standard.decide(topology, subject, fault);
    try (OpenStore store = open(builder(2).policy(policy))) {
      assertThrows(
          RemovalRefusedException.class,
          () -> logLeg(store, 0).faults().removeOrderly(Duration.ofMillis(50)));
      assertEquals(LegState.ONLINE, logOf(store).legs().get(0).state());
    }
  }

  @Test
  void aPolicyThatStopsWritesWithoutALogIsHeard() {
    FailurePolicy standard = FailurePolicy.standard();
    FailurePolicy policy =
        (topology, subject, fault) ->
            subject.role() == Role.LOG && fault == FaultKind.REMOVED
                ? new Verdict.ReadOnly()
                : standard.decide(topology, subject, fault);
    try (OpenStore store = open(builder(1).policy(policy))) {
      before(store);
      logLeg(store, 0).faults().remove();
      awaitState(store, StoreState.READ_ONLY);
      assertThrows(ReadOnlyStoreException.class, () -> store.write(batch(7)));
      assertFalse(isDone(store, 7));
    }
  }

  /**
   * What was acknowledged must not need a log that is lost: the superblock says that it is home
   * before the answer, and does not wait for the health thread to see the loss.
   */
  @Test
  void aLogThatIsLostBehindTheCommitIsHomeBeforeTheAnswer() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    FailurePolicy standard = FailurePolicy.standard();
    StoreBuilder options =
        builder(1)
            .policy((topology, subject, fault) -> {
              if (subject.role() == Role.LOG) {
                await().atMost(Duration.ofSeconds(30)).until(() -> release.getCount() == 0);
              }
              return standard.decide(topology, subject, fault);
            });
    options.policyDeadline = Duration.ofSeconds(40);
    Path image = directory.resolve("image");
    try (OpenStore store = open(options)) {
      before(store);
      at = Step.COMMITTED;
      action.set(() -> logLeg(store, 0).faults().remove());
      store.write(batch(7));
      crashImage(place(), image);
      release.countDown();
    }
    try (Store store = plain(image).open()) {
      assertTrue(isDone(store, 7));
      assertEquals(List.of(), store.health().batchesAtRisk());
      store.put(key(1), value(1, 400));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aBadPageIsMadeGoodAgainWhileNoBatchIsThere(int legs) {
    try (OpenStore store = open(builder(legs))) {
      before(store);
      store.write(batch(1));
      EmulatedDevice device = logLeg(store, 0);
      device.faults().poison(VolumeLayout.LOG_TABLE_OFFSET + 4096, 4096);
      device.faults().poison(VolumeLayout.RECORDS_OFFSET + 8192, 4096);
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() ->
              device.badBlocks().isEmpty() && logOf(store).legs().getFirst().badRanges().isEmpty());
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aScrubWritesASuperblockAnewThatIsWrong(int legs) {
    try (OpenStore store = open(builder(legs))) {
      before(store);
      store.write(batch(1));
      EmulatedDevice device = logLeg(store, 0);
      byte[] superblock = new byte[4096];
      device.read(0, superblock, 0, superblock.length);
      device.faults().flipBit(40, 3);
      ScrubReport _ = store.scrub();
      byte[] now = new byte[4096];
      device.read(0, now, 0, now.length);
      assertEquals(superblock[40], now[40]);
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store));
    }
  }

  // ---------------------------------------------------------------- loss between two opens

  @Test
  void behindACloseInOrderALogThatIsGoneIsMadeAnew() throws IOException {
    try (Store store = builder(2).open()) {
      before(store);
      store.write(batch(7));
    }
    Files.delete(log(0));
    Files.delete(log(1));
    try (Store store = builder(2).open()) {
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(isInUse(store));
    }
  }

  /** A leg that is fresh, or was left behind, is no reason to copy: the log is made anew on all. */
  @Test
  void aLegThatWasLeftBehindIsALegAgainAtTheNextOpen() throws IOException {
    try (OpenStore store = open(builder(2))) {
      before(store);
      logLeg(store, 1).faults().remove();
      store.write(batch(7));
    }
    EmulatedDevice.open(log(0), PersistenceMode.PROCESS).close();
    dev.holdfast.pmem.FaultInjector.reinsert(log(1));
    try (Store store = builder(2).open()) {
      assertTrue(isDone(store, 7));
      assertTrue(isInUse(store));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(2, logOf(store).legs().size());
    }
  }

  @Test
  void behindACrashALogThatIsGoneStopsWritesAndNamesTheBatchesAtRisk() throws IOException {
    Path image = crashedAt(Step.LEAF_APPLIED, 1, false);
    byte[] leg = Files.readAllBytes(image.resolve("leg-0.pmem"));
    try (Store store = plain(image).log(image.resolve("log-0.pmem")).open()) {
      assertEquals(StoreState.READ_ONLY, store.health().state());
      List<StoreHealth.BatchAtRisk> atRisk = store.health().batchesAtRisk();
      assertEquals(1, atRisk.size());
      assertTrue(atRisk.getFirst().number() > 0);
      String reason = reasonOf(store);
      assertTrue(reason.contains("a batch from number " + atRisk.getFirst().number()), reason);
      assertTrue(reason.contains("openDegraded()"), reason);
      assertFalse(isDone(store, 7), "nobody sees a part of it");
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(0), value(0)));
    }
    assertArrayEquals(leg, Files.readAllBytes(image.resolve("leg-0.pmem")), "nothing was written");
    try (Store store = plain(image).openDegraded().open()) {
      assertEquals(List.of(), store.health().batchesAtRisk());
      store.write(batch(8));
      assertArrayEquals(value(8, 400), store.get(key(0)));
    }
    try (Store store = plain(image).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertArrayEquals(value(8, 400), store.get(key(0)));
    }
  }

  /** It was put back: nothing was written meanwhile, so it counts. */
  @Test
  void aLogThatIsPutBackBehindACrashCompletesItsBatch() throws IOException {
    Path image = crashedAt(Step.LEAF_APPLIED, 1, true);
    Path log = image.resolve("log-0.pmem");
    Path away = image.resolve("away");
    Path _ = Files.move(log, away);
    try (Store store = plain(image).log(log).open()) {
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertFalse(isDone(store, 7));
    }
    Path _ = Files.move(away, log);
    try (Store store = plain(image).log(log).open()) {
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void anOldLogThatComesBackNeverReplays() throws IOException {
    Path image = crashedAt(Step.COMMITTED, 1, true);
    Path log = image.resolve("log-0.pmem");
    Path old = image.resolve("old");
    Path _ = Files.copy(log, old);
    Files.delete(log);
    try (Store store = plain(image).openDegraded().open()) {
      assertFalse(isDone(store, 7), "it was let go of");
      store.put(key(0), value(0, 400));
    }
    Path _ = Files.copy(old, log);
    try (Store store = plain(image).log(log).open()) {
      assertFalse(isDone(store, 7));
      assertTrue(isInUse(store), "made anew in its place");
      Path second = crashImage(image, directory.resolve("second"));
      Files.delete(second.resolve("log-0.pmem"));
      Path _ = Files.copy(old, second.resolve("log-0.pmem"));
      try (Store other = plain(second).log(second.resolve("log-0.pmem")).open()) {
        assertEquals(StoreState.READ_ONLY, other.health().state(), "the one in force is not there");
        assertFalse(isDone(other, 7));
      }
    }
  }

  /** While the entries were being given a log the process died: what was half made is nobody's. */
  @Test
  void aLogThatWasHalfMadeIsMadeAnew() throws IOException {
    try (Store store = plain(place()).open()) {
      before(store);
    }
    Path _ = Files.writeString(log(0), "half of a device");
    Path _ = Files.writeString(place().resolve("log-making"), log(0) + "\n");
    try (Store store = builder(1).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(isInUse(store));
    }
    assertFalse(Files.exists(place().resolve("log-making")));
  }

  @Test
  void whoOnlyReadsChangesNothing() throws IOException {
    Path image = crashedAt(Step.LEAF_APPLIED, 1, true);
    byte[] log = Files.readAllBytes(image.resolve("log-0.pmem"));
    byte[] leg = Files.readAllBytes(image.resolve("leg-1.pmem"));
    try (Store store = plain(image).log(image.resolve("log-0.pmem")).readOnly().open()) {
      assertFalse(isDone(store, 7), "it is hidden until it can be completed");
    }
    assertArrayEquals(log, Files.readAllBytes(image.resolve("log-0.pmem")));
    assertArrayEquals(leg, Files.readAllBytes(image.resolve("leg-1.pmem")));
  }

  // ---------------------------------------------------------------- bad input

  private static void assertSays(String expected, HoldfastException e) {
    assertTrue(String.valueOf(e.getMessage()).contains(expected), e.getMessage());
  }

  @Test
  void whatIsNoPlaceForALogIsRefused() {
    StoreBuilder builder = plain(place());
    assertThrows(IllegalArgumentException.class, builder::log);
    assertThrows(IllegalArgumentException.class, () -> builder.log(log(0), log(0)));
    Path detour = log(0).resolveSibling("store").resolve("..").resolve("log-0.pmem");
    assertThrows(IllegalArgumentException.class, () -> builder.log(log(0), detour));
    Path leg = place().resolve("leg-0.pmem");
    assertThrows(IllegalArgumentException.class, () -> plain(place()).log(leg).open());
    assertThrows(
        IllegalArgumentException.class, () -> plain(place()).spare(log(0)).log(log(0)).open());
  }

  @Test
  void aDeviceOfSomebodyElseIsRefusedAndLeftAsItIs() throws IOException {
    Path other = directory.resolve("other");
    Path otherLog = directory.resolve("other-log.pmem");
    try (Store store = plain(other).single().log(otherLog).open()) {
      before(store);
    }
    try (Store store = builder(1).open()) {
      before(store);
    }
    byte[] before = Files.readAllBytes(otherLog);
    Consumer<Path> wrong =
        file -> {
          InvalidImageException e =
              assertThrows(
                  InvalidImageException.class, () -> plain(place()).log(file).open().close());
          assertSays("expected a leg of the LOG volume of store", e);
          assertSays(file.toString(), e);
        };
    wrong.accept(otherLog);
    wrong.accept(other.resolve("leg-0.pmem"));
    assertSays(
        "expected a leg with entries, was one of the LOG volume",
        assertThrows(
            InvalidImageException.class,
            () -> plain(directory.resolve("third")).legs(otherLog).open().close()));
    assertSays(
        "expected a free place",
        assertThrows(
            InvalidImageException.class,
            () -> plain(directory.resolve("fourth")).log(otherLog).open().close()));
    assertArrayEquals(before, Files.readAllBytes(otherLog), "was changed");
    try (Store store = builder(1).open()) {
      assertEquals(StoreState.ONLINE, store.health().state(), "still closed in order");
      assertNotNull(store.health().log());
    }
  }

  @Test
  void aFileThatIsNoDeviceIsNamedAndTheStoreServes() throws IOException {
    Path _ = Files.writeString(log(0), "no device");
    try (Store store = plain(place()).open()) {
      before(store);
    }
    try (Store store = builder(1).open()) {
      store.write(batch(7));
      assertTrue(isDone(store, 7));
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertTrue(reasonOf(store).contains(log(0).toString()), reasonOf(store));
    }
    assertEquals("no device", Files.readString(log(0)));
  }
}
