package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.Volume;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Pages for the tree: those that were given up are taken back when nobody can be in them, and the
 * volume grows. A thread of its own does both before anybody has to wait for them, and has the new
 * pages mapped, because a first store to a page costs as much as a whole put; whoever finds no room
 * all the same does it himself.
 *
 * <p><b>Threads:</b> any. <b>Lock order:</b> its lock comes before that of a leaf; no operation is
 * under way in who takes it.
 */
final class TreeRoom {
  private static final System.Logger LOG = System.getLogger(TreeRoom.class.getName());

  /**
   * A volume that is not small grows by so much at once. Who needs room waits for a step, if the
   * thread that keeps it is not fast enough: where the memory has to be found first, as under a
   * hypervisor that takes back what is free, a large step is a long wait.
   */
  private static final long GROWTH_STEP = 4L << 20;

  /** Blocks that were given back are taken again by this part of the volume, within limits. */
  private static final int FILLED_PART = 32;

  private static final long MOST_FILLED = 256L << 20;

  /** Up to here a volume is doubled. */
  private static final long SMALL = 16L << 20;

  private static final long GROWTH_UNIT = 1L << 20;

  /** Fewer free pages beside the reserve than this part of the volume are few. */
  private static final int FEW_PART = 64;

  /** In small volumes they are twice that part, but not more than these. */
  private static final long FEW_PAGES = 256;

  /** So many pages that wait to be given back are worth a grace period; or this part of all. */
  private static final long RETIRED_LIMIT = 256;

  private static final int RETIRED_PART = 64;

  /** So many bytes of the indexes that wait are worth a grace period; or this part of all. */
  private static final long LEAST_INDEX_BYTES = 64L << 10;

  private static final int INDEX_PART = 16;

  /** So many pages keep their blocks when those of others are given back. */
  private static final long KEPT_PAGES = 64;

  /** Blocks of so many pages are given back in one call. */
  private static final int MOST_AT_ONCE = 1 << 14;

  /**
   * So much of what a volume grew by is mapped, and then free: what is free is taken at once, and
   * the first access to a page that is not mapped takes longer than a put.
   */
  private static final long MAPPED_AT_ONCE = 256L << 10;

  private static final long GRACE_NANOS = 5_000_000_000L;

  /** The thread wakes by itself, too, should a wake-up be lost. */
  private static final long IDLE_NANOS = 1_000_000_000L;

  private final Parts parts;
  private final Volume volume;
  private final long maxCapacity;
  private final ReentrantLock making = new ReentrantLock();

  /** Whether a step of growth was refused by the place that a leg lies on. */
  private volatile boolean placeIsFull;

  /** Is woken now and then. */
  private volatile @Nullable ColdPacking packing;

  /** Counts how often room was made. */
  private final AtomicLong turns = new AtomicLong();

  /** Written under the lock. */
  private volatile boolean released;

  private volatile boolean asked;
  private volatile boolean ends;
  private volatile long fewPages;
  private volatile long manyRetired = RETIRED_LIMIT;
  private final Thread keeper =
      Thread.ofPlatform().daemon().name("holdfast-room").unstarted(this::keep);

  TreeRoom(Parts parts, long maxCapacity) {
    this.parts = parts;
    this.volume = parts.volume;
    this.maxCapacity = maxCapacity;
  }

  /** Looks at the volume as it is. */
  void begin() {
    boolean _ = measure();
  }

  /** Begins to keep room ahead of time, until {@link #end}. */
  void start(ColdPacking beside) {
    packing = beside;
    keeper.start();
  }

  private boolean measure() {
    boolean mayGrow =
        (volume.capacity() < maxCapacity || parts.allocator.hollowPages() > 0) && !placeIsFull;
    long pages = volume.capacity() / PageMap.PAGE;
    parts.allocator.mayGrow(mayGrow);
    long few = Math.max(pages / FEW_PART, Math.min(2 * pages / FEW_PART, FEW_PAGES));
    fewPages = mayGrow ? parts.allocator.reserve() + few : 0;
    manyRetired = Math.max(RETIRED_LIMIT, pages / RETIRED_PART);
    return mayGrow;
  }

  /** Called when pages were taken or given up: has room made in time. */
  void changed() {
    boolean wanted =
        parts.allocator.freePages() < fewPages
            || parts.allocator.waitingPages() > manyRetired
            || manyIndexBytesWait();
    if (wanted && !asked) {
      asked = true;
      LockSupport.unpark(keeper);
    }
  }

  /** Called when a pin of pages has ended, which may be free now. No lock. */
  void pinEnded() {
    boolean _ = parts.allocator.pinEnded();
    if (parts.allocator.waitingPages() > manyRetired && !asked) {
      asked = true;
      LockSupport.unpark(keeper);
    }
  }

