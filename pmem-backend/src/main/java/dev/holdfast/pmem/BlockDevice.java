package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The block device under a file system, as sysfs shows it: whether it is still there, and which of
 * its sectors are bad.
 *
 * <p>The list is that of the disk, whose sectors count from where the data begin. The region of an
 * NVDIMM has a list, too, which is not read: its sectors count from the start of the region, with
 * the driver's own data in front (2 MiB, for example). A partition has none; its sectors are those
 * of the disk from its {@code start} on.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> {@code Documentation/ABI/stable/sysfs-block} ({@code
 * diskseq}, {@code start}), {@code block/badblocks.c} ({@code badblocks}: a sector and a number of
 * sectors a line, of 512 bytes; at most a page of text).
 *
 * @param name as in {@code /dev}
 * @param node the link in {@code dev/block} that goes with the device
 * @param directory where that led
 * @param disk the directory of the whole disk
 * @param start where the partition begins on the disk in bytes, or 0
 * @param sequence what tells this disk from another one that got its name and numbers; may be empty
 */
record BlockDevice(String name, Path node, Path directory, Path disk, long start, String sequence) {
  private static final int SECTOR = 512;

  /** The device with a number as {@code stat} has it, or null if sysfs knows none. */
  static @Nullable BlockDevice of(Path sysfs, long number) {
    // Source: gnu_dev_major and gnu_dev_minor of glibc.
    long major = ((number >>> 8) & 0xfff) | ((number >>> 32) & ~0xfffL);
    long minor = (number & 0xff) | ((number >>> 12) & ~0xffL);
    Path node = sysfs.resolve("dev/block/" + major + ":" + minor);
    try {
      Path directory = node.toRealPath();
      boolean partition = Files.exists(directory.resolve("partition"));
      Path above = directory.getParent();
      Path disk = partition && above != null ? above : directory;
      long start = partition ? SECTOR * number(directory.resolve("start")) : 0;
      return new BlockDevice(
          String.valueOf(directory.getFileName()), node, directory, disk, start, sequence(disk));
    } catch (IOException e) {
      return null;
    }
  }

  /** Whether the same device is still there, as far as is known. */
  boolean isThere() {
    try {
      return node.toRealPath().equals(directory) && sequence(disk).equals(sequence);
    } catch (NoSuchFileException e) {
      return false;
    } catch (IOException e) {
      return true; // Not known, as when the process is out of descriptors; nobody dies of that.
    }
  }

  /** Whether the device has a list of bad sectors at all; device mapper and RAID have none. */
  boolean hasBadBlocks() {
    return Files.isReadable(disk.resolve("badblocks"));
  }

  /** What is said of DAX by the queue of the device: 1, 0, or nothing. */
  String daxFlag() {
    try {
      return Files.readString(disk.resolve("queue/dax")).strip();
    } catch (IOException e) {
      return "";
    }
  }

  /**
   * The bad ranges in bytes, from the start of the device (of the partition, if it is one).
   *
   * @throws DeviceIoException if the list cannot be read, or has a line that is none
   */
  List<BadRange> badRanges() {
    Path file = disk.resolve("badblocks");
    List<BadRange> bad = new ArrayList<>();
    List<String> lines;
    try {
      lines = Files.readAllLines(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be read: " + e, e);
    }
    for (String line : lines) {
      if (line.isBlank()) {
        continue;
      }
      String[] words = line.strip().split(" ", -1);
      try {
        long sector = Long.parseLong(words[0]);
        long sectors = Long.parseLong(words.length == 2 ? words[1] : "");
        if (sector < 0 || sectors <= 0) {
          throw new NumberFormatException("negative or empty");
        }
        long from = Math.max(0, SECTOR * sector - start);
        long end = SECTOR * (sector + sectors) - start;
        if (from < end) {
          bad.add(new BadRange(from, end - from));
        }
      } catch (NumberFormatException e) {
        throw new DeviceIoException(
            file + ": expected a sector and a number of sectors, was \"" + line + "\"", e);
      }
    }
    return bad;
  }

  private static String sequence(Path disk) throws IOException {
    Path file = disk.resolve("diskseq"); // Since Linux 5.15
    return Files.exists(file) ? Files.readString(file).strip() : "";
  }

  private static long number(Path file) throws IOException {
    String text = Files.readString(file).strip();
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new IOException(file + ": expected a number, was \"" + text + "\"", e);
    }
  }
}
