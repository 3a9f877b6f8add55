package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.PoisonedRangeException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A device in a file: its label, its windows, its bad blocks, its life and who is told of it. What
 * the kinds of devices differ in is how stores get to the medium, how poison comes and goes, and
 * how a removal is found out.
 *
 * <p><b>Lock order:</b> {@code use}, {@code mapping}, the bad block list. The holder is called with
 * no lock held. Methods that are meant for a subclass say which lock is held.
 */
abstract sealed class FileDevice implements PmemDevice permits EmulatedDevice, DaxDevice {
  /** In place of a descriptor. */
  private static final int NO_FILE = -1;

  private static final System.Logger LOG = System.getLogger(PmemDevice.class.getName());

  /** How long calls that use a window or the descriptor are waited for. */
  private static final long ALONE_NANOS = 100_000_000L;

  /** State and generation change together, in one store. */
  private record Lifecycle(DeviceState state, long generation) {}

  final Path file;

  /** Changes when a device is opened again that was let go of; used while LIVE, or under a lock. */
  private volatile int fd;

  private final DeviceLabel label;

  /** Goes up, never down. */
  private volatile PersistenceMode mode;

  final BadBlockList badBlocks;
  private final AtomicReference<Lifecycle> lifecycle =
      new AtomicReference<>(new Lifecycle(DeviceState.LIVE, 1));

  /** Removal and return are added to it under {@code mapping}, so that they are in order. */
  final Notifications notifications = new Notifications(this);

  /** Guards the list of windows, what they map, the size of the file and its name. */
  final ReentrantLock mapping = new ReentrantLock();

  /**
   * Held shared by who uses the descriptor or a window's addresses without {@code mapping},
   * exclusively by who ends their life: both numbers soon belong to somebody else.
   */
  final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

  private final Windows windows;

  /** Windows that were given back and are not unmapped yet. */
  private final Queue<Window> late = new ConcurrentLinkedQueue<>();

  private final WindowOwner owner = new Owner();
  private volatile HeartbeatFile heartbeat;

  /** Whether the windows fault since the device died; under {@code mapping}. */
  private boolean buried;

  /** Whether a device that died was seen to be away; under {@code mapping}. */
  private boolean seenAway;

  private volatile long capacity;
  private volatile boolean closed;

  /** The last complaint, so that it is made once. */
  private String complaint = "";

  FileDevice(DeviceFile opened, PersistenceMode mode) {
    this.file = opened.path();
    this.windows = new Windows(file);
    this.fd = opened.fd();
    this.label = opened.label();
    this.mode = mode;
    this.capacity = opened.capacity();
    this.badBlocks = opened.badBlocks();
    this.heartbeat = new HeartbeatFile(file);
  }

  // ---------------------------------------------------------------- what kinds differ in

  /** Flags of the mapping of a window, besides those that all have. */
  int mapFlags() {
    return 0;
  }

  /** Who is told of stores. */
  @Nullable DeviceTracker tracker() {
    return null;
  }

  /** Before what is mapped so far is mapped, or gets larger; under {@code mapping}. */
  void beforeMapping(long capacity) {}

  /** Before a call to the file, which is named; may throw what the call would. */
  void beforeCall(String call) {}

  /** Before a heartbeat; may throw what that would, and may take as long. */
  void beforeHeartbeat() {}

  /** Before the file gets larger; under {@code mapping}. */
  void beforeGrowth(long capacity) {}

  /** The file is larger; under {@code mapping}. */
  void grown(long capacity) {}

  /** Before poison is cleared; may throw that it is not. */
  void beforeClear() {}

  /** Has the medium take pages again; under {@code mapping}. */
  abstract void clearPages(BadRange pages);

  /** A call that reads failed: finds out why, so that it is known behind this. */
  void readFailed() {}

  /** The file is about to be closed, and no window leads to it; under both locks. */
  void closing() {}

  /** There are news, for who holds no lock to tell. */
  abstract void newsCame();

