package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.Tree;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
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
    this.everyNanos = every.isZero() ? Long.MAX_VALUE : every.toNanos();
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
    long wait = 0;
    while (await(wait)) {
      wait = everyNanos;
      try {
        clearDropped();
        if (everyNanos != Long.MAX_VALUE) {
          for (OpenExpiringMap map : maps.expiringMaps()) {
            sweep(map);
          }
        }
        if (maps.hasWriters()) {
          wait = WRITERS_NANOS;
        }
      } catch (StoreClosedException e) {
        return;
      } catch (HoldfastException e) {
        wait = Math.min(everyNanos, RETRY_NANOS);
        LOG.log(
            Level.WARNING,
            where
                + ": entries of dropped maps, or that have expired, are removed later: "
                + e.getMessage());
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
  private final class Removal implements EntryVisitor {
    private final int number;
    private final long now;
    private final List<byte[]> keys = new ArrayList<>();

    /** The values, where only what has this one is to be removed. */
    private final List<byte[]> values = new ArrayList<>();

    private boolean isLossy;

    /**
     * @param now the time; the end of all times for entries of any kind
     */
    Removal(int number, long now) {
      this.number = number;
      this.now = now;
    }

    void run() {
      RangeVisit visit = new RangeVisit(tree.scan(number), KeyRange.all(), false, null);
      boolean more = true;
      while (more && !ended) {
        try {
          long shown = visit.show(this);
          more = shown > 0 && keys.size() == GROUP;
        } catch (DataLostException e) {
          isLossy = true; // The next look goes on behind it.
        }
        remove();
      }
    }

    @Override
    public boolean visit(
        byte[] in, int keyAt, int keyLength, byte[] from, int valueAt, int valueLength) {
      if (now == Long.MAX_VALUE || !Expiry.isLive(from, valueAt, valueLength, now)) {
        keys.add(Arrays.copyOfRange(in, keyAt, keyAt + keyLength));
        if (now != Long.MAX_VALUE) {
          values.add(Arrays.copyOfRange(from, valueAt, valueAt + valueLength));
        }
      }
      return keys.size() < GROUP && !ended;
    }

    private void remove() {
      for (int i = 0; i < keys.size() && !ended; i++) {
        byte[] expected = now == Long.MAX_VALUE ? null : values.get(i);
        boolean _ = tree.remove(number, keys.get(i), expected, PersistenceMode.PROCESS);
      }
      keys.clear();
      values.clear();
    }
  }
}
