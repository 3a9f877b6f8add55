package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.PoisonedRangeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Poison, by both ways of making a page fault. */
@ParameterizedClass
@EnumSource
class PoisonTest {
  /** How pages are made to fault. */
  enum Way {
    /** What this machine does by itself. */
    SYSTEM,
    /** What every machine can do. */
    FAULT_PAGE;

    private PagePoison poison() {
      return this == SYSTEM ? PagePoison.SYSTEM : PagePoison.FAULT_PAGE;
    }
  }

  private static final int PAGE = FaultInjector.pageSize();
  private static final int PAGES = 16;
  private static final long CAPACITY = (long) PAGES * PAGE;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private final Way way;
  private EmulatedDevice device;
  private Window window;

  PoisonTest(Way way) {
    this.way = way;
  }

  @BeforeEach
  void open() {
    device =
        EmulatedDevice.create(
            directory.resolve("device"), CAPACITY, PersistenceMode.PROCESS, way.poison());
    window = device.map();
    for (long offset = 0; offset < CAPACITY; offset += Long.BYTES) {
      Gateway.putLong(window, offset, ~offset);
    }
    Gateway.barrier();
  }

  @AfterEach
  void close() {
    window.close();
    device.close();
  }

  private static List<Integer> faultingPages(Window window) {
    List<Integer> faulting = new ArrayList<>();
    for (int page = 0; page < PAGES; page++) {
      boolean first = Access.faults(window, (long) page * PAGE);
      assertEquals(first, Access.faults(window, (long) (page + 1) * PAGE - 8), "page " + page);
      if (first) {
        faulting.add(page);
      }
    }
    return faulting;
  }

  @Test
  void everyWindowFaultsOnExactlyThePoisonedPages() {
    try (Window second = device.map()) {
      assertEquals(new BadRange(3L * PAGE, 2L * PAGE), device.faults().poison(4L * PAGE - 1, 2));
      device.faults().poison(9L * PAGE, PAGE);
      try (Window later = device.map()) {
        for (Window each : List.of(window, second, later)) {
          assertEquals(List.of(3, 4, 9), faultingPages(each));
        }
      }
    }
    for (long offset = 0; offset < CAPACITY; offset += Long.BYTES) {
      long page = offset / PAGE;
      if (page != 3 && page != 4 && page != 9) {
        assertEquals(~offset, Access.load(window, offset), "a neighbour lost its bytes");
      }
    }
    assertEquals(
        List.of(new BadRange(3L * PAGE, 2L * PAGE), new BadRange(9L * PAGE, PAGE)),
        device.badBlocks());
  }

