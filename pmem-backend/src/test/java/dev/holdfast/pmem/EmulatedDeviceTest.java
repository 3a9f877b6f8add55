package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What an emulated device does while nobody breaks it. */
class EmulatedDeviceTest {
  private static final int PAGE = FaultInjector.pageSize();
  private static final long CAPACITY = 16L * PAGE;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private EmulatedDevice create() {
    return EmulatedDevice.create(directory.resolve("device"), CAPACITY, PersistenceMode.PROCESS);
  }

  @ParameterizedTest
  @EnumSource(names = {"FILE", "PROCESS"})
  void reopenKeepsIdentityAndBytes(PersistenceMode mode) {
    Path file = directory.resolve("device");
    UUID id;
    try (EmulatedDevice device = EmulatedDevice.create(file, CAPACITY, mode);
        Window window = device.map()) {
      id = device.id();
      Access.store(window, 3L * PAGE + 8, 42);
      device.flush(3L * PAGE + 8, Long.BYTES);
      device.fence();
    }
    try (EmulatedDevice device = EmulatedDevice.open(file, mode);
        Window window = device.map()) {
      assertEquals(id, device.id());
      assertEquals(CAPACITY, device.capacity());
      assertEquals(42, Access.load(window, 3L * PAGE + 8));
      assertEquals(mode, device.persistenceMode());
      assertEquals(DeviceState.LIVE, device.state());
    }
  }

  @Test
  void heartbeatWritesToTheFileAndLeavesTheLabel() throws IOException {
    Path file = directory.resolve("device");
    UUID id;
    try (EmulatedDevice device = create()) {
      id = device.id();
      device.heartbeat();
      Thread.currentThread().interrupt(); // Which closes a channel, and no descriptor.
      device.heartbeat();
      assertTrue(Thread.interrupted());
      device.heartbeat();
      assertEquals(3, Files.readAllBytes(file)[HeartbeatFile.OFFSET]);
      device.faults().shutDownFileSystem();
      assertThrows(DeviceIoException.class, device::heartbeat);
      device.flush(0, PAGE); // Which asks nobody in this mode.
      assertThrows(DeviceIoException.class, () -> device.writeBack("test", 0, PAGE));
    }
    EmulatedDevice closed = EmulatedDevice.open(file, PersistenceMode.PROCESS);
    closed.close();
    assertEquals(id, closed.id());
    assertThrows(DeviceOfflineException.class, closed::heartbeat);
  }

  @Test
  void heartbeatOfARemovedDeviceIsNone() {
    try (EmulatedDevice device = create()) {
      device.faults().remove();
      assertThrows(DeviceOfflineException.class, device::heartbeat);
      device.faults().reinsert();
      device.heartbeat();
    }
  }

  @Test
  void capacityIsRoundedUpToWholePages() {
    try (EmulatedDevice device =
        EmulatedDevice.create(directory.resolve("device"), PAGE + 1, PersistenceMode.PROCESS)) {
      assertEquals(2L * PAGE, device.capacity());
    }
  }

  @Test
  void fileCanBeReadAndWrittenByItsOwnerAlone() throws IOException {
    try (EmulatedDevice device = create()) {
      device.faults().poison(0, 1);
      try (var files = Files.list(directory)) {
        for (Path file : files.toList()) {
          assertEquals(
              "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        }
      }
    }
  }

  @Test
  void createLeavesAnExistingFileAlone() throws IOException {
    Path file = Files.writeString(directory.resolve("device"), "mine");
    assertThrows(
        DeviceIoException.class,
        () -> EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS));
    assertEquals("mine", Files.readString(file));
  }

  @Test
  void createRefusesThePlaceOfARemovedDevice() {
    Path file = directory.resolve("device");
    try (EmulatedDevice device = create()) {
      device.faults().remove();
      DeviceIoException e =
          assertThrows(
              DeviceIoException.class,
              () -> EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS));
      assertTrue(e.toString().contains("removed"), e.toString());
      assertFalse(Files.exists(file));
      device.faults().reinsert();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1L << 60, Long.MAX_VALUE})
  void capacityThatNoPlaceHasIsOutOfSpaceAndLeavesNoFile(long capacity) throws IOException {
    Path file = directory.resolve("device");
    assertThrows(
        OutOfSpaceException.class,
        () -> EmulatedDevice.create(file, capacity, PersistenceMode.PROCESS));
    try (var left = Files.list(directory)) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void fullDiskIsOutOfSpaceBeforeAnythingIsMapped() throws Exception {
    try (SmallPlace place = SmallPlace.in(directory)) {
      Path file = place.directory().resolve("device");
      assertThrows(
          OutOfSpaceException.class,
          () -> EmulatedDevice.create(file, place.tooMuch(), PersistenceMode.PROCESS));
      assertFalse(Files.exists(file));
      // The room that the failed attempt took is free again.
      EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS).close();
    }
  }

