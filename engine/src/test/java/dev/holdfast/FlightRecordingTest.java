package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailureTable;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import jdk.jfr.DataAmount;
import jdk.jfr.EventType;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Frequency;
import jdk.jfr.Recording;
import jdk.jfr.Timespan;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a flight recording tells of a store that nobody told it about. */
final class FlightRecordingTest {
  private static final int ENTRIES = 2_000;
  private static final long SLOW = 2L * VolumeLayout.REGION_SIZE;
  private static final String PREFIX = "dev.holdfast.";

  /** What a time says that is not known. */
  private static final long UNKNOWN = Long.MIN_VALUE;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Path place() {
    return directory.resolve("s");
  }

  private StoreBuilder builder() {
    return Store.builder(place()).initialCapacity(4 << 20).scrubEvery(Duration.ZERO);
  }

  /** With no settings at all, as {@code -XX:StartFlightRecording} has none for these events. */
  private static Recording begin() {
    Recording recording = new Recording();
    recording.start();
    return recording;
  }

  /** What this store has told, in order. */
  private List<RecordedEvent> end(Recording recording) throws IOException {
    recording.stop();
    Path file = directory.resolve("recording-" + System.nanoTime() + ".jfr");
    recording.dump(file);
    List<RecordedEvent> events = new ArrayList<>();
    for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
      String where =
          event.hasField("store")
              ? event.getString("store")
              : event.hasField("device") ? event.getString("device") : "";
      if (event.getEventType().getName().startsWith(PREFIX)
          && where.startsWith(place().toString())) {
        assertNull(event.getStackTrace(), event::toString);
        events.add(event);
      }
    }
    events.sort(Comparator.comparing(RecordedEvent::getStartTime));
    return events;
  }

  private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
    return events.stream()
        .filter(event -> event.getEventType().getName().equals(PREFIX + name))
        .toList();
  }

  private static List<String> states(List<RecordedEvent> events, int leg) {
    return named(events, "LegState").stream()
        .filter(event -> event.getInt("leg") == leg)
        .map(event -> event.getString("from") + " " + event.getString("to"))
        .toList();
  }

  // ---------------------------------------------------------------- legs

  @Test
  void theLossOfALegIsToldWithItsStepsAndItsReturnWithItsCopy() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES / 2);
        leg(store, 1).faults().remove();
        fill(store, ENTRIES / 2, ENTRIES);
        leg(store, 1).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
        assertHolds(store, 0, ENTRIES);
      }
      events = end(recording);
    }
    String device = place().resolve("leg-1.pmem").toString();
    assertEquals(
        List.of("ONLINE REMOVED", "REMOVED RESILVERING", "RESILVERING ONLINE"), states(events, 1));
    assertEquals(List.of(), states(events, 0));

    RecordedEvent lost = named(events, "LegLost").getFirst();
    assertEquals(1, named(events, "LegLost").size());
    assertEquals(1, lost.getInt("leg"));
    assertEquals(device, lost.getString("device"));
    assertFalse(lost.getString("cause").isEmpty());
    assertEquals(1, lost.getInt("legsLeft"));
    long read = lost.getLong("readsSwitchedAfter");
    long marked = lost.getLong("markedAfter");
    long written = lost.getLong("writesSwitchedAfter");
    assertTrue(0 < read && read < marked && marked < written, lost::toString);
    assertTrue(written < Duration.ofSeconds(20).toNanos(), lost::toString);

    List<RecordedEvent> copy = named(events, "ResilverProgress");
    assertCopy(copy, 1, device, "DELTA");
    assertPhases(copy, "COMPLETE");
    RecordedEvent end = copy.getLast();
    assertTrue(end.getLong("bytesToCopy") > 0, end::toString);
    assertEquals(end.getLong("bytesToCopy"), end.getLong("bytesCopied"));
    assertEquals(0, end.getLong("remaining"));
  }

  /** All of one copy, whatever it came to. */
  private static void assertCopy(List<RecordedEvent> copy, int leg, String device, String kind) {
    long copied = 0;
    long elapsed = 0;
    for (RecordedEvent each : copy) {
      assertEquals(leg, each.getInt("leg"));
      assertEquals(device, each.getString("device"));
      assertEquals(kind, each.getString("kind"));
      long now = each.getLong("bytesCopied");
      assertTrue(now >= copied && now <= each.getLong("bytesToCopy"), each::toString);
      assertTrue(each.getLong("elapsed") > elapsed, each::toString);
      copied = now;
      elapsed = each.getLong("elapsed");
      assertEquals(copied / (elapsed / 1e9), (double) each.getLong("rate"), 1);
    }
    assertEquals(0, copy.getFirst().getLong("bytesCopied"));
    assertEquals(UNKNOWN, copy.getFirst().getLong("remaining"));
    assertEquals(copy.getFirst().getLong("bytesToCopy"), copy.getLast().getLong("bytesToCopy"));
  }

  private static void assertPhases(List<RecordedEvent> events, String last) {
    for (RecordedEvent each : events.subList(0, events.size() - 1)) {
      assertEquals("RUNNING", each.getString("phase"));
    }
    assertEquals(last, events.getLast().getString("phase"));
  }

  @Test
  void aCopyOfEverythingThatACloseCutsOffTellsHowFarItCame() throws Exception {
    List<RecordedEvent> events;
    Path added = place().resolve("new");
    try (Recording recording = begin();
        ExecutorService pool = Executors.newSingleThreadExecutor()) {
      Future<Integer> attached;
      try (Store store = builder().resilverRate(SLOW).open()) {
        fill(store, 0, ENTRIES);
        attached = pool.submit(() -> store.attach(added));
        await()
            .atMost(Duration.ofSeconds(30))
            .until(() -> {
              StoreStats.Resilver copy = store.stats().resilver();
              return copy != null && copy.bytesDone() >= 2L * VolumeLayout.REGION_SIZE;
            });
      }
      assertThrows(java.util.concurrent.ExecutionException.class, attached::get);
      events = end(recording);
    }
    List<RecordedEvent> copy = named(events, "ResilverProgress");
    assertCopy(copy, 2, added.toString(), "WHOLE");
    assertPhases(copy, "CUT_OFF");
    RecordedEvent late = copy.get(copy.size() - 2);
    long left = late.getLong("bytesToCopy") - late.getLong("bytesCopied");
    assertTrue(left > 0 && late.getLong("rate") > 0, late::toString);
    double expected = left * 1_000.0 / late.getLong("rate");
    assertEquals(expected, (double) late.getDuration("remaining").toMillis(), 1);
    assertTrue(copy.getLast().getLong("bytesCopied") >= 2L * VolumeLayout.REGION_SIZE);
  }

  /** Regions are copied in no time, and nobody wants thousands of events a second. */
  @Test
  void aCopyTellsNoMoreThanTenTimesASecond() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      try (Store store = builder().initialCapacity(64 << 20).open()) {
        fill(store, 0, ENTRIES);
        assertEquals(2, store.attach(place().resolve("new")));
      }
      events = end(recording);
    }
    List<RecordedEvent> copy = named(events, "ResilverProgress");
    assertPhases(copy, "COMPLETE");
    long most = copy.getLast().getLong("elapsed") / 100_000_000 + 2;
    assertTrue(copy.size() <= most, () -> copy.size() + " in " + copy.getLast());
    assertEquals(List.of("OFFLINE RESILVERING", "RESILVERING ONLINE"), states(events, 2));
  }

  @Test
  void aPageThatIsGoneIsTold() throws Exception {
    List<RecordedEvent> events;
    long page;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES);
        page = recordOf(store, key(7)).offset() / TestStores.PAGE * TestStores.PAGE;
        leg(store, 0).faults().poison(page, 1);
        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> store.get(key(7)) != null && leg(store, 0).badBlocks().isEmpty());
        awaitRepaired(store);
        awaitState(store, StoreState.ONLINE);
      }
      events = end(recording);
    }
    RecordedEvent bad = named(events, "BadRange").getFirst();
    assertEquals(0, bad.getInt("leg"));
    assertEquals(place().resolve("leg-0.pmem").toString(), bad.getString("device"));
    assertEquals(page, bad.getLong("offset"));
    assertEquals(TestStores.PAGE, bad.getLong("length"));
    assertTrue(Set.of("ACCESS", "NOTIFICATION").contains(bad.getString("origin")), bad::toString);
    assertEquals(List.of("ONLINE DEGRADED", "DEGRADED ONLINE"), states(events, 0));
    assertEquals(List.of(), named(events, "LegLost"));
  }

  @Test
  void writesThatAreStoppedAreToldOnceAndTheLastLegLeavesNone() throws Exception {
    List<RecordedEvent> events;
    String cause;
    try (Recording recording = begin()) {
      try (Store store = builder().single().open()) {
        fill(store, 0, 100);
        leg(store, 0).faults().notifyNever();
        leg(store, 0).faults().failHeartbeats(1);
        awaitState(store, StoreState.READ_ONLY);
        ReadOnlyStoreException refused =
            assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(1)));
        assertTrue(String.valueOf(refused.getMessage()).length() > 0);
        cause = String.valueOf(store.health().reason());
        leg(store, 0).faults().remove();
        await().until(() -> state(store, 0) == LegState.REMOVED);
      }
      events = end(recording);
    }
    List<RecordedEvent> stopped = named(events, "WritesStopped");
    assertEquals(1, stopped.size());
    assertEquals(place().toString(), stopped.getFirst().getString("store"));
    assertEquals(cause, stopped.getFirst().getString("cause"));
    RecordedEvent lost = named(events, "LegLost").getFirst();
    assertEquals(0, lost.getInt("legsLeft"));
    assertTrue(lost.getLong("readsSwitchedAfter") > 0);
    assertEquals(UNKNOWN, lost.getLong("markedAfter"), "nothing could be written");
    assertEquals(UNKNOWN, lost.getLong("writesSwitchedAfter"));
  }

  // ---------------------------------------------------------------- scrub

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aScrubTellsHowFarItIsAndWhatItFinds(boolean askedFor) throws Exception {
    List<RecordedEvent> events;
    StoreExtent record;
    long read = 0;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES);
        record = recordOf(store, key(9));
        leg(store, 1).faults().flipBit(record.offset() + 20, 3);
        leg(store, 0).faults().flipBit(VolumeLayout.SUPERBLOCK_SIZE + 50L, 3);
        if (askedFor) {
          read = store.scrub().bytesRead();
        }
      }
      if (!askedFor) {
        try (Store store = builder().scrubEvery(Duration.ofMillis(1)).scrubRate(1L << 40).open()) {
          await()
              .atMost(Duration.ofSeconds(30))
              .until(() -> store.stats().scrub().completed() != null);
        }
      }
      events = end(recording);
    }
    List<RecordedEvent> findings =
        named(events, "ScrubFinding").stream()
            .filter(event -> !event.getBoolean("metadata"))
            .toList();
    assertEquals(1, findings.size(), findings::toString);
    RecordedEvent rot = findings.getFirst();
    assertEquals("WRONG_BYTES", rot.getString("kind"));
    assertEquals(1, rot.getInt("leg"));
    assertEquals(record.offset(), rot.getLong("offset"));
    assertEquals(record.length(), rot.getLong("length"));
    assertFalse(rot.getBoolean("lost"));

    List<RecordedEvent> progress = named(events, "ScrubProgress");
    RecordedEvent end =
        progress.stream()
            .filter(event -> event.getString("phase").equals("COMPLETE"))
            .findFirst()
            .orElseThrow();
    RecordedEvent begin = progress.getFirst();
    assertEquals("RUNNING", begin.getString("phase"));
    assertEquals(0, begin.getLong("bytesRead"));
    assertEquals(UNKNOWN, begin.getLong("remaining"));
    for (RecordedEvent each : List.of(begin, end)) {
      assertEquals(place().toString(), each.getString("store"));
      assertEquals(askedFor, each.getBoolean("askedFor"));
    }
    assertEquals(end.getLong("leaves"), end.getLong("leavesDone"));
    assertTrue(end.getLong("leaves") > 1, end::toString);
    assertTrue(end.getLong("rate") > 0, end::toString);
    assertEquals(end.getLong("faults"), end.getLong("repaired"));
    if (askedFor) {
      assertEquals(
          1, progress.stream().filter(e -> !e.getString("phase").equals("RUNNING")).count());
      assertEquals(read, end.getLong("bytesRead"));
      assertEquals(2, end.getLong("faults"));
      List<RecordedEvent> metadata =
          named(events, "ScrubFinding").stream().filter(e -> e.getBoolean("metadata")).toList();
      assertEquals(1, metadata.size(), metadata::toString);
      assertEquals(0, metadata.getFirst().getInt("leg"));
      assertEquals(VolumeLayout.SUPERBLOCK_SIZE, metadata.getFirst().getLong("offset"));
    }
  }

  @Test
  void whatIsRightOnNoLegIsToldAsLostAndPoisonAsPoison() throws Exception {
    List<RecordedEvent> events;
    long page;
    try (Recording recording = begin()) {
      try (Store store = builder().single().open()) {
        fill(store, 0, ENTRIES);
        leg(store, 0).faults().flipBit(recordOf(store, key(9)).offset() + 20, 3);
        ScrubReport _ = store.scrub();
        leg(store, 0).faults().notifyNever();
        page = recordOf(store, key(1_900)).offset() / TestStores.PAGE * TestStores.PAGE;
        leg(store, 0).faults().poison(page, 1);
        ScrubReport _ = store.scrub();
      }
      events = end(recording);
    }
    List<RecordedEvent> findings = named(events, "ScrubFinding");
    assertEquals(
        List.of("WRONG_BYTES true", "POISON false"),
        findings.stream().map(e -> e.getString("kind") + " " + e.getBoolean("lost")).toList());
    assertEquals(page, findings.getLast().getLong("offset"));
    assertEquals(TestStores.PAGE, findings.getLast().getLong("length"));
  }

  @Test
  void aScrubThatIsInterruptedIsCutOff() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES);
        Thread.currentThread().interrupt();
        ScrubReport _ = store.scrub();
        assertTrue(Thread.interrupted());
      }
      events = end(recording);
    }
    assertPhases(named(events, "ScrubProgress"), "CUT_OFF");
  }

  // ---------------------------------------------------------------- work

  @Test
  void anOpenTellsWhatItFound() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES);
        leg(store, 1).faults().remove();
        fill(store, 0, 1);
        leg(store, 1).faults().reinsert();
        store.forceClose();
      }
      try (Store store = builder().open()) {
        assertHolds(store, 0, ENTRIES);
        awaitState(store, StoreState.ONLINE);
      }
      try (Store store = builder().open()) {
        assertHolds(store, 0, 1);
      }
      events = end(recording);
    }
    List<RecordedEvent> opens = named(events, "Recovery");
    assertEquals(
        List.of("true ONLINE 2 0", "false DEGRADED 2 1", "true ONLINE 2 0"),
        opens.stream()
            .map(open ->
                open.getBoolean("inOrder")
                    + " "
                    + open.getString("state")
                    + " "
                    + open.getInt("legs")
                    + " "
                    + open.getInt("staleLegs"))
            .toList());
    for (RecordedEvent open : opens) {
      assertEquals(place().toString(), open.getString("store"));
      assertEquals(0, open.getInt("lost"));
      assertTrue(open.getDuration().toNanos() > 0, open::toString);
    }
  }

  @Test
  void aCommitTellsWhatItCarried() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      recording.enable(PREFIX + "Commit").withoutThreshold();
      try (Store store = builder().open()) {
        store.put(key(1), value(1));
      }
      assertEquals(0, namedIn(recording, "Commit").size(), "none in PROCESS mode");
      try (Store store = builder().persistence(PersistenceMode.FILE).open()) {
        store.put(key(2), value(2));
        fill(store, 3, ENTRIES);
      }
      events = end(recording);
    }
    List<RecordedEvent> commits = named(events, "Commit");
    assertTrue(commits.size() >= ENTRIES - 3, () -> commits.size() + " commits");
    RecordedEvent first = commits.getFirst();
    assertEquals(place().toString(), first.getString("store"));
    assertTrue(first.getLong("bytes") >= TestStores.PAGE, first::toString);
    assertTrue(first.getInt("ranges") >= 1, first::toString);
    assertTrue(commits.stream().allMatch(commit -> commit.getBoolean("done")));
    assertTrue(commits.stream().anyMatch(commit -> commit.getInt("switches") > 0));
  }

  /** What was recorded up to now. */
  private List<RecordedEvent> namedIn(Recording recording, String name) throws IOException {
    Path file = directory.resolve("until-" + System.nanoTime() + ".jfr");
    recording.dump(file);
    return named(RecordingFile.readAllEvents(file), name);
  }

  @Test
  void aCompactionTellsHowFarItCame() throws Exception {
    List<RecordedEvent> events;
    CompactionProgress all;
    try (Recording recording = begin()) {
      try (Store store = builder().open()) {
        fill(store, 0, ENTRIES);
        all = store.compact();
        Thread.currentThread().interrupt();
        CompactionProgress _ = store.compact();
        assertTrue(Thread.interrupted());
      }
      events = end(recording);
    }
    List<RecordedEvent> compactions = named(events, "Compaction");
    assertEquals(2, compactions.size());
    RecordedEvent first = compactions.getFirst();
    assertEquals(place().toString(), first.getString("store"));
    assertEquals(all.leavesDone(), first.getLong("leavesDone"));
    assertEquals(all.leaves(), first.getLong("leaves"));
    assertEquals(all.bytesGivenBack(), first.getLong("bytesGivenBack"));
    assertTrue(first.getBoolean("complete"));
    assertFalse(compactions.getLast().getBoolean("complete"));
  }

  @Test
  void anOperationThatStartsOverTellsHowLongItTook() throws Exception {
    List<RecordedEvent> events;
    try (Recording recording = begin()) {
      recording.enable(PREFIX + "Stall").withoutThreshold();
      try (Store store = builder().open()) {
        fill(store, 0, 100);
        assertEquals(0, namedIn(recording, "Stall").size(), "nothing stalled");
        leg(store, 0).faults().notifyNever();
        leg(store, 0).faults().remove();
        assertHolds(store, 0, 100);
      }
      events = end(recording);
    }
    List<RecordedEvent> stalls = named(events, "Stall");
    assertEquals(1, stalls.size(), "the first get met it");
    assertEquals(place().toString(), stalls.getFirst().getString("store"));
    assertTrue(stalls.getFirst().getInt("starts") >= 1, stalls::toString);
    RecordedEvent lost = named(events, "LegLost").getFirst();
    assertTrue(
        stalls.getFirst().getDuration().toNanos() >= lost.getLong("writesSwitchedAfter") / 2,
        () -> stalls + " " + lost);
  }

  // ---------------------------------------------------------------- all of them

  /** A JVM that opens a store knows them all: tools list them before the first one is recorded. */
  @Test
  void theEventsAreThoseOnThePageAndSayWhatTheirFieldsMean() {
    try (Store store = builder().open()) {
      await().until(() -> types().size() == 12);
      assertTrue(store.stats().capacityBytes() > 0);
    }
    Matcher onPage = Pattern.compile("`dev\\.holdfast\\.([A-Z]\\w+)`").matcher(FailureTable.page());
    Set<String> documented =
        onPage
            .results()
            .map(match -> match.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> names = new TreeSet<>();
    for (EventType type : types()) {
      names.add(type.getName().substring(PREFIX.length()));
      assertEquals(List.of("Holdfast"), type.getCategoryNames(), type::getName);
      assertTrue(type.isEnabled() || !anyRecording(), type::getName);
      assertFalse(String.valueOf(type.getDescription()).isEmpty(), type::getName);
      type.getFields().stream()
          .filter(field -> field.getTypeName().equals("long"))
          .filter(field -> field.getName().matches("(bytes|offset|length|rate).*"))
          .forEach(field -> {
            assertTrue(field.getAnnotation(DataAmount.class) != null, field::getName);
            assertEquals(
                field.getName().equals("rate"), field.getAnnotation(Frequency.class) != null);
          });
      type.getFields().stream()
          .filter(field -> field.getName().matches(".*After|remaining|elapsed|age"))
          .forEach(
              field -> assertTrue(field.getAnnotation(Timespan.class) != null, field::getName));
    }
    assertEquals(documented, names);
  }

  private static boolean anyRecording() {
    return !FlightRecorder.getFlightRecorder().getRecordings().isEmpty();
  }

  private static List<EventType> types() {
    return FlightRecorder.getFlightRecorder().getEventTypes().stream()
        .filter(type -> type.getName().startsWith(PREFIX))
        .toList();
  }
}
