package dev.holdfast;

import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.VersionedEntries.assertHolds;
import static dev.holdfast.VersionedEntries.key;
import static dev.holdfast.VersionedEntries.put;
import static dev.holdfast.VersionedEntries.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.LastCopyException;
import dev.holdfast.error.OpenRefusedException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Legs that come to a store that runs, and legs that leave it for good. */
final class LegsComeAndGoTest {
  private static final int ENTRIES = 3_000;

  /** Slow enough to look at a copy that runs: a region a second. */
  private static final long SLOW = VolumeLayout.REGION_SIZE;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path place() {
    return directory.resolve("s");
  }

  private Path fresh(int number) {
    return place().resolve("new-" + number);
  }

  private StoreBuilder builder() {
    return builder(place());
  }

  private static StoreBuilder builder(Path place) {
    return Store.builder(place).initialCapacity(4 << 20).packColdLeavesAfter(Duration.ZERO);
  }

  private static void awaitOnline(Store store) {
    await().atMost(Duration.ofSeconds(60)).until(() -> store.health().state() == StoreState.ONLINE);
  }

  /** Has every leg go but one: what is read then, that one has. */
  private static void leaveOnly(Store store, int leg) {
    for (int other = 0; other < store.devices().size(); other++) {
      LegState state = state(store, other);
      if (other != leg && state != LegState.DETACHED && state != LegState.REMOVED) {
        leg(store, other).faults().remove();
      }
    }
    assertEquals(LegState.ONLINE, state(store, leg));
  }

  /** Readers and writers, who fail a test where an operation fails or a value is wrong. */
  private static final class Load implements AutoCloseable {
    private final AtomicBoolean stop = new AtomicBoolean();
    private final ExecutorService pool = Executors.newFixedThreadPool(3);
    private final List<Future<Integer>> writers = new ArrayList<>();
    private final Future<Integer> reader;

    Load(Store store) {
      for (int writer = 0; writer < 2; writer++) {
        int first = writer;
        writers.add(
            pool.submit(() -> {
              int version = 0;
              while (!stop.get()) {
                version++;
                for (int i = first; i < ENTRIES; i += 2) {
                  store.put(key(i), value(i, version));
                  assertArrayEquals(value(i, version), store.get(key(i)), "entry " + i);
                }
              }
              return version;
            }));
      }
      reader =
          pool.submit(() -> {
            int scans = 0;
            while (!stop.get()) {
              long shown = store.scan(KeyRange.all(), false, (_, _, _, _, _, _) -> true);
              assertEquals(ENTRIES, shown);
              scans++;
            }
            return scans;
          });
    }

    /** Ends it, and says which version of each entry was written last. */
    int[] end() throws ExecutionException, InterruptedException {
      stop.set(true);
      int[] versions = {writers.get(0).get(), writers.get(1).get()};
      assertTrue(reader.get() > 0, "nothing was read");
      return versions;
    }

    @Override
    public void close() {
      stop.set(true);
      pool.close();
    }
  }

  private static void assertHoldsAsWritten(Store store, int[] versions) {
    for (int i = 0; i < ENTRIES; i++) {
      assertArrayEquals(value(i, versions[i % 2]), store.get(key(i)), "entry " + i);
    }
  }

  // ---------------------------------------------------------------- attach

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aNewLegHoldsEverythingAndNoOperationFails(int legs) throws Exception {
    StoreBuilder options = legs == 1 ? builder().single() : builder();
    int[] versions;
    try (Store store = options.open()) {
      put(store, 0, ENTRIES, 0);
      try (Load load = new Load(store)) {
        assertEquals(legs, store.attach(fresh(0)));
        assertEquals(StoreState.ONLINE, store.health().state());
        StoreStats.Resilver copy = store.stats().resilver();
        assertNotNull(copy);
        assertEquals(legs, copy.leg());
        assertTrue(copy.whole());
        long reads = store.stats().legs().get(0).reads();
        await().until(() -> store.stats().legs().get(0).reads() > reads + 2_000);
        versions = load.end();
      }
      leaveOnly(store, legs);
      assertHoldsAsWritten(store, versions);
      put(store, 0, 100, -1);
    }
    // Nobody says where the third one lies.
    try (Store store = builder().open()) {
      assertEquals(fresh(0).toString(), store.health().legs().get(legs).name());
      assertEquals(LegState.ONLINE, state(store, legs));
      assertHolds(store, 0, 100, -1);
    }
  }

