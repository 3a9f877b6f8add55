package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A pmem device in a file: mapped, pulled out, put back, poisoned and healed like a real one. The
 * faults come from {@link #faults()}.
 *
 * <p>The file is preallocated before it is mapped, so that a full disk is an exception and never a
 * SIGBUS. A removed device is a renamed file ({@code NAME.removed}) whose windows all lead to an
 * empty file; its bad blocks lie beside it ({@code NAME.badblocks}).
 *
 * <p>Power loss is emulated for devices in a directory that a {@link CrashRecorder} watches.
 *
 * <p><b>Lock order:</b> {@code use}, {@code mapping}, the bad block list, a recorder. The holder is
 * called with no lock held, and a removal waits for no system call on the medium.
 */
public final class EmulatedDevice extends FileDevice {
  /** Behind the name of the file while the device is removed. */
  static final String REMOVED = ".removed";

  private final PagePoison pagePoison;
  private final FaultInjector faults;

  /** Who is told of what is done to the device; null but in tests of power loss. */
  private final @Nullable DeviceTracker tracker;

  /** Whether the file lies under the name of a removed device; guarded by {@code mapping}. */
  private boolean renamedAway;

  private EmulatedDevice(
      DeviceFile opened, PersistenceMode mode, PagePoison pagePoison, boolean created) {
    super(opened, mode);
    this.pagePoison = pagePoison;
    this.faults = new FaultInjector(this);
    this.tracker = Tracking.opened(this, created);
  }

  /**
   * Creates a device in a new file, readable and writable by its owner alone.
   *
   * @param file the device file
   * @param capacity bytes, > 0, rounded up to whole pages
   * @param mode {@link PersistenceMode#FILE} or {@link PersistenceMode#PROCESS}; {@link
   *     PersistenceMode#DAX} only where a {@link CrashRecorder} or {@link CrashPlace} emulates it
   * @return the device
   * @throws dev.holdfast.error.OutOfSpaceException if the place has no room; no file is left then
   * @throws DeviceIoException if the file exists or cannot be created
   */
  public static EmulatedDevice create(Path file, long capacity, PersistenceMode mode) {
    return create(file, capacity, mode, PagePoison.SYSTEM);
  }

  static EmulatedDevice create(
      Path file, long capacity, PersistenceMode mode, PagePoison pagePoison) {
    Posix.requireSupportedPlatform();
    long whole = DeviceFile.newCapacity(capacity, file);
    requireMode(file, mode);
    if (Files.exists(removedFile(file), LinkOption.NOFOLLOW_LINKS)) {
      throw new DeviceIoException(file + ": expected a free place, is that of a removed device");
    }
    return DeviceFile.inNewFile(
        file, whole, opened -> new EmulatedDevice(opened, mode, pagePoison, true));
  }

  /**
   * Opens the device in an existing file.
   *
   * @param file the device file
   * @param mode how far a flush carries a store
   * @return the device
   * @throws DeviceOfflineException if the file is not there, as after a removal
   * @throws dev.holdfast.error.InvalidImageException if the file is no device
   * @throws dev.holdfast.error.FormatVersionException if it was written by another version
   */
  public static EmulatedDevice open(Path file, PersistenceMode mode) {
    return open(file, mode, PagePoison.SYSTEM);
  }

  static EmulatedDevice open(Path file, PersistenceMode mode, PagePoison pagePoison) {
    Posix.requireSupportedPlatform();
    requireMode(file, mode);
    DeviceFile.requireFile(file);
    return DeviceFile.inOpenFile(
        file,
        Posix.open(file),
        opened -> {
          // Of blocks that were given back the holder knows: it has them reserved before it stores.
          if (!Files.exists(sparseMark(file))) {
            opened.reserveAll();
          }
          return new EmulatedDevice(opened, mode, pagePoison, false);
        });
  }

  /**
   * Asks whether a device in this file can be created or opened in a mode.
   *
   * @param file the device file
   * @param mode how far a flush carries a store
   * @throws IllegalArgumentException if it cannot: it is DAX, and nobody emulates it there
   */
  public static void requireMode(Path file, PersistenceMode mode) {
    if (mode == PersistenceMode.DAX && !Tracking.emulatesPowerLoss(file)) {
      throw new IllegalArgumentException(
          file
              + ": persistence mode of an emulated device that is not tracked: expected FILE or"
              + " PROCESS, was DAX");
    }
  }

  /** {@return the faults that can be injected into this device} */
  public FaultInjector faults() {
    return faults;
  }

  // ---------------------------------------------------------------- what tests may inject

  @Override
  @Nullable DeviceTracker tracker() {
    return tracker;
  }

  @Override
  void beforeCall(String call) {
    faults.beforeCall(this, call);
  }

  @Override
  void beforeHeartbeat() {
    faults.beforeHeartbeat(this);
  }

  @Override
  void beforeClear() {
    faults.beforeClear(this);
  }

  @Override
  public BadBlockAnswer queryBadBlocks() {
    BadBlockAnswer injected = faults.insteadOfBadBlocks(this);
    return injected == null ? super.queryBadBlocks() : injected;
  }

  @Override
  void beforeGrowth(long capacity) {
    if (tracker != null) {
      tracker.requireSmall(capacity);
    }
  }

  @Override
  void grown(long capacity) {
    if (tracker != null) {
      tracker.grown(capacity);
    }
  }

  @Override
  Runnable placeIsBack() {
    faults.beforeCall(this, "open");
    return () -> {};
  }

  @Override
  void newsCame() {
    notifications.tellAll();
  }

  // ---------------------------------------------------------------- write-back

  /** One msync from the first page to the last: what lies between is not dirty, or is welcome. */
  @Override
  public void flush(String site, long[] ranges, int count) {
    flush(site, ranges, count, persistenceMode() == PersistenceMode.FILE);
  }

  @Override
  public void writeBack(String site, long offset, long length) {
    // The emulated cache of a DAX device is the log of its tracker.
    flush(site, new long[] {offset, length}, 1, persistenceMode() != PersistenceMode.DAX);
  }

  private void flush(String site, long[] ranges, int count, boolean syncs) {
    long from = begin(ranges, count);
    long to = end(ranges, count);
    requireReachable("cannot be flushed");
    faults.beforeFlush(this, site, syncs);
    int began = tracker == null ? 0 : tracker.beginFlush();
    if (from < to && syncs) {
      sync(from, to - from);
    }
    if (tracker != null) {
      // A flush that was refused is none.
      for (int i = 0; i < count; i++) {
        tracker.flushed(site, ranges[2 * i], ranges[2 * i + 1], began);
      }
    }
  }

  @Override
  public void fence(String site) {
    VarHandle.fullFence();
    if (tracker != null) {
      tracker.fenced(site);
    }
  }

  // ---------------------------------------------------------------- blocks

  /** Tracked devices give nothing back: what a power cut leaves of that is not modelled. */
  @Override
  public boolean giveBack(long offset, long length) {
    requireInside(offset, length);
    mapping.lock();
    try {
      return !isClosed()
          && state() == DeviceState.LIVE
          && tracker == null
          && !badBlocks.overlaps(offset, length)
          && markSparse()
          && Posix.punchHole(fd(), DeviceLabel.SIZE + offset, length);
    } finally {
      mapping.unlock();
    }
  }

  /** Beside the file: an open reserves no blocks for all of it, as it does otherwise. */
  private static Path sparseMark(Path file) {
    return file.resolveSibling(file.getFileName() + ".sparse");
  }

  /** Says durably, before the first block is given back, that there may be holes. */
  private boolean markSparse() {
    try {
      if (!Files.exists(sparseMark(file))) {
        DurableFile.create(sparseMark(file));
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  @Override
  public void reserve(long offset, long length) {
    requireInside(offset, length);
    mapping.lock();
    try {
      if (isClosed() || state() != DeviceState.LIVE) {
        throw offline("no blocks can be reserved");
      }
      faults.beforeCall(this, "posix_fallocate");
      Posix.allocate(fd(), DeviceLabel.SIZE + offset, length, file);
    } finally {
      mapping.unlock();
    }
  }

  // ---------------------------------------------------------------- removal

  /**
   * Kills the device: state first, then the pages, then the file's name. The holder is not told.
   *
   * @throws IllegalStateException if there is nothing to kill
   * @throws DeviceIoException if the device is dead, but its file kept its name
   */
  void kill() {
    if (!die(false, false)) {
      throw nothingToRemove();
    }
    mapping.lock();
    try {
      if (isClosed()) {
        // The file may be another opener's by now.
        throw nothingToRemove();
      }
      Files.move(file, removedFile(file));
      renamedAway = true;
      if (tracker != null) {
        tracker.renamed(true);
      }
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be renamed away: " + e, e);
    } finally {
      mapping.unlock();
    }
  }

  private IllegalStateException nothingToRemove() {
    return new IllegalStateException(
        file + ": expected a device to remove, was " + (isClosed() ? "closed" : "removed already"));
  }

  /** Puts a removed device back; windows of its former life stay dead. */
  void revive() {
    mapping.lock();
    try {
      if (isClosed() || !renamedAway) {
        throw new IllegalStateException(file + ": expected a removed device, was " + state());
      }
      Files.move(removedFile(file), file);
      renamedAway = false;
      if (tracker != null) {
        tracker.renamed(false);
      }
      live();
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be renamed back: " + e, e);
    } finally {
      mapping.unlock();
    }
  }

  static Path removedFile(Path file) {
    return file.resolveSibling(file.getFileName() + REMOVED);
  }

  // ---------------------------------------------------------------- the medium

  /** Poisons whole pages: list first, then the windows, then the bytes underneath. */
  BadRange poison(long offset, long length, RandomGenerator garbage) {
    requireInside(offset, length);
    if (length == 0) {
      throw new IllegalArgumentException(file + ": poison: expected a range, was empty");
    }
    BadRange pages = DeviceFile.pagesOf(offset, length);
    mapping.lock();
    try {
      if (isClosed() || state() == DeviceState.DEAD) {
        throw offline("cannot be poisoned");
      }
      badBlocks.add(pages.offset(), pages.length());
      faultPages(pages);
      overwrite(pages, garbage::nextBytes);
      return pages;
    } finally {
      mapping.unlock();
    }
  }

  @Override
  void faultPages(Window window, BadRange pages) {
    if (!pagePoison.poison(window.address + pages.offset(), pages.length())) {
      super.faultPages(window, pages);
    }
  }

  @Override
  void clearPages(BadRange pages) {
    overwrite(pages, _ -> {});
  }

  /** Overwrites the bytes under whole pages, page by page. */
  private void overwrite(BadRange pages, Consumer<byte[]> content) {
    byte[] page = new byte[Posix.PAGE_SIZE];
    for (long at = pages.offset(); at < pages.end(); at += page.length) {
      content.accept(page);
      writeMedium(at, page);
    }
  }

  /** Writes to the file itself, which is the medium of this device. */
  private void writeMedium(long offset, byte[] bytes) {
    if (tracker == null) {
      Posix.write(fd(), DeviceLabel.SIZE + offset, bytes, 0, bytes.length, file);
      return;
    }
    tracker.begin(offset, bytes.length);
    try {
      Posix.write(fd(), DeviceLabel.SIZE + offset, bytes, 0, bytes.length, file);
      tracker.wroteMedium(offset, bytes);
    } finally {
      tracker.end();
    }
  }

  /** Changes bytes behind the back of everybody, as a flipped bit or a misdirected write does. */
  void overwriteSilently(long offset, byte[] bytes) {
    requireInside(offset, bytes.length);
    use.readLock().lock();
    try {
      requireOpen();
      writeMedium(offset, bytes);
    } finally {
      use.readLock().unlock();
    }
  }

  /** Reads bytes as they lie on the medium, poisoned or not. */
  byte[] readSilently(long offset, int length) {
    requireInside(offset, length);
    byte[] bytes = new byte[length];
    use.readLock().lock();
    try {
      requireOpen();
      Posix.read(fd(), DeviceLabel.SIZE + offset, bytes, 0, length, file);
    } finally {
      use.readLock().unlock();
    }
    return bytes;
  }

  private void requireOpen() {
    if (isClosed()) {
      throw offline("cannot be reached");
    }
  }
}
