package dev.holdfast.health.pipeline;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts what found the ring full, and how many of these a rescan has made good.
 *
 * <p><b>Threads:</b> any.
 */
final class Losses {
  private final AtomicLong count = new AtomicLong();
  private volatile long settled;
  private volatile boolean rescanFailed;

  void add() {
    count.incrementAndGet();
  }

  long count() {
    return count.get();
  }

  /** The rescan that began when there were {@code count} losses is over. Health thread only. */
  void settle(long count, boolean failed) {
    rescanFailed = failed;
    settled = count;
  }

  long settled() {
    return settled;
  }

  /** Whether the rescan behind {@link #settled} threw. */
  boolean rescanFailed() {
    return rescanFailed;
  }
}
