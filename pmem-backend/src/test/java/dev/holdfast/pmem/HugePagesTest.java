package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.holdfast.error.OutOfSpaceException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Devices whose blocks are huge pages: the same device, page by page, only faster. */
class HugePagesTest {
  private static final int PAGE = FaultInjector.pageSize();
  private static final long HUGE = HugePages.SIZE;
  private static final long CAPACITY = 8 * HUGE;

  /** The part of the device that is in no huge page with the label. */
  private static final long FIRST = HUGE - DeviceLabel.SIZE;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  @TempDir Path onDisk;

  private EmulatedDevice create(long capacity) {
    return EmulatedDevice.create(directory.resolve("device"), capacity, PersistenceMode.PROCESS);
  }

  @Test
  void addressFitsThePlaceInTheFile() {
    for (long address : List.of(0L, 4096L, HUGE, HUGE + 4096, 7 * HUGE - 4096)) {
      for (long offset : List.of(0L, (long) DeviceLabel.SIZE, 3 * HUGE + 4096)) {
        long fitting = HugePages.fittingAddress(address, offset);
        assertEquals(0, (fitting - offset) % HUGE);
        assertTrue(fitting >= address && fitting < address + HUGE);
      }
    }
  }

  @Test
  void deviceInMemoryIsMappedInHugePagesWhereTheKernelHasThem() throws IOException {
    assumeTrue(HugePages.ON_DEVICES && kernelHasThem(), "a kernel that makes huge pages of a file");
    try (EmulatedDevice device = create(CAPACITY);
        Window window = device.map()) {
      assertTrue(window.populate(0, CAPACITY));
      // The first has the label, the last has no end.
      assertEquals((CAPACITY - HUGE) / 1024, inHugePages("device"));
      device.grow(CAPACITY + HUGE);
      device.grow(CAPACITY + 3 * HUGE);
      assertTrue(window.populate(0, CAPACITY + 3 * HUGE));
      assertEquals((CAPACITY + 2 * HUGE) / 1024, inHugePages("device"));
    }
    try (EmulatedDevice device =
            EmulatedDevice.open(directory.resolve("device"), PersistenceMode.PROCESS);
        Window window = device.map()) {
      assertTrue(window.populate(0, device.capacity()));
      assertEquals((CAPACITY + 2 * HUGE) / 1024, inHugePages("device"));
    }
  }

  @Test
  void growthByLessThanAHugePageKeepsWhatIsThere() {
    long step = HUGE / 4;
    try (EmulatedDevice device = create(step);
        Window window = device.map()) {
      for (long capacity = step; capacity <= 3 * HUGE; capacity += step) {
        device.grow(capacity);
        for (long at = capacity - step; at < capacity; at += PAGE) {
          Access.store(window, at, at + 1);
        }
        for (long at = 0; at < capacity; at += PAGE) {
          assertEquals(at + 1, Access.load(window, at));
        }
        assertTrue(Access.faults(window, Math.ceilDiv(capacity, PAGE) * (long) PAGE));
      }
    }
  }

  @Test
  void poisonTakesOnePageOfAHugeOne() {
    try (EmulatedDevice device = create(CAPACITY);
        Window window = device.map()) {
      for (long at = 0; at < CAPACITY; at += PAGE) {
        Access.store(window, at, at + 1);
      }
      long bad = FIRST + 5L * PAGE;
      device.faults().poison(bad, 1);
      for (long at = 0; at < CAPACITY; at += PAGE) {
        assertEquals(at == bad, Access.faults(window, at), "page at " + at);
        if (at != bad) {
          assertEquals(at + 1, Access.load(window, at));
        }
      }
      device.clearPoison(bad, 1);
      assertEquals(0, Access.load(window, bad));
      assertEquals(bad + PAGE + 1, Access.load(window, bad + PAGE));
    }
  }

  @Test
  void removalFaultsAllOfItAndReturnBringsItBack() {
    try (EmulatedDevice device = create(CAPACITY);
        Window window = device.map()) {
      Access.store(window, FIRST, 42);
      device.faults().remove();
      for (long at = 0; at < CAPACITY; at += PAGE) {
        assertTrue(Access.faults(window, at), "page at " + at);
      }
      device.faults().reinsert();
      assertTrue(Access.faults(window, FIRST));
      try (Window again = device.map()) {
        assertEquals(42, Access.load(again, FIRST));
      }
    }
  }