  @Test
  void aNewLegOutsideOfTheDirectoryIsFoundAgain() {
    Path outside = directory.resolve("elsewhere");
    try (Store store = builder().open()) {
      put(store, 0, ENTRIES, 0);
      assertEquals(2, store.attach(outside));
      assertEquals(3, store.attach(fresh(0)));
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      leaveOnly(store, 2);
      assertHolds(store, 0, ENTRIES, 0);
    }
  }

  /** A copy of the directory must never open what belongs to its original. */
  @Test
  void aCopyOfTheDirectoryLeavesTheOutsideLegAlone() throws IOException {
    Path outside = directory.resolve("elsewhere");
    Path copy = directory.resolve("copy");
    Path moved = directory.resolve("moved");
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
      store.attach(outside);
      TestStores.crashImage(place(), copy);
      Files.copy(outside, moved);
      try (Store other = builder(copy).open()) {
        assertEquals(StoreState.DEGRADED, other.health().state());
        assertEquals(LegState.REMOVED, state(other, 2));
        assertHolds(other, 0, 100, 0);
      }
      leaveOnly(store, 2);
      assertHolds(store, 0, 100, 0);
    }
    // And with its own copy of that leg it is whole.
    try (Store other =
        builder(copy).legs(copy.resolve("leg-0.pmem"), copy.resolve("leg-1.pmem"), moved).open()) {
      awaitOnline(other);
      assertEquals(moved.toString(), other.health().legs().get(2).name());
    }
  }

  @Test
  void legsThatAreNamedAreCompletedByThoseThatCameLater() {
    Path first = directory.resolve("a");
    Path second = directory.resolve("b");
    try (Store store = builder().legs(first, second).open()) {
      put(store, 0, 100, 0);
      store.attach(fresh(0));
    }
    try (Store store = builder().legs(first, second).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(3, store.devices().size());
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      leaveOnly(store, 2);
      assertHolds(store, 0, 100, 0);
    }
  }

  private void assertNotFree(Store store, Path at, String why) {
    String message =
        String.valueOf(
            assertThrows(IllegalArgumentException.class, () -> store.attach(at)).getMessage());
    assertTrue(message.contains(why) && message.contains(at.toString()), message);
    assertEquals(2, store.devices().size());
    assertEquals(StoreState.ONLINE, store.health().state());
  }

  @Test
  void aPlaceWhereAnythingIsIsRefusedAndStaysAsItIs() throws IOException {
    Path foreign = directory.resolve("foreign");
    try (Store other = builder(foreign).single().open()) {
      put(other, 0, 100, 0);
    }
    Path text = Files.writeString(directory.resolve("text"), "mine");
    Path unused = directory.resolve("unused");
    EmulatedDevice.create(unused, 4 << 20, PersistenceMode.PROCESS).close();
    Path removed = directory.resolve("away");
    Files.createFile(directory.resolve("away.removed"));
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
      assertNotFree(store, place().resolve("leg-1.pmem"), "is leg 1 of this store");
      assertNotFree(store, place().resolve("../s/leg-0.pmem").normalize(), "is leg 0");
      assertNotFree(store, foreign.resolve("leg-0.pmem"), "is leg 0 of store ");
      assertNotFree(store, unused, "a device that is no leg");
      assertNotFree(store, text, "a file that is no device");
      assertNotFree(store, directory, "something that is no file");
      assertNotFree(store, removed, "a device that was removed");
      assertNotFree(store, directory.resolve("none/leg"), "no such directory");
      assertEquals(3, store.devices().size() + 1);
      assertEquals(2, store.attach(fresh(0)), "nothing is left of what was refused");
    }
    assertEquals("mine", Files.readString(text));
    try (Store other = builder(foreign).open()) {
      assertHolds(other, 0, 100, 0);
    }
  }

  @Test
  void aPlaceWithoutRoomIsRefusedAndNothingIsLeftThere() throws IOException {
    String missing = LoopXfs.missing();
    assumeTrue(missing == null, missing);
    try (LoopXfs small =
            LoopXfs.make(directory.resolve("image"), directory.resolve("small"), LoopXfs.SMALLEST);
        Store store = builder().open()) {
      long room = Files.getFileStore(small.directory()).getUsableSpace();
      EmulatedDevice.create(
              small.directory().resolve("filler"), room - (2 << 20), PersistenceMode.PROCESS)
          .close();
      put(store, 0, 100, 0);
      Path file = small.directory().resolve("leg");
      assertThrows(OutOfSpaceException.class, () -> store.attach(file));
      assertFalse(Files.exists(file));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(2, store.devices().size());
      assertEquals(2, store.attach(fresh(0)));
    }
  }

  @Test
  void twoAtOnceBecomeTwoLegsAndOneOfTwoAtOnePlaceIsRefused() throws Exception {
    try (Store store = builder().open();
        ExecutorService pool = Executors.newFixedThreadPool(4)) {
      put(store, 0, ENTRIES, 0);
      List<Future<Integer>> attached = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Path place = fresh(i / 2);
        attached.add(pool.submit(() -> store.attach(place)));
      }
      int refused = 0;
      List<Integer> indexes = new ArrayList<>();
      for (Future<Integer> each : attached) {
        try {
          indexes.add(each.get());
        } catch (ExecutionException e) {
          assertInstanceOf(IllegalArgumentException.class, e.getCause());
          refused++;
        }
      }
      assertEquals(2, refused);
      indexes.sort(null);
      assertEquals(List.of(2, 3), indexes);
      assertEquals(StoreState.ONLINE, store.health().state());
      leaveOnly(store, 3);
      assertHolds(store, 0, ENTRIES, 0);
    }
  }

  @Test
  void thereAreEightLegsAtMost() {
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
      for (int leg = 2; leg < VolumeLayout.MAX_LEGS; leg++) {
        assertEquals(leg, store.attach(fresh(leg)));
      }
      assertThrows(IllegalStateException.class, () -> store.attach(fresh(9)));
      assertFalse(Files.exists(fresh(9)));
      store.detach(5);
      assertEquals(5, store.attach(fresh(9)), "the place of a leg that went");
      leaveOnly(store, 5);
      assertHolds(store, 0, 100, 0);
    }
  }

  /** Begins to attach, and returns when the copy is under way and cannot end soon. */
  private Future<Integer> attachSlowly(Store store, ExecutorService pool, Path place) {
    Future<Integer> attached = pool.submit(() -> store.attach(place));
    await()
        .pollInterval(Duration.ofMillis(5))
        .until(() -> {
          StoreStats.Resilver copy = store.stats().resilver();
          return copy != null && copy.running() && copy.bytesDone() > 0;
        });
    assertFalse(attached.isDone());
    return attached;
  }

  private static StoreStats.Resilver copy(Store store) {
    return Objects.requireNonNull(store.stats().resilver(), "a copy");
  }

  /** Slower is always possible: the machine may be busy. */
  @Test
  void aCopyIsNoFasterThanItMayBe() {
    long rate = 2L << 20;
    try (Store store = builder().resilverRate(rate).open()) {
      put(store, 0, ENTRIES, 0);
      long began = System.nanoTime();
      int _ = store.attach(fresh(0));
      double seconds = (System.nanoTime() - began) / 1e9;
      long bytes = copy(store).bytesDone();
      assertTrue(bytes >= rate, "more than what goes at once: " + bytes);
      assertTrue(
          bytes / seconds <= 1.1 * rate + VolumeLayout.REGION_SIZE, bytes + " in " + seconds);
    }
  }

  @Test
  void aCopyThatACloseCutsOffGoesOnAtTheNextOpen() {
    Future<Integer> attached;
    try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
      Store closing = builder().resilverRate(SLOW).open();
      put(closing, 0, ENTRIES, 0);
      attached = attachSlowly(closing, pool, fresh(0));
      put(closing, 0, 100, 1);
      long began = System.nanoTime();
      closing.close();
      assertTrue(System.nanoTime() - began < Duration.ofSeconds(10).toNanos());
      ExecutionException failed = assertThrows(ExecutionException.class, attached::get);
      assertInstanceOf(StoreClosedException.class, failed.getCause());
    }
    try (Store store = builder().open()) {
      awaitOnline(store);
      leaveOnly(store, 2);
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
    }
  }

  @Test
  void aCrashWhileALegIsCopiedToLosesNothing() {
    Path image = directory.resolve("image");
    try (ExecutorService pool = Executors.newSingleThreadExecutor();
        Store store = builder().resilverRate(SLOW).open()) {
      put(store, 0, ENTRIES, 0);
      Future<Integer> attached = attachSlowly(store, pool, fresh(0));
      put(store, 0, 100, 1);
      TestStores.crashImage(place(), image);
      assertFalse(attached.isDone(), "too late to be a crash in the middle");
    }
    // Half of a copy is no leg that could open alone.
    Path alone = TestStores.crashImage(image, directory.resolve("alone"));
    assertTrue(alone.resolve("leg-0.pmem").toFile().delete());
    assertTrue(alone.resolve("leg-1.pmem").toFile().delete());
    assertThrows(OpenRefusedException.class, () -> builder(alone).openDegraded().open());
    try (Store store = builder(image).open()) {
      assertHolds(store, 0, 100, 1);
      awaitOnline(store);
      assertEquals(image.resolve("new-0").toString(), store.health().legs().get(2).name());
      leaveOnly(store, 2);
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
    }
  }

  /** The device is made, and no leg knows it yet, or only some do. */
  @ParameterizedTest
  @ValueSource(strings = {"no file", "half a file", "a device", "known to one leg"})
  void aCrashBeforeTheLegIsKnownLeavesNothing(String step) throws IOException {
    Path before = directory.resolve("before");
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
    }
    TestStores.crashImage(place(), before);
    try (Store store = builder().open()) {
      store.attach(fresh(0));
    }
    // As it was before, with the note of what is being made.
    LegRoster roster = LegRoster.read(before);
    roster.found(
        Map.of(0, before.resolve("leg-0.pmem"), 1, before.resolve("leg-1.pmem")), List.of(), true);
    roster.make(before.resolve("new-0"), null);
    switch (step) {
      case "half a file" -> Files.write(before.resolve("new-0"), new byte[5_000]);
      case "a device" ->
          EmulatedDevice.create(before.resolve("new-0"), 4 << 20, PersistenceMode.PROCESS).close();
      // The superblock of the new one is written first, by a change that came no further.
      case "known to one leg" -> Files.copy(fresh(0), before.resolve("new-0"));
      default -> {}
    }
    if (step.equals("known to one leg")) {
      markNotInSync(before.resolve("new-0"));
    }
    try (Store store = builder(before).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(2, store.devices().size());
      assertFalse(Files.exists(before.resolve("new-0")));
      assertHolds(store, 0, 500, 0);
      assertEquals(2, store.attach(before.resolve("new-0")));
      leaveOnly(store, 2);
      assertHolds(store, 0, 500, 0);
    }
  }

  private static void markNotInSync(Path file) {
    dev.holdfast.volume.LegMarks.setOwn(file, "NOT_IN_SYNC");
  }

  @Test
  void aLegThatIsLostUnderTheCopyDoesNotStopIt() throws Exception {
    try (ExecutorService pool = Executors.newSingleThreadExecutor();
        Store store = builder().initialCapacity(32 << 20).resilverRate(8 * SLOW).open()) {
      put(store, 0, ENTRIES, 0);
      Future<Integer> attached = attachSlowly(store, pool, fresh(0));
      // Nobody is told, and nobody reads but the copy: it meets the loss.
      leg(store, 0).faults().notifyNever();
      leg(store, 0).faults().remove();
      assertEquals(2, attached.get());
      assertEquals(LegState.REMOVED, state(store, 0));
      leaveOnly(store, 2);
      assertHolds(store, 0, ENTRIES, 0);
    }
  }

  @Test
  void aNewDeviceThatFailsIsTakenOutAgain() {
    try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
      try (Store store = builder().resilverRate(SLOW).open()) {
        put(store, 0, ENTRIES, 0);
        Future<Integer> attached = attachSlowly(store, pool, fresh(0));
        leg(store, 2).faults().remove();
        assertThrows(ExecutionException.class, attached::get);
        assertEquals(StoreState.ONLINE, store.health().state());
        assertEquals(LegState.DETACHED, state(store, 2));
        assertHolds(store, 0, ENTRIES, 0);
      }
      try (Store store = builder().open()) {
        assertEquals(StoreState.ONLINE, store.health().state());
      }
    }
  }

  @Test
  void nothingIsAttachedToAStoreThatTakesNoWrites() {
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
    }
    try (Store store = builder().readOnly().open()) {
      assertThrows(ReadOnlyStoreException.class, () -> store.attach(fresh(0)));
      assertThrows(ReadOnlyStoreException.class, () -> store.detach(1));
      assertFalse(Files.exists(fresh(0)));
    }
    Store closed = builder().open();
    closed.close();
    assertThrows(StoreClosedException.class, () -> closed.attach(fresh(0)));
    assertThrows(StoreClosedException.class, () -> closed.detach(1));
    assertThrows(StoreClosedException.class, () -> closed.replace(1, fresh(0)));
  }

  // ---------------------------------------------------------------- detach

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aLegThatIsDetachedIsMissedByNobody(int out) throws Exception {
    Path gone = place().resolve("leg-" + out + ".pmem");
    int[] versions;
    ConcurrentLinkedQueue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    try (Store store = builder().listener(events::add).open()) {
      put(store, 0, ENTRIES, 0);
      try (Load load = new Load(store)) {
        store.detach(out);
        assertEquals(StoreState.ONLINE, store.health().state());
        assertEquals(LegState.DETACHED, state(store, out));
        assertFalse(
            Files.readString(place().resolve("legs")).contains("leg " + out + " "),
            "nor looked for at the next open");
        byte[] after = Files.readAllBytes(gone);
        long reads = store.stats().legs().get(1 - out).reads();
        await().until(() -> store.stats().legs().get(1 - out).reads() > reads + 2_000);
        assertArrayEquals(after, Files.readAllBytes(gone), "nobody touches it any more");
        versions = load.end();
      }
      assertThrows(IllegalArgumentException.class, () -> store.detach(out));
      assertThrows(IllegalArgumentException.class, () -> store.online(out));
      assertThrows(LastCopyException.class, () -> store.detach(1 - out));
      await().until(() -> events.stream().anyMatch(e -> e.kind() == HealthEvent.Kind.LEG_DETACHED));
    }
    Path kept = Files.move(gone, directory.resolve("kept"));
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHoldsAsWritten(store, versions);
      put(store, 0, 100, -1);
    }
    // Wherever it is put back, it is no leg.
    Files.move(kept, gone);
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, 100, -1);
      String message =
          String.valueOf(
              assertThrows(IllegalArgumentException.class, () -> store.attach(gone)).getMessage());
      assertTrue(message.contains("detached from this store"), message);
    }
    Path stays = place().resolve("leg-" + (1 - out) + ".pmem");
    for (Path[] named : new Path[][] {{stays, gone}, {gone, stays}, {gone}}) {
      String message =
          String.valueOf(
              assertThrows(InvalidImageException.class, () -> builder().legs(named).open())
                  .getMessage());
      assertTrue(message.contains("was detached from it") && message.contains(gone.toString()));
    }
    // Alone as well, where nobody is who could know.
    Path alone = Files.copy(gone, directory.resolve("alone"));
    assertThrows(
        InvalidImageException.class,
        () -> builder(directory.resolve("other")).legs(alone).openDegraded().open());
    try (Store store = builder().legs(stays).open()) {
      assertHolds(store, 0, 100, -1);
      assertTrue(gone.toFile().delete());
      assertEquals(out, store.attach(gone));
      leaveOnly(store, out);
      assertHolds(store, 0, 100, -1);
    }
  }

  /** Its device was away when it was detached: nobody could tell it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aDeviceThatWasAwayWhenItWasDetachedIsFoundOut(boolean placeIsTaken) throws IOException {
    Path gone = place().resolve("leg-1.pmem");
    Path away = directory.resolve("leg-1.pmem.removed");
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
      leg(store, 1).faults().remove();
      put(store, 0, 100, 1);
      store.detach(1);
      assertEquals(StoreState.ONLINE, store.health().state());
      Files.move(place().resolve("leg-1.pmem.removed"), away);
      if (placeIsTaken) {
        assertEquals(1, store.attach(fresh(0)));
      }
    }
    Files.move(away, gone, StandardCopyOption.REPLACE_EXISTING);
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, 100, 1);
    }
    InvalidImageException refused =
        assertThrows(
            InvalidImageException.class,
            () -> builder().legs(place().resolve("leg-0.pmem"), gone).open());
    assertTrue(String.valueOf(refused.getMessage()).contains("detached"), refused.getMessage());
  }

  @Test
  void theLastCopyIsNotDetached() {
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
      store.offline(1);
      assertThrows(LastCopyException.class, () -> store.detach(0));
      assertEquals(LegState.ONLINE, state(store, 0));
      store.online(1);
      leg(store, 0).faults().remove();
      assertThrows(LastCopyException.class, () -> store.detach(1));
      store.detach(0);
      assertEquals(StoreState.ONLINE, store.health().state());
      assertThrows(LastCopyException.class, () -> store.detach(1));
      assertHolds(store, 0, 500, 0);
    }
    try (Store store = Store.builder(directory.resolve("one")).single().open()) {
      assertThrows(LastCopyException.class, () -> store.detach(0));
    }
  }

  /** A leg that is copied to is no copy yet; to take it out ends the copy. */
  @Test
  void aLegThatIsCopiedToCanBeDetachedAndTheOtherCannot() {
    try (ExecutorService pool = Executors.newSingleThreadExecutor();
        Store store = builder().single().resilverRate(SLOW).open()) {
      put(store, 0, ENTRIES, 0);
      Future<Integer> attached = attachSlowly(store, pool, fresh(0));
      assertThrows(LastCopyException.class, () -> store.detach(0));
      store.detach(1);
      assertThrows(ExecutionException.class, attached::get);
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, ENTRIES, 0);
    }
  }

  /** That a leg is none is on the others, and where the legs lie was not noted yet. */
  @Test
  void aCrashBeforeTheNoteOfADetachedLegGoesIsRepaired() throws IOException {
    Path image = directory.resolve("image");
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
      store.attach(fresh(0));
      byte[] noted = Files.readAllBytes(place().resolve("legs"));
      store.detach(1);
      put(store, 0, 100, 1);
      TestStores.crashImage(place(), image);
      Files.write(image.resolve("legs"), noted);
    }
    for (int i = 0; i < 2; i++) {
      try (Store store = builder(image).open()) {
        assertEquals(StoreState.ONLINE, store.health().state());
        assertEquals(LegState.DETACHED, state(store, 1));
        leaveOnly(store, 2);
        assertHolds(store, 0, 100, 1);
        leg(store, 0).faults().reinsert();
        awaitOnline(store);
      }
    }
  }

  @Test
  void aDamagedNoteOfTheLegsIsATypedErrorThatSaysWhatToDo() throws IOException {
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
      store.attach(fresh(0));
    }
    Path note = place().resolve("legs");
    byte[] bytes = Files.readAllBytes(note);
    bytes[bytes.length / 2] ^= 1;
    Files.write(note, bytes);
    InvalidImageException e = assertThrows(InvalidImageException.class, () -> builder().open());
    assertTrue(String.valueOf(e.getMessage()).contains("StoreBuilder.legs()"), e.getMessage());
    Path[] legs = {place().resolve("leg-0.pmem"), place().resolve("leg-1.pmem"), fresh(0)};
    try (Store store = builder().legs(legs).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      store.detach(1);
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, 100, 0);
    }
  }

  /** A leg that is away holds what the one that is there has lost. */
  @Test
  void aLegThatIsAwayIsNotDetachedWhileTheOtherLacksSomething() {
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
      leg(store, 1).faults().remove();
      await().until(() -> state(store, 1) == LegState.REMOVED);
      leg(store, 0).faults().failClears(Integer.MAX_VALUE);
      leg(store, 0).faults().poison(TestStores.recordOf(store, key(7)).offset(), 1);
      await().until(() -> state(store, 0) == LegState.DEGRADED);
      assertThrows(LastCopyException.class, () -> store.detach(1));
      assertEquals(LegState.REMOVED, state(store, 1));
      leg(store, 0).faults().failClears(0);
      await().until(() -> state(store, 0) == LegState.ONLINE);
      store.detach(1);
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  /** The write-intent map forgets only what is on every leg: on every one that there is. */
  @Test
  void whatIsDirtyIsForgottenThoughAPlaceIsEmpty() {
    try (Store store = builder().open()) {
      put(store, 0, ENTRIES, 0);
      store.detach(0);
      put(store, 0, ENTRIES, 1);
      long record = TestStores.recordOf(store, key(0)).offset();
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> !dev.holdfast.volume.LegMarks.isDirty(leg(store, 1), record));
    }
  }

  /** All that a leg has: a heartbeat, a holder of its device, a place in the reverse map. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aNewLegIsLookedAfterLikeAnyOther(boolean inAnEmptyPlace) {
    ConcurrentLinkedQueue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    int leg = inAnEmptyPlace ? 1 : 2;
    try (Store store = builder().heartbeat(Duration.ofMillis(20)).listener(events::add).open()) {
      put(store, 0, 500, 0);
      if (inAnEmptyPlace) {
        store.detach(1);
      }
      assertEquals(leg, store.attach(fresh(0)));
      long beats = leg(store, leg).faults().heartbeats();
      await().until(() -> leg(store, leg).faults().heartbeats() > beats + 2);
      leg(store, leg).faults().removeOrderly(Duration.ofSeconds(5));
      await()
          .until(() ->
              events.stream()
                  .anyMatch(e ->
                      e.leg() == leg && e.detail().equals("its device is about to be removed")));
      leg(store, leg).faults().reinsert();
      awaitOnlineLeg(store, leg);
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertFalse(copy.whole(), "it comes back as any leg does");
      leaveOnly(store, leg);
      assertHolds(store, 0, 500, 0);
    }
  }

  /** What is put in the place of a leg that is away has to be its device. */
  @Test
  void aDeviceThatWasDetachedIsNotTakenForOneThatIsAway() throws IOException {
    Path kept = directory.resolve("kept");
    try (Store store = builder().open()) {
      put(store, 0, 500, 0);
      store.attach(fresh(0));
      store.detach(1);
    }
    Files.move(fresh(0), kept);
    Files.move(place().resolve("leg-1.pmem"), fresh(0));
    try (Store store = builder().open()) {
      assertEquals(LegState.REMOVED, state(store, 2));
      assertThrows(InvalidImageException.class, () -> store.online(2));
      Files.delete(fresh(0));
      Files.move(kept, fresh(0));
      store.online(2);
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, 500, 0);
    }
  }

  // ---------------------------------------------------------------- growth

  @Test
  void aStoreGrowsWhileALegIsAwayAndWhileOneComes() throws Exception {
    int many = 12_000;
    try (ExecutorService pool = Executors.newSingleThreadExecutor();
        Store store = builder().resilverRate(2 * SLOW).open()) {
      put(store, 0, 100, 0);
      leg(store, 1).faults().remove();
      long before = store.stats().capacityBytes();
      Future<Integer> attached = attachSlowly(store, pool, fresh(0));
      put(store, 0, many, 1);
      assertTrue(store.stats().capacityBytes() > before, "it did not grow");
      assertEquals(2, attached.get());
      leg(store, 1).faults().reinsert();
      awaitOnline(store);
      long capacity = store.stats().capacityBytes() + VolumeLayout.RECORDS_OFFSET;
      for (int leg = 0; leg < 3; leg++) {
        assertTrue(leg(store, leg).capacity() >= capacity, "leg " + leg);
      }
      leaveOnly(store, 1);
      assertHolds(store, 0, many, 1);
      leg(store, 2).faults().reinsert();
      awaitOnlineLeg(store, 2);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, many, 1);
    }
  }

  /** Asked for by somebody, who is told at once where it cannot be done. */
  @Test
  void aLegThatWasOutWhileTheStoreGrewIsGrownBeforeItIsCopiedTo() {
    try (Store store = builder().open()) {
      put(store, 0, 100, 0);
      store.offline(1);
      long before = store.stats().capacityBytes();
      put(store, 0, 12_000, 1);
      long capacity = store.stats().capacityBytes();
      assertTrue(capacity > before, "it did not grow");
      assertTrue(leg(store, 1).capacity() < capacity, "nor did who is out");
      store.online(1);
      assertEquals(StoreState.ONLINE, store.health().state());
      assertTrue(leg(store, 1).capacity() >= capacity + VolumeLayout.RECORDS_OFFSET);
      leaveOnly(store, 1);
      assertHolds(store, 0, 12_000, 1);
    }
  }

  private static void awaitOnlineLeg(Store store, int leg) {
    await().atMost(Duration.ofSeconds(60)).until(() -> state(store, leg) == LegState.ONLINE);
  }

  // ---------------------------------------------------------------- replace

  @ParameterizedTest
  @ValueSource(strings = {"there", "away", "alone"})
  void aLegIsReplacedAndNoOperationFails(String how) throws Exception {
    int out = how.equals("alone") ? 0 : 1;
    int added = out + 1;
    int[] versions;
    StoreBuilder options = how.equals("alone") ? builder().single() : builder();
    try (Store store = options.open()) {
      put(store, 0, ENTRIES, 0);
      if (how.equals("away")) {
        leg(store, out).faults().remove();
      }
      try (Load load = new Load(store)) {
        assertEquals(added, store.replace(out, fresh(0)));
        assertEquals(StoreState.ONLINE, store.health().state());
        assertEquals(LegState.DETACHED, state(store, out));
        versions = load.end();
      }
      leaveOnly(store, added);
      assertHoldsAsWritten(store, versions);
    }
    for (Path removed : List.of(place().resolve("leg-0.pmem"), place().resolve("leg-1.pmem"))) {
      if (Files.exists(removed.resolveSibling(removed.getFileName() + ".removed"))) {
        FaultInjector.reinsert(removed);
      }
    }
    try (Store store = builder().open()) {
      awaitOnline(store);
      assertEquals(LegState.DETACHED, state(store, out));
      assertHoldsAsWritten(store, versions);
    }
  }

  @Test
  void aReplacementThatACrashCutsOffComesToItsEnd() {
    Path image = directory.resolve("image");
    try (ExecutorService pool = Executors.newFixedThreadPool(2);
        Store store = builder().resilverRate(SLOW).open()) {
      put(store, 0, ENTRIES, 0);
      Future<Integer> replaced = pool.submit(() -> store.replace(0, fresh(0)));
      await()
          .pollInterval(Duration.ofMillis(5))
          .until(() -> {
            StoreStats.Resilver copy = store.stats().resilver();
            return copy != null && copy.running() && copy.bytesDone() > 0;
          });
      put(store, 0, 100, 1);
      TestStores.crashImage(place(), image);
      assertFalse(replaced.isDone());
      assertEquals(LegState.ONLINE, state(store, 0), "it stays until the copy is complete");
    }
    assertEquals(
        List.of(new LegRoster.Replacement(0, image.resolve("new-0"), false)),
        LegRoster.read(image).replacements(),
        "what a crash must not forget");
    try (Store store = builder(image).open()) {
      assertHolds(store, 0, 100, 1);
      await().atMost(Duration.ofSeconds(60)).until(() -> state(store, 0) == LegState.DETACHED);
      assertEquals(StoreState.ONLINE, store.health().state());
      leaveOnly(store, 2);
      assertHolds(store, 0, 100, 1);
      assertHolds(store, 100, ENTRIES, 0);
    }
    try (Store store = builder(image).open()) {
      assertEquals(LegState.DETACHED, state(store, 0));
    }
  }

  @Test
  void aLegIsReplacedOnceAtATime() throws Exception {
    try (ExecutorService pool = Executors.newFixedThreadPool(2);
        Store store = builder().open()) {
      put(store, 0, ENTRIES, 0);
      Future<Integer> first = pool.submit(() -> store.replace(1, fresh(0)));
      Future<Integer> second = pool.submit(() -> store.replace(1, fresh(1)));
      int done = 0;
      for (Future<Integer> each : List.of(first, second)) {
        try {
          assertEquals(2, each.get());
          done++;
        } catch (ExecutionException e) {
          assertInstanceOf(IllegalArgumentException.class, e.getCause());
        }
      }
      assertEquals(1, done);
      assertEquals(StoreState.ONLINE, store.health().state());
      assertFalse(Files.exists(fresh(0)) && Files.exists(fresh(1)));
      assertThrows(IllegalArgumentException.class, () -> store.replace(0, place()));
    }
  }
}
