package dev.holdfast.pmem;

import java.nio.file.Path;

/**
 * Where a DAX device learns about the machine: recorded trees in tests.
 *
 * @param sysfs where sysfs is mounted
 * @param mounts the table of mounts, as {@code /proc/self/mountinfo} has it
 * @param extents tells where a file lies
 * @param pollMillis how often to look for bad blocks and removal; 0: only when asked
 */
record DaxHost(Path sysfs, Path mounts, FileExtents.Source extents, long pollMillis) {
  /**
   * This machine. A media error raises no event, so bad blocks are polled; ten times a second is
   * nothing next to what a poll takes: a small read of sysfs and one of the file.
   */
  static final DaxHost SYSTEM =
      new DaxHost(Path.of("/sys"), Path.of("/proc/self/mountinfo"), FileExtents::ofFile, 100);
}
