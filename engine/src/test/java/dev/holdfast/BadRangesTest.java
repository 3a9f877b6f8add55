package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.ClearFailedException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is on record of bad ranges, how they are cleared, and how not. */
final class BadRangesTest {
  private static final int KEYS = 300;
  private static final int NEVER = 1_000_000;
  private static final long DAY = Duration.ofDays(1).toMillis();

  @TempDir Path directory;

  private final AtomicLong now = new AtomicLong(1_000_000_000_000L);

  /** While set, nothing is done about poison but by who asks for it. */
  private final AtomicBoolean watches = new AtomicBoolean();

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder at(Path path) {
    FailurePolicy standard = FailurePolicy.standard();
    StoreBuilder builder =
        Store.builder(path)
            .initialCapacity(4 << 20)
            .policy((topology, subject, fault) ->
                fault == FaultKind.POISON && watches.get()
                    ? new Verdict.Watch()
                    : standard.decide(topology, subject, fault));
    builder.wallClock = now::get;
    builder.policyDeadline = Duration.ofMinutes(1); // Or a slow machine has the standard decide.
    return builder;
  }

  private Store open() {
    return at(path()).open();
  }

  private static long pageOf(Store store, int key) {
    return recordOf(store, key(key)).offset() / PAGE * PAGE;
  }

  private static List<BadRanges.Range> ranges(Store store, int leg) {
    return store.badRanges().get(leg).ranges();
  }

  private static BadRanges.Range only(Store store, int leg) {
    List<BadRanges.Range> ranges = ranges(store, leg);
    assertEquals(1, ranges.size(), ranges.toString());
    return ranges.getFirst();
  }

  private static void awaitStates(Store store, int leg, RangeState state) {
    await()
        .atMost(Duration.ofSeconds(20))
        .untilAsserted(() ->
            assertEquals(
                Set.of(state),
                ranges(store, leg).stream().map(BadRanges.Range::state).collect(Collectors.toSet()),
                () -> store.badRanges() + " " + store.health()));
  }

  /** Poisons the page of a key on leg 0 and waits until the store knows what that means. */
  private long poisonForGood(Store store, int key) {
    long page = pageOf(store, key);
    leg(store, 0).faults().failClears(NEVER);
    leg(store, 0).faults().poison(page, 1);
    awaitStates(store, 0, RangeState.ACKED);
    return page;
  }

