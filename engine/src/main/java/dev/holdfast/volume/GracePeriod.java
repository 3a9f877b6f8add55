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
 * <p>An operation that needs something of its own from a pool claims a <em>place</em> instead, and
 * with it enters in the same step; it alone changes the place's word then, with plain stores. There
 * are few places: who finds none uses the counters.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> sleepable RCU of Linux ({@code kernel/rcu/srcutree.c}):
 * two sets of counters, flipped, each entry and exit counted apart.
 */
public final class GracePeriod {
  private static final VarHandle COUNTER = MethodHandles.arrayElementVarHandle(long[].class);
  private static final int STRIPES = 32;

  /** Most operations end within a few microseconds: so often a look is taken before parking. */
  private static final int SPINS = 200;

  /** Longs from one counter to the next: two cache lines, for the prefetcher that fetches pairs. */
  private static final int STRIDE = 16;

  private final long[] entries = new long[2 * STRIPES * STRIDE];
  private final long[] exits = new long[2 * STRIPES * STRIDE];

  /** How many places there are. */
  public static final int PLACES = STRIPES;

  /** Nobody has the place. */
  private static final long IDLE = 0;

  /** Its holder is in an operation. */
  private static final long IN = 1;

  /** Its holder is not in an operation. */
  private static final long OUT = 2;

  private static final long STATE = 3;

  /** Above the state a word counts the entries, so that a later one is told from an earlier. */
  private static final long STEP = 4;

  private final long[] places = new long[(PLACES + 1) * STRIDE];
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
   * Takes a place that nobody has.
   *
   * @param enters whether an operation begins with that
   * @return its number; -1 if none near this thread is free
   */
  public int claim(boolean enters) {
    long id = Thread.currentThread().threadId();
    int first = (int) ((id * 0x9E3779B97F4A7C15L) >>> 59);
    for (int way = 0; way < 2; way++) {
      int place = first ^ way;
      long word = (long) COUNTER.getOpaque(places, at(place));
      // Also the full fence that makes the entry visible before anything the operation reads.
      if ((word & STATE) == IDLE
          && COUNTER.compareAndSet(places, at(place), word, (word + STEP) | (enters ? IN : OUT))) {
        return place;
      }
    }
    return -1;
  }

  private static int at(int place) {
    return (place + 1) * STRIDE;
  }

  /** Begins an operation of who has a place. */
  public void enterAt(int place) {
    long word = (long) COUNTER.getOpaque(places, at(place));
    COUNTER.setVolatile(places, at(place), ((word + STEP) & ~STATE) | IN);
  }

  /** Ends an operation of who has a place, and keeps the place. */
  public void exitAt(int place) {
    long word = (long) COUNTER.getOpaque(places, at(place));
    COUNTER.setRelease(places, at(place), (word & ~STATE) | OUT);
  }

  /** Gives a place back, and ends the operation if there is one. */
  public void giveBack(int place) {
    long word = (long) COUNTER.getOpaque(places, at(place));
    COUNTER.setRelease(places, at(place), word & ~STATE);
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
      return placesLeft(deadline);
    } finally {
      flipping.unlock();
    }
  }

  /** Whether who was in an operation at a place has left it. */
  private boolean placesLeft(long deadline) {
    VarHandle.fullFence();
    boolean interrupted = false;
    try {
      for (int place = 0; place < PLACES; place++) {
        long word = (long) COUNTER.getVolatile(places, at(place));
        for (int spin = 0;
            (word & STATE) == IN && (long) COUNTER.getVolatile(places, at(place)) == word;
            spin++) {
          if (System.nanoTime() - deadline > 0) {
            return false;
          }
          if (spin < SPINS) {
            Thread.onSpinWait();
          } else {
            LockSupport.parkNanos(spin < 2 * SPINS ? 1_000 : 100_000);
            interrupted |= Thread.interrupted(); // With it set the thread would not park.
          }
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
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
        if (spin < SPINS) {
          Thread.onSpinWait();
          continue;
        }
        LockSupport.parkNanos(spin < 2 * SPINS ? 1_000 : 100_000);
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
