package dev.holdfast.volume;

import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PmemDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The write-intent map: a bit for each region, durable on every leg before the region's first
 * write. After a crash only what is marked needs to be compared between legs.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> the write-intent bitmap of Linux md.
 */
final class DirtyMap {
  private final RegionSet dirty = new RegionSet();
  private final RegionSet touched = new RegionSet();
  private final RegionSet beingCleared = new RegionSet();
  private final ReentrantLock changing = new ReentrantLock();

  /** What the leg lacks that is being copied to; null where none is. Under {@code changing}. */
  private volatile @Nullable Debt debt;

  /**
   * What a leg lacks while it is copied to. Its own map says so in place of the dirty map that all
   * legs have, which may forget what was flushed to all of them meanwhile.
   *
   * @param target the leg
   * @param regions what it lacks
   * @param complete whether what is marked from now on reaches the leg, too
   */
  private record Debt(Leg.Mapped target, RegionSet regions, boolean complete) {}

  /** Marks the regions of a range; when it returns, they are marked on every leg of the set. */
  void mark(Volume volume, LegSet set, long offset, long length) {
    long last = (offset + Math.max(1, length) - 1) / VolumeLayout.REGION_SIZE;
    for (long region = offset / VolumeLayout.REGION_SIZE; region <= last; region++) {
      int word = (int) (region / Long.SIZE);
      long bit = 1L << (region % Long.SIZE);
      touched.add(word, bit);
      if ((dirty.word(word) & bit) == 0) {
        markSlowly(volume, set, word, bit);
      }
    }
  }

  private void markSlowly(Volume volume, LegSet set, int word, long bit) {
    changing.lock();
    try {
      long bits = dirty.word(word) | bit;
      store(volume, set, word, bits | beingCleared.word(word));
      volume.flush("dirty map", set, offsetOf(word), Long.BYTES);
      volume.requireCurrent(set);
      dirty.word(word, bits);
    } finally {
      changing.unlock();
    }
  }

  private static long offsetOf(int word) {
    return VolumeLayout.DIRTY_MAP_OFFSET + (long) word * Long.BYTES;
  }

  private long owedBy(Leg.Mapped writer, int word) {
    Debt owed = debt;
    return owed != null && writer.equals(owed.target()) ? owed.regions().word(word) : 0;
  }