  // ---------------------------------------------------------------- on record

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatIsOnRecordIsThereAfterAReopen(boolean crashed) {
    BadRanges.Range before;
    Path image = path();
    try (Store store = open()) {
      fill(store, 0, KEYS);
      long page = poisonForGood(store, 7);
      before = only(store, 0);
      assertEquals(page, before.offset());
      assertEquals(PAGE, before.length());
      assertEquals(1, before.count());
      assertEquals(Instant.ofEpochMilli(now.get()), before.firstSeen());
      assertEquals(before.firstSeen(), before.lastSeen());
      assertTrue(ranges(store, 1).isEmpty());
      if (crashed) {
        image = crashImage(path(), directory.resolve("image"));
      }
    }
    now.addAndGet(DAY);
    try (Store store = at(image).readOnly().open()) {
      assertEquals(before, only(store, 0));
      assertTrue(ranges(store, 1).isEmpty());
      ClearFailedException refused =
          assertThrows(
              ClearFailedException.class, () -> store.clearBadRange(0, before.offset(), PAGE));
      assertTrue(String.valueOf(refused.getMessage()).contains("writes were stopped"));
      assertEquals(before, only(store, 0));
    }
    try (Store store = at(image).open()) {
      awaitStates(store, 0, RangeState.CLEARED);
      BadRanges.Range cleared = only(store, 0);
      assertEquals(before.firstSeen(), cleared.firstSeen());
      assertEquals(before.lastSeen(), cleared.lastSeen());
      assertEquals(1, cleared.count());
      assertEquals(Instant.ofEpochMilli(now.get()), cleared.since());
      assertTrue(store.health().legs().get(0).badRanges().isEmpty());
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void aRangeThatFailsAgainIsKnownForIt() {
    try (Store store = open()) {
      fill(store, 0, KEYS);
      long page = pageOf(store, 7);
      leg(store, 0).faults().poison(page, 2L * PAGE);
      awaitStates(store, 0, RangeState.CLEARED);
      assertEquals(2L * PAGE, only(store, 0).length());
      Instant first = only(store, 0).firstSeen();
      now.addAndGet(DAY);
      leg(store, 0).faults().poison(page, 1);
      await().until(() -> ranges(store, 0).size() == 2);
      awaitStates(store, 0, RangeState.CLEARED);
      BadRanges.Range again = ranges(store, 0).get(0);
      assertEquals(page, again.offset());
      assertEquals(PAGE, again.length());
      assertEquals(2, again.count());
      assertEquals(first, again.firstSeen());
      assertEquals(Instant.ofEpochMilli(now.get()), again.lastSeen());
      BadRanges.Range rest = ranges(store, 0).get(1);
      assertEquals(page + PAGE, rest.offset());
      assertEquals(1, rest.count());
      assertEquals(first, rest.lastSeen());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = RangeOrigin.class,
      names = {"ACCESS", "SCRUB", "NOTIFICATION", "DEVICE_LIST"})
  void whoFoundItIsOnRecord(RangeOrigin origin) {
    try (Store store = open()) {
      fill(store, 0, KEYS);
      if (origin != RangeOrigin.NOTIFICATION) {
        leg(store, 0).faults().notifyNever();
      }
      long page = pageOf(store, 7);
      for (int i = 0; i < 20; i++) {
        leg(store, 0).faults().poison(page, 1);
        switch (origin) {
          case ACCESS -> assertArrayEquals(value(7), store.get(key(7)));
          case SCRUB -> {
            ScrubReport _ = store.scrub();
          }
          case NOTIFICATION, DEVICE_LIST, RESILVER -> {}
        }
        awaitStates(store, 0, RangeState.CLEARED);
        if (only(store, 0).origin() == origin) {
          return; // The store looks around every second, and may have been there before.
        }
      }
      assertEquals(origin, only(store, 0).origin());
    }
  }

  @Test
  void whatWasClearedIsForgottenAndWhatIsBadIsNot() {
    try (Store store = open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(pageOf(store, 7), 1);
      awaitStates(store, 0, RangeState.CLEARED);
      poisonOnLegOneForGood(store);
      now.addAndGet(89 * DAY);
      awaitALook(store);
      assertEquals(1, ranges(store, 0).size());
      now.addAndGet(2 * DAY);
      await().until(() -> ranges(store, 0).isEmpty());
      assertEquals(
          List.of(RangeState.ACKED),
          ranges(store, 1).stream()
              .filter(range -> range.offset() == pageOf(store, 200))
              .map(BadRanges.Range::state)
              .toList());
    }
    try (Store store = at(path()).readOnly().open()) {
      assertTrue(ranges(store, 0).isEmpty());
    }
  }

  private static void poisonOnLegOneForGood(Store store) {
    leg(store, 1).faults().failClears(NEVER);
    leg(store, 1).faults().poison(pageOf(store, 200), 1);
    awaitStates(store, 1, RangeState.ACKED);
  }

  /** Waits until the store has looked around: it takes up poison that nobody told it of. */
  private static void awaitALook(Store store) {
    for (int i = 0; i < 2; i++) {
      leg(store, 1).faults().notifyNever();
      int before = ranges(store, 1).size();
      leg(store, 1).faults().poison((3 << 20) + 2L * PAGE * i, 1);
      await().until(() -> ranges(store, 1).size() > before);
    }
    for (BadRanges.Range range : ranges(store, 1)) {
      if (range.offset() >= 3 << 20) {
        leg(store, 1).faults().failClears(0);
        store.clearBadRange(1, range.offset(), range.length());
        leg(store, 1).faults().failClears(NEVER);
      }
    }
  }

  // ---------------------------------------------------------------- whose it is

  @Test
  void theRecordGoesWhereTheDeviceGoes() throws IOException {
    UUID damaged;
    try (Store store = open()) {
      fill(store, 0, KEYS);
      damaged = leg(store, 0).id();
      leg(store, 0).faults().poison(pageOf(store, 7), 1);
      awaitStates(store, 0, RangeState.CLEARED);
    }
    move("leg-0.pmem", "leg-x.pmem");
    move("leg-1.pmem", "leg-0.pmem");
    move("leg-x.pmem", "leg-1.pmem");
    try (Store store = open()) {
      for (BadRanges answer : store.badRanges()) {
        assertEquals(store.devices().get(answer.leg()).id(), answer.device());
        assertEquals(answer.device().equals(damaged) ? 1 : 0, answer.ranges().size());
        assertEquals(
            answer.device().equals(damaged),
            store.devices().get(answer.leg()).name().contains("leg-1.pmem"));
      }
    }
  }

  private void move(String from, String to) throws IOException {
    try (Stream<Path> files = Files.list(path())) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (name.startsWith(from)) {
          Files.move(file, file.resolveSibling(to + name.substring(from.length())));
        }
      }
    }
  }

  // ---------------------------------------------------------------- three answers

  @Test
  void noListAndAListThatCannotBeReadAreNotAnEmptyOne() {
    try (Store store = open()) {
      fill(store, 0, KEYS);
      assertTrue(assertInstanceOf(BadRanges.Listed.class, answer(store)).ranges().isEmpty());
      leg(store, 0).faults().badBlockListIsSupported(false);
      assertTrue(
          assertInstanceOf(BadRanges.Unsupported.class, answer(store))
              .why()
              .contains("no list of bad blocks"));
      leg(store, 0).faults().badBlockListIsSupported(true);
      leg(store, 0).faults().failBadBlockQueries(1);
      assertTrue(
          assertInstanceOf(BadRanges.Failed.class, answer(store)).why().contains("cannot be read"));
      assertInstanceOf(BadRanges.Listed.class, answer(store));
      long page = poisonForGood(store, 7);
      leg(store, 0).faults().remove();
      await().until(() -> store.health().legs().get(0).state() == LegState.REMOVED);
      BadRanges gone = assertInstanceOf(BadRanges.Failed.class, answer(store));
      assertEquals(page, gone.ranges().getFirst().offset(), "it is on record all the same");
      ClearFailedException refused =
          assertThrows(ClearFailedException.class, () -> store.clearBadRange(0, page, PAGE));
      assertTrue(String.valueOf(refused.getMessage()).contains("not in use"));
    }
  }

  private static BadRanges answer(Store store) {
    return store.badRanges().get(0);
  }

  // ---------------------------------------------------------------- clearing

  @Test
  void aFailedClearIsAnErrorAndChangesNothing() {
    watches.set(true);
    try (Store store = open()) {
      fill(store, 0, KEYS);
      long page = poisonForGood(store, 7);
      BadRanges.Range before = only(store, 0);
      ClearFailedException failed =
          assertThrows(ClearFailedException.class, () -> store.clearBadRange(0, page + 5, 1));
      String message = String.valueOf(failed.getMessage());
      assertTrue(message.contains("leg 0"), message);
      assertTrue(message.contains(leg(store, 0).name()), message);
      assertTrue(message.contains("[" + page + ", +" + PAGE + ")"), message);
      assertTrue(message.contains("clearing poison failed (injected)"), message);
      assertNotNull(failed.getCause());
      assertEquals(before, only(store, 0));
      assertFalse(leg(store, 0).badBlocks().isEmpty());

      leg(store, 0).faults().failClears(0);
      store.clearBadRange(0, page, PAGE);
      assertEquals(RangeState.CLEARED, only(store, 0).state());
      assertTrue(leg(store, 0).badBlocks().isEmpty());
      byte[] one = new byte[PAGE];
      byte[] other = new byte[PAGE];
      leg(store, 0).read(page, one, 0, PAGE);
      leg(store, 1).read(page, other, 0, PAGE);
      assertArrayEquals(other, one);
      store.clearBadRange(0, page, PAGE); // Harmless.
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void whatNoLegHoldsIsClearedOnExplicitWordsAloneAndStaysLost() {
    watches.set(true);
    try (Store store = at(path()).single().open()) {
      fill(store, 0, KEYS);
      long page = pageOf(store, 7);
      leg(store, 0).faults().poison(page, 1);
      awaitStates(store, 0, RangeState.ACKED);
      ClearFailedException refused =
          assertThrows(ClearFailedException.class, () -> store.clearBadRange(0, page, PAGE));
      assertTrue(String.valueOf(refused.getMessage()).contains("no other leg holds it"));
      assertNull(refused.getCause());
      assertEquals(RangeState.ACKED, only(store, 0).state());
      store.clearBadRangeAcceptingLoss(0, page, PAGE);
      assertEquals(RangeState.CLEARED, only(store, 0).state());
      assertTrue(leg(store, 0).badBlocks().isEmpty());
      assertFalse(store.health().lost().isEmpty(), "named before anybody asks");
      assertLost(store, key(7));
    }
    try (Store store = at(path()).single().open()) {
      assertLost(store, key(7));
      store.put(key(7), value(7));
      assertArrayEquals(value(7), store.get(key(7)));
    }
  }

  @Test
  void whatNobodyOwnsIsClearedWithoutAnyWords() {
    watches.set(true);
    try (Store store = at(path()).single().open()) {
      fill(store, 0, KEYS);
      long page = (4L << 20) - 8L * PAGE;
      assertTrue(store.owners(page, PAGE).isEmpty());
      leg(store, 0).faults().poison(page, 1);
      awaitStates(store, 0, RangeState.ACKED);
      store.clearBadRange(0, page, PAGE);
      assertEquals(RangeState.CLEARED, only(store, 0).state());
      assertTrue(store.health().lost().isEmpty());
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void metadataIsNeverGivenUp() {
    watches.set(true);
    try (Store store = at(path()).single().open()) {
      fill(store, 0, KEYS);
      StoreExtent table =
          store.owners(0, 1 << 20).stream()
              .filter(extent -> extent.what().equals("dirty map"))
              .findFirst()
              .orElseThrow();
      leg(store, 0).faults().poison(table.offset(), 1);
      awaitStates(store, 0, RangeState.ACKED);
      ClearFailedException refused =
          assertThrows(
              ClearFailedException.class,
              () -> store.clearBadRangeAcceptingLoss(0, table.offset(), 1));
      assertTrue(String.valueOf(refused.getMessage()).contains("metadata"));
    }
  }

  @Test
  void aRangeThatIsNoneIsRefused() {
    try (Store store = open()) {
      assertThrows(IllegalArgumentException.class, () -> store.clearBadRange(2, 0, 1));
      assertThrows(IllegalArgumentException.class, () -> store.clearBadRange(0, -1, 1));
      assertThrows(IllegalArgumentException.class, () -> store.clearBadRange(0, 0, 0));
      assertThrows(IllegalArgumentException.class, () -> store.clearBadRange(0, Long.MAX_VALUE, 1));
    }
  }

  /** The medium got well by itself, and its device can be told nothing. */
  @Test
  void aRangeThatReadsWellAgainIsRewrittenAndCleared() {
    watches.set(true);
    try (Store store = open()) {
      fill(store, 0, KEYS);
      EmulatedDevice device = leg(store, 0);
      long page = pageOf(store, 7);
      device.faults().poison(page, 1);
      awaitStates(store, 0, RangeState.ACKED);
      assertEquals(PAGE, device.clearPoison(page, PAGE).length());
      device.dropBadBlocks(page, PAGE);
      device.faults().failClears(NEVER);
      watches.set(false);
      awaitStates(store, 0, RangeState.CLEARED);
      byte[] one = new byte[PAGE];
      byte[] other = new byte[PAGE];
      leg(store, 0).read(page, one, 0, PAGE);
      leg(store, 1).read(page, other, 0, PAGE);
      assertArrayEquals(other, one);
    }
  }

  // ---------------------------------------------------------------- thresholds

  @Test
  void tooManyErrorsCostNoLegThatIsNeededByAnother() {
    AtomicLong nanos = new AtomicLong(1);
    StoreBuilder builder = at(path());
    builder.clock = nanos::get;
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
      poisonOnLegOneForGood(store);
      for (int i = 0; i < 15; i++) {
        leg(store, 0).faults().poison((3 << 20) + i * 8192L, 1);
        await()
            .until(() ->
                store.health().legs().get(0).badRanges().isEmpty()
                    && leg(store, 0).badBlocks().isEmpty());
        nanos.addAndGet(Duration.ofSeconds(5).toNanos());
      }
      assertEquals(LegState.ONLINE, store.health().legs().get(0).state());
      assertHolds(store, 0, KEYS);
      leg(store, 1).faults().failClears(0);
      await().until(() -> store.health().legs().get(0).state() == LegState.FAULTED);
      assertHolds(store, 0, KEYS);
    }
  }
}
