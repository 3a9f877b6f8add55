package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Where the bytes of a file lie on its block device, and so which of them a bad sector hits.
 *
 * <p><b>Units:</b> bytes. <b>Source:</b> {@code FS_IOC_FIEMAP}, {@code
 * include/uapi/linux/fiemap.h}; physical offsets are those of the block device that is mounted, so
 * of a partition where one is.
 */
final class FileExtents {
  private static final long FS_IOC_FIEMAP = 0xc020660bL;
  private static final int HEADER_WORDS = 4;
  private static final int EXTENT_WORDS = 7;
  private static final int BATCH = 128;
  private static final int LAST = 0x1;

  /**
   * Unknown, delayed, encoded, encrypted, not aligned, inline, in a tail: no place on the device.
   */
  private static final int HAS_NO_PLACE = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400;

  private FileExtents() {}

  /**
   * A piece of a file that lies in one piece on the block device.
   *
   * @param logical the first byte, in the file
   * @param physical the first byte, on the block device
   * @param length the number of bytes
   */
  record Extent(long logical, long physical, long length) {}

  /** Tells where an open file lies; tests have one of their own. */
  @FunctionalInterface
  interface Source {
    /**
     * The extents that have a place, ascending in the file.
     *
     * @throws DeviceIoException if the file system cannot tell
     */
    List<Extent> of(int fd, Path file);
  }

  /** Asks the kernel, as {@link Source#of} says. */
  static List<Extent> ofFile(int fd, Path file) {
    List<Extent> extents = new ArrayList<>();
    long from = 0;
    while (true) {
      long[] map = new long[HEADER_WORDS + BATCH * EXTENT_WORDS];
      map[0] = from;
      map[1] = Long.MAX_VALUE - from;
      map[3] = BATCH;
      int result = Posix.ioctl(fd, FS_IOC_FIEMAP, map);
      if (result < 0) {
        throw new DeviceIoException(
            file + ": where it lies on its block device cannot be told: FIEMAP: errno " + -result);
      }
      int mapped = (int) (map[2] >>> 32);
      for (int i = 0; i < mapped; i++) {
        int at = HEADER_WORDS + i * EXTENT_WORDS;
        int flags = (int) map[at + 5];
        from = map[at] + map[at + 2];
        if ((flags & HAS_NO_PLACE) == 0) {
          extents.add(new Extent(map[at], map[at + 1], map[at + 2]));
        }
        if ((flags & LAST) != 0) {
          return extents;
        }
      }
      if (mapped == 0) {
        return extents;
      }
    }
  }

  /**
   * What bad ranges of the block device mean for the file: its own bad ranges, ascending.
   *
   * @param extents where the file lies
   * @param bad bad ranges of the block device
   */
  static List<BadRange> hit(List<Extent> extents, List<BadRange> bad) {
    List<BadRange> hit = new ArrayList<>();
    for (Extent extent : extents) {
      for (BadRange range : bad) {
        long from = Math.max(range.offset(), extent.physical());
        long to = Math.min(range.end(), extent.physical() + extent.length());
        if (from < to) {
          hit.add(new BadRange(from - extent.physical() + extent.logical(), to - from));
        }
      }
    }
    hit.sort(Comparator.comparingLong(BadRange::offset));
    return hit;
  }
}
