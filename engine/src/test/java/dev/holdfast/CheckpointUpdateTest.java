package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.StoreLockedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.rules.FastPlace;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Backups that are brought up to date. */
@Timeout(60)
final class CheckpointUpdateTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private Path backup() {
    return directory.resolve("backup");
  }

  private CheckpointReport update(Store store) {
    return store.checkpoint(backup(), new CheckpointOptions().update());
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

  private static Store opened(Path place) {
    return Store.builder(place).readOnly().open();
  }

  /** All that a store holds, by map. */
  private static Map<String, Map<String, String>> contents(Store store) {
    Map<String, Map<String, String>> all = new TreeMap<>();
    all.put("", contents((ReadableMap) store));
    try (Snapshot snapshot = store.snapshot()) {
      for (String name : snapshot.mapNames()) {
        all.put(name, contents(Objects.requireNonNull(snapshot.map(name))));
      }
    }
    return all;
  }

  private static Map<String, String> contents(ReadableMap map) {
    Map<String, String> found = new TreeMap<>();
    HexFormat hex = HexFormat.of();
    try (Cursor cursor = map.cursor(KeyRange.all())) {
      while (cursor.next()) {
        found.put(hex.formatHex(cursor.key()), hex.formatHex(cursor.value()));
      }
    }
    return found;
  }

  private void assertSame(Store store) {
    try (Store copy = opened(backup())) {
      assertEquals(contents(store), contents(copy));
      assertEquals(StoreState.READ_ONLY, copy.health().state());
    }
  }

  @Test
  void whereNothingIsTheWholeOfItIsMade() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 1_000);
      CheckpointReport report = update(store);
      assertEquals(1_000, report.entries());
      assertEquals(1_000, report.entriesWritten());
      assertEquals(0, report.entriesRemoved());
      assertEquals(List.of("backup"), beside());
      assertSame(store);
    }
  }

  @Test
  void whatDiffersIsWrittenAndNothingElse() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 20_000);
      store.put(key(30_000), value(1, 300_000));
      store.put(key(30_001), value(2, 300_000));
      CheckpointReport first = store.checkpoint(backup());
      assertEquals(20_002, first.entriesWritten());
      fill(store, 5_000, 5_500); // The same as before.
      for (int i = 100; i < 200; i++) {
        store.put(key(i), value(i + 1));
      }
      for (int i = 300; i < 350; i++) {
        assertTrue(store.remove(key(i)));
      }
      fill(store, 20_000, 20_030);
      store.put(key(30_001), value(3, 300_000));
      store.put(key(30_002), new byte[0]);
      CheckpointReport second = update(store);
      assertEquals(100 + 30 + 2, second.entriesWritten());
      assertEquals(50, second.entriesRemoved());
      assertEquals(20_002 - 50 + 30 + 1, second.entries());
      assertTrue(second.sequence() > first.sequence());
      assertEquals(List.of("backup"), beside());
      assertSame(store);
      CheckpointReport third = update(store);
      assertEquals(0, third.entriesWritten());
      assertEquals(0, third.entriesRemoved());
      assertEquals(second.entries(), third.entries());
      assertEquals(second.bytes(), third.bytes());
      assertSame(store);
    }
    Files.move(backup(), directory.resolve("moved"));
    try (Store copy = Store.open(directory.resolve("moved"))) {
      copy.put(key(1), value(7));
      assertHolds(copy, 2, 100);
    }
  }

  @Test
  void mapsComeGoAndAreNamedAnew() {
    try (Store store = builder().open()) {
      RawMap stays = store.map("stays");
      fill(stays, 0, 200);
      fill(store.map("goes"), 0, 200);
      fill(store.map("becomes another"), 0, 200);
      fill(store.map("is renamed"), 0, 200);
      ExpiringMap expires = store.expiringMap("expires");
      expires.put(key(1), value(1), Duration.ofDays(1));
      expires.put(key(2), value(2), Duration.ofDays(1));
      CheckpointReport first = update(store);
      assertEquals(802, first.entries());
      stays.put(key(0), value(5));
      assertTrue(store.dropMap("goes"));
      assertTrue(store.dropMap("becomes another"));
      store.expiringMap("becomes another").put(key(9), value(9), Duration.ofDays(1));
      store.renameMap("is renamed", "was renamed");
      expires.put(key(1), value(1), Duration.ofDays(2)); // The same value, but for longer.
      fill(store.map("is new"), 0, 10);
      CheckpointReport second = update(store);
      assertEquals(1 + 1 + 200 + 1 + 10, second.entriesWritten());
      assertSame(store);
      try (Store copy = opened(backup())) {
        assertThrows(IllegalArgumentException.class, () -> copy.expiringMap("stays"));
        assertEquals(
            store.expiringMap("expires").deadline(key(1)),
            copy.expiringMap("expires").deadline(key(1)));
        assertEquals(1, contents((ReadableMap) copy.expiringMap("becomes another")).size());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void whateverHappenedBetweenItIsTheSame(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try (Store store = builder().open()) {
      for (int round = 0; round < 6; round++) {
        int changes = random.nextInt(3_000);
        for (int i = 0; i < changes; i++) {
          RawMap map = random.nextInt(3) == 0 ? store.map("m" + random.nextInt(3)) : store;
          byte[] key = key(random.nextInt(2_000));
          switch (random.nextInt(4)) {
            case 0 -> {
              boolean _ = map.remove(key);
            }
            case 1 -> map.put(key, value(random.nextInt(50), 1 + random.nextInt(4_000)));
            default -> map.put(key, value(random.nextInt(50)));
          }
        }
        if (random.nextInt(3) == 0) {
          boolean _ = store.dropMap("m" + random.nextInt(3));
        }
        CheckpointReport report = update(store);
        assertEquals(
            contents(store).values().stream().mapToLong(Map::size).sum(), report.entries());
        assertSame(store);
      }
    }
  }

  @Test
  void bothLegsOfOneThatHasTwoAreBroughtUpToDate() {
    try (Store store = builder().open()) {
      fill(store, 0, 500);
      CheckpointReport _ = store.checkpoint(backup(), new CheckpointOptions().mirror());
      fill(store, 500, 1_000);
      CheckpointReport _ = update(store);
    }
    try (Store copy = Store.open(backup())) {
      leg(copy, 0).faults().remove();
      assertHolds(copy, 0, 1_000);
    }
  }

  @Test
  void aLegThatIsLostMeanwhileIsNotNoticed() {
    try (Store store = builder().open()) {
      fill(store, 0, 20_000);
      CheckpointReport _ = store.checkpoint(backup());
      fill(store, 20_000, 30_000);
      CheckpointOptions options =
          new CheckpointOptions()
              .update()
              .progress(_ -> {
                if (leg(store, 0).state() == DeviceState.LIVE) {
                  leg(store, 0).faults().remove();
                }
              });
      CheckpointReport report = store.checkpoint(backup(), options);
      assertEquals(10_000, report.entriesWritten());
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertSame(store);
    }
  }

  /** What a crash leaves on a file system that cannot exchange two names. */
  @Test
  void anEarlierOneThatWasMovedAsideIsFound() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      CheckpointReport _ = store.checkpoint(backup());
      Path aside = directory.resolve("backup.former");
      Files.move(backup(), aside);
      fill(store, 100, 110);
      assertEquals(10, update(store).entriesWritten());
      assertSame(store);
      assertEquals(List.of("backup"), beside());
      Path _ = Files.createDirectory(aside);
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> update(store));
      assertTrue(String.valueOf(refused.getMessage()).startsWith(aside + ": "), refused::toString);
      // What somebody else has there is not taken for it.
      Files.move(backup(), directory.resolve("moved"));
      assertThrows(IllegalArgumentException.class, () -> update(store));
      assertTrue(Files.isDirectory(aside));
      assertFalse(Files.exists(backup()));
    }
  }

  @Test
  void itsModeIsThatOfTheEarlierOne() throws Exception {
    Set<PosixFilePermission> mode = PosixFilePermissions.fromString("rwxr-x---");
    try (Store store = builder().open()) {
      CheckpointReport _ = store.checkpoint(backup());
      Path _ = Files.setPosixFilePermissions(backup(), mode);
      store.put(key(1), value(1));
      CheckpointReport _ = update(store);
      assertEquals(mode, Files.getPosixFilePermissions(backup()));
    }
  }

  /** A number of a map that is gone is free once nothing is left of it. */
  @Test
  void asManyMapsAsThereMayBeCanAllBeOthers() {
    try (Store store = builder().initialCapacity(16 << 20).open()) {
      for (int i = 0; i < 254; i++) {
        store.map("a" + i).put(key(i), value(i));
      }
      CheckpointReport _ = update(store);
      for (int i = 0; i < 254; i++) {
        store.renameMap("a" + i, "b" + i);
      }
      CheckpointReport report = update(store);
      assertEquals(254, report.entries());
      assertSame(store);
      try (Store copy = opened(backup())) {
        assertEquals(2 * 254, copy.stats().entries(), "and the directory's: nothing is left");
      }
    }
  }

  // ---------------------------------------------------------------- what cannot be done

  @Test
  void oneThatDoesNotComeToItsEndLeavesTheEarlierOne() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 1_000);
      CheckpointReport _ = store.checkpoint(backup());
      Map<String, Map<String, String>> before = contents(store);
      fill(store, 1_000, 40_000);
      List<CheckpointProgress> told = new ArrayList<>();
      CheckpointOptions options =
          new CheckpointOptions()
              .update()
              .progress(progress -> {
                told.add(progress);
                if (told.size() == 3) {
                  throw new IllegalStateException("enough");
                }
              });
      assertThrows(IllegalStateException.class, () -> store.checkpoint(backup(), options));
      assertEquals(List.of("backup"), beside());
      try (Store copy = opened(backup())) {
        assertEquals(before, contents(copy));
      }
      CheckpointReport _ = update(store);
      assertSame(store);
    }
  }

  @Test
  void whatIsNoCheckpointOfThisStoreIsNotTouched() throws Exception {
    Path other = directory.resolve("other");
    Path ofOther = directory.resolve("of-other");
    try (Store store = Store.builder(other).single().initialCapacity(4 << 20).open()) {
      fill(store, 0, 10);
      CheckpointReport _ = store.checkpoint(ofOther);
    }
    Path empty = Files.createDirectory(directory.resolve("empty"));
    Path file = Files.writeString(directory.resolve("file"), "mine");
    try (Store store = builder().open()) {
      fill(store, 100, 110);
      CheckpointReport _ = store.checkpoint(backup());
      Path link = Files.createSymbolicLink(directory.resolve("link"), backup());
      List<String> before = beside();
      CheckpointOptions options = new CheckpointOptions().update();
      for (Path place : List.of(other, ofOther, empty, file, link, directory.resolve("s"))) {
        IllegalArgumentException refused =
            assertThrows(IllegalArgumentException.class, () -> store.checkpoint(place, options));
        String said = String.valueOf(refused.getMessage());
        assertTrue(said.startsWith(place + ": expected "), said);
      }
      assertEquals(before, beside());
      assertEquals("mine", Files.readString(file));
    }
    try (Store store = opened(ofOther)) {
      assertHolds(store, 0, 10);
    }
    try (Store store = opened(other)) {
      assertHolds(store, 0, 10);
    }
  }

  @Test
  void oneThatSomebodyWorksWithIsNotTouched() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 10);
      CheckpointReport _ = store.checkpoint(backup());
      try (Store copy = Store.open(backup())) {
        assertThrows(StoreLockedException.class, () -> update(store));
        copy.put(key(0), value(5));
      }
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> update(store));
      String said = String.valueOf(refused.getMessage());
      assertTrue(said.contains("was opened since to be written to"), said);
      try (Store copy = opened(backup())) {
        assertHolds(copy, 1, 10);
        assertNotEquals(contents(store), contents(copy));
      }
      assertEquals(List.of("backup"), beside());
    }
  }

  @Test
  void oneThatWasReadAloneIsAsItWasMade() {
    try (Store store = builder().open()) {
      fill(store, 0, 10);
      CheckpointReport _ = store.checkpoint(backup());
      assertSame(store);
      fill(store, 10, 20);
      assertEquals(10, update(store).entriesWritten());
      assertSame(store);
    }
  }

  @Test
  void whatIsLostTakesNothingOutOfTheEarlierOne() throws Exception {
    try (Store store = builder().single().open()) {
      fill(store, 0, 2_000);
      CheckpointReport _ = store.checkpoint(backup());
      Map<String, Map<String, String>> before = contents(store);
      leg(store, 0).faults().failClears(1_000_000);
      long _ = leg(store, 0).faults().poison(recordOf(store, key(1_000)).offset(), 1).length();
      await().until(() -> !store.health().lost().isEmpty());
      assertThrows(DataLostException.class, () -> update(store));
      CheckpointOptions both = new CheckpointOptions().update().leaveOutLost();
      assertThrows(IllegalArgumentException.class, () -> store.checkpoint(backup(), both));
      assertEquals(List.of("backup"), beside());
      try (Store copy = opened(backup())) {
        assertEquals(before, contents(copy));
      }
    }
  }

  @Test
  void anEarlierOneThatLostSomethingIsNotBuiltUpon() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 2_000);
      CheckpointReport _ = store.checkpoint(backup());
      long at;
      try (Store copy = opened(backup())) {
        at = recordOf(copy, key(1_000)).offset();
      }
      try (RandomAccessFile leg =
          new RandomAccessFile(backup().resolve("leg-0.pmem").toFile(), "rw")) {
        leg.seek(at);
        leg.write(new byte[64]);
      }
      DataLostException refused = assertThrows(DataLostException.class, () -> update(store));
      assertTrue(
          String.valueOf(refused.getMessage()).startsWith(backup() + ": expected all entries"),
          refused::getMessage);
      assertEquals(List.of("backup"), beside());
    }
  }

  @Test
  void anEarlierOneThatLacksALegIsNotBuiltUpon() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, 100);
      CheckpointReport _ = store.checkpoint(backup(), new CheckpointOptions().mirror());
      Files.delete(backup().resolve("leg-1.pmem"));
      assertThrows(DeviceOfflineException.class, () -> update(store));
      assertEquals(List.of("backup"), beside());
      assertFalse(Files.exists(backup().resolve("leg-1.pmem")));
    }
  }
}
