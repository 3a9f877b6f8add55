package dev.holdfast.tree;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * When leaves are read after an open: some before anything is served, the rest by a thread of its
 * own, unless an operation that needs one comes first. So an open takes as long as the leaf table
 * is large, whatever the store holds.
 *
 * <p><b>Threads:</b> any; one thread in the background, which ends when all is read, or with the
 * store.
 */
final class LazyBuild {
  private static final System.Logger LOG = System.getLogger(LazyBuild.class.getName());

  /** So few leaves are read while the store is opened: it is not worth a thread. */
  static final int FEW = 64;

  /** How long to wait for a device that is away before the next attempt. */
  private static final long AWAY_NANOS = 50_000_000L;

  private final Tree tree;
  private final Parts parts;
  private final LeafBuilder builder;
  private final ScratchPool scratches;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Under the lock.
  private boolean ended;
  private @Nullable Thread running;

  LazyBuild(Tree tree, Parts parts, LeafBuilder builder, ScratchPool scratches) {
    this.tree = tree;
    this.parts = parts;
    this.builder = builder;
    this.scratches = scratches;
  }

  /**
   * Reads what must be known before a page is handed out: the leaves that lead to extents; and all,
   * where that is wanted, if they are few. No operation runs.
   */
  void atOnce(boolean ifFew) {
    int[] leaves = builder.found();
    List<Integer> damaged = new ArrayList<>();
    Scratch s = scratches.take();
    try {
      builder.claiming(true);
      for (int leaf : leaves) {
        if (parts.leaves.is(leaf, Leaves.BLOBS)) {
          // A leaf that is written anew takes pages: not before all extents are claimed.
          tree.patiently(set -> {
            if (!parts.leaves.is(leaf, Leaves.BUILT) && tree.build(s, set, leaf, false)) {
              damaged.add(leaf);
            }
          });
        }
      }
      builder.claiming(false);
      for (int leaf : damaged) {
        tree.patiently(set -> {
          if (parts.volume.readOnlyCause() == null) {
            tree.replaceDamaged(s, set, leaf);
          }
        });
      }
      if (ifFew && leaves.length <= FEW) {
        buildAll(leaves, s);
      }
    } finally {
      scratches.give(s);
    }
  }

  /** Reads all leaves. No operation runs. */
  void everything() {
    Scratch s = scratches.take();
    try {
      buildAll(builder.leaves().stream().mapToInt(Integer::intValue).toArray(), s);
    } finally {
      scratches.give(s);
    }
  }

  private void buildAll(int[] leaves, Scratch s) {
    for (int leaf : leaves) {
      tree.patiently(set -> {
        boolean _ = tree.ensureBuilt(s, set, leaf);
      });
      reclaimIfTight();
    }
    parts.allBuilt = true;
  }

  /** All leaves are about to be read again, by {@link #everything}: no operation runs. */
  void restart() {
    lock.lock();
    try {
      ended = true;
      parts.allBuilt = false;
    } finally {
      lock.unlock();
    }
  }

  /** Begins to read what is left, in the background. */
  void begin() {
    lock.lock();
    try {
      if (parts.allBuilt || ended || running != null) {
        return;
      }
      running = Thread.ofPlatform().daemon().name("holdfast-build").unstarted(this::run);
      running.start();
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    try {
      boolean complete = true;
      for (int leaf : builder.found()) {
        if (isEnded()) {
          return;
        }
        complete &= build(leaf);
      }
      // An operation may have looked into the index before a leaf was built, and not yet have asked
      // whether all are: it ends before the answer is yes.
      while (complete && !isEnded()) {
        if (parts.volume.grace().await(Tree.GRACE_NANOS)) {
          completed();
          return;
        }
      }
    } catch (StoreClosedException e) {
      LOG.log(Level.DEBUG, "the store was closed before all leaves were read");
    } finally {
      lock.lock();
      try {
        running = null;
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Whether a leaf is built now; one of which what is lost cannot be named is not. */
  private boolean build(int leaf) {
    while (!isEnded()) {
      try {
        tree.build(leaf);
        reclaimIfTight();
        return true;
      } catch (DeviceOfflineException e) {
        waitForReturn();
      } catch (StoreClosedException e) {
        throw e;
      } catch (HoldfastException e) {
        LOG.log(Level.WARNING, "leaf " + leaf + " cannot be read now: " + e.getMessage());
        return false;
      }
    }
    return false;
  }

  /** An index that grows leaves behind what can be used again. */
  private void reclaimIfTight() {
    if (parts.budget.isTight()) {
      tree.reclaimMemory();
    }
  }

  private boolean isEnded() {
    lock.lock();
    try {
      return ended;
    } finally {
      lock.unlock();
    }
  }

  private void completed() {
    lock.lock();
    try {
      if (!ended) {
        parts.allBuilt = true;
      }
    } finally {
      lock.unlock();
    }
  }

  private void waitForReturn() {
    lock.lock();
    try {
      long left = AWAY_NANOS;
      while (!ended && left > 0) {
        left = changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      ended = true; // Nobody interrupts it but who wants it to end.
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the reading in the background.
   *
   * @param nanos how long to wait for its end before that
   * @return whether every leaf was read
   */
  boolean end(long nanos) {
    long deadline = System.nanoTime() + nanos;
    boolean interrupted = false;
    lock.lock();
    try {
      for (long left = nanos; running != null && left > 0; left = deadline - System.nanoTime()) {
        try {
          long _ = changed.awaitNanos(left);
        } catch (InterruptedException e) {
          interrupted = true; // It does not end the wait; it is kept.
        }
      }
      ended = true;
      changed.signalAll();
      return parts.allBuilt;
    } finally {
      lock.unlock();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