  @Test
  void storesAndCopiesThatTouchPoisonAreNotAcknowledged() {
    device.faults().poison(PAGE, 1);
    assertThrows(InternalError.class, () -> Access.store(window, PAGE + 8, 1));
    byte[] three = new byte[3 * PAGE];
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.copyOut(window, 0, three, 0, three.length);
          Gateway.barrier();
        });
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.copyIn(three, 0, window, 0, three.length);
          Gateway.barrier();
        });
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.fill(window, 0, three.length, (byte) 1);
          Gateway.barrier();
        });
  }

  @Test
  void pageIsPoisonedInTheWayThatWasAskedFor() throws IOException {
    device.faults().poison(PAGE, 1);
    boolean kernel = way == Way.SYSTEM && PagePoison.SYSTEM.name().equals("UFFDIO_POISON");
    boolean sharedMemory = Files.getFileStore(directory).type().equals("tmpfs");
    String page = Long.toHexString(window.address + PAGE) + "-";
    boolean faultFile =
        Files.readAllLines(Path.of("/proc/self/maps")).stream()
            .anyMatch(line -> line.startsWith(page) && line.contains("memfd:holdfast-fault"));
    assertEquals(!(kernel && sharedMemory), faultFile);
  }

  @Test
  void poisonedBytesAreSeededGarbage() {
    List<byte[]> garbage = new ArrayList<>();
    for (long seed : new long[] {7, 7, 8}) {
      device.faults().seed(seed);
      device.faults().poison(PAGE, 1);
      garbage.add(device.readSilently(PAGE, PAGE));
    }
    byte[] expected = new byte[PAGE];
    new Random(7).nextBytes(expected);
    assertArrayEquals(expected, garbage.get(0));
    assertArrayEquals(expected, garbage.get(1));
    assertFalse(Arrays.equals(expected, garbage.get(2)));
  }

  @Test
  void listSurvivesReopenAndFaultsTheNewWindows() {
    List<BadRange> bad = List.of(device.faults().poison(5L * PAGE, 1));
    window.close();
    device.close();
    device =
        EmulatedDevice.open(directory.resolve("device"), PersistenceMode.PROCESS, way.poison());
    window = device.map();
    assertEquals(bad, device.badBlocks());
    assertEquals(List.of(5), faultingPages(window));
    assertThrows(PoisonedRangeException.class, () -> device.read(5L * PAGE, new byte[1], 0, 1));
  }

  @Test
  void readConsultsTheList() {
    device.faults().poison(PAGE, 1);
    byte[] target = new byte[2 * PAGE];
    assertThrows(PoisonedRangeException.class, () -> device.read(0, target, 0, PAGE + 1));
    assertThrows(PoisonedRangeException.class, () -> device.read(2L * PAGE - 1, target, 0, 2));
    device.read(0, target, 0, PAGE);
    device.read(2L * PAGE, target, PAGE, PAGE);
    assertEquals((byte) ~0, target[0]);
    assertEquals((byte) ~(2L * PAGE), target[PAGE]);
    device.faults().remove();
    assertThrows(DeviceOfflineException.class, () -> device.read(0, target, 0, 1));
  }

  @Test
  void clearedPageIsZeroInEveryWindowAndListedUntilDropped() {
    List<Fault> told = new ArrayList<>();
    try (Window second = device.map()) {
      device.faults().poison(2L * PAGE, 1);
      device.faults().poison(6L * PAGE, 1);
      BadRange cleared = device.clearPoison(2L * PAGE + 100, 8);
      assertEquals(new BadRange(2L * PAGE, PAGE), cleared);
      device.hold((_, fault) -> told.add(fault));
      for (Window each : List.of(window, second)) {
        assertEquals(List.of(6), faultingPages(each));
        for (long offset = cleared.offset(); offset < cleared.end(); offset += Long.BYTES) {
          assertEquals(0, Access.load(each, offset));
        }
      }
      assertEquals(2, device.badBlocks().size());
      assertThrows(PoisonedRangeException.class, () -> device.read(2L * PAGE, new byte[1], 0, 1));
      Access.store(window, 2L * PAGE, 5);
      device.flush(cleared.offset(), cleared.length());
      assertEquals(List.of(), told);
      device.dropBadBlocks(cleared.offset(), cleared.length());
      assertEquals(List.of(new BadRange(6L * PAGE, PAGE)), device.badBlocks());
      assertEquals(List.of(new Fault(FaultKind.CLEARED, 2L * PAGE, PAGE)), told);
      assertEquals(5, Access.load(second, 2L * PAGE));
      byte[] word = new byte[1];
      device.read(2L * PAGE, word, 0, 1);
      assertEquals(5, word[0]);
    }
  }

  @Test
  void rangeIsStillBadAfterAReopenBetweenClearAndDrop() {
    BadRange bad = device.faults().poison(2L * PAGE, 1);
    device.clearPoison(bad.offset(), bad.length());
    Access.store(window, 2L * PAGE, 5);
    window.close();
    device.close();
    device =
        EmulatedDevice.open(directory.resolve("device"), PersistenceMode.PROCESS, way.poison());
    window = device.map();
    assertEquals(List.of(bad), device.badBlocks());
    assertEquals(List.of(2), faultingPages(window));
    // The clearing was for another opener: it has to be done again before anything is dropped.
    device.dropBadBlocks(bad.offset(), bad.length());
    assertEquals(List.of(bad), device.badBlocks());
  }

  @Test
  void windowMappedBetweenClearAndDropWorks() {
    BadRange bad = device.faults().poison(2L * PAGE, 1);
    device.clearPoison(bad.offset(), bad.length());
    Access.store(window, 2L * PAGE, 5);
    try (Window between = device.map()) {
      assertEquals(List.of(), faultingPages(between));
      device.dropBadBlocks(bad.offset(), bad.length());
      assertEquals(5, Access.load(between, 2L * PAGE));
    }
  }

  @Test
  void poisonThatStrikesBetweenClearAndDropStaysListed() {
    BadRange bad = device.faults().poison(2L * PAGE, 2L * PAGE);
    device.clearPoison(bad.offset(), bad.length());
    BadRange again = device.faults().poison(3L * PAGE, 1);
    device.dropBadBlocks(bad.offset(), bad.length());
    assertEquals(List.of(again), device.badBlocks());
    assertEquals(List.of(3), faultingPages(window));
    try (Window later = device.map()) {
      assertEquals(List.of(3), faultingPages(later));
    }
  }

  @Test
  void nothingIsDroppedThatWasNotCleared() {
    List<Fault> told = new ArrayList<>();
    BadRange bad = device.faults().poison(2L * PAGE, 1);
    device.hold((_, fault) -> told.add(fault));
    device.dropBadBlocks(0, CAPACITY);
    assertEquals(List.of(bad), device.badBlocks());
    assertEquals(List.of(), told);
  }

  @Test
  void clearedPageThatSurvivesARemovalHasToBeClearedAgain() {
    BadRange bad = device.faults().poison(2L * PAGE, 1);
    device.clearPoison(bad.offset(), bad.length());
    device.faults().remove();
    device.faults().reinsert();
    device.dropBadBlocks(bad.offset(), bad.length());
    assertEquals(List.of(bad), device.badBlocks());
    try (Window fresh = device.map()) {
      assertEquals(List.of(2), faultingPages(fresh));
      device.clearPoison(bad.offset(), bad.length());
      assertEquals(List.of(), faultingPages(fresh));
    }
    assertEquals(PAGES, faultingPages(window).size(), "a window of the former life");
  }

  @Test
  void pageCanBePoisonedTwice() {
    device.faults().poison(2L * PAGE, 1);
    device.faults().poison(PAGE, 3L * PAGE);
    assertEquals(List.of(1, 2, 3), faultingPages(window));
    device.clearPoison(PAGE, 3L * PAGE);
    assertEquals(List.of(), faultingPages(window));
    device.faults().poison(2L * PAGE, 1);
    assertEquals(List.of(2), faultingPages(window));
  }

  @Test
  void emptyRangeIsNeitherPoisonedNorCleared() {
    assertThrows(IllegalArgumentException.class, () -> device.faults().poison(PAGE, 0));
    assertEquals(new BadRange(PAGE, 0), device.clearPoison(PAGE, 0));
    device.dropBadBlocks(PAGE, 0);
    device.flush(PAGE, 0);
    assertEquals(List.of(), faultingPages(window));
  }

  @Test
  void wholeDeviceCanBePoisonedAndCleared() {
    BadRange all = device.faults().poison(0, CAPACITY);
    assertEquals(PAGES, faultingPages(window).size());
    device.clearPoison(all.offset(), all.length());
    assertEquals(List.of(), faultingPages(window));
    device.dropBadBlocks(all.offset(), all.length());
    assertEquals(List.of(), device.badBlocks());
    device.faults().poison(0, 1);
    device.faults().remove();
    assertEquals(PAGES, faultingPages(window).size());
  }

  @Test
  void poisonReachesWhatGrewBehindAWindow() {
    device.grow(2 * CAPACITY);
    device.faults().poison(CAPACITY + PAGE, 1);
    assertTrue(Access.faults(window, CAPACITY + PAGE));
    assertFalse(Access.faults(window, CAPACITY));
    assertFalse(Access.faults(window, CAPACITY + 2L * PAGE));
  }

  @Test
  void injectedFailuresOfTheMediumAreCountedDown() {
    BadRange bad = device.faults().poison(2L * PAGE, 1);
    device.faults().failClears(2);
    assertThrows(DeviceIoException.class, () -> device.clearPoison(bad.offset(), bad.length()));
    assertThrows(DeviceIoException.class, () -> device.clearPoison(bad.offset(), bad.length()));
    assertEquals(List.of(2), faultingPages(window));
    device.clearPoison(bad.offset(), bad.length());
    assertEquals(List.of(), faultingPages(window));
    device.faults().failFlushes(1);
    assertThrows(DeviceIoException.class, () -> device.flush(0, 8));
    device.flush(0, 8);
    device.faults().flushLatency(Duration.ofMillis(20));
    long start = System.nanoTime();
    device.flush(0, 8);
    assertTrue(System.nanoTime() - start >= 20_000_000, "no latency");
  }

  @Test
  void silentDamageIsSeenByWindowsAndByRead() {
    device.faults().flipBit(8, 3);
    assertEquals(~8L ^ 8, Access.load(window, 8));
    device.faults().flipBit(8, 3);
    assertEquals(~8L, Access.load(window, 8));
    device.faults().misdirectedWrite(16, new byte[] {1, 2});
    byte[] two = new byte[2];
    device.read(16, two, 0, 2);
    assertArrayEquals(new byte[] {1, 2}, two);
    assertEquals((~16L & ~0xffffL) | 0x0201, Access.load(window, 16));
    assertEquals(~24L, Access.load(window, 24));
    assertEquals(List.of(), device.badBlocks());
  }

  @Test
  void rememberedRangeLosesTheWritesInBetween() {
    FaultInjector.StaleRange stale = device.faults().remember(64, 16);
    for (long offset = 56; offset <= 80; offset += 8) {
      Access.store(window, offset, 1);
    }
    stale.restore();
    assertEquals(1, Access.load(window, 56));
    assertEquals(~64L, Access.load(window, 64));
    assertEquals(~72L, Access.load(window, 72));
    assertEquals(1, Access.load(window, 80));
  }
}
