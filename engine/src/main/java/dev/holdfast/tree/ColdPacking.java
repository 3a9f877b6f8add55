package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import java.lang.System.Logger.Level;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Packs in the background what nobody writes to: leaves that were as they are at one look and still
 * are at the next are filled, with records in the short form, and their pages given back. Looks are
 * so far apart as a leaf has to be left alone, so one is packed after once to twice that time.
 *
 * <p>A look reads descriptors, and no leaf that it does not pack; nothing is packed while somebody
 * holds a snapshot. Between two leaves it waits, so that a pass writes some megabytes a second.
 *
 * <p><b>Threads:</b> {@link #wake} and {@link #end} any; a pass has a thread of its own, which ends
 * with it.
 */
final class ColdPacking implements Compaction.Scope {
  private static final System.Logger LOG = System.getLogger(ColdPacking.class.getName());

  /** Between two leaves of 64 KiB. */
  private static final long PAUSE_NANOS = 5_000_000L;

  /** A leaf that came of packing: nobody has written to it. */
  private static final int AS_WRITTEN = 0;

  /** A leaf that there is nothing to be gained from, unless somebody writes to it. */
  private static final int DONE = -1;

  private final Tree tree;
  private final Parts parts;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile boolean ends;

  // Under the lock.
  private long intervalNanos;
  private long next;
  private @Nullable Thread running;

  /** The number of the look; of one thread at a time. */
  private int look;

  ColdPacking(Tree tree, Parts parts) {
    this.tree = tree;
    this.parts = parts;
  }

  /**
   * Sets how long a leaf has to be left alone.
   *
   * @param nanos 0: nothing is packed
   */
  void after(long nanos) {
    lock.lock();
    try {
      intervalNanos = nanos;
      next = System.nanoTime() + nanos;
    } finally {
      lock.unlock();
    }
  }

  /** Begins a look if one is due. */
  void wake() {
    if (!lock.tryLock()) {
      return;
    }
    try {
      if (ends || intervalNanos == 0 || running != null || System.nanoTime() - next < 0) {
        return;
      }
      Thread pass = Thread.ofPlatform().daemon().name("holdfast-packing").unstarted(this::run);
      running = pass;
      try {
        pass.start();
      } catch (OutOfMemoryError e) {
        LOG.log(Level.WARNING, "no thread could be started to pack leaves; tried again later", e);
        over();
      }
    } finally {
      lock.unlock();
    }
  }

  /** How long nothing is due, at most so long. */
  long idleNanos(long most) {
    lock.lock();
    try {
      return intervalNanos == 0 ? most : Math.min(most, intervalNanos);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the pass that is under way; none begins any more.
   *
   * @return whether it has ended
   */
  boolean end(long nanos) {
    ends = true;
    long deadline = System.nanoTime() + nanos;
    while (isRunning()) {
      if (System.nanoTime() - deadline >= 0) {
        return false;
      }
      LockSupport.parkNanos(100_000L);
    }
    return true;
  }

  private boolean isRunning() {
    lock.lock();
    try {
      return running != null;
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    try {
      if (!ends && !parts.volume.isReadOnly() && parts.volume.legs().readers() > 0) {
        look++;
        Tree.CompactionState state = tree.compact(this, _ -> {});
        LOG.log(Level.DEBUG, "looked for leaves that nobody writes to: {0}", state);
      }
    } catch (StoreClosedException e) {
      LOG.log(Level.DEBUG, "the store was closed while leaves were packed");
    } catch (HoldfastException e) {
      // Whoever uses the store meets it, too, and is told; the next pass tries again.
      LOG.log(Level.DEBUG, "leaves could not be packed", e);
    } finally {
      over();
    }
  }

  private void over() {
    lock.lock();
    try {
      running = null;
      next = System.nanoTime() + intervalNanos;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean goesOn(boolean wrote) {
    if (wrote) {
      LockSupport.parkNanos(PAUSE_NANOS);
    }
    return !ends;
  }

  @Override
  public boolean mayFill(int leaf) {
    return parts.hasNoPins() && isCold(leaf) && parts.leaves.seenAt(leaf) != DONE;
  }

  @Override
  public boolean mayGive(int leaf) {
    return isCold(leaf);
  }

  private boolean isCold(int leaf) {
    Leaves leaves = parts.leaves;
    ReentrantLock held = leaves.lock(leaf);
    if (!held.tryLock()) {
      return false; // Somebody is about to write to it.
    }
    try {
      if (!leaves.exists(leaf)) {
        return false; // What is there may be another leaf's.
      }
      int now = stateOf(leaf);
      if (leaves.seen(leaf) != now) {
        leaves.seen(leaf, now, look);
        return false;
      }
      return leaves.seenAt(leaf) < look;
    } finally {
      held.unlock();
    }
  }

  @Override
  public void written(int leaf) {
    parts.leaves.seen(leaf, stateOf(leaf), AS_WRITTEN);
  }

  @Override
  public void done(int leaf) {
    parts.leaves.seen(leaf, parts.leaves.seen(leaf), DONE);
  }

  /** What changes whenever somebody writes to a leaf; no more than 32 bits of it. */
  private int stateOf(int leaf) {
    long generation = parts.leaves.generation(leaf);
    return (int) ((generation * 0x9E3779B97F4A7C15L) >>> 32) ^ parts.leaves.tail(leaf);
  }
}
