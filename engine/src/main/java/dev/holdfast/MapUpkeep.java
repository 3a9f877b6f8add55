package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.Tree;
import dev.holdfast.tree.TreeLease;
import dev.holdfast.tree.TreeScan;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Removes, in the background, the entries of maps that were dropped and entries that have expired.
 * Each is removed as any writer would; a crash leaves the rest for the next open.
 *
 * <p><b>Threads:</b> any; it runs one daemon thread, {@code NAME-maps}, from the first time that
 * there is something to do.
 */
final class MapUpkeep {
  private static final Logger LOG = System.getLogger(Store.class.getName());

  /** So many keys are looked for at once. */
  private static final int GROUP = 256;

  /** The same, where their values take so much. */
  private static final long MOST_BYTES = 1 << 20;

  /** How long writers of a dropped map are waited for before the next look. */
  private static final long WRITERS_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

  /** After a failure: a full device, say, or one that is away. */
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final NamedMaps maps;
  private final Tree tree;
  private final String where;
  private final long everyNanos;
  private final LongSupplier wallClock;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private @Nullable Thread thread;
  private boolean asked;

  /** Of dropped maps that something is lost of: their numbers are not used again. */
  private final Set<Integer> lossy = new HashSet<>();

  private volatile boolean ended;

  MapUpkeep(NamedMaps maps, Tree tree, String where, Duration every, LongSupplier wallClock) {
    this.maps = maps;
    this.tree = tree;
    this.where = where;
    this.everyNanos = every.isZero() ? Long.MAX_VALUE : TimeUnit.NANOSECONDS.convert(every);
    this.wallClock = wallClock;
  }

  /** There may be something to do. */
  void wake() {
    lock.lock();
    try {
      asked = true;
      changed.signalAll();
      if (thread == null && !ended) {
        Thread started = Thread.ofPlatform().daemon().name(where + "-maps").unstarted(this::run);
        started.start();
        thread = started;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Ends it; waits that long. */
  void end(long nanos) {
    Thread running;
    lock.lock();
    try {
      ended = true;
      changed.signalAll();
      running = thread;
    } finally {
      lock.unlock();
    }
    if (running == null || nanos == 0) {
      return;
    }
    boolean interrupted = false;
    try {
      boolean _ = running.join(Duration.ofNanos(nanos));
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    long sweepAt = System.nanoTime(); // At once: some may have expired while nobody was here.
    long wait = 0;
    while (await(wait)) {
      try {
        clearDropped();
        if (everyNanos != Long.MAX_VALUE && sweepAt - System.nanoTime() <= 0) {
          for (OpenExpiringMap map : maps.expiringMaps()) {
            sweep(map);
          }
          sweepAt = System.nanoTime() + Math.min(everyNanos, Long.MAX_VALUE / 2);
        }
        wait = everyNanos == Long.MAX_VALUE ? everyNanos : sweepAt - System.nanoTime();
        if (maps.hasWriters()) {
          wait = Math.min(wait, WRITERS_NANOS);
        }
      } catch (StoreClosedException e) {
        return;
      } catch (RuntimeException | OutOfMemoryError e) {
        // Whatever it was, of a device, a clock or the heap: somebody has to be there later.
        wait = RETRY_NANOS;
        LOG.log(
            Level.WARNING,
            where + ": entries of dropped maps, or that have expired, are removed later: " + e);
      }
    }
  }

  /** Waits until there may be something to do; whether it is to be done. */
  private boolean await(long nanos) {
    lock.lock();
    try {
      long left = nanos;
      while (!asked && !ended && left > 0) {
        try {
          left = changed.awaitNanos(left);
        } catch (InterruptedException e) {
          // Nobody but the end of the store ends it, and that says so.
        }
      }
      asked = false;
      return !ended;
    } finally {
      lock.unlock();
    }
  }

  private void clearDropped() {
    for (int number : maps.toClear()) {
      if (lossy.contains(number)) {
        continue;
      }
      Removal removal = new Removal(number, Long.MAX_VALUE);
      removal.run();
      if (ended) {
        return;
      }
      if (removal.isLossy) {
        lossy.add(number);
        LOG.log(
            Level.WARNING,
            where
                + ": entries of a map that was dropped are lost: what else it held is removed, its"
                + " number is not used again");
      } else {
        maps.cleared(number);
      }
    }
  }

  private void sweep(OpenExpiringMap map) {
    new Removal(map.home().number(), wallClock.getAsLong()).run();
  }

  /** Removes the entries of a map that do not live at a time. */
  private final class Removal implements MappingHandle {
    private final int number;
    private final long now;
    private final List<byte[]> keys = new ArrayList<>();

    /** The values, where only what has this one is to be removed. */
    private final List<byte[]> values = new ArrayList<>();

    private long bytes;
    private boolean isLossy;

    /**
     * @param now the time; the end of all times for entries of any kind
     */
    Removal(int number, long now) {
      this.number = number;
      this.now = now;
    }

    void run() {
      TreeScan scan = tree.scan(number);
      scan.seek(null, true, false);
      boolean more = true;
      while (more && !ended) {
        try {
          more = scan.next(this);
          if (more) {
            look(scan);
          }
        } catch (TreeScan.LostOnTheWay | DataLostException e) {
          isLossy = true; // The next look goes on behind it.
        }
        if (!more || keys.size() == GROUP || bytes >= MOST_BYTES) {
          remove();
        }
      }
    }

    private void look(TreeScan scan) {
      if (now == Long.MAX_VALUE) {
        keys.add(scan.key()); // Whatever its value is: nobody has to load that.
        return;
      }
      boolean lives =
          scan.isInline()
              ? Expiry.isLive(scan.block(), scan.valueAt(), scan.valueLength(), now)
              : livesBesides(scan.key());
      byte[] value = lives ? null : scan.value();
      if (value != null && !Expiry.isLive(value, now)) {
        keys.add(scan.key());
        values.add(value);
        bytes += value.length;
      }
    }

    /** Whether a value lives that is too large to be loaded to find out. */
    private boolean livesBesides(byte[] key) {
      try (TreeLease lease = tree.lease(number, key)) {
        if (lease == null || lease.length() < Expiry.HEADER) {
          return lease == null;
        }
        byte[] header = new byte[Expiry.HEADER];
        lease.copyTo(0, MemorySegment.ofArray(header), 0, header.length);
        return Expiry.isLive(header, now);
      } catch (DeviceOfflineException e) {
        return true; // In the BULK volume, which is away: a later sweep comes by.
      }
    }

    private void remove() {
      for (int i = 0; i < keys.size() && !ended; i++) {
        byte[] expected = now == Long.MAX_VALUE ? null : values.get(i);
        boolean _ = tree.remove(number, keys.get(i), expected, PersistenceMode.PROCESS);
      }
      keys.clear();
      values.clear();
      bytes = 0;
    }

    @Override
    public String describe() {
      return "upkeep of maps";
    }

    @Override
    public void invalidated(long offset, long length) {
      // What it holds is a verified copy; the next step reads from the legs that are left.
    }
  }
}
