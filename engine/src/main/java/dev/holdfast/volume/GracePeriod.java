package dev.holdfast.volume;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Knows when every operation that was under way at some moment is over.
 *
 * <p>An operation enters before it takes the leg set and exits behind its barrier. Counters are
 * striped by thread, so that operations share no cache line and 10,000 virtual threads work.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> sleepable RCU of Linux ({@code kernel/rcu/srcutree.c}):
 * two sets of counters, flipped, each entry and exit counted apart.
 */
public final class GracePeriod {
  private static final VarHandle COUNTER = MethodHandles.arrayElementVarHandle(long[].class);
  private static final int STRIPES = 32;

  /** Longs from one counter to the next: two cache lines, for the prefetcher that fetches pairs. */
  private static final int STRIDE = 16;

  private final long[] entries = new long[2 * STRIPES * STRIDE];
  private final long[] exits = new long[2 * STRIPES * STRIDE];
  private final ReentrantLock flipping = new ReentrantLock();
  private volatile int phase;

  /** Begins an operation; the result goes to {@link #exit}. */
  public int enter() {
    long id = Thread.currentThread().threadId();
    int stripe = (int) ((id * 0x9E3779B97F4A7C15L) >>> 59);
    int slot = (phase * STRIPES + stripe) * STRIDE;
    // Also the full fence that makes this entry visible before anything the operation reads.
    COUNTER.getAndAdd(entries, slot, 1L);
    return slot;
  }

  /** Ends an operation. */
  public void exit(int slot) {
    COUNTER.getAndAdd(exits, slot, 1L);
  }

  /**
   * Waits until every operation that entered before this call has exited. An interrupt does not end
   * the wait; it is kept.
   *
   * @return false if that did not happen in time: then nothing may be concluded
   */
  public boolean await(long timeoutNanos) {
    long deadline = System.nanoTime() + timeoutNanos;
    if (!TimedLock.tryUntil(flipping, deadline)) {
      return false; // Who holds it waits for the same operations, with more time.
    }
    try {
      // Twice: a thread may have read the phase before a flip and count itself only after it.
      for (int round = 0; round < 2; round++) {
        int old = phase;
        phase = 1 - old;
        if (!drained(old, deadline)) {
          return false;
        }
      }
      return true;
    } finally {
      flipping.unlock();
    }
  }

  private boolean drained(int old, long deadline) {
    boolean interrupted = false;
    try {
      for (int spin = 0; ; spin++) {
        // Exits first: what exits later than this was entered later or is counted below.
        long exited = sum(exits, old);
        VarHandle.fullFence();
        if (sum(entries, old) == exited) {
          return true;
        }
        if (System.nanoTime() - deadline > 0) {
          return false;
        }
        LockSupport.parkNanos(spin < 100 ? 1_000 : 100_000);
        interrupted |= Thread.interrupted(); // With it set the thread would not park.
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static long sum(long[] counters, int phase) {
    long sum = 0;
    for (int stripe = 0; stripe < STRIPES; stripe++) {
      sum += (long) COUNTER.getVolatile(counters, (phase * STRIPES + stripe) * STRIDE);
    }
    return sum;
  }
}
