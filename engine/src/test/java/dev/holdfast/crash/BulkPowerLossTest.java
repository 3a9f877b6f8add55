package dev.holdfast.crash;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.MemoryTempDirs;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Power cut at every store, flush and fence of operations on large values that lie in a BULK
 * volume: the entries and the values are on devices of their own, each with a cache of its own, and
 * what a record leads to must be there whichever of them got further.
 */
@ExtendWith(QuietOpens.class)
@Timeout(300)
final class BulkPowerLossTest {
  private static final int SAMPLE = Integer.getInteger("crash.sample", 2);

  /** At every so many points power is cut; at each of them it takes three times as long. */
  private static final int EVERY = Integer.getInteger("crash.every", 3);

  private static final int LARGE = 5_000;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  /** Where the recorded parts of a store lie. */
  private record Places(Path store, Path inner, Path devices) {
    static Places in(Path directory) {
      Path store = directory.resolve("s");
      return new Places(store, store.resolve("bulk"), directory.resolve("devices"));
    }

    Path[] all() {
      return new Path[] {store, inner, devices};
    }
  }

  private static StoreBuilder builder(Places places, boolean mirrored, PersistenceMode mode) {
    StoreBuilder builder = Store.builder(places.store()).initialCapacity(2 << 20).persistence(mode);
    Path first = places.devices().resolve("bulk-0.pmem");
    return mirrored
        ? builder.bulk(first, places.devices().resolve("bulk-1.pmem"))
        : builder.single().bulk(first);
  }

  private static List<Change> before() {
    List<Change> changes = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      changes.add(Change.put("large" + i, i, LARGE + i));
      changes.add(Change.put("small" + i, i, 24));
    }
    return changes;
  }

  /** All that can happen to a large value, one operation each. */
  private static List<Change> operations() {
    return List.of(
        Change.put("new", 10, LARGE),
        Change.put("large0", 11, LARGE + 900),
        Change.put("large1", 12, 24),
        Change.put("small0", 13, LARGE),
        Change.remove("large2"),
        Change.batch(
            Change.put("large3", 14, LARGE),
            Change.put("newer", 15, LARGE),
            Change.put("small1", 16, 24),
            Change.remove("large4")));
  }

  @ParameterizedTest
  @CsvSource({"true, FILE", "false, FILE", "true, DAX", "false, DAX"})
  void aPowerCutLeavesEachValueOrTheOneBefore(boolean mirrored, PersistenceMode mode)
      throws Exception {
    Places places = Places.in(directory);
    Files.createDirectories(places.store());
    Files.createDirectories(places.devices());
    Contents contents = Contents.empty();
    try (Store store = builder(places, mirrored, PersistenceMode.PROCESS).open()) {
      for (Change change : before()) {
        change.applyTo(store);
        contents = contents.with(change);
      }
    }
    List<Contents> states = new ArrayList<>(List.of(contents));
    List<Story.Mark> marks = new ArrayList<>();
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(places.all())) {
      Store store = builder(places, mirrored, mode).open();
      for (Change change : operations()) {
        int began = recorder.position();
        change.applyTo(store);
        marks.add(new Story.Mark(began, recorder.position()));
        contents = contents.with(change);
        states.add(contents);
      }
      log = recorder.log();
      store.close();
    }
    Set<Long> visited = new HashSet<>();
    Set<Integer> found = new HashSet<>();
    try (CrashPlace place = CrashPlace.of(log, places.all())) {
      for (int point = marks.getFirst().began(); point <= marks.getLast().ended(); point += EVERY) {
        int at = point;
        int acknowledged = (int) marks.stream().filter(mark -> mark.ended() <= at).count();
        int begun = (int) marks.stream().filter(mark -> mark.began() < at).count();
        for (CrashImage image : log.images(point, SAMPLE, 5)) {
          if (visited.add(image.hash() * 31 + acknowledged)) {
            place.show(image);
            found.add(look(places, mirrored, mode, states, acknowledged, begun, image));
          }
        }
      }
    }
    System.out.println(
        "  BULK, " + (mirrored ? "mirror " : "single ") + mode + ": " + visited.size() + " states");
    assertEquals(states.size(), found.size(), "each state of the store was found");
  }

  /** Which of the states it is in. */
  private static int look(
      Places places,
      boolean mirrored,
      PersistenceMode mode,
      List<Contents> states,
      int acknowledged,
      int begun,
      CrashImage image) {
    try (Store store = builder(places, mirrored, mode).open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      Contents now = Contents.of(store);
      int state = acknowledged;
      while (state < begun && states.get(state).differenceTo(now) != null) {
        state++;
      }
      String difference = states.get(state).differenceTo(now);
      assertTrue(difference == null, () -> "after " + acknowledged + ": " + difference);
      now.requireGets(store, states.getLast());
      // What a cut-off operation had stored goes, and nothing else does.
      long large = now.entries().values().stream().filter(value -> value.length >= LARGE).count();
      await()
          .pollInterval(Duration.ofMillis(1))
          .atMost(Duration.ofSeconds(10))
          .until(() -> Objects.requireNonNull(store.bulk()).stats().entries() == large);
      Contents then =
          now.with(Change.put("large5", 20, LARGE)).with(Change.put("later", 21, LARGE));
      Change.put("large5", 20, LARGE).applyTo(store);
      Change.put("later", 21, LARGE).applyTo(store);
      String later = then.differenceTo(Contents.of(store));
      assertTrue(later == null, () -> "gone on with: " + later);
      return state;
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(image + ": " + e, e);
    }
  }
}
