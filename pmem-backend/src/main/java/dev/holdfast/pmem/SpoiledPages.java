package dev.holdfast.pmem;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.FileExtents.Extent;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files beside a device file that hold on to bad pages of the file system, so that it does not hand
 * them out again: {@code NAME.spoiled0} and so on, a page each, for as long as the list of bad
 * sectors has it. Nobody reads them.
 *
 * <p>Without that, a page that leaves a bad place gets the nearest free one, which may be the bad
 * place that another page left before, and after that the first again.
 *
 * <p>A file system is not told where to put a page. XFS, though, wants the distance of two pages on
 * the block device to be that in the file: so a file has one page wherever it comes to lie, and a
 * second one as far behind it as the bad page is. Where that does not work the page is not kept.
 *
 * <p><b>Source:</b> {@code xfs_bmap_adjacent} of Linux, "adjust for the gap between prevp and us".
 */
final class SpoiledPages {
  private static final int MOST_FILES = 1_000;

  private SpoiledPages() {}

  /**
   * Takes a page that is free.
   *
   * @param device the file that it was taken from
   * @param physical the first byte of the page, on the block device
   * @return whether it is kept now
   */
  static boolean keep(Path device, long physical, FileExtents.Source extents) {
    Path file = createOne(device);
    if (file == null) {
      return false;
    }
    boolean kept = false;
    int fd = -1;
    try {
      fd = Posix.open(file);
      Posix.allocate(fd, 0, Posix.PAGE_SIZE, file);
      kept = has(extents.of(fd, file), physical);
      long first = placeOf(extents.of(fd, file), 0);
      long distance = kept || first < 0 ? 0 : physical - first;
      if (distance > 0) {
        Posix.allocate(fd, distance, Posix.PAGE_SIZE, file);
        kept = has(extents.of(fd, file), physical);
      }
      return kept;
    } catch (HoldfastException e) {
      return false;
    } finally {
      if (fd >= 0) {
        Posix.close(fd);
      }
      if (!kept) {
        delete(file);
      }
    }
  }

  private static @Nullable Path createOne(Path device) {
    for (int i = 0; i < MOST_FILES; i++) {
      Path file = device.resolveSibling(device.getFileName() + ".spoiled" + i);
      try {
        DurableFile.createNew(file);
        return file;
      } catch (FileAlreadyExistsException e) {
        // It keeps another page.
      } catch (IOException | HoldfastException e) {
        return null;
      }
    }
    return null;
  }

  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      // A page or two of a file system that is in trouble.
    }
  }

  private static boolean has(List<Extent> extents, long physical) {
    return extents.stream()
        .anyMatch(e -> e.physical() <= physical && physical < e.physical() + e.length());
  }

  /** Where a byte of a file lies on the block device, or -1 if that is not known. */
  static long placeOf(List<Extent> extents, long logical) {
    for (Extent extent : extents) {
      if (extent.logical() <= logical && logical < extent.logical() + extent.length()) {
        return extent.physical() + logical - extent.logical();
      }
    }
    return -1;
  }
}