  /**
   * Asks whether the place of a device that died may hold it again.
   *
   * @return what is to be taken over if the device is there, under {@code mapping}; null if not
   * @throws DeviceIoException if it cannot be told
   */
  abstract @Nullable Runnable placeIsBack();

  /** Makes pages of a window fault; under {@code mapping}. */
  void faultPages(Window window, BadRange pages) {
    Windows.faultPages(window, pages);
  }

  // ---------------------------------------------------------------- what it is

  /** {@return the file that holds the device while it is not removed} */
  public final Path file() {
    return file;
  }

  /** The descriptor of the file; for who holds one of the locks. */
  final int fd() {
    return fd;
  }

  final boolean isClosed() {
    return closed;
  }

  @Override
  public final UUID id() {
    return label.id();
  }

  @Override
  public final String name() {
    return file.toString();
  }

  @Override
  public final long capacity() {
    return capacity;
  }

  @Override
  public final DeviceState state() {
    return lifecycle.get().state();
  }

  @Override
  public final long generation() {
    return lifecycle.get().generation();
  }

  @Override
  public final PersistenceMode persistenceMode() {
    return mode;
  }

  @Override
  public final void raise(PersistenceMode mode) {
    if (this.mode == PersistenceMode.PROCESS && mode == PersistenceMode.FILE) {
      this.mode = mode;
    } else {
      PmemDevice.super.raise(mode);
    }
  }

  // ---------------------------------------------------------------- windows

  @Override
  public final Window map() {
    mapping.lock();
    try {
      // Looked at under the lock: a kill that came first is seen here, one that comes later finds
      // the window in the list and faults it.
      Lifecycle now = lifecycle.get();
      if (closed || now.state() != DeviceState.LIVE) {
        throw offline("cannot be mapped");
      }
      beforeMapping(capacity);
      return windows.map(
          owner, now.generation(), fd, mapFlags(), capacity, tracker(), this::faultBad);
    } finally {
      mapping.unlock();
    }
  }

  private void faultBad(Window window) {
    for (BadRange range : badBlocks.faulting()) {
      faultPages(window, DeviceFile.pagesOf(range.offset(), range.length()));
    }
  }

  /** What the windows ask for. */
  private final class Owner implements WindowOwner {
    @Override
    public PmemDevice device() {
      return FileDevice.this;
    }

    @Override
    public boolean populate(Window window, long offset, long length) {
      return inUse(offset, length, () -> windows.populate(window, offset, length));
    }

    @Override
    public boolean refusesStores(Window window, long offset, long length) {
      return inUse(offset, length, () -> windows.refusesStores(window, offset, length));
    }

    private boolean inUse(long offset, long length, BooleanSupplier body) {
      requireInside(offset, length);
      use.readLock().lock();
      try {
        return body.getAsBoolean();
      } finally {
        use.readLock().unlock();
      }
    }

    @Override
    public void unmap(Window window) {
      late.add(window);
      unmapLate(ALONE_NANOS);
    }
  }

  /** Unmaps what was given back, unless a call that hangs uses the addresses: then it is later. */
  private void unmapLate(long nanos) {
    if (late.isEmpty() || !alone(nanos)) {
      return;
    }
    mapping.lock();
    try {
      for (Window window = late.poll(); window != null; window = late.poll()) {
        windows.unmap(window);
      }
    } finally {
      mapping.unlock();
      use.writeLock().unlock();
    }
  }

