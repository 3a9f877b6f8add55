package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.FileExtents.Extent;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A pmem device in a file on a DAX mount: what is stored to a window is in the persistent memory
 * itself. {@link DaxMount} says whether a place is one.
 *
 * <ul>
 *   <li><b>Write-back.</b> {@link PersistenceMode#DAX}: cache line by cache line, through a {@link
 *       SyncAlias}. {@link PersistenceMode#FILE}: by msync, which is slower, works on any file
 *       system, and cannot meet a page that is gone in an instruction that nothing guards.
 *   <li><b>Media errors.</b> The kernel lists bad sectors of the block device in sysfs and raises
 *       no event, so a thread looks ten times a second. A sector that the file lies on becomes a
 *       bad range of the device: durably listed beside the file ({@code NAME.badblocks}), and made
 *       to fault in every window, because a page that was mapped before may read on.
 *   <li><b>Removal.</b> The device is gone when its block device is, or another took its place, or
 *       when the file cannot be read any more: a file system that shut down keeps its mapped pages,
 *       which go nowhere. It is back when the file can be opened again and has the same label.
 * </ul>
 *
 * <p>A JVM whose persistent memory can be unplugged must be started with SIGBUS blocked ({@code env
 * --block-signal=BUS java …}): since Linux 6.8 the kernel sends that signal to the first thread of
 * every process that has mapped a device which is about to go, and the JVM dies of it. Faults of
 * its own accesses are delivered all the same.
 *
 * <p><b>Lock order:</b> {@code use}, {@code mapping}, the bad block list. The holder is called by
 * the thread that looks, with no lock held.
 */
public final class DaxDevice extends FileDevice {
  private static final System.Logger LOG = System.getLogger(DaxDevice.class.getName());

  /** How often a page is given another place before a repair gives up. */
  private static final int MOST_PLACES = 8;

  /** How long a close waits for the thread that looks. */
  private static final long END_MILLIS = 500;

  private final DaxHost host;
  private final @Nullable Thread looker;

  /** These two change when a device that died is opened again. */
  private volatile DaxMount mount;

  private volatile @Nullable BlockDevice block;

  /** There while windows are, in mode DAX. */
  private volatile @Nullable SyncAlias alias;

  private DaxDevice(DeviceFile opened, PersistenceMode mode, DaxHost host, DaxMount mount) {
    super(opened, mode);
    this.host = host;
    this.mount = mount;
    this.block = blockDevice(file, host);
    this.looker =
        host.pollMillis() == 0
            ? null
            : Thread.ofPlatform().daemon().name("holdfast-dax").unstarted(this::lookOnAndOn);
  }

  /**
   * Creates a device in a new file, readable and writable by its owner alone.
   *
   * @param file the device file
   * @param capacity bytes, > 0, rounded up to whole pages
   * @param mode DAX: by cache lines, on a DAX mount only; FILE: by msync; PROCESS: not at all
   * @return the device
   * @throws IllegalArgumentException if the mode is DAX and the mount is not; says what it is
   * @throws OutOfSpaceException if the place has no room; no file is left then
   * @throws DeviceIoException if the file exists or cannot be created
   */
  public static DaxDevice create(Path file, long capacity, PersistenceMode mode) {
    return create(file, capacity, mode, DaxHost.SYSTEM);
  }

  static DaxDevice create(Path file, long capacity, PersistenceMode mode, DaxHost host) {
    Posix.requireSupportedPlatform();
    long whole = DeviceFile.newCapacity(capacity, file);
    requireMode(DaxMount.probe(file, host), mode);
    return DeviceFile.inNewFile(
        file,
        whole,
        opened -> begin(new DaxDevice(opened, mode, host, DaxMount.probe(file, host))));
  }

  /**
   * Opens the device in an existing file.
   *
   * @param file the device file
   * @param mode how far a flush carries a store
   * @return the device
   * @throws IllegalArgumentException as {@link #create(Path, long, PersistenceMode)} does
   * @throws DeviceOfflineException if the file is not there or cannot be read, as after a removal
   * @throws InvalidImageException if the file is no device
   * @throws dev.holdfast.error.FormatVersionException if it was written by another version
   */
  public static DaxDevice open(Path file, PersistenceMode mode) {
    return open(file, mode, DaxHost.SYSTEM);
  }

  static DaxDevice open(Path file, PersistenceMode mode, DaxHost host) {
    Posix.requireSupportedPlatform();
    DeviceFile.requireFile(file);
    return DeviceFile.inOpenFile(
        file,
        openThere(file),
        opened -> {
          DaxMount mount = DaxMount.probe(file, host);
          requireMode(mount, mode);
          opened.reserveAll();
          return begin(new DaxDevice(opened, mode, host, mount));
        });
  }

  private static DaxDevice begin(DaxDevice device) {
    LOG.log(Level.DEBUG, device.mount.words());
    // Before the first window: what is bad already is not met by an access.
    device.look();
    if (device.looker != null) {
      device.looker.start();
    }
    return device;
  }

  private static int openThere(Path file) {
    try {
      return Posix.open(file);
    } catch (DeviceIoException e) {
      throw new DeviceOfflineException(file + ": cannot be opened: " + e.getMessage());
    }
  }

  private static void requireMode(DaxMount mount, PersistenceMode mode) {
    if (mode == PersistenceMode.DAX && !mount.dax()) {
      throw new IllegalArgumentException(
          "persistence mode DAX: expected a file on a DAX mount, was " + mount.words());
    }
  }

  private static @Nullable BlockDevice blockDevice(Path file, DaxHost host) {
    long number = DaxMount.deviceNumber(file);
    return number < 0 ? null : BlockDevice.of(host.sysfs(), number);
  }

  /** {@return what the place of the file can do, as it was found at open or at the last return} */
  public DaxMount mount() {
    return mount;
  }

  // ---------------------------------------------------------------- windows and write-back

  @Override
  int mapFlags() {
    return mount.dax() ? Posix.MAP_SYNC : 0;
  }

  @Override
  void beforeMapping(long capacity) {
    if (persistenceMode() == PersistenceMode.DAX) {
      coverByAlias(capacity);
    }
  }

  private void coverByAlias(long upTo) {
    SyncAlias now = alias;
    if (now == null) {
      // By the descriptor: the name may lead elsewhere by now.
      now = new SyncAlias(Path.of("/proc/self/fd/" + fd()));
    }
    try {
      now.cover(DeviceLabel.SIZE, DeviceLabel.SIZE + upTo);
    } catch (IOException | UnsupportedOperationException e) {
      throw new DeviceIoException(file + ": cannot be mapped synchronously: " + e, e);
    }
    alias = now;
  }

  /**
   * Writes the ranges back.
   *
   * @throws InternalError if a page is gone since the barrier behind the store, in mode DAX; the
   *     windows fault there from then on
   */
  @Override
  public void flush(String site, long[] ranges, int count) {
    if (persistenceMode() == PersistenceMode.PROCESS) {
      requireReachable("cannot be flushed");
    } else {
      carry(ranges, count);
    }
  }

  @Override
  public void writeBack(String site, long offset, long length) {
    carry(new long[] {offset, length}, 1);
  }

  private void carry(long[] ranges, int count) {
    long from = begin(ranges, count);
    long to = end(ranges, count);
    use.readLock().lock();
    try {
      requireReachable("cannot be flushed");
      SyncAlias lines = alias;
      if (persistenceMode() == PersistenceMode.DAX && lines != null) {
        long flushed = generation();
        for (int i = 0; i < count; i++) {
          writeLinesBack(lines, ranges[2 * i], ranges[2 * i + 1]);
        }
        requireGeneration(flushed);
      } else if (from < to) {
        sync(from, to - from);
      }
    } finally {
      use.readLock().unlock();
    }
  }

  private void writeLinesBack(SyncAlias lines, long offset, long length) {
    List<BadRange> wanted = List.of(new BadRange(offset, length));
    // What faults nobody stored to: a barrier told.
    for (BadRange range : subtract(wanted, pages(badBlocks.faulting()))) {
      try {
        lines.writeBack(DeviceLabel.SIZE + range.offset(), range.length());
      } catch (InternalError e) {
        if (!Gateway.isMemoryFault(e)) {
          throw e;
        }
        diagnose(lines, range);
        throw e;
      }
    }
  }

  /** Makes the windows agree with what the alias met. */
  private void diagnose(SyncAlias lines, BadRange range) {
    look();
    newsCame();
    requireReachable("went away while it was flushed");
    BadRange all = DeviceFile.pagesOf(range.offset(), range.length());
    List<BadRange> gone = new ArrayList<>();
    for (long at = all.offset(); at < all.end(); at += Posix.PAGE_SIZE) {
      if (!lines.answers(DeviceLabel.SIZE + at)) {
        gone.add(new BadRange(at, Posix.PAGE_SIZE));
      }
    }
    mapping.lock();
    try {
      becameBad(gone);
    } finally {
      mapping.unlock();
    }
  }

  @Override
  public void fence(String site) {
    VarHandle.fullFence();
  }

  @Override
  void closing() {
    SyncAlias last = alias;
    alias = null;
    if (last != null) {
      last.close();
    }
  }

  @Override
  public void close() {
    super.close();
    endLooker();
  }

  private void endLooker() {
    Thread thread = looker;
    if (thread == null || thread.equals(Thread.currentThread())) {
      return;
    }
    LockSupport.unpark(thread);
    try {
      thread.join(END_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // ---------------------------------------------------------------- poison

  @Override
  public BadBlockAnswer queryBadBlocks() {
    BlockDevice below = block;
    if (state() == DeviceState.DEAD) {
      return super.queryBadBlocks();
    }
    if (below == null || !below.hasBadBlocks()) {
      return new BadBlockAnswer.Unsupported(
          file
              + ": "
              + (below == null ? "what it lies on" : below.name())
              + " has no list of bad blocks");
    }
    try {
      List<BadRange> _ = below.badRanges();
    } catch (DeviceIoException e) {
      return new BadBlockAnswer.Failed(String.valueOf(e.getMessage()));
    }
    return new BadBlockAnswer.Listed(badBlocks());
  }

  /**
   * By a write, which has the memory itself clear the poison where it can, and else by giving the
   * pages another place on the block device. The bad sectors are the file system's then, as free
   * ones.
   */
  @Override
  void clearPages(BadRange pages) {
    for (long at = pages.offset(); at < pages.end(); at += Posix.PAGE_SIZE) {
      clearPage(at);
    }
  }

  private void clearPage(long offset) {
    long inFile = DeviceLabel.SIZE + offset;
    for (int place = 0; !writeZeros(offset); place++) {
      if (place == MOST_PLACES) {
        throw notCleared(
            offset, "the memory does not, and " + place + " other places are bad, too");
      }
      long left = placeOf(inFile);
      if (!Posix.punchHole(fd(), inFile, Posix.PAGE_SIZE)) {
        throw notCleared(offset, "the memory does not, and the file system takes no page back");
      }
      // Until it is on the medium that the page was left nobody else can have it.
      Posix.dataSync(fd(), file);
      if (left >= 0 && !SpoiledPages.keep(file, left, host.extents())) {
        LOG.log(Level.DEBUG, file + ": the bad page at " + left + " is free for anybody");
      }
      Posix.allocate(fd(), inFile, Posix.PAGE_SIZE, file);
    }
  }

  /**
   * Where a byte of the file lies on the block device, or -1 where the file system does not tell.
   */
  private long placeOf(long inFile) {
    try {
      return SpoiledPages.placeOf(host.extents().of(fd(), file), inFile);
    } catch (DeviceIoException e) {
      return -1;
    }
  }

  private DeviceIoException notCleared(long offset, String why) {
    return new DeviceIoException(
        file + ": poison in the page at " + offset + " cannot be cleared: " + why);
  }

  /** Overwrites a page by a system call; whether that worked and no bad sector is under it now. */
  private boolean writeZeros(long offset) {
    byte[] zeros = new byte[Posix.PAGE_SIZE];
    try {
      Posix.write(fd(), DeviceLabel.SIZE + offset, zeros, 0, zeros.length, file);
      return badNow().stream().noneMatch(bad -> bad.overlaps(offset, zeros.length));
    } catch (DeviceIoException e) {
      return false; // EIO or EFAULT: it lies where it lay.
    }
  }

  // ---------------------------------------------------------------- looking

  private void lookOnAndOn() {
    while (!isClosed()) {
      try {
        poll();
      } catch (RuntimeException | Error e) {
        LOG.log(Level.WARNING, file + ": looking for faults failed; goes on", e);
      }
      LockSupport.parkNanos(host.pollMillis() * 1_000_000);
    }
  }

  /** The holder is told by the thread that looks. */
  @Override
  void newsCame() {
    if (looker != null) {
      LockSupport.unpark(looker);
    }
  }

  /** Looks once, and tells the holder what was found, on this thread. */
  void poll() {
    look();
    notifications.tellAll();
    // Not waited for: who is still inside may hang in the kernel.
    if (state() == DeviceState.DEAD && use.writeLock().tryLock()) {
      try {
        letGo();
      } finally {
        use.writeLock().unlock();
      }
    }
    boolean _ = comeBack(false);
    notifications.tellAll();
  }

  @Override
  void readFailed() {
    look();
    newsCame();
  }

  /** Takes up a removal and new bad blocks, without telling anybody. */
  private void look() {
    use.readLock().lock();
    try {
      if (isClosed() || state() == DeviceState.DEAD) {
        return;
      }
      if (!isThere()) {
        boolean _ = die(true, true);
        return;
      }
      mapping.lock();
      try {
        becameBad(subtract(badNow(), badBlocks.faulting()));
      } finally {
        mapping.unlock();
      }
    } catch (HoldfastException e) {
      if (isThere()) {
        complain("bad blocks are not known: " + e.getMessage());
      } else {
        boolean _ = die(true, true);
      }
    } finally {
      use.readLock().unlock();
    }
  }

  private boolean isThere() {
    BlockDevice below = block;
    if (below != null && !below.isThere()) {
      return false;
    }
    try {
      Posix.read(fd(), 0, new byte[1], 0, 1, file);
      return true;
    } catch (DeviceIoException e) {
      return labelIsBad();
    }
  }

  /** Whether a bad block lies under the label: then a file that cannot be read was not removed. */
  private boolean labelIsBad() {
    try {
      return hitFile().stream().anyMatch(range -> range.overlaps(0, DeviceLabel.SIZE));
    } catch (DeviceIoException e) {
      return false;
    }
  }

  /** The bad ranges of the file, by what sysfs says now. */
  private List<BadRange> hitFile() {
    BlockDevice below = block;
    if (below == null || !below.hasBadBlocks()) {
      return List.of();
    }
    List<BadRange> bad = below.badRanges();
    if (bad.isEmpty()) {
      return List.of();
    }
    List<Extent> extents = host.extents().of(fd(), file);
    return FileExtents.hit(extents, bad);
  }

  /** The bad ranges of the device, by what sysfs says now. */
  private List<BadRange> badNow() {
    List<BadRange> bad = new ArrayList<>();
    for (BadRange range : hitFile()) {
      long from = Math.max(0, range.offset() - DeviceLabel.SIZE);
      long to = Math.min(capacity(), range.end() - DeviceLabel.SIZE);
      if (from < to) {
        bad.add(new BadRange(from, to - from));
      }
    }
    return bad;
  }

  /** Lists ranges, makes the windows fault there, and has it told; under {@code mapping}. */
  private void becameBad(List<BadRange> fresh) {
    for (BadRange range : fresh) {
      badBlocks.add(range.offset(), range.length());
      faultPages(DeviceFile.pagesOf(range.offset(), range.length()));
      notifications.add(new Fault(FaultKind.POISON, range.offset(), range.length()));
    }
  }

  @Override
  @Nullable Runnable placeIsBack() {
    BlockDevice below = blockDevice(file, host);
    if (below == null && block != null) {
      return null; // What is left of the old file system.
    }
    DaxMount now = DaxMount.probe(file, host);
    if (persistenceMode() == PersistenceMode.DAX && !now.dax()) {
      complain("is back, but not as persistent memory: " + now.words());
      return null;
    }
    return () -> {
      mount = now;
      block = below;
    };
  }

  // ---------------------------------------------------------------- ranges and checks

  private static List<BadRange> pages(List<BadRange> ranges) {
    return ranges.stream()
        .map(range -> DeviceFile.pagesOf(range.offset(), range.length()))
        .toList();
  }

  /** What of some ranges lies in none of others. */
  static List<BadRange> subtract(List<BadRange> ranges, List<BadRange> others) {
    List<BadRange> rest = ranges;
    for (BadRange other : others) {
      List<BadRange> next = new ArrayList<>();
      for (BadRange range : rest) {
        long end = Math.min(range.end(), Math.max(range.offset(), other.offset()));
        long begin = Math.max(range.offset(), Math.min(range.end(), other.end()));
        if (!range.overlaps(other.offset(), other.length())) {
          next.add(range);
          continue;
        }
        if (range.offset() < end) {
          next.add(new BadRange(range.offset(), end - range.offset()));
        }
        if (begin < range.end()) {
          next.add(new BadRange(begin, range.end() - begin));
        }
      }
      rest = next;
    }
    return rest;
  }
}
