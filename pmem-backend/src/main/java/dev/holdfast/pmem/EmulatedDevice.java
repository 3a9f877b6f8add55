package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.PoisonedRangeException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
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
public final class EmulatedDevice implements PmemDevice {
  /* What DAX hardware gives for free costs address space here: a window maps far behind the end of the
   * file, where every access faults, and growth needs no new mapping. A process has 128 TiB, for all its
   * windows: a window reserves twice what the file system could hold, and no more than this. */
  private static final long LARGEST_RESERVE = 1L << 42;
  private static final long SMALLEST_RESERVE = 1L << 30;

  /** A populated range of this size is remapped in about 0.2 ms, with every reader waiting. */
  private static final long FAULT_STEP = 2L << 20;

  private static final long RELEASE_WAIT_NANOS = 500_000_000L;

  /** Mapped over a window, it makes every access fault; one for the process, never written. */
  private static final int FAULT_FILE = Posix.emptyFile();

  /** Behind the name of the file while the device is removed. */
  static final String REMOVED = ".removed";

  private static final System.Logger LOG = System.getLogger(EmulatedDevice.class.getName());

  /** State and generation change together, in one store. */
  private record Lifecycle(DeviceState state, long generation) {}

  private final Path file;
  private final int fd;
  private final DeviceLabel label;

  /** Goes up, never down. */
  private volatile PersistenceMode mode;

  private final BadBlockList badBlocks;
  private final PagePoison pagePoison;
  private final FaultInjector faults;
  private final HeartbeatFile heartbeat;

  /** Who is told of what is done to the device; null but in tests of power loss. */
  private final @Nullable DeviceTracker tracker;

  private final AtomicReference<Lifecycle> lifecycle =
      new AtomicReference<>(new Lifecycle(DeviceState.LIVE, 1));
  private final AtomicReference<@Nullable DeviceHolder> holder = new AtomicReference<>();
  private final Notifications notifications = new Notifications();

  /** Guards the list of windows, what they map, the size of the file and its name. */
  private final ReentrantLock mapping = new ReentrantLock();

  /**
   * Held shared by who uses the descriptor or a window's addresses without {@code mapping},
   * exclusively by who ends their life: both numbers soon belong to somebody else.
   */
  private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

  private final List<Window> windows = new ArrayList<>();

  /** Whether the file lies under the name of a removed device; guarded by {@code mapping}. */
  private boolean renamedAway;

  private volatile long capacity;
  private volatile boolean closed;

  private EmulatedDevice(
      Path file,
      int fd,
      DeviceLabel label,
      PersistenceMode mode,
      long capacity,
      BadBlockList bad,
      PagePoison pagePoison,
      boolean created) {
    this.file = file;
    this.fd = fd;
    this.label = label;
    this.mode = mode;
    this.capacity = capacity;
    this.badBlocks = bad;
    this.pagePoison = pagePoison;
    this.faults = new FaultInjector(this);
    this.heartbeat = new HeartbeatFile(file);
    this.tracker = Tracking.opened(this, created);
  }

  /**
   * Creates a device in a new file, readable and writable by its owner alone.
   *
   * @param capacity bytes, > 0, rounded up to whole pages
   * @param mode {@link PersistenceMode#FILE} or {@link PersistenceMode#PROCESS}; {@link
   *     PersistenceMode#DAX} only where a {@link CrashRecorder} or {@link CrashPlace} emulates it
   * @throws dev.holdfast.error.OutOfSpaceException if the place has no room; no file is left then
   * @throws DeviceIoException if the file exists or cannot be created
   */
  public static EmulatedDevice create(Path file, long capacity, PersistenceMode mode) {
    return create(file, capacity, mode, PagePoison.SYSTEM);
  }