  /** Takes {@code use} exclusively, unless a call holds it for too long. */
  private boolean alone(long nanos) {
    long deadline = System.nanoTime() + nanos;
    boolean interrupted = false;
    try {
      while (true) {
        try {
          long left = Math.max(0, deadline - System.nanoTime());
          return use.writeLock().tryLock(left, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Makes pages fault in every window of the present life; under {@code mapping}. */
  final void faultPages(BadRange pages) {
    windows.forEachOfLife(generation(), window -> faultPages(window, pages));
  }

  // ---------------------------------------------------------------- write-back

  @Override
  public final void flush(long offset, long length) {
    flush(UNNAMED_SITE, offset, length);
  }

  @Override
  public final void flush(String site, long offset, long length) {
    flush(site, new long[] {offset, length}, 1);
  }

  /** Where ranges begin; beyond {@link #end} if all of them are empty. */
  final long begin(long[] ranges, int count) {
    long from = Long.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      requireInside(ranges[2 * i], ranges[2 * i + 1]);
      from = ranges[2 * i + 1] > 0 ? Math.min(from, ranges[2 * i]) : from;
    }
    return from;
  }

  /** Where ranges end; 0 if all of them are empty. */
  static long end(long[] ranges, int count) {
    long to = 0;
    for (int i = 0; i < count; i++) {
      to = ranges[2 * i + 1] > 0 ? Math.max(to, ranges[2 * i] + ranges[2 * i + 1]) : to;
    }
    return to;
  }

  /** Has the kernel write pages back. */
  final void sync(long offset, long length) {
    BadRange pages = DeviceFile.pagesOf(offset, length);
    use.readLock().lock();
    try {
      requireReachable("cannot be flushed");
      long flushed = generation();
      Window window = windowOf(flushed);
      // Without the lock on the windows: a removal does not wait for the medium.
      if (window == null) {
        Posix.dataSync(fd, file);
      } else {
        Windows.sync(window, pages, file);
      }
      requireGeneration(flushed);
    } finally {
      use.readLock().unlock();
      unmapLate(0);
    }
  }

  private @Nullable Window windowOf(long generation) {
    mapping.lock();
    try {
      return windows.ofLife(generation);
    } finally {
      mapping.unlock();
    }
  }

  /** The pages may have been exchanged before they were written back. */
  final void requireGeneration(long flushed) {
    if (closed || generation() != flushed) {
      throw offline("went away while it was flushed");
    }
  }

  @Override
  public final void fence() {
    fence(UNNAMED_SITE);
  }

  // ---------------------------------------------------------------- size and bytes

  @Override
  public final void grow(long capacity) {
    mapping.lock();
    try {
      if (closed || state() != DeviceState.LIVE) {
        throw offline("cannot grow");
      }
      long whole = DeviceFile.wholePages(capacity, file);
      if (whole <= this.capacity) {
        return;
      }
      windows.requireRoom(whole);
      beforeCall("posix_fallocate");
      beforeGrowth(whole);
      long end = DeviceLabel.SIZE + this.capacity;
      try {
        HugePages.allocate(fd, end, DeviceLabel.SIZE + whole, file);
        if (!windows.isEmpty()) {
          beforeMapping(whole);
        }
      } catch (RuntimeException e) {
        Posix.truncate(fd, end, file);
        throw e;
      }
      grown(whole);
      this.capacity = whole;
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public final void read(long offset, byte[] target, int targetOffset, int length) {
    requireInside(offset, length);
    Objects.checkFromIndexSize(targetOffset, length, target.length);
    use.readLock().lock();
    try {
      requireReachable("cannot be read");
      beforeCall("pread");
      requireUnpoisoned(offset, length);
      try {
        Posix.read(fd, DeviceLabel.SIZE + offset, target, targetOffset, length, file);
      } catch (DeviceIoException e) {
        // The kernel says EIO whatever it was; the device may know.
        readFailed();
        requireReachable("cannot be read");
        requireUnpoisoned(offset, length);
        throw e;
      }
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

  // ---------------------------------------------------------------- poison

  @Override
  public final List<BadRange> badBlocks() {
    return badBlocks.ranges();
  }

  @Override
  public final BadRange clearPoison(long offset, long length) {
    requireInside(offset, length);
    BadRange pages = DeviceFile.pagesOf(offset, length);
    beforeClear();
    mapping.lock();
    try {
      if (closed || state() != DeviceState.LIVE) {
        throw offline("poison cannot be cleared");
      }
      if (pages.length() == 0) {
        return pages;
      }
      clearPages(pages);
      windows.forEachOfLife(
          generation(), window -> Windows.mapPages(window, pages, fd, mapFlags()));
      badBlocks.clear(pages.offset(), pages.length());
      return pages;
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public final void dropBadBlocks(long offset, long length) {
    requireInside(offset, length);
    requireReachable("bad blocks cannot be dropped");
    for (BadRange dropped : badBlocks.drop(offset, length)) {
      notifications.add(new Fault(FaultKind.CLEARED, dropped.offset(), dropped.length()));
    }
    newsCame();
  }

  // ---------------------------------------------------------------- the holder

  @Override
  public final void hold(DeviceHolder holder) {
    notifications.hold(holder);
  }

  @Override
  public final void release(DeviceHolder holder) {
    notifications.release(holder);
  }

  /** Complains to the log, once. */
  final synchronized void complain(String what) {
    if (!what.equals(complaint)) {
      complaint = what;
      LOG.log(Level.WARNING, file + ": " + what);
    }
  }

  // ---------------------------------------------------------------- its life

  /** Holds no lock of the device, so that one that hangs hinders nobody. */
  @Override
  public final void heartbeat() {
    requireReachable("no heartbeat");
    beforeHeartbeat();
    HeartbeatFile beats = heartbeat;
    long asked = generation();
    try {
      beats.requireThere(DeviceLabel.SIZE + capacity);
    } catch (DeviceIoException e) {
      if (generation() != asked || state() != DeviceState.LIVE) {
        // Its file lay elsewhere because it was removed.
        throw offline("went away while its heartbeat was under way");
      }
      throw e;
    }
    beats.beat();
  }

  /**
   * Ends the life of the device: state first, then the pages.
   *
   * @param away whether it was seen not to be there, so that it is a return if it is
   * @param told whether the holder is to be told, see {@link #newsCame}
   * @return false if it had ended before
   */
  final boolean die(boolean away, boolean told) {
    Lifecycle now;
    do {
      now = lifecycle.get();
      if (closed || now.state() == DeviceState.DEAD) {
        return false;
      }
    } while (!lifecycle.compareAndSet(now, new Lifecycle(DeviceState.DEAD, now.generation() + 1)));
    mapping.lock();
    try {
      if (closed) {
        return false; // The file may be another opener's by now.
      }
      badBlocks.forgetCleared();
      windows.forEachOfLife(now.generation(), w -> Windows.faultEverything(w, capacity));
      seenAway = away;
      buried = true;
      if (told) {
        notifications.add(Fault.ofDevice(FaultKind.REMOVED, capacity));
      }
      return true;
    } finally {
      mapping.unlock();
    }
  }

  /** Ends the mapping of new windows, and nothing else. */
  final void beginOrderlyRemoval() {
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

  /**
   * Takes back what {@link #beginOrderlyRemoval} began: the windows were never touched.
   *
   * @return whether the device is LIVE; if not, it died meanwhile
   */
  final boolean endOrderlyRemoval() {
    Lifecycle now = lifecycle.get();
    return now.state() == DeviceState.DYING
        && lifecycle.compareAndSet(now, new Lifecycle(DeviceState.LIVE, now.generation()));
  }

  /** Begins another life; windows of the former one stay dead. Under {@code mapping}. */
  final void live() {
    buried = false;
    lifecycle.set(new Lifecycle(DeviceState.LIVE, generation() + 1));
  }

  @Override
  public final void abandon() {
    if (!die(false, true)) {
      return;
    }
    use.writeLock().lock();
    try {
      letGo();
    } finally {
      use.writeLock().unlock();
    }
    // Before anybody knows: who does may have it mounted again before it is looked for.
    Found found = openAgain();
    mapping.lock();
    try {
      seenAway |= isAway(found);
    } finally {
      mapping.unlock();
    }
    if (found != null) {
      found.close();
    }
    newsCame();
  }

  /**
   * Lets go of the file of a device that died, so that what it lies on can be unmounted; with
   * {@code use} held exclusively.
   */
  final void letGo() {
    mapping.lock();
    try {
      if (closed || !buried || fd == NO_FILE) {
        return;
      }
      heartbeat.close();
      int last = fd;
      fd = NO_FILE;
      try {
        closing();
      } finally {
        Posix.close(last);
      }
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public final boolean comeBack(boolean asked) {
    mapping.lock();
    try {
      if (!isLetGo()) {
        return !closed && state() == DeviceState.LIVE;
      }
    } finally {
      mapping.unlock();
    }
    // With no lock held: what it lies on may hang.
    Found found = openAgain();
    mapping.lock();
    try {
      if (isLetGo()) {
        seenAway |= isAway(found);
      }
      if (found == null || !isLetGo() || !(asked || seenAway)) {
        if (found != null) {
          found.close();
        }
        return false;
      }
      fd = found.fd();
      heartbeat = found.heartbeat();
      found.place().run();
      // What it grew by last may not have come to the medium.
      capacity = found.capacity();
      notifications.add(Fault.ofDevice(FaultKind.RETURNED, capacity));
      live();
    } finally {
      mapping.unlock();
    }
    newsCame();
    return true;
  }

  private boolean isLetGo() {
    return !closed && buried && fd == NO_FILE;
  }

  /** A file that lost its end is not the one that was there. */
  private boolean isAway(@Nullable Found found) {
    return found == null || found.capacity() < capacity;
  }

  /**
   * The file of a device that was let go of, opened again.
   *
   * @param place takes over what else is new
   */
  private record Found(int fd, HeartbeatFile heartbeat, long capacity, Runnable place) {
    void close() {
      heartbeat.close();
      Posix.close(fd);
    }
  }

  /** Opens the file, if it is this device and its medium writes. */
  private @Nullable Found openAgain() {
    int found = NO_FILE;
    HeartbeatFile beats = null;
    try {
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        return null;
      }
      Runnable place = placeIsBack();
      if (place == null) {
        return null;
      }
      found = Posix.open(file);
      long size = Files.size(file);
      DeviceLabel there = DeviceLabel.read(found, size, file);
      if (!there.equals(label)) {
        complain("expected device " + id() + " to return, was " + there.id());
      } else if (DeviceFile.capacityOf(size) > 0) {
        beats = new HeartbeatFile(file);
        beats.beat();
        return new Found(found, beats, DeviceFile.capacityOf(size), place);
      }
    } catch (HoldfastException | IOException e) {
      LOG.log(Level.DEBUG, name() + ": is not back", e);
    }
    if (beats != null) {
      beats.close();
    }
    if (found != NO_FILE) {
      Posix.close(found);
    }
    return null;
  }

  /** A call that hangs on the medium keeps the descriptor, and nothing else, until it is back. */
  @Override
  public void close() {
    boolean alone = alone(ALONE_NANOS);
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
        windows.faultAll();
      } finally {
        if (alone) {
          closeFile();
        } else {
          Thread _ = Thread.ofPlatform().daemon().name("holdfast-close").start(this::closeFileLate);
        }
      }
    } finally {
      mapping.unlock();
      if (alone) {
        use.writeLock().unlock();
      }
    }
  }

  private void closeFileLate() {
    use.writeLock().lock();
    mapping.lock();
    try {
      closeFile();
    } finally {
      mapping.unlock();
      use.writeLock().unlock();
    }
  }

  /** Under both locks. */
  private void closeFile() {
    try {
      closing();
    } finally {
      if (fd != NO_FILE) {
        Posix.close(fd);
      }
    }
  }

  // ---------------------------------------------------------------- ranges and checks

  final void requireInside(long offset, long length) {
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

  final void requireReachable(String what) {
    if (closed || state() == DeviceState.DEAD) {
      throw offline(what);
    }
  }

  final DeviceOfflineException offline(String what) {
    return new DeviceOfflineException(
        file + ": " + what + ": the device is " + (closed ? "closed" : state()));
  }
}
