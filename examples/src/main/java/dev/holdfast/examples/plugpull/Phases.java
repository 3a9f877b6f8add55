package dev.holdfast.examples.plugpull;

import org.jspecify.annotations.Nullable;

/**
 * What has happened so far, for all threads. Times are nanoseconds since the start of the run.
 *
 * <p><b>Threads:</b> any.
 */
final class Phases {
  /** Not yet. */
  static final long NEVER = Long.MAX_VALUE;

  private final long origin = System.nanoTime();
  private volatile long warmAt = NEVER;
  private volatile long struckAt = NEVER;
  private volatile long injectedAt = NEVER;
  private volatile boolean stopping;
  private volatile @Nullable RuntimeException aborted;

  long now() {
    return System.nanoTime() - origin;
  }

  /** A {@link System#nanoTime} as a time of the run. */
  long at(long nanoTime) {
    return nanoTime - origin;
  }

  /** The code is warm: what is measured from now on counts as control. */
  void warm() {
    warmAt = now();
  }

  long warmAt() {
    return warmAt;
  }

  /** The fault is being raised. */
  void strike() {
    struckAt = now();
  }

  /** When the fault was raised; {@link #NEVER} before. */
  long struckAt() {
    return struckAt;
  }

  /** The fault is complete: every page that it hits faults. */
  void injected() {
    injectedAt = now();
  }

  long injectedAt() {
    return injectedAt;
  }

  void stop() {
    stopping = true;
  }

  boolean stopping() {
    return stopping;
  }

  /** The run cannot go on, through no fault of the store. */
  void abort(RuntimeException why) {
    aborted = why;
    stopping = true;
  }

  void throwIfAborted() {
    RuntimeException why = aborted;
    if (why != null) {
      throw why;
    }
  }
}
