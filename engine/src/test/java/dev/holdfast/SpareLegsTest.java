package dev.holdfast;

import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.StoreHealth.SpareState;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Spares act on what is: a leg that is away, however it came to be. */
final class SpareLegsTest {
  private static final int ENTRIES = 2_000;
  private static final long SLOW = VolumeLayout.REGION_SIZE;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path place() {
    return directory.resolve("s");
  }

  private Path spare(int number) {
    return place().resolve("spare-" + number);
  }

  private StoreBuilder builder() {
    return Store.builder(place())
        .initialCapacity(4 << 20)
        .packColdLeavesAfter(Duration.ZERO)
        .spareAfter(Duration.ZERO);
  }

  private static SpareState spareState(Store store, int number) {
    return store.health().spares().get(number).state();
  }

  private static void awaitOnline(Store store, int leg) {
    await().atMost(Duration.ofSeconds(60)).until(() -> state(store, leg) == LegState.ONLINE);
  }

  private static void awaitState(Store store, int leg, LegState wanted) {
    await()
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(5))
        .until(() -> state(store, leg) == wanted);
  }

  /** A spare is in the place of leg 1, alone if it has to be. */
  private void assertReplaced(Store store) {
    awaitState(store, 1, LegState.DETACHED);
    assertEquals(StoreState.ONLINE, store.health().state());
    StoreHealth.Spare spare = store.health().spares().getFirst();
    assertEquals(new StoreHealth.Spare(spare(0), SpareState.IN_USE, 2), spare);
    leg(store, 0).faults().remove();
    TestStores.assertHolds(store, 0, ENTRIES);
  }

  @Test
  void aSpareIsTakenForALegThatWasRemoved() {
    try (Store store = builder().spare(spare(0), spare(1)).open()) {
      TestStores.fill(store, 0, ENTRIES / 2);
      assertEquals(SpareState.AVAILABLE, spareState(store, 0));
      assertFalse(Files.exists(spare(0)), "room is taken only when it is needed");
      leg(store, 1).faults().remove();
      TestStores.fill(store, ENTRIES / 2, ENTRIES);
      awaitState(store, 1, LegState.DETACHED);
      assertEquals(SpareState.AVAILABLE, spareState(store, 1));
      assertReplaced(store);
      // And for the next one, the next.
      awaitState(store, 0, LegState.DETACHED);
      assertEquals(SpareState.IN_USE, spareState(store, 1));
      TestStores.assertHolds(store, 0, ENTRIES);
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(2, store.health().spares().size(), "the list is kept with the store");
      TestStores.assertHolds(store, 0, ENTRIES);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aSpareIsTakenForALegThatWasMissingAtTheOpen(boolean named) throws IOException {
    try (Store store = builder().spare(spare(0)).open()) {
      TestStores.fill(store, 0, ENTRIES);
    }
    Files.delete(place().resolve("leg-1.pmem"));
    StoreBuilder options = named ? builder().spare(spare(0)) : builder();
    try (Store store = options.open()) {
      assertReplaced(store);
    }
  }

  @Test
  void aSpareIsTakenForALegThatWasGivenUp() {
    try (Store store = builder().spare(spare(0)).open()) {
      TestStores.fill(store, 0, ENTRIES);
      leg(store, 1).faults().failHeartbeats(1);
      assertReplaced(store);
    }
  }

  /** A device that comes back in time needs less than all. */
  @Test
  void noSpareIsTakenBeforeTheTime() {
    AtomicLong now = new AtomicLong(1);
    StoreBuilder options = builder().spare(spare(0)).spareAfter(Duration.ofSeconds(10));
    options.clock = now::get;
    try (Store store = options.open()) {
      TestStores.fill(store, 0, ENTRIES);
      leg(store, 1).faults().remove();
      awaitState(store, 1, LegState.REMOVED);
      awaitRescans(store);
      now.addAndGet(Duration.ofSeconds(9).toNanos());
      awaitRescans(store);
      assertEquals(2, store.devices().size());
      leg(store, 1).faults().reinsert();
      awaitOnline(store, 1);
      awaitRescans(store);
      // The time begins anew.
      leg(store, 1).faults().remove();
      awaitRescans(store);
      now.addAndGet(Duration.ofSeconds(9).toNanos());
      awaitRescans(store);
      assertEquals(2, store.devices().size());
      now.addAndGet(Duration.ofSeconds(1).toNanos());
      assertReplaced(store);
    }
  }

  /** Long enough for two looks at what is. */
  private static void awaitRescans(Store store) {
    long end = System.nanoTime() + Duration.ofMillis(2_500).toNanos();
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> System.nanoTime() > end && store.health().state() != StoreState.FAILED);
  }

  @Test
  void noSpareIsTakenForALegThatSomebodyTookOut() {
    try (Store store = builder().spare(spare(0)).open()) {
      TestStores.fill(store, 0, ENTRIES);
      store.offline(1);
      awaitRescans(store);
      assertEquals(LegState.OFFLINE, state(store, 1));
      leg(store, 1).faults().remove();
      awaitRescans(store);
      assertEquals(SpareState.AVAILABLE, spareState(store, 0));
      assertEquals(2, store.devices().size());
    }
  }

  @Test
  void noSpareIsTakenWhereThePolicySaysOtherwise() {
    FailurePolicy standard = FailurePolicy.standard();
    try (Store store =
        builder()
            .spare(spare(0))
            .policy((topology, subject, fault) ->
                fault == FaultKind.REMOVED
                    ? new Verdict.Ignore()
                    : standard.decide(topology, subject, fault))
            .open()) {
      TestStores.fill(store, 0, ENTRIES);
      leg(store, 1).faults().remove();
      awaitState(store, 1, LegState.REMOVED);
      awaitRescans(store);
      assertEquals(SpareState.AVAILABLE, spareState(store, 0));
      assertEquals(2, store.devices().size());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theSpareGoesBackIfTheDeviceReturnsFirst(boolean missingAtOpen) throws IOException {
    Path leg = place().resolve("leg-1.pmem");
    Path kept = directory.resolve("kept");
    try (Store store = builder().spare(spare(0)).open()) {
      TestStores.fill(store, 0, ENTRIES / 2);
    }
    if (missingAtOpen) {
      Files.move(leg, kept);
    }
    try (Store store = builder().resilverRate(SLOW).open()) {
      if (!missingAtOpen) {
        leg(store, 1).faults().remove();
      }
      TestStores.fill(store, ENTRIES / 2, ENTRIES);
      awaitState(store, 2, LegState.RESILVERING);
      assertEquals(SpareState.IN_USE, spareState(store, 0));
      if (missingAtOpen) {
        Files.move(kept, leg);
        store.online(1);
      } else {
        leg(store, 1).faults().reinsert();
      }
      awaitOnline(store, 1);
      awaitState(store, 2, LegState.DETACHED);
      await().until(() -> spareState(store, 0) == SpareState.AVAILABLE);
      await().until(() -> !Files.exists(spare(0)));
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertEquals(1, copy.leg());
      assertFalse(copy.whole(), "it missed less than all");
      assertEquals(StoreState.ONLINE, store.health().state());
      leg(store, 0).faults().remove();
      TestStores.assertHolds(store, 0, ENTRIES);
    }
  }

  /** What a crash leaves while a spare is copied to, with the leg away and with it back. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aCrashWhileASpareIsCopiedToEndsRight(boolean isBack) {
    Path image = directory.resolve("image");
    try (Store store = builder().spare(spare(0)).resilverRate(SLOW).open()) {
      TestStores.fill(store, 0, ENTRIES / 2);
      leg(store, 1).faults().remove();
      TestStores.fill(store, ENTRIES / 2, ENTRIES);
      awaitState(store, 2, LegState.RESILVERING);
      TestStores.crashImage(place(), image);
      assertEquals(LegState.RESILVERING, state(store, 2));
    }
    assertEquals(
        List.of(new LegRoster.Replacement(1, image.resolve("spare-0"), true)),
        LegRoster.read(image).replacements(),
        "what a crash must not forget");
    if (isBack) {
      FaultInjector.reinsert(image.resolve("leg-1.pmem"));
    }
    try (Store store = Store.builder(image).resilverRate(SLOW).spareAfter(Duration.ZERO).open()) {
      TestStores.assertHolds(store, 0, ENTRIES);
      if (isBack) {
        awaitState(store, 2, LegState.DETACHED);
        awaitOnline(store, 1);
        assertFalse(Files.exists(image.resolve("spare-0")));
      } else {
        awaitState(store, 1, LegState.DETACHED);
        awaitOnline(store, 2);
      }
      assertEquals(StoreState.ONLINE, store.health().state());
      leg(store, 0).faults().remove();
      TestStores.assertHolds(store, 0, ENTRIES);
    }
  }

  @Test
  void aSpareThatCannotBeUsedIsPassedOver() throws IOException {
    try (Store store = builder().open()) {
      TestStores.fill(store, 0, ENTRIES);
    }
    Files.writeString(spare(0), "mine");
    Path nowhere = directory.resolve("none").resolve("spare");
    try (Store store = builder().spare(spare(0), nowhere, spare(2)).open()) {
      assertEquals(SpareState.UNAVAILABLE, spareState(store, 0));
      assertEquals(SpareState.UNAVAILABLE, spareState(store, 1));
      leg(store, 1).faults().remove();
      awaitState(store, 1, LegState.DETACHED);
      assertEquals(SpareState.IN_USE, spareState(store, 2));
      assertEquals(SpareState.UNAVAILABLE, spareState(store, 0));
    }
    assertEquals("mine", Files.readString(spare(0)));
    try (Store store = builder().spare().open()) {
      assertEquals(List.of(), store.health().spares());
      assertEquals(StoreState.ONLINE, store.health().state(), "what became a leg stays one");
    }
    assertThrows(IllegalArgumentException.class, () -> builder().spareAfter(Duration.ofNanos(-1)));
  }

  @Test
  void theListIsReplacedByTheNextOne() {
    try (Store store = builder().spare(spare(0)).open()) {
      assertEquals(spare(0), store.health().spares().getFirst().place());
    }
    try (Store store = builder().spare(spare(1)).open()) {
      assertEquals(
          List.of(new StoreHealth.Spare(spare(1), SpareState.AVAILABLE, -1)),
          store.health().spares());
    }
    try (Store store = builder().readOnly().open()) {
      assertEquals(1, store.health().spares().size());
      assertTrue(store.health().spares().getFirst().place().equals(spare(1)));
    }
  }
}
