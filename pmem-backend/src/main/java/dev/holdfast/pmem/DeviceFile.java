package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.UUID;

/**
 * A file that is a device, opened. <b>Lifetime:</b> whoever makes a device of it closes it with
 * that.
 *
 * @param path where it lies
 * @param fd its descriptor
 * @param label what it says it is
 * @param capacity bytes behind the label, in whole pages
 * @param badBlocks the list beside it
 */
record DeviceFile(Path path, int fd, DeviceLabel label, long capacity, BadBlockList badBlocks) {
  /** Makes a device of a file; if it throws, the file is closed. */
  @FunctionalInterface
  interface Maker<D> {
    D make(DeviceFile opened) throws IOException;
  }

  /** Makes a device in a new file, readable and writable by its owner alone, or leaves none. */
  static <D> D inNewFile(Path file, long capacity, Maker<D> maker) {
    try {
      DurableFile.createNew(file);
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be created: " + e, e);
    }
    int fd = -1;
    try {
      fd = Posix.open(file);
      Path list = badBlockFile(file);
      Files.deleteIfExists(list);
      HugePages.allocate(fd, 0, DeviceLabel.SIZE + capacity, file);
      DeviceLabel label = new DeviceLabel(UUID.randomUUID());
      byte[] bytes = label.encode();
      Posix.write(fd, 0, bytes, 0, bytes.length, file);
      Posix.dataSync(fd, file);
      return maker.make(
          new DeviceFile(file, fd, label, capacity, BadBlockList.load(list, capacity)));
    } catch (RuntimeException | IOException e) {
      if (fd >= 0) {
        Posix.close(fd);
      }
      try {
        Files.deleteIfExists(file);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e instanceof RuntimeException r ? r : new DeviceIoException(file + ": " + e, e);
    }
  }

  /** Makes a device of the file that a descriptor leads to. */
  static <D> D inOpenFile(Path file, int fd, Maker<D> maker) {
    try {
      long size = Files.size(file);
      DeviceLabel label = readLabel(fd, size, file);
      long capacity = capacityOf(size);
      if (capacity > Windows.LARGEST_RESERVE) {
        throw new InvalidImageException(
            file + ": expected at most " + Windows.LARGEST_RESERVE + " bytes, was " + capacity);
      }
      BadBlockList list = BadBlockList.load(badBlockFile(file), capacity);
      return maker.make(new DeviceFile(file, fd, label, capacity, list));
    } catch (RuntimeException | IOException e) {
      Posix.close(fd);
      throw e instanceof RuntimeException r ? r : new DeviceIoException(file + ": " + e, e);
    }
  }

  private static DeviceLabel readLabel(int fd, long size, Path file) {
    try {
      return DeviceLabel.read(fd, size, file);
    } catch (DeviceIoException e) {
      // What is left of a file system whose device went away.
      throw new DeviceOfflineException(file + ": cannot be read: " + e.getMessage());
    }
  }

  /**
   * Asks whether there is a file that may be a device.
   *
   * @throws DeviceOfflineException if nothing is there
   * @throws InvalidImageException if something else is
   */
  static void requireFile(Path file) {
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new DeviceOfflineException(file + ": no such device; it was removed or never created");
    }
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new InvalidImageException(file + ": expected a regular file, was something else");
    }
  }

  /**
   * A sparse copy of an image: a store to a block that was never reserved is SIGBUS on a full disk.
   */
  void reserveAll() {
    if (capacity > 0) {
      Posix.allocate(fd, DeviceLabel.SIZE, capacity, path);
    }
  }

  /** The capacity of a file that is so large. */
  static long capacityOf(long size) {
    return (size - DeviceLabel.SIZE) / Posix.PAGE_SIZE * Posix.PAGE_SIZE;
  }

  /** The capacity of a new device: rounded up, and no more than a window can map. */
  static long newCapacity(long capacity, Path file) {
    if (capacity <= 0) {
      throw new IllegalArgumentException("capacity: expected > 0, was " + capacity);
    }
    return wholePages(capacity, file);
  }

  /** Rounds a capacity up; what no window can map is out of space, whatever the disk has. */
  static long wholePages(long capacity, Path file) {
    if (capacity > Windows.LARGEST_RESERVE) {
      throw new OutOfSpaceException(
          file + ": expected at most " + Windows.LARGEST_RESERVE + " bytes, was " + capacity);
    }
    return Math.ceilDiv(capacity, Posix.PAGE_SIZE) * (long) Posix.PAGE_SIZE;
  }

  static Path badBlockFile(Path file) {
    return file.resolveSibling(file.getFileName() + ".badblocks");
  }

  /** The pages that a range touches. */
  static BadRange pagesOf(long offset, long length) {
    long from = offset / Posix.PAGE_SIZE * Posix.PAGE_SIZE;
    long to = Math.ceilDiv(offset + length, Posix.PAGE_SIZE) * (long) Posix.PAGE_SIZE;
    return new BadRange(from, to - from);
  }
}