  @Test
  void partOfAHugePageCanBeGivenBack() throws IOException {
    try (EmulatedDevice device = create(CAPACITY);
        Window window = device.map()) {
      Access.store(window, FIRST, 42);
      Access.store(window, FIRST + HUGE - PAGE, 43);
      long before = blocks();
      assertTrue(device.giveBack(FIRST + PAGE, HUGE - 2L * PAGE));
      assertEquals((HUGE - 2L * PAGE) / 512, before - blocks());
      assertEquals(42, Access.load(window, FIRST));
      assertEquals(43, Access.load(window, FIRST + HUGE - PAGE));
    }
  }

  @Test
  void placeWithoutRoomForAHugePageIsOutOfSpace() throws IOException {
    try (SmallPlace place = SmallPlace.in(directory)) {
      Path file = place.directory().resolve("device");
      assertThrows(
          OutOfSpaceException.class,
          () -> EmulatedDevice.create(file, place.tooMuch(), PersistenceMode.PROCESS));
      assertFalse(Files.exists(file));
      try (EmulatedDevice device = EmulatedDevice.create(file, PAGE, PersistenceMode.PROCESS);
          Window window = device.map()) {
        Access.store(window, 0, 42);
        assertThrows(OutOfSpaceException.class, () -> device.grow(place.tooMuch()));
        assertEquals(PAGE, device.capacity());
        assertEquals(DeviceLabel.SIZE + PAGE, Files.size(file));
        assertEquals(42, Access.load(window, 0));
      }
    }
  }

  private long blocks() throws IOException {
    return EmulatedDeviceTest.blocks(directory.resolve("device"));
  }

  /** How much of the mappings of a file in the directory is in huge pages, KiB. */
  private long inHugePages(String name) throws IOException {
    long sum = 0;
    boolean within = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        within = line.endsWith(directory.resolve(name).toString());
      } else if (within && line.startsWith("ShmemPmdMapped:")) {
        sum += Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    return sum;
  }

  @Test
  void whatACutOffGrowthLeftWithoutBlocksGetsThemAtTheNextOpen() throws IOException {
    Path file = directory.resolve("device");
    create(PAGE).close();
    try (var longer = new RandomAccessFile(file.toFile(), "rw")) {
      longer.setLength(DeviceLabel.SIZE + CAPACITY);
    }
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
      assertEquals(CAPACITY, device.capacity());
      assertTrue(blocks() * 512 >= CAPACITY);
    }
  }

  @Test
  void roomIsThatOfAFileSystemInMemory() throws IOException {
    try (SmallPlace place = SmallPlace.in(directory)) {
      assumeTrue(place.mounted(), "a file system of its own");
      Path file = Files.createFile(place.directory().resolve("file"));
      int fd = Posix.open(file);
      try {
        assertEquals(1 << 20, Posix.roomInMemory(fd));
        Posix.allocate(fd, 0, 256 << 10, file);
        assertEquals(768 << 10, Posix.roomInMemory(fd));
      } finally {
        Posix.close(fd);
      }
    }
    int elsewhere = Posix.open(Files.createTempFile(onDisk, "file", ""));
    try {
      assumeTrue(!"tmpfs".equals(Files.getFileStore(onDisk).type()), "a disk");
      assertEquals(-1, Posix.roomInMemory(elsewhere));
    } finally {
      Posix.close(elsewhere);
    }
  }

  private boolean kernelHasThem() throws IOException {
    Path file = Files.createFile(directory.resolve("probe"));
    int fd = Posix.open(file);
    long base = Posix.mapNothing(2 * HUGE);
    try {
      Posix.allocate(fd, 0, HUGE, file);
      long address = HugePages.fittingAddress(base, 0);
      Posix.map(address, HUGE, Posix.MAP_FIXED, fd, 0);
      return Posix.collapse(address, HUGE);
    } finally {
      Posix.unmap(base, 2 * HUGE);
      Posix.close(fd);
    }
  }
}
