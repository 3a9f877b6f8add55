package dev.holdfast.index;

import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The free extents of a volume, in DRAM; best fit, coalescing. What it knows is rebuilt at open.
 *
 * <p>Something contiguous is kept back from new keys, so that a store which is full for them can
 * still be overwritten: an overwrite stores the new record before it frees the old one.
 *
 * <p><b>Threads:</b> any; one small lock, inside which nothing else is locked.
 */
final class ExtentAllocator {
  static final long NONE = -1;

  /** At most so much is kept back, and never more than this part of all. */
  private static final long MAX_RESERVE = 4L << 20;

  private static final int RESERVE_PART = 32;

  private final ReentrantLock lock = new ReentrantLock();
  private final TreeMap<Long, Long> byOffset = new TreeMap<>();
  private final TreeMap<Long, TreeSet<Long>> bySize = new TreeMap<>();
  private final long start;
  private long end;
  private final AtomicLong free = new AtomicLong();

  /**
   * @param start where the space begins
   */
  ExtentAllocator(long start) {
    this.start = start;
    this.end = start;
  }

  /**
   * Takes an extent.
   *
   * @param length a multiple of the granule
   * @param overwrite whether something of the like is freed soon: then what is kept back may be
   *     used
   * @return its offset, or {@link #NONE}
   */
  long allocate(long length, boolean overwrite) {
    lock.lock();
    try {
      Map.Entry<Long, TreeSet<Long>> fit = bySize.ceilingEntry(length);
      if (fit == null) {
        return NONE;
      }
      long size = fit.getKey();
      long offset = fit.getValue().first();
      if (!overwrite && largestWithout(size, length) < reserve()) {
        return NONE;
      }
      take(offset, size);
      if (size > length) {
        put(offset + length, size - length);
      }
      free.addAndGet(-length);
      return offset;
    } finally {
      lock.unlock();
    }
  }

  /** Takes an extent from anywhere but the largest free one; its offset, or {@link #NONE}. */
  long allocateBesideLargest(long length) {
    lock.lock();
    try {
      Map.Entry<Long, TreeSet<Long>> fit = bySize.ceilingEntry(length);
      if (fit == null || (fit.getKey().equals(bySize.lastKey()) && fit.getValue().size() == 1)) {
        return NONE;
      }
      long size = fit.getKey();
      long offset = fit.getValue().first();
      take(offset, size);
      if (size > length) {
        put(offset + length, size - length);
      }
      free.addAndGet(-length);
      return offset;
    } finally {
      lock.unlock();
    }
  }

  /** Whether less is left in one piece than is kept back for overwrites. */
  boolean isShort() {
    lock.lock();
    try {
      return bySize.isEmpty() || bySize.lastKey() < reserve();
    } finally {
      lock.unlock();
    }
  }

  /** Gives an extent back. */
  void free(long offset, long length) {
    if (length == 0) {
      return;
    }
    lock.lock();
    try {
      long from = offset;
      long to = offset + length;
      Map.Entry<Long, Long> before = byOffset.floorEntry(from);
      if (before != null && before.getKey() + before.getValue() > from) {
        throw new IllegalStateException("extent at " + offset + " was freed twice");
      }
      if (before != null && before.getKey() + before.getValue() == from) {
        take(before.getKey(), before.getValue());
        from = before.getKey();
      }
      Map.Entry<Long, Long> after = byOffset.ceilingEntry(to);
      if (after != null && after.getKey() == to) {
        take(after.getKey(), after.getValue());
        to += after.getValue();
      }
      put(from, to - from);
      free.addAndGet(length);
    } finally {
      lock.unlock();
    }
  }

  /** Forgets what is free, and lets the space end at {@code newEnd}. */
  void restart(long newEnd) {
    lock.lock();
    try {
      end = wholeGranules(newEnd);
      byOffset.clear();
      bySize.clear();
      free.set(0);
    } finally {
      lock.unlock();
    }
  }

  /** Takes in what the volume grew by. */
  void growTo(long newEnd) {
    lock.lock();
    try {
      long to = wholeGranules(newEnd);
      if (to > end) {
        long from = end;
        end = to;
        free(from, to - from);
      }
    } finally {
      lock.unlock();
    }
  }

  /** A volume may end anywhere; a record that did not begin on a granule would not be found. */
  private static long wholeGranules(long offset) {
    return offset / RecordFormat.GRANULE * RecordFormat.GRANULE;
  }

  /** How much is kept back for overwrites, in one piece. */
  long reserve() {
    return Math.min(MAX_RESERVE, (end - start) / RESERVE_PART);
  }

  long freeBytes() {
    return free.get();
  }

  private long largestWithout(long size, long taken) {
    Map.Entry<Long, TreeSet<Long>> largest = bySize.lastEntry();
    long best = largest.getKey();
    if (best != size || largest.getValue().size() > 1) {
      return best;
    }
    Map.Entry<Long, TreeSet<Long>> next = bySize.lowerEntry(best);
    return Math.max(size - taken, next == null ? 0 : next.getKey());
  }

  private void take(long offset, long size) {
    byOffset.remove(offset);
    TreeSet<Long> same = bySize.get(size);
    if (same != null) {
      same.remove(offset);
      if (same.isEmpty()) {
        bySize.remove(size);
      }
    }
  }

  private void put(long offset, long size) {
    byOffset.put(offset, size);
    bySize.computeIfAbsent(size, s -> new TreeSet<>()).add(offset);
  }
}
