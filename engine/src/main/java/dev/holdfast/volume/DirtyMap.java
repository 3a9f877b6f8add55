package dev.holdfast.volume;

import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.Gateway;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The write-intent map: a bit for each region, durable on every leg before the region's first
 * write. After a crash only what is marked needs to be compared between legs.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> the write-intent bitmap of Linux md.
 */
final class DirtyMap {
  private final AtomicLongArray dirty;
  private final AtomicLongArray touched;
  private final AtomicLongArray beingCleared;
  private final ReentrantLock changing = new ReentrantLock();

  DirtyMap() {
    int words = VolumeLayout.DIRTY_MAP_SIZE / Long.BYTES;
    dirty = new AtomicLongArray(words);
    touched = new AtomicLongArray(words);
    beingCleared = new AtomicLongArray(words);
  }

  /** Marks the regions of a range; when it returns, they are marked on every leg of the set. */
  void mark(Volume volume, LegSet set, long offset, long length) {
    long last = (offset + Math.max(1, length) - 1) / VolumeLayout.REGION_SIZE;
    for (long region = offset / VolumeLayout.REGION_SIZE; region <= last; region++) {
      int word = (int) (region / Long.SIZE);
      long bit = 1L << (region % Long.SIZE);
      if ((touched.get(word) & bit) == 0) {
        touched.getAndAccumulate(word, bit, (a, b) -> a | b);
      }
      if ((dirty.get(word) & bit) == 0) {
        markSlowly(volume, set, word, bit);
      }
    }
  }

  private void markSlowly(Volume volume, LegSet set, int word, long bit) {
    changing.lock();
    try {
      long bits = dirty.get(word) | bit;
      store(volume, set, word, bits | beingCleared.get(word));
      volume.flush("dirty map", set, offsetOf(word), Long.BYTES);
      volume.requireCurrent(set);
      dirty.set(word, bits);
    } finally {
      changing.unlock();
    }
  }

  private static long offsetOf(int word) {
    return VolumeLayout.DIRTY_MAP_OFFSET + (long) word * Long.BYTES;
  }

  private static void store(Volume volume, LegSet set, int word, long bits) {
    long at = offsetOf(word);
    long locked = volume.lockRegions(set, at, Long.BYTES);
    try {
      for (Leg.Mapped writer : set.writers) {
        if (set.exclusions == null
            || !set.exclusions.forbidWriting(writer.leg().index(), at, Long.BYTES)) {
          Gateway.putLong(writer.window(), at, bits);
        }
      }
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, at, Long.BYTES, e);
    } finally {
      volume.unlockRegions(locked);
    }
  }

  /**
   * Clears what was not touched since the last call. Called while every leg is present and in sync.
   *
   * @param grace waits until no operation is under way that saw a bit set
   */
  void clearIdle(Volume volume, LegSet set, GracePeriod grace, long graceNanos) {
    for (int word = 0; word < words(volume.capacity()); word++) {
      long idle = dirty.get(word) & ~touched.getAndSet(word, 0);
      if (idle != 0) {
        boolean _ = clear(volume, set, word, idle, grace, graceNanos);
      }
    }
  }

  /**
   * Clears everything, at a close in order: no writer is left.
   *
   * @return whether all that was dirty has been flushed
   */
  boolean clearAll(Volume volume, LegSet set, GracePeriod grace, long graceNanos) {
    boolean cleared = true;
    for (int word = 0; word < words(volume.capacity()); word++) {
      if (dirty.get(word) != 0) {
        cleared &= clear(volume, set, word, dirty.get(word), grace, graceNanos);
      }
    }
    return cleared;
  }

  private boolean clear(
      Volume volume, LegSet set, int word, long bits, GracePeriod grace, long graceNanos) {
    changing.lock();
    try {
      dirty.set(word, dirty.get(word) & ~bits);
      // Whoever marks another bit of the word meanwhile must leave these on the devices.
      beingCleared.set(word, bits);
    } finally {
      changing.unlock();
    }
    boolean cleared = false;
    try {
      // Who saw a bit set may still be storing; who comes now marks it again. No lock is held: an
      // operation that is waited for may want to mark a region.
      cleared = grace.await(graceNanos) && flushRegions(volume, set, word, bits);
    } finally {
      settle(volume, set, word, bits, cleared);
    }
    return cleared;
  }

  private static boolean flushRegions(Volume volume, LegSet set, int word, long bits) {
    for (int i = 0; i < Long.SIZE; i++) {
      if ((bits & 1L << i) != 0) {
        long region = ((long) word * Long.SIZE + i) * VolumeLayout.REGION_SIZE;
        long length = Math.min(VolumeLayout.REGION_SIZE, volume.capacity() - region);
        if (length > 0) {
          volume.flush("dirty region", set, region, length);
        }
      }
    }
    return true;
  }

  /** Clears the bits on the devices, but for those that were marked again, or takes all back. */
  private void settle(Volume volume, LegSet set, int word, long bits, boolean cleared) {
    changing.lock();
    try {
      // A store that fails may have cleared the bits on one leg: they count as clear then, so that
      // the next write marks them again. What they stand for is flushed.
      if (cleared) {
        // Not flushed: a bit that a power cut brings back stands for a region where nothing
        // differs.
        store(volume, set, word, dirty.get(word));
        volume.requireCurrent(set);
      } else {
        dirty.set(word, dirty.get(word) | bits);
      }
    } finally {
      beingCleared.set(word, 0);
      changing.unlock();
    }
  }

  /** The words that have a bit for a region of the volume. */
  private static int words(long capacity) {
    return (int) Math.ceilDiv(capacity, (long) Long.SIZE * VolumeLayout.REGION_SIZE);
  }

  /** Adds what a leg carries; a part that cannot be read counts as dirty. */
  void addFrom(Leg leg, long capacity) {
    int page = 4096;
    byte[] bytes = new byte[page];
    for (int at = 0; at < words(capacity) * Long.BYTES; at += page) {
      try {
        leg.device().read(VolumeLayout.DIRTY_MAP_OFFSET + at, bytes, 0, page);
      } catch (PoisonedRangeException e) {
        Arrays.fill(bytes, (byte) -1);
      }
      BitSet bits = BitSet.valueOf(bytes);
      for (int i = bits.nextSetBit(0); i >= 0; i = bits.nextSetBit(i + 1)) {
        long bit = (long) at * Byte.SIZE + i;
        int word = (int) (bit / Long.SIZE);
        dirty.set(word, dirty.get(word) | 1L << (bit % Long.SIZE));
      }
    }
  }

  boolean isDirty(long offset) {
    long region = offset / VolumeLayout.REGION_SIZE;
    return (dirty.get((int) (region / Long.SIZE)) & 1L << (region % Long.SIZE)) != 0;
  }

  void markAllInDram(long capacity) {
    for (long region = 0; region * VolumeLayout.REGION_SIZE < capacity; region++) {
      int word = (int) (region / Long.SIZE);
      dirty.set(word, dirty.get(word) | 1L << (region % Long.SIZE));
    }
  }
}
