package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.OutOfSpaceException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;

/**
 * Blocks of a device file in memory, in huge pages: what a file system on persistent memory gives a
 * mapping by itself, if addresses and extents fit together (fs/dax.c, {@code dax_iomap_pmd_fault}).
 *
 * <p>A file on tmpfs has small pages unless it is mounted otherwise; from Linux 6.1 on a part of it
 * that is asked for has a huge one ({@code MADV_COLLAPSE}, madvise(2)), in place of 512 small ones
 * that are allocated and mapped one by one. Files elsewhere are left as they are. Switched off by
 * {@code -Dholdfast.hugePages.devices=false}; for {@link DramRegion} by {@code
 * -Dholdfast.hugePages.memory=false}.
 */
final class HugePages {
  /** Bytes of one, and what both the address and the place in the file are multiples of. */
  static final long SIZE = 2L << 20;

  /** Whether any are asked for under the index and what else is rebuilt in memory. */
  static final boolean IN_MEMORY = isWanted("memory");

  /** Whether any are asked for under the blocks of devices. */
  static final boolean ON_DEVICES = isWanted("devices");

  private static final int ATTEMPTS = 3;

  private static final System.Logger LOG = System.getLogger(PmemDevice.class.getName());

  private HugePages() {}

  private static boolean isWanted(String where) {
    return Boolean.parseBoolean(System.getProperty("holdfast.hugePages." + where, "true"));
  }

  /** The next address that leads to a place of a file as huge pages need it. */
  static long fittingAddress(long address, long fileOffset) {
    return address + Math.floorMod(fileOffset - address, SIZE);
  }

  /**
   * Reserves the blocks of a range of a file, as {@link Posix#allocate}, in huge pages as far as
   * that can be done. If it throws, the file may have become longer.
   *
   * @param fd the file, all of which has blocks up to {@code from}, as far as nobody gave them back
   * @param from bytes, where the file ends
   * @param to where it is to end
   * @param file its name, for messages
   */
  static void allocate(int fd, long from, long to, Path file) {
    long begin = from / SIZE * SIZE; // What was the last part may be full now.
    long end = to / SIZE * SIZE;
    // Where there is little room nothing begins that a crash would leave without blocks.
    if (ON_DEVICES && begin < end && Posix.roomInMemory(fd) / 2 > to - from) {
      try {
        Posix.truncate(fd, to, file);
        collapse(fd, begin, from, end, file);
      } catch (DeviceIoException | OutOfSpaceException e) {
        LOG.log(Level.DEBUG, file + ": in small pages", e);
      }
    }
    Posix.allocate(fd, from, to - from, file);
  }

  private static void collapse(int fd, long begin, long from, long end, Path file) {
    long reserved = end - begin + SIZE;
    long base = Posix.mapNothing(reserved);
    try {
      long address = fittingAddress(base, begin);
      Posix.map(address, end - begin, Posix.MAP_FIXED, fd, begin);
      for (long at = begin; at < end; at += SIZE) {
        if (at >= from) {
          Posix.allocate(fd, at, Posix.PAGE_SIZE, file); // There must be something to make it of.
        }
        if (!collapse(address + at - begin)) {
          return;
        }
      }
    } finally {
      Posix.unmap(base, reserved);
    }
  }

  /** A page may be in use for a moment. */
  private static boolean collapse(long address) {
    for (int i = 0; i < ATTEMPTS; i++) {
      if (Posix.collapse(address, SIZE)) {
        return true;
      }
    }
    return false;
  }
}
