package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Crash images as files that devices are opened on, one after the other. */
class CrashPlaceTest {
  private static final int PAGE = 4096;
  private static final int CAPACITY = 8 * PAGE;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path recorded;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path shown;

  private UUID id = new UUID(0, 0);

  /** Stores all over two devices, growth, removal and small files. */
  private CrashLog history(long seed) throws Exception {
    Random random = new Random(seed);
    try (CrashRecorder recorder = CrashRecorder.start(recorded);
        EmulatedDevice a =
            EmulatedDevice.create(recorded.resolve("a"), CAPACITY, PersistenceMode.DAX);
        EmulatedDevice b =
            EmulatedDevice.create(recorded.resolve("b"), CAPACITY, PersistenceMode.FILE)) {
      id = a.id();
      Window onA = a.map();
      Window onB = b.map();
      for (int i = 0; i < 60; i++) {
        byte[] bytes = new byte[1 + random.nextInt(40)];
        random.nextBytes(bytes);
        long at = random.nextInt(CAPACITY - 64);
        Gateway.copyIn(bytes, 0, random.nextBoolean() ? onA : onB, at, bytes.length);
        if (random.nextInt(3) == 0) {
          EmulatedDevice flushed = random.nextBoolean() ? a : b;
          flushed.flush(0, CAPACITY);
          flushed.fence();
        }
        if (i == 20) {
          DurableFile.replace(recorded.resolve("note"), new byte[] {'n'});
        }
        if (i == 40) {
          a.grow(2 * CAPACITY);
          b.faults().remove();
          b.faults().reinsert();
          onB.close();
          onB = b.map();
        }
      }
      onA.close();
      onB.close();
      return recorder.log();
    }
  }

  private static void assertShows(CrashImage image, CrashLog log, Path at) throws Exception {
    for (String name : new String[] {"a", "b"}) {
      Path original = log.directories().get(0).resolve(name);
      Path file = at.resolve(name);
      byte[] small = image.readFile(original);
      long size = Files.exists(file) ? Files.size(file) - DeviceLabel.SIZE : -1;
      byte[] bytes = image.read(original, 0, (int) Math.max(0, size));
      if (bytes == null) {
        // Removed, not made yet, or just made: a file without content.
        assertEquals(small != null, Files.exists(file));
      } else if (Files.exists(file)) {
        byte[] found = Files.readAllBytes(file);
        assertArrayEquals(
            bytes, java.util.Arrays.copyOfRange(found, DeviceLabel.SIZE, found.length));
      } else {
        assertTrue(Files.exists(at.resolve(name + ".removed")));
      }
    }
    assertEquals(
        image.readFile(log.directories().get(0).resolve("note")) != null,
        Files.exists(at.resolve("note")));
  }

  @Test
  void everyImageIsWhatTheFilesHoldWhateverWasDoneToThem() throws Exception {
    showAll(history(Seed.next("CrashPlaceTest")));
  }

  /** Where a device is looked at that was a file without content in the image before. */
  @Test
  void aDeviceThatWasJustMadeInTheImageBeforeIsShown() throws Exception {
    showAll(history(26965806491042L));
  }

  private void showAll(CrashLog log) throws Exception {
    Random random = new Random(1);
    int visits = 0;
    try (CrashPlace place = CrashPlace.of(log, shown)) {
      for (int point = 0; point < log.points(); point++) {
        for (CrashImage image : log.images(point, 4, point)) {
          if (visits % 7 == 0 || random.nextInt(20) == 0) {
            place.show(image);
            assertShows(image, log, shown);
            spoil(random);
          }
          visits++;
        }
      }
      // Once more, backwards and at random.
      for (int i = 0; i < 200; i++) {
        CrashImage image = log.images(random.nextInt(log.points()), 2, i).iterator().next();
        place.show(image);
        assertShows(image, log, shown);
        spoil(random);
      }
    }
  }

  /** What a store that is opened on an image may do to it. */
  private void spoil(Random random) throws Exception {
    for (String name : new String[] {"a", "b"}) {
      Path file = shown.resolve(name);
      if (!Files.exists(file) || Files.size(file) == 0) {
        continue;
      }
      PersistenceMode mode = name.equals("a") ? PersistenceMode.DAX : PersistenceMode.FILE;
      try (EmulatedDevice device = EmulatedDevice.open(file, mode);
          Window window = device.map()) {
        if (name.equals("a")) {
          assertEquals(id, device.id());
        }
        Gateway.putLong(window, random.nextInt(CAPACITY - 8), random.nextLong());
        Gateway.fill(window, random.nextInt(CAPACITY - PAGE), PAGE, (byte) 1);
        Gateway.barrier();
        switch (random.nextInt(5)) {
          case 0 -> device.grow(3 * CAPACITY);
          case 1 -> device.faults().flipBit(random.nextInt(CAPACITY), 3);
          case 2 -> device.faults().poison(random.nextInt(CAPACITY), 1);
          case 3 -> device.faults().remove();
          default -> {}
        }
      }
      DurableFile.write(shown.resolve("note"), "spoilt".getBytes(StandardCharsets.US_ASCII));
    }
  }

  @Test
  void crashOfARecoveryIsRecordedOnTheImage() throws Exception {
    CrashLog log = history(1);
    try (CrashPlace place = CrashPlace.of(log, shown)) {
      CrashImage image = log.images(log.points() - 1, 2, 1).iterator().next();
      place.show(image);
      CrashLog nested;
      try (CrashRecorder recorder = CrashRecorder.start(shown);
          EmulatedDevice a = EmulatedDevice.open(shown.resolve("a"), PersistenceMode.DAX);
          Window window = a.map()) {
        Gateway.putLong(window, 0, 4711);
        nested = recorder.log();
      }
      assertEquals(2, nested.ways(nested.points() - 1));
      try (CrashPlace _ = place) {
        place.show(image);
        assertShows(image, log, shown);
      }
    }
  }

  @Test
  void recordedDirectoryCanBeThePlace() throws Exception {
    CrashLog log = history(1);
    try (CrashPlace place = CrashPlace.of(log, recorded)) {
      for (int point = log.points() - 1; point >= 0; point -= 5) {
        CrashImage image = log.images(point, 2, 1).iterator().next();
        place.show(image);
        assertShows(image, log, recorded);
      }
    }
  }

  @Test
  void foreignFilesAreNotDeleted() throws Exception {
    CrashLog log = history(1);
    Files.writeString(shown.resolve("mine"), "mine");
    assertThrows(IllegalArgumentException.class, () -> CrashPlace.of(log, shown));
    assertTrue(Files.exists(shown.resolve("mine")));
  }

  @Test
  void writesThatNoDeviceKnowsOfAreFound() throws Exception {
    CrashLog log = history(1);
    CrashImage image = log.images(log.points() - 1, 2, 1).iterator().next();
    try (CrashPlace place = CrashPlace.of(log, shown)) {
      place.show(image);
      byte[] bytes = Files.readAllBytes(shown.resolve("a"));
      bytes[bytes.length - 1] ^= 1;
      Files.write(shown.resolve("a"), bytes, StandardOpenOption.WRITE);
      assertThrows(
          IllegalStateException.class,
          () -> {
            for (int i = 0; i < 1_000; i++) {
              place.show(image);
            }
          });
    }
    assertFalse(Tracking.emulatesPowerLoss(shown.resolve("a")));
  }
}
