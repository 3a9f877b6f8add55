package dev.holdfast.volume;

import java.util.concurrent.locks.ReentrantLock;

/**
 * Excludes writers from a region while it is copied between legs. Writers take these locks only
 * while something is copied, see {@link LegSet#copying}; the copier takes one at a time.
 */
final class RegionLocks {
  private static final int COUNT = 64;
  private final ReentrantLock[] locks = new ReentrantLock[COUNT];

  RegionLocks() {
    for (int i = 0; i < COUNT; i++) {
      locks[i] = new ReentrantLock();
    }
  }

  /**
   * Locks the regions of a range, in one order for everybody; the result goes to {@link #unlock}.
   */
  long lock(long offset, long length) {
    long wanted = 0;
    long first = offset / VolumeLayout.REGION_SIZE;
    long last = (offset + Math.max(1, length) - 1) / VolumeLayout.REGION_SIZE;
    for (long region = first; region <= last && region < first + COUNT; region++) {
      wanted |= 1L << (region % COUNT);
    }
    for (int i = 0; i < COUNT; i++) {
      if ((wanted & 1L << i) != 0) {
        locks[i].lock();
      }
    }
    return wanted;
  }

  void unlock(long locked) {
    for (int i = 0; i < COUNT; i++) {
      if ((locked & 1L << i) != 0) {
        locks[i].unlock();
      }
    }
  }
}
