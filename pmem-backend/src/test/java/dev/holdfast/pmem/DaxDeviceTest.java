package dev.holdfast.pmem;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.FileExtents.Extent;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * DAX devices on an ordinary file system, over a sysfs that was recorded. What only a kernel with
 * persistent memory shows, the lane of {@code docs/testing.md} does.
 */
class DaxDeviceTest {
  private static final int PAGE = FaultInjector.pageSize();
  private static final long CAPACITY = 16L * PAGE;

  /** Where the file begins on the recorded disk; the driver's own data are in front of that. */
  private static final long ON_DISK = 8L << 20;

  private static final int SECTOR = 512;

  @TempDir Path directory;

  private final List<Fault> told = new CopyOnWriteArrayList<>();

  /** Where the file lies; changes when it is given another place. */
  private final List<Extent> extents = new CopyOnWriteArrayList<>();

  private RecordedSysfs sysfs;
  private long number;
  private Path file;
  private DaxHost host;
  private DaxDevice device;
  private Window window;

  @BeforeEach
  void create() throws IOException {
    sysfs = new RecordedSysfs(Files.createDirectory(directory.resolve("sys")));
    number = DaxMount.deviceNumber(directory);
    sysfs.plug(number);
    extents.add(new Extent(0, ON_DISK, 1L << 30));
    file = directory.resolve("leg");
    host = host(0);
    device = DaxDevice.create(file, CAPACITY, PersistenceMode.FILE, host);
    device.hold((from, fault) -> told.add(fault));
    window = device.map();
  }

  private DaxHost host(long pollMillis) {
    return new DaxHost(
        sysfs.root(), Path.of("/proc/self/mountinfo"), (fd, name) -> extents, pollMillis);
  }

  @AfterEach
  void close() {
    window.close();
    device.close();
  }

  /** As the kernel does when a page of the device is found bad. */
  private void spoil(long offset) throws IOException {
    long sector = (ON_DISK + DeviceLabel.SIZE + offset) / SECTOR;
    sysfs.diskBadBlocks(sector + " 8\n");
  }

