package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The model of the cache, as litmus tests: which states a power cut can leave, and which not. */
class CrashLogTest {
  private static final int CAPACITY = 64 << 10;
  private static final int LINE = 64;
  private static final int PAGE = 4096;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  /** What is done to a tracked device. */
  private interface Story {
    void tell(EmulatedDevice device, Window window) throws Exception;
  }

  private Path file(String name) {
    return directory.resolve(name);
  }

  private CrashLog record(PersistenceMode mode, Story story) throws Exception {
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      return record(recorder, mode, story);
    }
  }

  private CrashLog record(CrashRecorder recorder, PersistenceMode mode, Story story)
      throws Exception {
    try (EmulatedDevice device = EmulatedDevice.create(file("a"), CAPACITY, mode);
        Window window = device.map()) {
      story.tell(device, window);
      return recorder.log();
    }
  }

  private static List<CrashImage> last(CrashLog log) {
    return images(log, log.points() - 1, 100, 1);
  }

  private static List<CrashImage> images(CrashLog log, int point, int sample, long seed) {
    List<CrashImage> images = new ArrayList<>();
    log.images(point, sample, seed).forEach(images::add);
    return images;
  }

  private static long word(CrashImage image, Path file, long offset) {
    byte[] bytes = Objects.requireNonNull(image.read(file, offset, Long.BYTES));
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
  }

  /** What the words at these offsets can be after a power cut at the end, "1 0" and the like. */
  private Set<String> reachable(CrashLog log, long... offsets) {
    Set<String> found = new TreeSet<>();
    for (CrashImage image : last(log)) {
      StringBuilder words = new StringBuilder();
      for (long offset : offsets) {
        words.append(words.isEmpty() ? "" : " ").append(word(image, file("a"), offset));
      }
      found.add(words.toString());
    }
    return found;
  }

  private Set<String> reachable(PersistenceMode mode, Story story, long... offsets)
      throws Exception {
    return reachable(record(mode, story), offsets);
  }

  private static final Story TWO_STORES_TO_A_LINE =
      (_, window) -> {
        Gateway.putLong(window, 8, 1);
        Gateway.putLongRelease(window, 0, 2);
      };

  @Test
  void aLineKeepsItsStoresInOrder() throws Exception {
    assertEquals(
        Set.of("0 0", "1 0", "1 2"), reachable(PersistenceMode.DAX, TWO_STORES_TO_A_LINE, 8, 0));
  }

  @Test
  void whatIsStoredSurvivesTheDeathOfTheProcess() throws Exception {
    assertEquals(Set.of("1 2"), reachable(PersistenceMode.PROCESS, TWO_STORES_TO_A_LINE, 8, 0));
  }

  @Test
  void linesAreIndependent() throws Exception {
    assertEquals(
        Set.of("0 0", "0 2", "1 0", "1 2"),
        reachable(
            PersistenceMode.DAX,
            (_, window) -> {
              Gateway.putLong(window, LINE - 8, 1);
              Gateway.putLong(window, LINE, 2);
            },
            LINE - 8,
            LINE));
  }

  @ParameterizedTest
  @EnumSource(names = {"DAX", "FILE"})
  void flushAndFenceMakeDurable(PersistenceMode mode) throws Exception {
    assertEquals(
        Set.of("1 0", "1 2"),
        reachable(
            mode,
            (device, window) -> {
              Gateway.putLong(window, 0, 1);
              device.flush(0, 8);
              device.fence();
              Gateway.putLong(window, 8, 2);
            },
            0,
            8));
  }

  @ParameterizedTest
  @EnumSource(names = {"DAX", "FILE"})
  void flushWithoutFenceIsNotDurable(PersistenceMode mode) throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.flush(0, 8);
        };
    assertEquals(Set.of("0", "1"), reachable(mode, story, 0));
  }

  @ParameterizedTest
  @EnumSource(names = {"DAX", "FILE"})
  void fenceWithoutFlushIsNotDurable(PersistenceMode mode) throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.fence();
          device.flush(0, 8);
        };
    assertEquals(Set.of("0", "1"), reachable(mode, story, 0));
  }

  @Test
  void flushCoversItsLinesAndWhatWasStoredBefore() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          Gateway.putLong(window, LINE, 1);
          Gateway.putLong(window, 2 * LINE, 1);
          device.flush(LINE + 63, 1);
          Gateway.putLong(window, LINE, 2);
          device.fence();
        };
    assertEquals(
        Set.of("0 1 0", "0 1 1", "0 2 0", "0 2 1", "1 1 0", "1 1 1", "1 2 0", "1 2 1"),
        reachable(PersistenceMode.DAX, story, 0, LINE, 2 * LINE));
  }

  @Test
  void aFlushDoesNotCoverWhatIsStoredWhileItRuns() throws Exception {
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      Story story =
          (device, window) -> {
            Gateway.putLong(window, 0, 1);
            int began = recorder.position();
            Gateway.putLong(window, 0, 2);
            recorder.flushed(0, "slow", 0, 8, began);
            device.fence();
          };
      assertEquals(Set.of("1", "2"), reachable(record(recorder, PersistenceMode.DAX, story), 0));
    }
  }

  @Test
  void theFenceOfAnotherThreadIsNone() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.flush(0, 8);
          Thread.ofPlatform().start(device::fence).join();
        };
    assertEquals(Set.of("0", "1"), reachable(PersistenceMode.DAX, story, 0));
  }

  @Test
  void aLongStoreTearsBetweenItsWords() throws Exception {
    byte[] both = new byte[16];
    both[0] = 1;
    both[8] = 2;
    Story story = (_, window) -> Gateway.copyIn(both, 0, window, 0, 16);
    assertEquals(Set.of("0 0", "1 0", "1 2"), reachable(PersistenceMode.DAX, story, 0, 8));
    Files.delete(file("a"));
    story = (_, window) -> Gateway.copyIn(MemorySegment.ofArray(both), 0, window, LINE - 8, 16);
    assertEquals(
        Set.of("0 0", "0 2", "1 0", "1 2"), reachable(PersistenceMode.DAX, story, LINE - 8, LINE));
  }

  @Test
  void anUnalignedStoreTearsAtTheWordBorder() throws Exception {
    Story story = (_, window) -> Gateway.putLong(window, 4, 0x0000_0002_0000_0001L);
    assertEquals(
        Set.of("0 0", (1L << 32) + " 0", (1L << 32) + " 2"),
        reachable(PersistenceMode.DAX, story, 0, 8));
  }

  @Test
  void fillStoresItsBytesAndNoOthers() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, -1);
          device.flush(0, 8);
          device.fence();
          Gateway.fill(window, 2, 3, (byte) 0);
        };
    assertEquals(Set.of("-1", "-1099511562241"), reachable(PersistenceMode.DAX, story, 0));
  }

  @Test
  void pagesOfAFileAreIndependentAndKeepTheirOrder() throws Exception {
    Story story =
        (_, window) -> {
          Gateway.putLong(window, PAGE - 8, 1); // far from the next, and on the same page
          Gateway.putLong(window, 0, 2);
          Gateway.putLong(window, PAGE, 3);
        };
    assertEquals(
        Set.of("0 0 0", "0 0 3", "1 0 0", "1 0 3", "1 2 0", "1 2 3"),
        reachable(PersistenceMode.FILE, story, PAGE - 8, 0, PAGE));
  }

  @Test
  void msyncEndsThePastOfItsPagesAlone() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          Gateway.putLong(window, PAGE, 1);
          device.flush(PAGE - 1, 1); // the whole page
          device.fence();
        };
    assertEquals(Set.of("1 0", "1 1"), reachable(PersistenceMode.FILE, story, 0, PAGE));
  }

  @Test
  void devicesAreIndependentAndShareOneOrder() throws Exception {
    CrashLog log;
    int between;
    try (CrashRecorder recorder = CrashRecorder.start(directory);
        EmulatedDevice a = EmulatedDevice.create(file("a"), CAPACITY, PersistenceMode.DAX);
        EmulatedDevice b = EmulatedDevice.create(file("b"), CAPACITY, PersistenceMode.DAX);
        Window onA = a.map();
        Window onB = b.map()) {
      Gateway.putLong(onA, 0, 1);
      Gateway.putLong(onB, 0, 1);
      a.flush(0, 8);
      b.fence();
      between = recorder.position();
      a.fence();
      log = recorder.log();
    }
    Set<String> before = new HashSet<>();
    for (CrashImage image : images(log, between, 2, 1)) {
      before.add(word(image, file("a"), 0) + " " + word(image, file("b"), 0));
    }
    assertEquals(Set.of("0 0", "0 1", "1 0", "1 1"), before);
    Set<String> after = new HashSet<>();
    for (CrashImage image : last(log)) {
      after.add(word(image, file("a"), 0) + " " + word(image, file("b"), 0));
    }
    assertEquals(Set.of("1 0", "1 1"), after);
  }

  @Test
  void suppressedSiteMakesTheLossReachable() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.flush("record", 0, 8);
          device.fence("record");
          device.flush("other", 0, 8);
        };
    for (String kind : List.of("nothing", "flush", "fence", "elsewhere")) {
      try (CrashRecorder recorder = CrashRecorder.start(directory)) {
        switch (kind) {
          case "flush" -> recorder.suppressFlush("record");
          case "fence" -> recorder.suppressFence("record");
          case "elsewhere" -> recorder.suppressFlush("other");
          default -> {}
        }
        CrashLog log = record(recorder, PersistenceMode.DAX, story);
        boolean harmless = kind.equals("nothing") || kind.equals("elsewhere");
        assertEquals(harmless ? Set.of("1") : Set.of("0", "1"), reachable(log, 0), kind);
        assertEquals(Map.of("record", 1, "other", 1), log.flushSites());
        assertEquals(Map.of("record", 1), log.fenceSites());
      }
      Files.delete(file("a"));
    }
  }

  @Test
  void refusedFlushIsNone() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.faults().failFlushes(1);
          assertThrows(RuntimeException.class, () -> device.flush(0, 8));
          device.fence();
        };
    assertEquals(Set.of("0", "1"), reachable(PersistenceMode.FILE, story, 0));
  }

  @Test
  void writesToTheMediumAreDurableAtOnce() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.faults().misdirectedWrite(8, new byte[] {5});
          Gateway.putLong(window, 0, 2);
        };
    assertEquals(Set.of("1 5", "2 5"), reachable(PersistenceMode.DAX, story, 0, 8));
  }

  @Test
  void hashesAreEqualWhereTheBytesAre() throws Exception {
    CrashLog log =
        record(
            PersistenceMode.DAX,
            (device, window) -> {
              for (int i = 0; i < 3; i++) {
                Gateway.putLong(window, 0, 1);
                Gateway.putLong(window, 8, i);
                Gateway.putLong(window, LINE, 7 - i);
                Gateway.copyIn(new byte[] {1, 0, (byte) i}, 0, window, LINE + 6, 3);
                device.flush(0, LINE);
                // Not flushed, in a line of which a part becomes durable.
                Gateway.putLong(window, 16, i);
                Gateway.putLong(window, 24, 2 - i);
                device.fence();
              }
              device.grow(2 * CAPACITY);
            });
    Map<Long, String> contents = new HashMap<>();
    Map<String, Long> hashes = new HashMap<>();
    int images = 0;
    for (int point = 0; point < log.points(); point++) {
      for (CrashImage image : images(log, point, 2, 1)) {
        images++;
        byte[] bytes = image.read(file("a"), 0, 2 * LINE);
        byte[] before = image.readFile(file("a"));
        String content =
            (bytes == null ? "-" : new String(bytes, StandardCharsets.ISO_8859_1))
                + (before == null ? "-" : "small file")
                + (point == log.points() - 1); // after growth
        String same = contents.put(image.hash(), content);
        assertTrue(same == null || same.equals(content), image::toString);
        Long known = hashes.put(content, image.hash());
        assertTrue(known == null || known == image.hash(), image::toString);
      }
    }
    assertTrue(
        contents.size() > 30 && images > 2 * contents.size(), contents.size() + "/" + images);
  }

  @Test
  void noTwoStatesOfOneWordShareAHash() {
    Set<Long> hashes = new HashSet<>();
    for (int offset = 0; offset < 512; offset += 8) {
      for (int value = 1; value < 1_000; value++) {
        assertTrue(hashes.add(StateHash.atom(7, offset, value)), offset + ": " + value);
      }
    }
  }

  @Test
  void samplesHaveTheExtremesAndFollowTheSeed() throws Exception {
    CrashLog log =
        record(
            PersistenceMode.DAX,
            (_, window) -> {
              for (int i = 0; i < 13; i++) {
                Gateway.putLong(window, (long) i * LINE, 1);
              }
            });
    int end = log.points() - 1;
    assertEquals(1 << 13, log.ways(end));
    assertEquals(1 << 12, log.ways(end - 1));
    List<CrashImage> all = images(log, end - 1, 2, 1);
    assertEquals(1 << 12, all.stream().map(CrashImage::hash).distinct().count());

    List<CrashImage> sample = images(log, end, 500, 1);
    assertEquals(500, sample.stream().map(CrashImage::hash).distinct().count());
    assertEquals(0, sample.get(0).persisted());
    assertEquals(13, sample.get(0).lost());
    assertEquals(13, sample.get(1).persisted());
    assertEquals(0, sample.get(1).lost());
    assertEquals(hashes(sample), hashes(images(log, end, 500, 1)));
    assertFalse(hashes(sample).equals(hashes(images(log, end, 500, 2))));
    assertEquals(hashes(sample.subList(0, 2)), hashes(images(log, end, 2, 3)));
    // Every line lost alone, and every line there alone: the bugs that need one of many.
    Set<Integer> persisted = new HashSet<>();
    sample.forEach(image -> persisted.add(image.persisted()));
    assertTrue(persisted.containsAll(Set.of(1, 12)), persisted::toString);
  }

  private static List<Long> hashes(List<CrashImage> images) {
    return images.stream().map(CrashImage::hash).toList();
  }

  @Test
  void pointsCanBeAskedForInAnyOrder() throws Exception {
    CrashLog log =
        record(
            PersistenceMode.DAX,
            (device, window) -> {
              Gateway.putLong(window, 0, 1);
              device.flush(0, 8);
              device.fence();
              Gateway.putLong(window, 0, 2);
            });
    List<Long> end = hashes(last(log));
    int point = log.points() - 2;
    List<CrashImage> kept = images(log, point, 2, 1);
    assertEquals(end, hashes(last(log)));
    assertEquals(hashes(kept), hashes(images(log, point, 2, 1)));
    assertEquals(1, word(kept.get(0), file("a"), 0)); // and not what came later
  }

  @Test
  void smallFilesAreOldOrNew() throws Exception {
    Path witness = file("witness");
    Files.writeString(witness, "0");
    CrashLog log;
    int[] positions = new int[3];
    try (CrashRecorder recorder = CrashRecorder.start(directory);
        EmulatedDevice device = EmulatedDevice.create(file("a"), CAPACITY, PersistenceMode.DAX);
        Window window = device.map()) {
      positions[0] = recorder.position();
      DurableFile.replace(witness, new byte[] {'1'});
      positions[1] = recorder.position();
      Gateway.putLong(window, 0, 1);
      DurableFile.replace(witness, new byte[] {'2'});
      positions[2] = recorder.position();
      log = recorder.log();
    }
    assertEquals(Set.of("0"), contents(log, witness, 0, positions[0]));
    assertEquals(Set.of("0", "1"), contents(log, witness, positions[0], positions[1]));
    assertEquals(Set.of("1"), contents(log, witness, positions[1], positions[1] + 1));
    assertEquals(Set.of("2"), contents(log, witness, positions[2], positions[2]));
  }

  private static Set<String> contents(CrashLog log, Path file, int from, int to) {
    Set<String> found = new TreeSet<>();
    for (int point = from; point <= to; point++) {
      for (CrashImage image : images(log, point, 2, 1)) {
        byte[] content = image.readFile(file);
        found.add(content == null ? "none" : new String(content, StandardCharsets.US_ASCII));
      }
    }
    return found;
  }

  /** What another thread does while the file is written sees both. */
  @Test
  void aChangeOfFilesThatHasBegunMayBeThere() throws Exception {
    Path witness = file("witness");
    CrashLog log;
    int during;
    try (CrashRecorder recorder = CrashRecorder.start(directory);
        EmulatedDevice device = EmulatedDevice.create(file("a"), CAPACITY, PersistenceMode.DAX);
        Window window = device.map()) {
      Tracking.sideFilesBegin(witness);
      Gateway.putLong(window, 0, 1);
      during = recorder.position();
      Gateway.putLong(window, 0, 2);
      Files.writeString(witness, "new");
      Tracking.sideFilesChanged(witness);
      Tracking.sideFilesEnd(witness);
      log = recorder.log();
    }
    assertEquals(Set.of("none", "new"), contents(log, witness, during, during));
    assertEquals(Set.of("new"), contents(log, witness, log.points() - 1, log.points() - 1));
  }

  @Test
  void largeDevicesAreRefused() throws Exception {
    long tooLarge = CrashRecorder.LARGEST_DEVICE + PAGE;
    try (CrashRecorder _ = CrashRecorder.start(directory)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> EmulatedDevice.create(file("large"), tooLarge, PersistenceMode.DAX));
      assertTrue(String.valueOf(e.getMessage()).contains("at most 67108864"), e::toString);
      assertFalse(Files.exists(file("large")));
      try (EmulatedDevice small =
          EmulatedDevice.create(file("small"), CAPACITY, PersistenceMode.DAX)) {
        assertThrows(IllegalArgumentException.class, () -> small.grow(tooLarge));
        assertEquals(CAPACITY, small.capacity());
      }
    }
  }

  @Test
  void onlyTrackedDevicesCallThemselvesPersistentMemory() {
    try (CrashRecorder _ = CrashRecorder.start(directory)) {
      assertThrows(IllegalStateException.class, () -> CrashRecorder.start(directory));
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> EmulatedDevice.create(file("a"), CAPACITY, PersistenceMode.DAX));
  }

  @Test
  void storesToADeadDeviceAreNotInTheLog() throws Exception {
    Story story =
        (device, window) -> {
          Gateway.putLong(window, 0, 1);
          device.faults().remove();
          assertThrows(InternalError.class, () -> Gateway.putLong(window, 0, 2));
          device.faults().reinsert();
        };
    assertEquals(Set.of("0", "1"), reachable(PersistenceMode.DAX, story, 0));
  }

  @Test
  void devicesThatWereThereBeforeBelongToTheImage() throws Exception {
    try (EmulatedDevice old =
            EmulatedDevice.create(file("old"), CAPACITY, PersistenceMode.PROCESS);
        Window window = old.map()) {
      Access.store(window, 8, 42);
    }
    CrashLog log = record(PersistenceMode.DAX, TWO_STORES_TO_A_LINE);
    for (CrashImage image : last(log)) {
      assertEquals(42, word(image, file("old"), 8));
    }
    byte[] none = images(log, 0, 2, 1).get(0).read(file("a"), 0, 8);
    assertArrayEquals(null, none);
    assertNotNull(last(log).get(0).read(file("a"), 0, 8));
  }
}