  private void store(Volume volume, LegSet set, int word, long bits) {
    long at = offsetOf(word);
    long locked = volume.lockRegions(set, at, Long.BYTES);
    try {
      for (Leg.Mapped writer : set.writers) {
        if (set.exclusions == null
            || !set.exclusions.forbidWriting(writer.leg().index(), at, Long.BYTES)) {
          Gateway.putLong(writer.window(), at, bits | owedBy(writer, word));
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
   * Clears what was not touched since the last call. Called while every leg is written, and is in
   * sync or knows by itself what it lacks.
   *
   * @param grace waits until no operation is under way that saw a bit set
   */
  void clearIdle(Volume volume, LegSet set, GracePeriod grace, long graceNanos) {
    boolean said = false;
    for (int word = 0; word < RegionSet.words(volume.capacity()); word++) {
      long idle = dirty.word(word) & ~touched.take(word);
      if (idle != 0) {
        said = said || sayThatItForgets(volume);
        boolean _ = clear(volume, set, word, idle, grace, graceNanos);
      }
    }
  }

  /**
   * Writes the superblocks twice before a bit goes. A leg that comes back as it was before that is
   * behind by two, and known to be an old one: what it lacks would be marked nowhere. By one a leg
   * can be behind after a crash, too, and lacks nothing then.
   */
  private static boolean sayThatItForgets(Volume volume) {
    volume.configure(same -> same);
    volume.configure(same -> same);
    return true;
  }

  /**
   * Clears everything, at a close in order: no writer is left.
   *
   * @return whether all that was dirty has been flushed
   */
  boolean clearAll(Volume volume, LegSet set, GracePeriod grace, long graceNanos) {
    boolean cleared = true;
    boolean said = false;
    for (int word = 0; word < RegionSet.words(volume.capacity()); word++) {
      if (dirty.word(word) != 0) {
        said = said || sayThatItForgets(volume);
        cleared &= clear(volume, set, word, dirty.word(word), grace, graceNanos);
      }
    }
    return cleared;
  }

  private boolean clear(
      Volume volume, LegSet set, int word, long bits, GracePeriod grace, long graceNanos) {
    changing.lock();
    try {
      dirty.word(word, dirty.word(word) & ~bits);
      // Whoever marks another bit of the word meanwhile must leave these on the devices.
      beingCleared.word(word, bits);
    } finally {
      changing.unlock();
    }
    boolean cleared = false;
    try {
      // Who saw a bit set may still be storing; who comes now marks it again. No lock is held: an
      // operation that is waited for may want to mark a region.
      if (grace.await(graceNanos) && flushRegions(volume, set, word, bits)) {
        // Who saw a bit set was an operation of this leg set, or there is a leg that lacks it.
        volume.requireCurrent(set);
        cleared = true;
      }
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
          // To the medium in any mode: who comes back without it is not known to lack it.
          volume.writeBack("dirty region", set, region, length);
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
        store(volume, set, word, dirty.word(word));
        volume.requireCurrent(set);
      } else {
        dirty.word(word, dirty.word(word) | bits);
      }
    } finally {
      beingCleared.word(word, 0);
      changing.unlock();
    }
  }

  // ---------------------------------------------------------------- the leg that is copied to

  /**
   * Notes what a leg lacks on its own device, and whatever is marked now. Called once before the
   * leg is in the write set, and once when all who write see it there: what was marked in between
   * did not reach it.
   *
   * @param regions what it lacks; the copier removes what it has copied
   * @param complete whether all who write see it in the write set
   */
  void owe(Volume volume, Leg.Mapped target, RegionSet regions, long capacity, boolean complete) {
    changing.lock();
    try {
      for (int word = 0; word < RegionSet.words(capacity); word++) {
        regions.add(word, dirty.word(word) | beingCleared.word(word));
      }
      debt = new Debt(target, regions, false);
      storeDebt(volume, target, regions);
      debt = new Debt(target, regions, complete);
    } finally {
      changing.unlock();
    }
  }

  /** Carries what was copied since to the map of the leg: a copy that is cut off goes on there. */
  void checkpoint(Volume volume) {
    changing.lock();
    try {
      Debt owed = debt;
      if (owed != null) {
        storeDebt(volume, owed.target(), owed.regions());
      }
    } finally {
      changing.unlock();
    }
  }

  /** Whether the map of a leg says all that it lacks, so that nobody else has to remember it. */
  boolean isCarriedBy(Leg.Mapped leg) {
    Debt owed = debt;
    return owed != null && owed.complete() && owed.target().equals(leg);
  }

  /** The leg lacks nothing, or is not written to any more. */
  void owesNothing() {
    changing.lock();
    try {
      debt = null;
    } finally {
      changing.unlock();
    }
  }

  private void storeDebt(Volume volume, Leg.Mapped target, RegionSet regions) {
    byte[] bytes = new byte[VolumeLayout.DIRTY_MAP_SIZE];
    ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int word = 0; word < RegionSet.WORDS; word++) {
      out.putLong(dirty.word(word) | beingCleared.word(word) | regions.word(word));
    }
    Gateway.copyIn(bytes, 0, target.window(), VolumeLayout.DIRTY_MAP_OFFSET, bytes.length);
    Gateway.barrier();
    PmemDevice device = target.leg().device();
    // Others wait for the lock that is held here.
    volume.waitOrFail(
        target.leg(),
        () -> {
          device.writeBack("debt", VolumeLayout.DIRTY_MAP_OFFSET, bytes.length);
          device.fence("debt");
        });
  }

  /** Adds what the map of a leg says that holds everything. */
  void addFrom(Leg leg, long capacity) {
    dirty.addFrom(leg.device(), capacity);
  }

  boolean isDirty(long offset) {
    return dirty.contains(offset / VolumeLayout.REGION_SIZE);
  }

  void markAllInDram(long capacity) {
    dirty.addRange(0, capacity);
  }
}