  @Test
  void growthOnAFullDiskChangesNothing() throws Exception {
    try (SmallPlace place = SmallPlace.in(directory)) {
      Path file = place.directory().resolve("device");
      try (EmulatedDevice device = EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS);
          Window window = device.map()) {
        Access.store(window, CAPACITY - 8, 7);
        long size = Files.size(file);
        assertThrows(OutOfSpaceException.class, () -> device.grow(place.tooMuch()));
        assertThrows(OutOfSpaceException.class, () -> device.grow(Long.MAX_VALUE));
        assertEquals(CAPACITY, device.capacity());
        assertEquals(size, Files.size(file));
        assertEquals(7, Access.load(window, CAPACITY - 8));
        Access.store(window, CAPACITY - 8, 8);
        assertEquals(8, Access.load(window, CAPACITY - 8));
        device.grow(CAPACITY + PAGE);
        assertEquals(CAPACITY + PAGE, device.capacity());
      }
    }
  }

  @Test
  void windowReachesWhatGrewBehindIt() {
    try (EmulatedDevice device = create();
        Window window = device.map()) {
      assertTrue(Access.faults(window, CAPACITY), "behind the end");
      device.grow(2 * CAPACITY);
      assertEquals(2 * CAPACITY, device.capacity());
      for (long offset = CAPACITY; offset < 2 * CAPACITY; offset += Long.BYTES) {
        assertEquals(0, Access.load(window, offset));
      }
      Access.store(window, 2 * CAPACITY - 8, 9);
      byte[] word = new byte[8];
      device.read(2 * CAPACITY - 8, word, 0, 8);
      assertArrayEquals(new byte[] {9, 0, 0, 0, 0, 0, 0, 0}, word);
      device.grow(PAGE);
      assertEquals(2 * CAPACITY, device.capacity());
    }
  }

  @Test
  void rangesOutsideTheDeviceAreRefused() {
    try (EmulatedDevice device = create();
        Window window = device.map()) {
      List<Consumer<long[]>> calls =
          List.of(
              r -> device.flush(r[0], r[1]),
              r -> device.clearPoison(r[0], r[1]),
              r -> device.dropBadBlocks(r[0], r[1]),
              r -> device.faults().poison(r[0], r[1]));
      long[][] ranges = {{-1, 1}, {0, -1}, {CAPACITY, 1}, {0, CAPACITY + 1}, {Long.MAX_VALUE, 1}};
      for (long[] range : ranges) {
        for (Consumer<long[]> call : calls) {
          assertThrows(IllegalArgumentException.class, () -> call.accept(range));
        }
      }
      assertThrows(
          IllegalArgumentException.class, () -> device.read(CAPACITY - 1, new byte[2], 0, 2));
      assertThrows(IndexOutOfBoundsException.class, () -> device.read(0, new byte[2], 1, 2));
      long[] outside = {-1, window.reserve(), window.reserve() - 7, Long.MAX_VALUE, Long.MIN_VALUE};
      for (long offset : outside) {
        assertThrows(IndexOutOfBoundsException.class, () -> Gateway.getLong(window, offset));
        assertThrows(IndexOutOfBoundsException.class, () -> Gateway.putLong(window, offset, 1));
        assertThrows(
            IndexOutOfBoundsException.class, () -> Gateway.fill(window, offset, 8, (byte) 0));
      }
      assertThrows(
          IndexOutOfBoundsException.class, () -> Gateway.fill(window, 0, Long.MAX_VALUE, (byte) 0));
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> Gateway.copyOut(window, 0, new byte[1], 0, Integer.MIN_VALUE));
      assertThrows(IllegalArgumentException.class, () -> Gateway.putLongRelease(window, 4, 1));
    }
  }

  @Test
  void openOfNothingIsOffline() {
    assertThrows(
        DeviceOfflineException.class,
        () -> EmulatedDevice.open(directory.resolve("device"), PersistenceMode.PROCESS));
  }

  @Test
  void symbolicLinkIsRefused() throws IOException {
    create().close();
    Path link = Files.createSymbolicLink(directory.resolve("link"), directory.resolve("device"));
    Path dangling =
        Files.createSymbolicLink(directory.resolve("dangling"), directory.resolve("nothing"));
    for (Path file : List.of(link, dangling)) {
      assertThrows(
          InvalidImageException.class, () -> EmulatedDevice.open(file, PersistenceMode.PROCESS));
      assertThrows(
          DeviceIoException.class,
          () -> EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS));
    }
    assertFalse(Files.exists(directory.resolve("nothing")));
  }

  @Test
  @Timeout(30)
  void whatIsNoRegularFileIsRefusedAtOnce() throws Exception {
    Path pipe = directory.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Path folder = Files.createDirectory(directory.resolve("folder"));
    for (Path file : List.of(pipe, folder, Path.of("/dev/zero"))) {
      assertThrows(
          InvalidImageException.class, () -> EmulatedDevice.open(file, PersistenceMode.PROCESS));
      assertThrows(
          DeviceIoException.class,
          () -> EmulatedDevice.create(file, CAPACITY, PersistenceMode.PROCESS));
      assertTrue(Files.exists(file, LinkOption.NOFOLLOW_LINKS));
    }
  }

  @Test
  void closedDeviceRefusesEverythingAndItsWindowsFault() {
    EmulatedDevice device = create();
    Window window = device.map();
    Access.store(window, 0, 1);
    device.close();
    device.close();
    assertTrue(Access.faults(window, 0));
    List<Runnable> calls =
        List.of(
            device::map,
            () -> device.flush(0, 8),
            () -> device.read(0, new byte[8], 0, 8),
            () -> device.grow(2 * CAPACITY),
            () -> device.clearPoison(0, 8),
            () -> device.dropBadBlocks(0, 8),
            () -> device.faults().poison(0, 8),
            () -> device.faults().flipBit(0, 1),
            () -> device.faults().misdirectedWrite(0, new byte[8]),
            () -> device.faults().remember(0, 8));
    for (Runnable call : calls) {
      assertThrows(DeviceOfflineException.class, call::run);
    }
    assertThrows(IllegalStateException.class, () -> device.faults().remove());
    assertTrue(Files.exists(device.file()), "a closed device must not be renamed away");
    window.close();
    window.close();
  }

  /** Four TiB of address space each: a leak ends the process after thirty windows. */
  @Test
  void windowClosedAfterItsDeviceGivesItsAddressesBack() throws IOException {
    EmulatedDevice device = create();
    Window window = device.map();
    String address = Long.toHexString(window.address) + "-";
    assertTrue(mapped(address));
    device.close();
    assertTrue(mapped(address));
    window.close();
    assertFalse(mapped(address));
  }

  private static boolean mapped(String address) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .anyMatch(line -> line.startsWith(address));
  }

  @Test
  void deviceThatIsNotTrackedNeverClaimsToBePersistentMemory() {
    assertThrows(
        IllegalArgumentException.class,
        () -> EmulatedDevice.create(directory.resolve("device"), PAGE, PersistenceMode.DAX));
    create().close();
    assertThrows(
        IllegalArgumentException.class,
        () -> EmulatedDevice.open(directory.resolve("device"), PersistenceMode.DAX));
    assertThrows(
        IllegalArgumentException.class,
        () -> EmulatedDevice.create(directory.resolve("other"), 0, PersistenceMode.PROCESS));
  }

  @Test
  void sparseCopyOfAnImageIsFilledUpBeforeItIsMapped() throws IOException {
    Path file = directory.resolve("device");
    create().close();
    byte[] label = new byte[DeviceLabel.SIZE];
    try (var in = Files.newInputStream(file)) {
      assertEquals(label.length, in.readNBytes(label, 0, label.length));
    }
    Path copy = directory.resolve("copy");
    try (var sparse = new java.io.RandomAccessFile(copy.toFile(), "rw")) {
      sparse.write(label);
      sparse.setLength(DeviceLabel.SIZE + CAPACITY);
    }
    EmulatedDevice.open(copy, PersistenceMode.PROCESS).close();
    assertTrue((long) Files.getAttribute(copy, "unix:size") >= CAPACITY);
    assertTrue(blocks(copy) * 512 >= CAPACITY, "blocks are reserved");
  }

  /** How many blocks of 512 bytes a file has. */
  static long blocks(Path file) throws IOException {
    var stat = new ProcessBuilder("stat", "-c", "%b", file.toString()).start();
    return Long.parseLong(
        new String(stat.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.US_ASCII)
            .trim());
  }

  @Test
  void failureToOpenLeavesNoDescriptorBehind() throws IOException {
    Path file = Files.write(directory.resolve("device"), new byte[DeviceLabel.SIZE]);
    long before = descriptors();
    for (int i = 0; i < 100; i++) {
      assertThrows(
          HoldfastException.class, () -> EmulatedDevice.open(file, PersistenceMode.PROCESS));
    }
    assertTrue(descriptors() < before + 50, "descriptors leak");
  }

  private static long descriptors() throws IOException {
    try (var open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }
}
