package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.OutOfSpaceException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The windows of a device, those of its former lives included, and what they map.
 *
 * <p><b>Threads:</b> one at a time, under the lock of the device, but for {@link #populate}, {@link
 * #refusesStores} and {@link #sync}.
 */
final class Windows {
  /* What DAX hardware gives for free costs address space here: a window maps far behind the end of the
   * file, where every access faults, and growth needs no new mapping. A process has 128 TiB, for all its
   * windows: a window reserves twice what the file system could hold, and no more than this. */
  static final long LARGEST_RESERVE = 1L << 42;
  private static final long SMALLEST_RESERVE = 1L << 30;

  /** A populated range of this size is remapped in about 0.2 ms, with every reader waiting. */
  private static final long FAULT_STEP = 2L << 20;

  /** Mapped over a window, it makes every access fault; one for the process, never written. */
  private static final int FAULT_FILE = Posix.emptyFile();

  private final Path file;
  private final List<Window> windows = new ArrayList<>();

  Windows(Path file) {
    this.file = file;
  }

  /** Whether none was mapped that was not unmapped. */
  boolean isEmpty() {
    return windows.isEmpty();
  }

  /**
   * Maps a device with room to grow, as much as the process may have.
   *
   * @param generation the life of the device that the window belongs to
   * @param prepare is shown the window before anybody else is
   */
  Window map(
      WindowOwner owner,
      long generation,
      int fd,
      int flags,
      long capacity,
      @Nullable DeviceTracker tracker,
      Consumer<Window> prepare) {
    Window window = mapWithRoom(owner, generation, fd, flags, capacity, tracker);
    try {
      prepare.accept(window);
    } catch (RuntimeException e) {
      Posix.unmap(window.address, window.reserve);
      throw e;
    }
    windows.add(window);
    return window;
  }

  private Window mapWithRoom(
      WindowOwner owner,
      long generation,
      int fd,
      int flags,
      long capacity,
      @Nullable DeviceTracker tracker) {
    long reserve = reserve();
    while (true) {
      try {
        return new Window(owner, generation, place(reserve, fd, flags), reserve, tracker);
      } catch (DeviceIoException e) {
        // A limit on address space (ulimit -v): a smaller window still holds the device.
        reserve >>= 1;
        if (reserve < SMALLEST_RESERVE || reserve < 2 * capacity) {
          throw e;
        }
      }
    }
  }

  /** Maps a device where its huge pages fit. */
  private static long place(long reserve, int fd, int flags) {
    long base = Posix.mapNothing(reserve + HugePages.SIZE);
    long address = HugePages.fittingAddress(base, DeviceLabel.SIZE);
    try {
      Posix.map(address, reserve, Posix.MAP_FIXED | flags, fd, DeviceLabel.SIZE);
    } catch (DeviceIoException e) {
      Posix.unmap(base, reserve + HugePages.SIZE);
      throw e;
    }
    if (address > base) {
      Posix.unmap(base, address - base);
    }
    Posix.unmap(address + reserve, base + HugePages.SIZE - address);
    return address;
  }

  private long reserve() {
    // Not by Files.getFileStore, which reads the list of all mounts first.
    long total = file.toFile().getTotalSpace();
    if (total <= 0 || total > LARGEST_RESERVE / 2) {
      return LARGEST_RESERVE; // not limited, or larger than anything that is mapped here
    }
    return Math.max(SMALLEST_RESERVE, Long.highestOneBit(4 * total - 1));
  }

  /**
   * Does what {@link Window#populate} says. For who holds the lock that keeps windows from being
   * unmapped: one that is being mapped meanwhile is somebody else's.
   */
  boolean populate(Window window, long offset, long length) {
    return windows.contains(window) && Posix.populate(window.address + offset, length);
  }

  /** Does what {@link Window#refusesStores} says, as {@link #populate} does. */
  boolean refusesStores(Window window, long offset, long length) {
    return windows.contains(window) && Posix.refusesStores(window.address + offset, length);
  }

  /** Has the kernel write pages of a window back, which nobody unmaps meanwhile. */
  static void sync(Window window, BadRange pages, Path file) {
    Posix.sync(window.address + pages.offset(), pages.length(), file);
  }

  /** Unmaps a window; harmless when that was done. */
  void unmap(Window window) {
    if (windows.remove(window)) {
      Posix.unmap(window.address, window.reserve);
    }
  }

  /**
   * Asks whether all windows can take a larger device.
   *
   * @throws OutOfSpaceException if one cannot
   */
  void requireRoom(long capacity) {
    for (Window window : windows) {
      if (capacity > window.reserve) {
        throw new OutOfSpaceException(
            file
                + ": cannot grow to "
                + capacity
                + " bytes: a window reserves "
                + window.reserve
                + "; open it again");
      }
    }
  }

  /** Some window of one life; null if there is none. */
  @Nullable Window ofLife(long generation) {
    for (Window window : windows) {
      if (window.generation() == generation) {
        return window;
      }
    }
    return null;
  }

  /** Shows all windows of one life: those of a former one are dead already. */
  void forEachOfLife(long generation, Consumer<Window> action) {
    for (Window window : windows) {
      if (window.generation() == generation) {
        action.accept(window);
      }
    }
  }

  /** Makes every access fault to any window, and leaves them to be unmapped. */
  void faultAll() {
    for (Window window : windows) {
      Posix.map(window.address, window.reserve, Posix.MAP_FIXED, FAULT_FILE, 0);
    }
  }

  /** Makes pages of a window lead to the file. */
  static void mapPages(Window window, BadRange pages, int fd, int flags) {
    Posix.map(
        window.address + pages.offset(),
        pages.length(),
        Posix.MAP_FIXED | flags,
        fd,
        DeviceLabel.SIZE + pages.offset());
  }

  /** Makes pages of a window fault. */
  static void faultPages(Window window, BadRange pages) {
    // File offsets that fit together, so that the kernel merges neighbours into one mapping.
    mapPages(window, pages, FAULT_FILE, 0);
  }

  /** Makes all pages of a window fault, in steps for which no reader waits long. */
  static void faultEverything(Window window, long capacity) {
    long populated = Math.min(capacity, window.reserve);
    for (long at = 0; at < populated; at += FAULT_STEP) {
      faultPages(window, new BadRange(at, Math.min(FAULT_STEP, populated - at)));
    }
    if (populated < window.reserve) {
      faultPages(window, new BadRange(populated, window.reserve - populated));
    }
  }
}
