package dev.holdfast.health.pipeline;

import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Where the thread of one stage sleeps, and what wakes it: somebody at the door, or the time.
 *
 * <p><b>Threads:</b> one owner sleeps and answers; anybody wakes and rings, without ever blocking.
 */
final class Doorbell {
  private final long intervalNanos;
  private final AtomicBoolean rung = new AtomicBoolean();
  private volatile @Nullable Thread sleeper;

  /** The owner's alone. */
  private long dueNanos;

  /**
   * @param intervalNanos how long after the last answer it rings by itself; 0 is never
   */
  Doorbell(long intervalNanos) {
    this.intervalNanos = intervalNanos;
    this.dueNanos = System.nanoTime() + intervalNanos;
  }

  /** Asks for an answer. Rings that come before it are one. */
  void ring() {
    rung.set(true);
    wake();
  }

  /** Makes the owner look again at what it sleeps for. */
  void wake() {
    // Pairs with the fence in sleepUnless: either we see the sleeper, or it sees what we did.
    VarHandle.fullFence();
    Thread thread = sleeper;
    if (thread != null) {
      LockSupport.unpark(thread);
    }
  }

  /** Whether an answer is due. */
  boolean isDue() {
    return rung.get() || (intervalNanos > 0 && System.nanoTime() - dueNanos >= 0);
  }

  /**
   * Takes all rings so far: who rings from now on is answered once more. A read-modify-write, so
   * that what the taken ones did before they rang is seen by the answer.
   */
  void take() {
    rung.getAndSet(false);
  }

  /** The answer is complete; the interval starts anew. */
  void rewind() {
    dueNanos = System.nanoTime() + intervalNanos;
  }

  /** Sleeps until woken or until an answer is due; at once back if the awaited is there. */
  void sleepUnless(BooleanSupplier awaited) {
    sleeper = Thread.currentThread();
    VarHandle.fullFence();
    if (!awaited.getAsBoolean() && !isDue()) {
      if (intervalNanos > 0) {
        LockSupport.parkNanos(this, Math.max(1, dueNanos - System.nanoTime()));
      } else {
        LockSupport.park(this);
      }
    }
    sleeper = null;
  }
}
