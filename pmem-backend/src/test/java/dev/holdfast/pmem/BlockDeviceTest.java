package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.FileExtents.Extent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Block devices by what sysfs says of them, and which part of a file a bad sector hits. */
class BlockDeviceTest {
  /** 259:3, as {@code stat} has it. */
  private static final long NUMBER = (259 << 8) | 3;

  private static final int SECTOR = 512;

  @TempDir Path directory;
  private RecordedSysfs sysfs;

  @BeforeEach
  void record() throws IOException {
    sysfs = new RecordedSysfs(directory);
  }

  private BlockDevice device(long number) {
    return Objects.requireNonNull(BlockDevice.of(sysfs.root(), number));
  }

  @Test
  void sectorsOfTheDiskCountFromItsDataNotFromTheRegion() throws IOException {
    sysfs.plug(NUMBER);
    sysfs.diskBadBlocks("45120 8\n");
    assertEquals(List.of(new BadRange(45_120L * SECTOR, 8 * SECTOR)), device(NUMBER).badRanges());
    assertEquals("pmem0", device(NUMBER).name());
    assertEquals("1", device(NUMBER).daxFlag());
  }

  @Test
  void sectorsOfAPartitionCountFromItsStart() throws IOException {
    sysfs.plugPartition(NUMBER, 2048);
    sysfs.diskBadBlocks("0 2048\n2044 8\n45120 8\n");
    assertEquals(
        List.of(new BadRange(0, 4 * SECTOR), new BadRange((45_120L - 2048) * SECTOR, 8 * SECTOR)),
        device(NUMBER).badRanges());
    assertEquals("pmem0p1", device(NUMBER).name());
  }

  @Test
  void aDeviceIsGoneWithItsLinkAndWhenAnotherTookItsPlace() throws IOException {
    assertNull(BlockDevice.of(sysfs.root(), NUMBER));
    sysfs.plug(NUMBER);
    BlockDevice before = device(NUMBER);
    assertTrue(before.isThere());
    sysfs.unplug(NUMBER);
    assertFalse(before.isThere());
    sysfs.plug(NUMBER);
    assertTrue(before.isThere());
    sysfs.exchange("10");
    assertFalse(before.isThere());
    assertTrue(device(NUMBER).isThere());
  }

  @Test
  void whatCannotBeReadForAnotherReasonIsNotGone() throws IOException {
    sysfs.plug(NUMBER);
    BlockDevice before = device(NUMBER);
    sysfs.sequenceThatCannotBeRead();
    assertTrue(before.isThere());
  }

  @Test
  void aLineThatIsNoneIsNamed() throws IOException {
    sysfs.plug(NUMBER);
    for (String text : new String[] {"45120\n", "x 8\n", "1 0\n", "-1 8\n", "1 2 3\n"}) {
      sysfs.diskBadBlocks(text);
      var e = assertThrows(DeviceIoException.class, () -> device(NUMBER).badRanges(), text);
      assertTrue(
          String.valueOf(e.getMessage()).contains("was \"" + text.strip() + "\""), e.getMessage());
    }
  }

  @Test
  void aDeviceWithoutAListSaysSo() throws IOException {
    sysfs.plug(NUMBER);
    assertTrue(device(NUMBER).hasBadBlocks());
    sysfs.noBadBlockList();
    assertFalse(device(NUMBER).hasBadBlocks());
  }

  @Test
  void largeNumbersAreTakenApartAsGlibcDoes() throws IOException {
    Files.createSymbolicLink(
        sysfs.root().resolve("dev/block/259:300"), sysfs.root().resolve("devices"));
    assertEquals("devices", device(0x11032c).name()); // makedev(259, 300)
  }

  @Test
  void badSectorsHitTheFileWhereItsExtentsSay() {
    List<Extent> extents =
        List.of(new Extent(0, 1000, 100), new Extent(100, 5000, 50), new Extent(200, 900, 100));
    assertEquals(
        List.of(
            new BadRange(90, 10), // the end of the first extent
            new BadRange(100, 5), // the begin of the second
            new BadRange(290, 5)), // what lies before the first on the device
        FileExtents.hit(
            extents,
            List.of(new BadRange(990, 5), new BadRange(1090, 20), new BadRange(4990, 15))));
  }

  @Test
  void whatLiesBesideTheFileHitsNothing() {
    List<Extent> extents = List.of(new Extent(0, 1000, 100));
    assertEquals(
        List.of(), FileExtents.hit(extents, List.of(new BadRange(0, 1000), new BadRange(1100, 9))));
  }
}