  @Test
  void anOrdinaryFileSystemIsRefusedInWords() {
    Path other = directory.resolve("other");
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> DaxDevice.create(other, CAPACITY, PersistenceMode.DAX, host));
    for (String word :
        new String[] {"expected a file on a DAX mount", "no DAX", "pmem0", " on /"}) {
      assertTrue(String.valueOf(e.getMessage()).contains(word), e.getMessage());
    }
    assertFalse(Files.exists(other));
    assertThrows(
        IllegalArgumentException.class, () -> DaxDevice.open(file, PersistenceMode.DAX, host));
  }

  @Test
  void aListThatIsNotThereAndOneThatIsNoneAreNotAnEmptyOne() throws IOException {
    assertEquals(new BadBlockAnswer.Listed(List.of()), device.queryBadBlocks());
    sysfs.diskBadBlocks("no list\n");
    assertTrue(
        device.queryBadBlocks() instanceof BadBlockAnswer.Failed(String why)
            && why.contains("badblocks"));
    sysfs.noBadBlockList();
    assertTrue(
        device.queryBadBlocks() instanceof BadBlockAnswer.Unsupported(String why)
            && why.contains("no list of bad blocks"));
  }

  @Test
  void aProbeLeavesNothingBehindAndChangesNoFile() throws IOException {
    byte[] before = Files.readAllBytes(file);
    assertFalse(DaxMount.probe(directory.resolve("none"), host).dax());
    assertFalse(DaxMount.probe(file, host).dax());
    assertEquals(before.length, Files.size(file));
    try (var files = Files.list(directory)) {
      assertEquals(
          List.of("leg", "sys"), files.map(f -> f.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void anInterruptChangesNoProbe() {
    String words = DaxMount.probe(file, host).words();
    Thread.currentThread().interrupt();
    try {
      assertEquals(words, DaxMount.probe(file, host).words());
    } finally {
      assertTrue(Thread.interrupted(), "it stays for whom it was meant for");
    }
  }

  @Test
  void theMountIsTheOneThatTheFileLiesOn() throws IOException {
    Path mounts = directory.resolve("sys/mountinfo");
    Path real = directory.toRealPath();
    Files.writeString(
        mounts,
        "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
            + "40 22 259:0 / "
            + real
            + " rw shared:9 - xfs /dev/pmem0 rw,dax=always,noquota\n"
            + "41 22 259:1 / "
            + real
            + "/deeper rw - xfs /dev/pmem1 rw\n");
    DaxHost recorded = new DaxHost(sysfs.root(), mounts, host.extents(), 0);
    String words = DaxMount.probe(file, recorded).words();
    assertTrue(words.contains("xfs of /dev/pmem0 on " + real), words);
    assertTrue(words.contains("dax=always"), words);
    assertTrue(words.contains("its bad blocks are read"), words);
    sysfs.unplug(number);
    assertTrue(DaxMount.probe(file, recorded).words().contains("no block device is known"));
  }

  @Test
  void storesSurviveAnOpenAndAreFlushedByMsync() {
    Access.store(window, 8, 42);
    device.flush(8, 8);
    device.fence();
    window.close();
    device.close();
    device = DaxDevice.open(file, PersistenceMode.FILE, host);
    window = device.map();
    assertEquals(42, Access.load(window, 8));
    assertEquals(PersistenceMode.FILE, device.persistenceMode());
    device.grow(2 * CAPACITY);
    Access.store(window, 2 * CAPACITY - 8, 43);
    assertEquals(43, Access.load(window, 2 * CAPACITY - 8));
  }

  @Test
  void aBadSectorUnderTheFileFaultsInWindowsThatWereMappedBefore() throws IOException {
    Access.store(window, 3L * PAGE, 1);
    spoil(3L * PAGE);
    device.poll();
    assertEquals(List.of(new BadRange(3L * PAGE, 8 * SECTOR)), device.badBlocks());
    assertEquals(List.of(new Fault(FaultKind.POISON, 3L * PAGE, 8 * SECTOR)), told);
    assertTrue(Access.faults(window, 3L * PAGE));
    assertFalse(Access.faults(window, 2L * PAGE));
    assertFalse(Access.faults(window, 4L * PAGE));
    assertThrows(PoisonedRangeException.class, () -> device.read(3L * PAGE, new byte[8], 0, 8));
    device.poll();
    assertEquals(1, told.size());
  }

  @Test
  void badSectorsAreKnownAtOpenAndOutliveTheirList() throws IOException {
    spoil(5L * PAGE);
    window.close();
    device.close();
    device = DaxDevice.open(file, PersistenceMode.FILE, host);
    window = device.map();
    assertTrue(Access.faults(window, 5L * PAGE));
    device.poll();
    device.close();
    sysfs.diskBadBlocks("");
    device = DaxDevice.open(file, PersistenceMode.FILE, host);
    window = device.map();
    assertTrue(Access.faults(window, 5L * PAGE));
  }

  @Test
  void badSectorsElsewhereAndUnderTheLabelAreNone() throws IOException {
    long last = (ON_DISK + DeviceLabel.SIZE + CAPACITY) / SECTOR;
    sysfs.diskBadBlocks("0 8\n" + (ON_DISK / SECTOR - 1) + " 9\n" + last + " 8\n");
    device.poll();
    assertEquals(List.of(), device.badBlocks());
    assertEquals(DeviceState.LIVE, device.state());
  }

  @Test
  void aListThatCannotBeReadIsNoRemoval() throws IOException {
    sysfs.diskBadBlocks("what?\n");
    device.poll();
    assertLivesOn();
    spoil(0);
    device.poll();
    assertTrue(Access.faults(window, 0));
  }

  /** One that died and returned within a poll is LIVE, too. */
  private void assertLivesOn() {
    assertEquals(DeviceState.LIVE, device.state());
    assertEquals(1, device.generation());
    assertEquals(List.of(), told);
  }

  /**
   * Behind the end of a file a read fails, as it does on a bad sector and on a dead file system.
   */
  private void cutOff(long bytes) throws IOException {
    try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(bytes);
    }
  }

  @Test
  void aBadSectorUnderTheLabelIsNoRemoval() throws IOException {
    sysfs.diskBadBlocks(ON_DISK / SECTOR + " 8\n");
    cutOff(0);
    device.poll();
    assertLivesOn();
    sysfs.diskBadBlocks("");
    device.poll();
    assertEquals(DeviceState.DEAD, device.state(), "nothing else explains it");
  }

  @Test
  void aReadThatFailsFindsOutWhy() throws IOException {
    cutOff(DeviceLabel.SIZE);
    byte[] into = new byte[8];
    assertThrows(DeviceIoException.class, () -> device.read(0, into, 0, 8));
    spoil(0);
    assertThrows(PoisonedRangeException.class, () -> device.read(0, into, 0, 8));
    sysfs.unplug(number);
    assertThrows(DeviceOfflineException.class, () -> device.read(PAGE, into, 0, 8));
  }

  @Test
  void aDeviceThatReturnsAsAnotherDiskIsWatchedAsThat() throws IOException {
    sysfs.unplug(number);
    device.poll();
    sysfs.exchange("10");
    sysfs.plug(number);
    device.poll();
    assertEquals(DeviceState.LIVE, device.state());
    long generation = device.generation();
    device.poll();
    assertEquals(generation, device.generation(), "the disk is the one that it is on now");
  }

  @Test
  void poisonIsClearedDroppedAndTold() throws IOException {
    spoil(3L * PAGE);
    device.poll();
    sysfs.diskBadBlocks(""); // As memory that clears poison when it is written to.
    assertEquals(new BadRange(3L * PAGE, PAGE), device.clearPoison(3L * PAGE, 8));
    assertEquals(1, device.badBlocks().size());
    assertEquals(0, Access.load(window, 3L * PAGE));
    Access.store(window, 3L * PAGE, 7);
    device.flush(3L * PAGE, PAGE);
    device.dropBadBlocks(3L * PAGE, PAGE);
    device.poll();
    assertEquals(List.of(), device.badBlocks());
    assertEquals(FaultKind.CLEARED, told.getLast().kind());
    byte[] back = new byte[8];
    device.read(3L * PAGE, back, 0, 8);
    assertEquals(7, back[0]);
  }

  /**
   * A file system that gives a page the place that is nearest, be it bad: the one where it lay, or
   * the one where another page lay before.
   */
  private final class NearestFirst implements FileExtents.Source {
    private static final long SPOILED_FIRST = ON_DISK / 2;
    private final long page;
    private final long[] places;
    private final boolean steered;
    private int place;

    NearestFirst(long page, boolean steered, long... places) {
      this.page = page;
      this.steered = steered;
      this.places = places;
    }

    private boolean isKept(long physical) {
      try (var files = Files.list(directory)) {
        return files.anyMatch(
            f -> f.toString().contains(".spoiled") && of(0, f).getLast().physical() == physical);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public List<Extent> of(int fd, Path name) {
      long size = name.toFile().length();
      if (!name.equals(file)) {
        Extent first = new Extent(0, SPOILED_FIRST, PAGE);
        long second = steered ? SPOILED_FIRST + size - PAGE : 7 * ON_DISK;
        return size <= PAGE
            ? List.of(first)
            : List.of(first, new Extent(size - PAGE, second, PAGE));
      }
      while (isKept(places[place])) {
        place++;
      }
      return List.of(
          new Extent(0, ON_DISK, page),
          new Extent(page, places[place], PAGE),
          new Extent(page + PAGE, ON_DISK + page + PAGE, 1L << 30));
    }
  }

  private DaxHost with(FileExtents.Source source) {
    return new DaxHost(sysfs.root(), host.mounts(), source, 0);
  }

  private List<String> spoiledFiles() throws IOException {
    try (var files = Files.list(directory)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(name -> name.contains("spoiled"))
          .sorted()
          .toList();
    }
  }

  @Test
  void sectorsThatStayBadAreLeftByTheFileAndGivenToNobody() throws IOException {
    device.close();
    long page = DeviceLabel.SIZE + 3L * PAGE;
    long other = 2 * ON_DISK;
    sysfs.diskBadBlocks((ON_DISK + page) / SECTOR + " 8\n" + other / SECTOR + " 8\n");
    FileExtents.Source source = new NearestFirst(page, true, ON_DISK + page, other, 4 * ON_DISK);
    device = DaxDevice.open(file, PersistenceMode.FILE, with(source));
    window = device.map();
    assertTrue(Access.faults(window, 3L * PAGE));
    assertEquals(new BadRange(3L * PAGE, PAGE), device.clearPoison(3L * PAGE, 8));
    assertEquals(4 * ON_DISK, source.of(0, file).get(1).physical());
    assertEquals(List.of("leg.spoiled0", "leg.spoiled1"), spoiledFiles());
    Access.store(window, 3L * PAGE, 7);
    device.dropBadBlocks(3L * PAGE, PAGE);
    device.poll();
    assertEquals(List.of(), device.badBlocks());
    assertFalse(Access.faults(window, 3L * PAGE));
  }

  @Test
  void aPageThatCannotBeKeptLeavesNoFileBehind() throws IOException {
    device.close();
    long page = DeviceLabel.SIZE + 3L * PAGE;
    spoil(3L * PAGE);
    FileExtents.Source source = new NearestFirst(page, false, ON_DISK + page, 4 * ON_DISK);
    device = DaxDevice.open(file, PersistenceMode.FILE, with(source));
    window = device.map();
    assertThrows(DeviceIoException.class, () -> device.clearPoison(3L * PAGE, 8));
    assertEquals(List.of(), spoiledFiles());
  }

  @Test
  void aSectorThatTheFileCannotLeaveStaysBad() throws IOException {
    spoil(3L * PAGE);
    device.poll();
    var e = assertThrows(DeviceIoException.class, () -> device.clearPoison(3L * PAGE, 8));
    assertTrue(String.valueOf(e.getMessage()).contains("cannot be cleared"), e.getMessage());
    assertTrue(Access.faults(window, 3L * PAGE));
    assertEquals(1, device.badBlocks().size());
  }

  @Test
  void aBlockDeviceThatDisappearsTakesTheDeviceWithIt() throws IOException {
    Access.store(window, 0, 1);
    sysfs.unplug(number);
    device.poll();
    assertEquals(DeviceState.DEAD, device.state());
    assertEquals(List.of(Fault.ofDevice(FaultKind.REMOVED, CAPACITY)), told);
    for (long at = 0; at < CAPACITY; at += PAGE) {
      assertTrue(Access.faults(window, at));
    }
    List<Runnable> ways = new ArrayList<>();
    ways.add(() -> device.map());
    ways.add(() -> device.read(0, new byte[8], 0, 8));
    ways.add(() -> device.flush(0, 8));
    ways.add(() -> device.grow(2 * CAPACITY));
    ways.add(() -> device.clearPoison(0, 8));
    for (Runnable way : ways) {
      assertThrows(DeviceOfflineException.class, way::run);
    }
    device.poll();
    assertEquals(1, told.size());
  }

  @Test
  void aDeviceThatIsBackIsOneOfItsOwnGeneration() throws IOException {
    Access.store(window, 0, 99);
    device.flush(0, 8);
    long before = device.generation();
    sysfs.exchange("10");
    device.poll();
    // The new disk is there at once: gone and back in one look, and told in this order.
    assertEquals(
        List.of(FaultKind.REMOVED, FaultKind.RETURNED), told.stream().map(Fault::kind).toList());
    assertEquals(DeviceState.LIVE, device.state());
    assertNotEquals(before, device.generation());
    assertTrue(Access.faults(window, 0), "windows of the former life stay dead");
    try (Window fresh = device.map()) {
      assertEquals(99, Access.load(fresh, 0));
    }
  }

  @Test
  void anotherDeviceInThePlaceIsNoReturn() throws IOException {
    sysfs.unplug(number);
    device.poll();
    Files.delete(file);
    DaxDevice.create(file, CAPACITY, PersistenceMode.FILE, host).close();
    sysfs.plug(number);
    device.poll();
    assertEquals(DeviceState.DEAD, device.state());
  }

  @Test
  void aDeviceThatGoesWhileItsBadBlocksAreReadIsGoneInTheSameLook() throws IOException {
    device.close();
    FileExtents.Source goes =
        (fd, name) -> {
          try {
            sysfs.unplug(number);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          throw new DeviceIoException(name + ": FIEMAP: errno 5");
        };
    device = DaxDevice.open(file, PersistenceMode.FILE, with(goes));
    window = device.map();
    spoil(0);
    device.poll();
    assertEquals(DeviceState.DEAD, device.state());
  }

  /** How many descriptors of this process lead to the file. */
  private long descriptors() throws IOException {
    try (var all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(
              fd -> {
                try {
                  return Files.readSymbolicLink(fd).equals(file.toRealPath());
                } catch (IOException e) {
                  return false;
                }
              })
          .count();
    }
  }

  private boolean isMapped() throws IOException {
    return Files.readString(Path.of("/proc/self/maps")).contains(file.toRealPath() + "\n");
  }

  @Test
  void nothingKeepsThePlaceOfADeviceThatIsGone() throws IOException {
    device.heartbeat();
    assertEquals(2, descriptors());
    assertTrue(isMapped());
    sysfs.unplug(number);
    device.poll();
    assertEquals(0, descriptors());
    assertFalse(isMapped());
    sysfs.plug(number);
    assertTrue(device.comeBack(false));
    device.heartbeat();
    assertEquals(2, descriptors());
    device.poll();
    assertEquals(FaultKind.RETURNED, told.getLast().kind());
  }

  @Test
  void aDeviceThatWasAbandonedComesBackOnceItWasAway() throws IOException {
    device.abandon();
    assertEquals(DeviceState.DEAD, device.state());
    assertEquals(0, descriptors());
    assertTrue(Access.faults(window, 0));
    assertThrows(DeviceOfflineException.class, device::heartbeat);
    device.poll();
    assertEquals(List.of(Fault.ofDevice(FaultKind.REMOVED, CAPACITY)), told);
    assertFalse(device.comeBack(false), "it never was away");
    Files.move(file, directory.resolve("elsewhere"));
    device.poll();
    Files.move(directory.resolve("elsewhere"), file);
    device.poll();
    assertEquals(DeviceState.LIVE, device.state());
    assertEquals(
        List.of(FaultKind.REMOVED, FaultKind.RETURNED), told.stream().map(Fault::kind).toList());
    device.abandon();
    assertTrue(device.comeBack(true), "somebody says so");
    assertEquals(5, device.generation(), "it died twice and returned twice");
    device.abandon();
    device.close();
    assertFalse(device.comeBack(true));
    assertEquals(0, descriptors());
    device.abandon();
  }

  @Test
  void aHeartbeatFindsAFileThatLiesThereNoMore() throws IOException {
    Files.move(file, directory.resolve("elsewhere"));
    assertThrows(DeviceIoException.class, device::heartbeat);
    Files.move(directory.resolve("elsewhere"), file);
    device.heartbeat();
    try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(CAPACITY / 2);
    }
    assertThrows(DeviceIoException.class, device::heartbeat);
  }

  @Test
  void whatItGrewByMayNotHaveComeToTheMedium() throws IOException {
    Path then = directory.resolve("then");
    Files.copy(file, then);
    device.grow(2 * CAPACITY);
    sysfs.unplug(number);
    device.poll();
    Files.move(then, file, StandardCopyOption.REPLACE_EXISTING);
    sysfs.plug(number);
    device.poll();
    assertEquals(DeviceState.LIVE, device.state());
    assertEquals(CAPACITY, device.capacity());
  }

  @Test
  void closingWhileAThreadLooksNeverFails() throws IOException {
    device.close();
    for (int i = 0; i < 50; i++) {
      try (DaxDevice looking = DaxDevice.open(file, PersistenceMode.FILE, host(1));
          Window mapped = looking.map()) {
        spoil((i % 16) * (long) PAGE);
        if (i % 3 == 0) {
          sysfs.unplug(number);
          await().until(() -> looking.state() == DeviceState.DEAD);
          sysfs.plug(number);
        }
        assertTrue(mapped.reserve() > 0);
      }
      assertEquals(0, descriptors());
    }
  }

  @Test
  void aModeGoesUp() {
    device.close();
    device = DaxDevice.open(file, PersistenceMode.PROCESS, host);
    device.flush(0, 8);
    device.raise(PersistenceMode.FILE);
    assertEquals(PersistenceMode.FILE, device.persistenceMode());
    assertThrows(IllegalArgumentException.class, () -> device.raise(PersistenceMode.DAX));
  }

  @Test
  void aThreadLooksByItself() throws IOException {
    device.close();
    device = DaxDevice.open(file, PersistenceMode.FILE, host(10));
    device.hold((from, fault) -> told.add(fault));
    window = device.map();
    spoil(0);
    await().until(() -> told.size() == 1);
    sysfs.unplug(number);
    await().until(() -> told.size() == 2);
    sysfs.plug(number);
    await().until(() -> told.size() == 3);
    assertEquals(FaultKind.RETURNED, told.getLast().kind());
  }

  @Test
  void aCloseEndsTheThreadThatLooks() {
    device.close();
    device = DaxDevice.open(file, PersistenceMode.FILE, host(60_000));
    window = device.map();
    assertTrue(isSomebodyLooking());
    device.close();
    assertFalse(isSomebodyLooking());
  }

  private static boolean isSomebodyLooking() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().equals("holdfast-dax"));
  }

  @Test
  void aFileThatIsGoneIsOffline() throws IOException {
    assertThrows(
        DeviceOfflineException.class,
        () -> DaxDevice.open(directory.resolve("none"), PersistenceMode.FILE, host));
  }

  @Test
  void whatIsLeftOfARange() {
    List<BadRange> all = List.of(new BadRange(10, 10));
    assertEquals(all, DaxDevice.subtract(all, List.of(new BadRange(0, 10), new BadRange(20, 5))));
    assertEquals(
        List.of(new BadRange(10, 2), new BadRange(15, 5)),
        DaxDevice.subtract(all, List.of(new BadRange(12, 3))));
    assertEquals(List.of(), DaxDevice.subtract(all, List.of(new BadRange(10, 10))));
    assertEquals(
        List.of(new BadRange(15, 5)), DaxDevice.subtract(all, List.of(new BadRange(5, 10))));
  }
}