  static EmulatedDevice create(
      Path file, long capacity, PersistenceMode mode, PagePoison pagePoison) {
    Posix.requireSupportedPlatform();
    if (capacity <= 0) {
      throw new IllegalArgumentException("capacity: expected > 0, was " + capacity);
    }
    requireMode(file, mode);
    long whole = wholePages(capacity, file);
    if (Files.exists(removedFile(file), LinkOption.NOFOLLOW_LINKS)) {
      throw new DeviceIoException(file + ": expected a free place, is that of a removed device");
    }
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
      Posix.allocate(fd, 0, DeviceLabel.SIZE + whole, file);
      DeviceLabel label = new DeviceLabel(UUID.randomUUID());
      byte[] bytes = label.encode();
      Posix.write(fd, 0, bytes, 0, bytes.length, file);
      Posix.dataSync(fd, file);
      return new EmulatedDevice(
          file, fd, label, mode, whole, BadBlockList.load(list, whole), pagePoison, true);
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

  /**
   * Opens the device in an existing file.
   *
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
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new DeviceOfflineException(file + ": no such device; it was removed or never created");
    }
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new InvalidImageException(file + ": expected a regular file, was something else");
    }
    int fd = Posix.open(file);
    try {
      long size = Files.size(file);
      DeviceLabel label = DeviceLabel.read(fd, size, file);
      long capacity = (size - DeviceLabel.SIZE) / Posix.PAGE_SIZE * Posix.PAGE_SIZE;
      if (capacity > LARGEST_RESERVE) {
        throw new InvalidImageException(
            file + ": expected at most " + LARGEST_RESERVE + " bytes, was " + capacity);
      }
      // Blocks that were never reserved (a sparse copy of an image) would be SIGBUS on a full disk.
      // Of those that were given back the holder knows: it has them reserved before it stores.
      if (capacity > 0 && !Files.exists(sparseMark(file))) {
        Posix.allocate(fd, DeviceLabel.SIZE, capacity, file);
      }
      return new EmulatedDevice(
          file,
          fd,
          label,
          mode,
          capacity,
          BadBlockList.load(badBlockFile(file), capacity),
          pagePoison,
          false);
    } catch (RuntimeException | IOException e) {
      Posix.close(fd);
      throw e instanceof RuntimeException r ? r : new DeviceIoException(file + ": " + e, e);
    }
  }

  /**
   * Asks whether a device in this file can be created or opened in a mode.
   *
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

  /** The faults that can be injected into this device. */
  public FaultInjector faults() {
    return faults;
  }

  /** The file that holds the device while it is not removed. */
  public Path file() {
    return file;
  }

  @Override
  public UUID id() {
    return label.id();
  }

  @Override
  public String name() {
    return file.toString();
  }

  @Override
  public long capacity() {
    return capacity;
  }

  @Override
  public DeviceState state() {
    return lifecycle.get().state();
  }

  @Override
  public long generation() {
    return lifecycle.get().generation();
  }

  @Override
  public PersistenceMode persistenceMode() {
    return mode;
  }

  @Override
  public void raise(PersistenceMode mode) {
    if (this.mode == PersistenceMode.PROCESS && mode == PersistenceMode.FILE) {
      this.mode = mode;
    } else {
      PmemDevice.super.raise(mode);
    }
  }

  @Override
  public Window map() {
    mapping.lock();
    try {
      // Looked at under the lock: a kill that came first is seen here, one that comes later finds
      // the window in the list and faults it.
      Lifecycle now = lifecycle.get();
      if (closed || now.state() != DeviceState.LIVE) {
        throw offline("cannot be mapped");
      }
      long reserve = reserve();
      long address;
      while (true) {
        try {
          address = Posix.map(0, reserve, 0, fd, DeviceLabel.SIZE);
          break;
        } catch (DeviceIoException e) {
          // A limit on address space (ulimit -v): a smaller window still holds the device.
          reserve >>= 1;
          if (reserve < SMALLEST_RESERVE || reserve < 2 * capacity) {
            throw e;
          }
        }
      }
      Window window = new Window(this, now.generation(), address, reserve, tracker);
      try {
        for (BadRange range : badBlocks.faulting()) {
          poisonPages(window, pagesOf(range.offset(), range.length()));
        }
      } catch (RuntimeException e) {
        Posix.unmap(address, reserve);
        throw e;
      }
      windows.add(window);
      return window;
    } finally {
      mapping.unlock();
    }
  }

  private long reserve() {
    // Not by Files.getFileStore, which reads the list of all mounts first.
    long total = file.toFile().getTotalSpace();
    if (total <= 0 || total > LARGEST_RESERVE / 2) {
      return LARGEST_RESERVE; // not limited, or larger than anything that is mapped here
    }
    return Math.max(SMALLEST_RESERVE, Long.highestOneBit(4 * total - 1));
  }

  boolean populate(Window window, long offset, long length) {
    if (offset < 0 || length <= 0 || offset > capacity() - length) {
      throw new IllegalArgumentException(
          file
              + ": expected a range inside [0, "
              + capacity()
              + "), was ["
              + offset
              + ", +"
              + length
              + ")");
    }
    use.readLock().lock();
    try {
      return windows.contains(window) && Posix.populate(window.address + offset, length);
    } finally {
      use.readLock().unlock();
    }
  }

  void unmap(Window window) {
    use.writeLock().lock();
    mapping.lock();
    try {
      if (windows.remove(window)) {
        Posix.unmap(window.address, window.reserve);
      }
    } finally {
      mapping.unlock();
      use.writeLock().unlock();
    }
  }

  @Override
  public void flush(long offset, long length) {
    flush(UNNAMED_SITE, offset, length);
  }

  @Override
  public void flush(String site, long offset, long length) {
    flush(site, new long[] {offset, length}, 1);
  }

  /** One msync from the first page to the last: what lies between is not dirty, or is welcome. */
  @Override
  public void flush(String site, long[] ranges, int count) {
    flush(site, ranges, count, mode == PersistenceMode.FILE);
  }

  @Override
  public void writeBack(String site, long offset, long length) {
    // The emulated cache of a DAX device is the log of its tracker.
    flush(site, new long[] {offset, length}, 1, mode != PersistenceMode.DAX);
  }

  private void flush(String site, long[] ranges, int count, boolean syncs) {
    long from = Long.MAX_VALUE;
    long to = 0;
    for (int i = 0; i < count; i++) {
      long offset = ranges[2 * i];
      long length = ranges[2 * i + 1];
      requireInside(offset, length);
      if (length > 0) {
        from = Math.min(from, offset);
        to = Math.max(to, offset + length);
      }
    }
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

  /** Holds no lock of the device, so that one that hangs hinders nobody. */
  @Override
  public void heartbeat() {
    requireReachable("no heartbeat");
    faults.beforeHeartbeat(this);
    heartbeat.beat();
  }

  private void sync(long offset, long length) {
    BadRange pages = pagesOf(offset, length);
    use.readLock().lock();
    try {
      requireReachable("cannot be flushed");
      long flushed = generation();
      Window window = windowOf(flushed);
      // Without the lock on the windows: a removal does not wait for the medium.
      if (window == null) {
        Posix.dataSync(fd, file);
      } else {
        Posix.sync(window.address + pages.offset(), pages.length(), file);
      }
      if (generation() != flushed) {
        // The pages may have been exchanged before they were written back.
        throw offline("went away while it was flushed");
      }
    } finally {
      use.readLock().unlock();
    }
  }

  private @Nullable Window windowOf(long generation) {
    mapping.lock();
    try {
      for (Window window : windows) {
        if (window.generation() == generation) {
          return window;
        }
      }
      return null;
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public void fence() {
    fence(UNNAMED_SITE);
  }

  @Override
  public void fence(String site) {
    VarHandle.fullFence();
    if (tracker != null) {
      tracker.fenced(site);
    }
  }

  @Override
  public void grow(long capacity) {
    mapping.lock();
    try {
      if (closed || state() != DeviceState.LIVE) {
        throw offline("cannot grow");
      }
      long whole = wholePages(capacity, file);
      if (whole <= this.capacity) {
        return;
      }
      for (Window window : windows) {
        if (whole > window.reserve) {
          throw new OutOfSpaceException(
              file
                  + ": cannot grow to "
                  + whole
                  + " bytes: a window reserves "
                  + window.reserve
                  + "; open it again");
        }
      }
      if (tracker != null) {
        tracker.requireSmall(whole);
      }
      long end = DeviceLabel.SIZE + this.capacity;
      try {
        Posix.allocate(fd, end, whole - this.capacity, file);
      } catch (RuntimeException e) {
        Posix.truncate(fd, end, file);
        throw e;
      }
      if (tracker != null) {
        tracker.grown(whole);
      }
      this.capacity = whole;
    } finally {
      mapping.unlock();
    }
  }

  /** Tracked devices give nothing back: what a power cut leaves of that is not modelled. */
  @Override
  public boolean giveBack(long offset, long length) {
    requireInside(offset, length);
    mapping.lock();
    try {
      return !closed
          && state() == DeviceState.LIVE
          && tracker == null
          && !badBlocks.overlaps(offset, length)
          && markSparse()
          && Posix.punchHole(fd, DeviceLabel.SIZE + offset, length);
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
      if (closed || state() != DeviceState.LIVE) {
        throw offline("no blocks can be reserved");
      }
      Posix.allocate(fd, DeviceLabel.SIZE + offset, length, file);
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public List<BadRange> badBlocks() {
    return badBlocks.ranges();
  }

  @Override
  public void read(long offset, byte[] target, int targetOffset, int length) {
    requireInside(offset, length);
    Objects.checkFromIndexSize(targetOffset, length, target.length);
    use.readLock().lock();
    try {
      requireReachable("cannot be read");
      requireUnpoisoned(offset, length);
      Posix.read(fd, DeviceLabel.SIZE + offset, target, targetOffset, length, file);
      // Poison lists a range before it spoils the bytes: what it struck meanwhile shows now.
      requireUnpoisoned(offset, length);
    } finally {
      use.readLock().unlock();
    }
  }

  private void requireUnpoisoned(long offset, long length) {
    if (badBlocks.overlaps(offset, length)) {
      throw new PoisonedRangeException(
          file + ": poisoned inside [" + offset + ", +" + length + ")");
    }
  }

  @Override
  public BadRange clearPoison(long offset, long length) {
    requireInside(offset, length);
    BadRange pages = pagesOf(offset, length);
    faults.beforeClear(this);
    mapping.lock();
    try {
      if (closed || state() != DeviceState.LIVE) {
        throw offline("poison cannot be cleared");
      }
      if (pages.length() == 0) {
        return pages;
      }
      overwrite(pages, _ -> {});
      for (Window window : windows) {
        if (window.generation() == generation()) {
          Posix.map(
              window.address + pages.offset(),
              pages.length(),
              Posix.MAP_FIXED,
              fd,
              DeviceLabel.SIZE + pages.offset());
        }
      }
      badBlocks.clear(pages.offset(), pages.length());
      return pages;
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public void dropBadBlocks(long offset, long length) {
    requireInside(offset, length);
    requireReachable("bad blocks cannot be dropped");
    for (BadRange dropped : badBlocks.drop(offset, length)) {
      notifyHolder(new Fault(FaultKind.CLEARED, dropped.offset(), dropped.length()));
    }
  }

  @Override
  public void hold(DeviceHolder holder) {
    if (!this.holder.compareAndSet(null, holder)) {
      throw new IllegalStateException(file + ": expected no holder, has one");
    }
  }

  @Override
  public void release(DeviceHolder holder) {
    if (this.holder.compareAndSet(holder, null)) {
      notifications.awaitNone(RELEASE_WAIT_NANOS);
    }
  }

  @Override
  public void close() {
    use.writeLock().lock();
    mapping.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      heartbeat.close();
      try {
        // A window that its user did not close must not go on writing to a file that is no longer
        // held. It stays in the list, so that closing it later gives its addresses back.
        for (Window window : windows) {
          Posix.map(window.address, window.reserve, Posix.MAP_FIXED, FAULT_FILE, 0);
        }
      } finally {
        Posix.close(fd);
      }
    } finally {
      mapping.unlock();
      use.writeLock().unlock();
    }
  }

  /**
   * Kills the device: state first, then the pages, then the file's name. The holder is not told.
   *
   * @throws IllegalStateException if there is nothing to kill
   * @throws DeviceIoException if the device is dead, but its file kept its name
   */
  void kill() {
    Lifecycle now;
    do {
      now = lifecycle.get();
      if (closed || now.state() == DeviceState.DEAD) {
        throw nothingToRemove();
      }
    } while (!lifecycle.compareAndSet(now, new Lifecycle(DeviceState.DEAD, now.generation() + 1)));
    mapping.lock();
    try {
      if (closed) {
        // The file may be another opener's by now.
        throw nothingToRemove();
      }
      badBlocks.forgetCleared();
      for (Window window : windows) {
        // Those of a former life are dead already.
        if (window.generation() == now.generation()) {
          faultEverything(window);
        }
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
        file + ": expected a device to remove, was " + (closed ? "closed" : "removed already"));
  }

  /** Ends the mapping of new windows, and nothing else. */
  void beginOrderlyRemoval() {
    // Under the lock, so that no map() which saw the old state is still on its way.
    mapping.lock();
    try {
      Lifecycle now = lifecycle.get();
      if (closed
          || now.state() != DeviceState.LIVE
          || !lifecycle.compareAndSet(now, new Lifecycle(DeviceState.DYING, now.generation()))) {
        throw new IllegalStateException(file + ": expected a LIVE device, was " + state());
      }
    } finally {
      mapping.unlock();
    }
  }

  /** Puts a removed device back; windows of its former life stay dead. */
  void revive() {
    mapping.lock();
    try {
      Lifecycle now = lifecycle.get();
      if (closed || !renamedAway) {
        throw new IllegalStateException(file + ": expected a removed device, was " + now.state());
      }
      Files.move(removedFile(file), file);
      renamedAway = false;
      if (tracker != null) {
        tracker.renamed(false);
      }
      lifecycle.set(new Lifecycle(DeviceState.LIVE, now.generation() + 1));
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be renamed back: " + e, e);
    } finally {
      mapping.unlock();
    }
  }

  /** Poisons whole pages: list first, then the windows, then the bytes underneath. */
  BadRange poison(long offset, long length, RandomGenerator garbage) {
    requireInside(offset, length);
    if (length == 0) {
      throw new IllegalArgumentException(file + ": poison: expected a range, was empty");
    }
    BadRange pages = pagesOf(offset, length);
    mapping.lock();
    try {
      if (closed || state() == DeviceState.DEAD) {
        throw offline("cannot be poisoned");
      }
      badBlocks.add(pages.offset(), pages.length());
      for (Window window : windows) {
        if (window.generation() == generation()) {
          poisonPages(window, pages);
        }
      }
      overwrite(pages, garbage::nextBytes);
      return pages;
    } finally {
      mapping.unlock();
    }
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
      Posix.write(fd, DeviceLabel.SIZE + offset, bytes, 0, bytes.length, file);
      return;
    }
    tracker.begin(offset, bytes.length);
    try {
      Posix.write(fd, DeviceLabel.SIZE + offset, bytes, 0, bytes.length, file);
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
      Posix.read(fd, DeviceLabel.SIZE + offset, bytes, 0, length, file);
    } finally {
      use.readLock().unlock();
    }
    return bytes;
  }

  /** Tells the holder, on this thread, with no lock held. */
  void notifyHolder(Fault fault) {
    notifications.begin();
    try {
      DeviceHolder told = holder.get();
      if (told != null) {
        told.notifyFailure(this, fault);
      }
    } catch (RuntimeException | Error e) {
      // Errors too: a holder that touched the dead device gets its InternalError, not the injector.
      LOG.log(Level.WARNING, name() + ": the holder failed on " + fault, e);
    } finally {
      notifications.end();
    }
  }

  static Path removedFile(Path file) {
    return file.resolveSibling(file.getFileName() + REMOVED);
  }

  private static Path badBlockFile(Path file) {
    return file.resolveSibling(file.getFileName() + ".badblocks");
  }

  private void poisonPages(Window window, BadRange pages) {
    if (!pagePoison.poison(window.address + pages.offset(), pages.length())) {
      Posix.map(
          window.address + pages.offset(),
          pages.length(),
          Posix.MAP_FIXED,
          FAULT_FILE,
          DeviceLabel.SIZE + pages.offset());
    }
  }

  private void faultEverything(Window window) {
    long populated = Math.min(capacity, window.reserve);
    for (long at = 0; at < populated; at += FAULT_STEP) {
      // File offsets that fit together, so that the kernel merges the steps into one mapping.
      Posix.map(
          window.address + at,
          Math.min(FAULT_STEP, populated - at),
          Posix.MAP_FIXED,
          FAULT_FILE,
          DeviceLabel.SIZE + at);
    }
    if (populated < window.reserve) {
      Posix.map(
          window.address + populated,
          window.reserve - populated,
          Posix.MAP_FIXED,
          FAULT_FILE,
          DeviceLabel.SIZE + populated);
    }
  }

  private static BadRange pagesOf(long offset, long length) {
    long from = offset / Posix.PAGE_SIZE * Posix.PAGE_SIZE;
    long to = Math.ceilDiv(offset + length, Posix.PAGE_SIZE) * (long) Posix.PAGE_SIZE;
    return new BadRange(from, to - from);
  }

  private void requireInside(long offset, long length) {
    if (offset < 0 || length < 0 || offset > capacity - length) {
      throw new IllegalArgumentException(
          file
              + ": expected a range inside "
              + capacity
              + " bytes, was ["
              + offset
              + ", +"
              + length
              + ")");
    }
  }

  private void requireOpen() {
    if (closed) {
      throw offline("cannot be reached");
    }
  }

  private void requireReachable(String what) {
    if (closed || state() == DeviceState.DEAD) {
      throw offline(what);
    }
  }

  /** Rounds a capacity up; what no window can map is out of space, whatever the disk has. */
  private static long wholePages(long capacity, Path file) {
    if (capacity > LARGEST_RESERVE) {
      throw new OutOfSpaceException(
          file + ": expected at most " + LARGEST_RESERVE + " bytes, was " + capacity);
    }
    return Math.ceilDiv(capacity, Posix.PAGE_SIZE) * (long) Posix.PAGE_SIZE;
  }

  private DeviceOfflineException offline(String what) {
    return new DeviceOfflineException(
        file + ": " + what + ": the device is " + (closed ? "closed" : state()));
  }

  /** Counts running notifications, so that a holder can leave. */
  private static final class Notifications {
    private final ThreadLocal<Integer> depth = ThreadLocal.withInitial(() -> 0);
    private final AtomicInteger running = new AtomicInteger();

    void begin() {
      depth.set(depth.get() + 1);
      running.incrementAndGet();
    }

    void end() {
      running.decrementAndGet();
      int left = depth.get() - 1;
      if (left == 0) {
        depth.remove();
      } else {
        depth.set(left);
      }
    }

    void awaitNone(long nanos) {
      long deadline = System.nanoTime() + nanos;
      while (running.get() > depth.get() && System.nanoTime() - deadline < 0) {
        LockSupport.parkNanos(50_000);
      }
    }
  }
}