  /**
   * Has nobody make room any more, or have the indexes reclaimed: their memory is about to go.
   *
   * @return false if somebody still does
   */
  boolean release(long nanos) {
    boolean interrupted = false;
    long deadline = System.nanoTime() + nanos;
    try {
      while (true) {
        try {
          if (!making.tryLock(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            return false;
          }
          break;
        } catch (InterruptedException e) {
          interrupted = true; // It does not end the wait; it is kept.
        }
      }
      released = true;
      making.unlock();
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Keeps others from making room. */
  void lock() {
    making.lock();
  }

  void unlock() {
    making.unlock();
  }

  /**
   * How often room was made. Who finds no room and sees that it was made since he looked tries
   * again before he has more made.
   */
  long turns() {
    return turns.get();
  }

  /**
   * Makes room for a run of pages, unless somebody has since a look at {@link #turns}.
   *
   * @throws OutOfSpaceException if there is none to be made
   */
  void make(long pages, long since) {
    making.lock();
    try {
      if (released || turns.get() != since) {
        return;
      }
      boolean manyWait = parts.allocator.waitingPages() > manyRetired;
      if (!manyWait && handOut(pages)) {
        return; // The thread grew the volume, and has not got so far yet.
      }
      parts.commits.commitHeld();
      if (reclaim() && (!measure() || parts.allocator.freePages() > fewPages + pages)) {
        return; // Perhaps it is enough; if not, nothing is left to wait for the next time.
      }
      if (handOut(pages)) {
        return;
      }
      grow((pages + parts.allocator.reserve()) * PageMap.PAGE);
      boolean _ = handOut(pages);
    } finally {
      making.unlock();
    }
  }

  /** Whether something that waited is free now. */
  private boolean reclaim() {
    reclaimIndexes();
    boolean reclaimed =
        parts.allocator.waitingPages() > 0
            && parts.allocator.reclaim(() -> volume.grace().await(GRACE_NANOS));
    if (reclaimed) {
      turns.incrementAndGet();
    }
    return reclaimed;
  }

  /**
   * Takes back what waits, and gives the blocks of unused pages back to where the legs lie.
   *
   * @return how many bytes of each leg were given back
   */
  long giveBack() {
    making.lock();
    try {
      parts.commits.commitHeld();
      boolean _ = reclaim();
      volume.markSparse();
      long[] given = new long[1];
      boolean more = true;
      while (more && !Thread.currentThread().isInterrupted()) {
        more =
            parts.allocator.hollow(
                KEPT_PAGES,
                MOST_AT_ONCE,
                (page, count) -> {
                  long bytes = (long) count * PageMap.PAGE;
                  given[0] += volume.giveBack(page * PageMap.PAGE, bytes) ? bytes : 0;
                });
      }
      fewPages = 0; // Until somebody wants room: it would be taken again at once.
      return given[0];
    } finally {
      making.unlock();
    }
  }

  private boolean manyIndexBytesWait() {
    return parts.points.retiredBytes() + parts.order.retiredBytes()
        > Math.max(LEAST_INDEX_BYTES, parts.budget.used() / INDEX_PART);
  }

  /** Makes memory usable again that the indexes do not need any more. */
  void reclaimMemory() {
    making.lock();
    try {
      if (!released) {
        reclaimIndexes();
      }
    } finally {
      making.unlock();
    }
  }

  private void reclaimIndexes() {
    parts.points.reclaim(() -> volume.grace().await(GRACE_NANOS));
    parts.order.reclaim(() -> volume.grace().await(GRACE_NANOS));
  }

  /** Takes back what waits. */
  void takeBack() {
    making.lock();
    try {
      parts.commits.commitHeld();
      boolean _ = reclaim();
    } finally {
      making.unlock();
    }
  }

  /** Takes unused pages whose blocks were given back; whether there were any. */
  private boolean fill(long needed) {
    if (parts.allocator.hollowPages() == 0) {
      return false;
    }
    long step =
        Math.clamp(volume.capacity() / FILLED_PART, GROWTH_UNIT, MOST_FILLED) / PageMap.PAGE;
    try {
      return parts.allocator.fill(
              Math.max(needed / PageMap.PAGE, step),
              (page, count) -> volume.reserve(page * PageMap.PAGE, (long) count * PageMap.PAGE))
          > 0;
    } catch (DeviceFault fault) {
      volume.recover(fault);
      return true;
    } catch (LegSetChanged changed) {
      return true; // To be tried again, with the set that is in force now.
    }
  }

  private void grow(long needed) {
    if (fill(needed)) {
      boolean _ = measure();
      return;
    }
    long capacity = volume.capacity();
    long least = roundUp(capacity + needed);
    long step = capacity < SMALL ? capacity : GROWTH_STEP;
    long wanted = Math.max(least, roundUp(capacity + step));
    try {
      growTo(Math.min(wanted, maxCapacity), capacity, least);
    } catch (OutOfSpaceException e) {
      // No room for a large step; the smallest one that helps may still fit.
      placeIsFull = true;
      growTo(Math.min(least, maxCapacity), capacity, least);
    } finally {
      boolean _ = measure();
    }
  }

  private void growTo(long target, long before, long least) {
    if (least > maxCapacity && before >= maxCapacity) {
      throw new OutOfSpaceException(
          "the store is full: expected at most "
              + maxCapacity
              + " bytes of capacity, needs "
              + least
              + "; "
              + parts.allocator.freePages()
              + " pages are free, at most "
              + parts.allocator.largestRun()
              + " in a row");
    }
    if (!parts.budget.hasRoomFor((target - before) / PageMap.PAGE * PageMap.BYTES_OF_PAGE)) {
      throw new OutOfSpaceException(
          "the store cannot grow to "
              + target
              + " bytes: expected at most "
              + parts.budget.limit()
              + " bytes of memory off the heap, was "
              + parts.budget.used()
              + " and more for the descriptors of the pages: open it with a larger memoryBudget");
    }
    try {
      volume.grow(target);
    } catch (DeviceFault fault) {
      volume.recover(fault);
    } catch (LegSetChanged changed) {
      // The put tries again, and grows again if it has to.
    }
    if (volume.capacity() > before) {
      parts.budget.take((volume.capacity() - before) / PageMap.PAGE * PageMap.BYTES_OF_PAGE);
    }
  }

  /**
   * Makes pages free that the volume has grown by, step by step, so many and a few; whether there
   * were any.
   */
  private boolean handOut(long least) {
    long before = parts.allocator.pages();
    long enough = before + least;
    long capacity = volume.capacity();
    for (long at = before * PageMap.PAGE; at < capacity && at <= enough * PageMap.PAGE; ) {
      long to = Math.min(at + MAPPED_AT_ONCE, capacity);
      volume.populate(at, to - at);
      boolean _ = parts.allocator.growTo(to / PageMap.PAGE);
      at = to;
    }
    boolean some = parts.allocator.pages() > before; // Also if another thread was faster.
    if (some) {
      turns.incrementAndGet();
    }
    return some;
  }

  private static long roundUp(long bytes) {
    return (bytes + GROWTH_UNIT - 1) / GROWTH_UNIT * GROWTH_UNIT;
  }

  // ---------------------------------------------------------------- ahead of time

  private void keep() {
    while (!ends) {
      ColdPacking beside = packing;
      if (!asked) {
        LockSupport.parkNanos(this, beside == null ? IDLE_NANOS : beside.idleNanos(IDLE_NANOS));
      }
      asked = false;
      if (beside != null) {
        beside.wake();
      }
      try {
        keepRoom();
      } catch (HoldfastException e) {
        // Whoever needs the room will meet it, too, and is told.
        LOG.log(Level.DEBUG, "no room could be made ahead of time", e);
      }
    }
  }

  private void keepRoom() {
    if (volume.isReadOnly() || volume.legs().readers() == 0 || !making.tryLock()) {
      return;
    }
    try {
      if (parts.allocator.waitingPages() > manyRetired) {
        boolean _ = reclaim();
      } else if (manyIndexBytesWait()) {
        reclaimIndexes();
      }
      if (parts.allocator.freePages() < fewPages && parts.commits.heldPages() > manyRetired) {
        parts.commits.commitHeld();
        boolean _ = reclaim();
      }
      boolean isHandedOut = parts.allocator.pages() * PageMap.PAGE >= volume.capacity();
      if (isHandedOut && parts.allocator.freePages() < fewPages) {
        grow(GROWTH_UNIT);
      }
    } finally {
      making.unlock();
    }
    while (!ends && handOut(0)) {
      // Step by step: what is free is taken at once.
    }
  }

  /**
   * Ends the thread.
   *
   * @return whether it has ended
   */
  boolean end(long nanos) {
    ends = true;
    LockSupport.unpark(keeper);
    long deadline = System.nanoTime() + nanos;
    boolean interrupted = false;
    try {
      while (keeper.isAlive()) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        try {
          boolean _ = keeper.join(Duration.ofNanos(left));
        } catch (InterruptedException e) {
          interrupted = true; // It does not end the wait; it is kept.
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
