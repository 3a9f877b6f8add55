package dev.holdfast.pmem;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What the place of a file can do as persistent memory, found out by trying it: by mapping the
 * file, or a new one beside it, synchronously.
 *
 * @param file the file that was asked about
 * @param dax whether files there are persistent memory that can be mapped synchronously, and cache
 *     lines can be written back
 * @param words what was found, for people: the mount, the block device, and what follows
 */
public record DaxMount(Path file, boolean dax, String words) {
  /**
   * Looks at the place of a file, which need not exist; its directory must.
   *
   * @param file a device file, or where one is to be
   * @return what was found
   */
  public static DaxMount probe(Path file) {
    return probe(file, DaxHost.SYSTEM);
  }

  static DaxMount probe(Path file, DaxHost host) {
    Path absolute = file.toAbsolutePath();
    Path directory = absolute.getParent() == null ? absolute : absolute.getParent();
    String refusal = whyNotSynchronous(absolute, directory);
    long number = deviceNumber(directory);
    BlockDevice block = number < 0 ? null : BlockDevice.of(host.sysfs(), number);
    StringBuilder words = new StringBuilder();
    words.append(file).append(": ").append(mountOf(directory, host.mounts()));
    if (block == null) {
      words.append("; no block device is known for it: its removal and bad blocks are not seen");
    } else {
      words.append("; block device ").append(block.name());
      if (block.start() > 0) {
        words.append(" (from byte ").append(block.start()).append(" of its disk on)");
      }
      words.append(
          block.hasBadBlocks()
              ? ", its bad blocks are read"
              : ", without a list of bad blocks: an access finds them");
    }
    if (refusal == null) {
      words.append("; DAX: synchronous mappings work, cache lines can be written back");
    } else {
      words.append("; no DAX: ").append(refusal);
      if (block != null && block.daxFlag().equals("1")) {
        words.append(
            "; the block device could: is the file system mounted with dax=always, and its block"
                + " size that of a page?");
      }
    }
    return new DaxMount(file, refusal == null, words.toString());
  }

  /** The number of the file system's device as {@code stat} has it, or -1. */
  static long deviceNumber(Path path) {
    try {
      return ((Number) Files.getAttribute(path, "unix:dev")).longValue();
    } catch (IOException | UnsupportedOperationException e) {
      return -1;
    }
  }

  private static @Nullable String whyNotSynchronous(Path file, Path directory) {
    Path tried = null;
    try {
      boolean exists =
          Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
              && Files.size(file) >= Posix.PAGE_SIZE;
      // The file itself where there is one: whether it is DAX can be a property of each file.
      tried = exists ? file : Files.createTempFile(directory, ".holdfast-probe", null);
      try (SyncAlias alias = new SyncAlias(tried)) {
        alias.cover(0, Posix.PAGE_SIZE);
      } finally {
        if (!exists) {
          Files.deleteIfExists(tried);
        }
      }
      return null;
    } catch (IOException e) {
      return tried == null
          ? "no file can be made there to try it: " + e
          : "a synchronous mapping (MAP_SYNC) is refused: " + e.getMessage();
    } catch (UnsupportedOperationException e) {
      return "the JVM cannot write cache lines back on this processor";
    }
  }

  /** The mount that a directory lies on, as the longest mount point that it begins with. */
  private static String mountOf(Path directory, Path mounts) {
    String found = "mount unknown";
    int longest = -1;
    try {
      Path real = directory.toRealPath();
      for (String line : Files.readAllLines(mounts, StandardCharsets.ISO_8859_1)) {
        // 36 35 98:0 /root /point options [tags] - type source superoptions
        String[] sides = line.split(" - ", 2);
        String[] left = sides[0].split(" ", -1);
        String[] right = sides.length < 2 ? new String[0] : sides[1].split(" ", -1);
        if (left.length < 6 || right.length < 2) {
          continue;
        }
        Path point = Path.of(left[4].replace("\\040", " "));
        // Of mounts on one point the last hides the others.
        if (real.startsWith(point) && point.getNameCount() >= longest) {
          longest = point.getNameCount();
          String options = right.length > 2 ? right[2] : "";
          found = right[0] + " of " + right[1] + " on " + point + " (" + options + ")";
        }
      }
    } catch (IOException e) {
      return "mount unknown (" + e.getMessage() + ")";
    }
    return found;
  }
}
