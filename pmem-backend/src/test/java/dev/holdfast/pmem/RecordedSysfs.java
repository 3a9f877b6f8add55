package dev.holdfast.pmem;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What sysfs of Linux 6.12 showed of an NVDIMM in fsdax mode with a partition, laid out as files.
 * The disk's sectors count from behind the 2 MiB that the driver keeps for itself: what is sector
 * 45120 of the disk is sector 49216 of the region.
 */
final class RecordedSysfs {
  private static final String REGION = "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0";
  private final Path root;
  private final Path disk;

  RecordedSysfs(Path root) throws IOException {
    this.root = root;
    this.disk = root.resolve(REGION + "/pfn0.0/block/pmem0");
    Files.createDirectories(disk.resolve("queue"));
    Files.createDirectories(root.resolve("dev/block"));
    Files.writeString(disk.resolve("queue/dax"), "1\n");
    Files.writeString(disk.resolve("diskseq"), "9\n");
    Files.writeString(root.resolve(REGION + "/badblocks"), "");
    diskBadBlocks("");
  }

  Path root() {
    return root;
  }

  /** What the disk lists, and the region with the driver's own data in front. */
  void diskBadBlocks(String text) throws IOException {
    Files.writeString(disk.resolve("badblocks"), text);
    if (text.strip().matches("\\d+ \\d+")) {
      String[] words = text.strip().split(" ", -1);
      Files.writeString(
          root.resolve(REGION + "/badblocks"),
          Long.parseLong(words[0]) + 4096 + " " + words[1] + "\n");
    }
  }

  void noBadBlockList() throws IOException {
    Files.delete(disk.resolve("badblocks"));
  }

  /** Another device takes the place of this one, under the same name and number. */
  void exchange(String sequence) throws IOException {
    Files.writeString(disk.resolve("diskseq"), sequence + "\n");
  }

  /** As in a process that is out of descriptors: a directory cannot be read as a file, either. */
  void sequenceThatCannotBeRead() throws IOException {
    Files.delete(disk.resolve("diskseq"));
    Files.createDirectory(disk.resolve("diskseq"));
  }

  /** Puts the disk under a device number. */
  void plug(long number) throws IOException {
    Files.createSymbolicLink(link(number), Path.of("../../" + REGION + "/pfn0.0/block/pmem0"));
  }

  /** Puts a partition of the disk under a device number. */
  void plugPartition(long number, long startSector) throws IOException {
    Path partition = disk.resolve("pmem0p1");
    Files.createDirectories(partition);
    Files.writeString(partition.resolve("partition"), "1\n");
    Files.writeString(partition.resolve("start"), startSector + "\n");
    Files.createSymbolicLink(
        link(number), Path.of("../../" + REGION + "/pfn0.0/block/pmem0/pmem0p1"));
  }

  void unplug(long number) throws IOException {
    Files.delete(link(number));
  }

  private Path link(long number) {
    long major = ((number >>> 8) & 0xfff) | ((number >>> 32) & ~0xfffL);
    long minor = (number & 0xff) | ((number >>> 12) & ~0xffL);
    return root.resolve("dev/block/" + major + ":" + minor);
  }
}
