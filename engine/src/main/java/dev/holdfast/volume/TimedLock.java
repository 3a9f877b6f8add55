package dev.holdfast.volume;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** Takes a lock in bounded time, whether the thread is interrupted or not. */
public final class TimedLock {
  private TimedLock() {}

  /**
   * Takes a lock unless that takes too long. An interrupt does not end the wait; it is kept.
   *
   * @param deadline when to give up, by {@link System#nanoTime}; one that is over tries once
   * @return whether the lock is held now
   */
  public static boolean tryUntil(ReentrantLock lock, long deadline) {
    boolean interrupted = false;
    try {
      while (true) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          return lock.tryLock();
        }
        try {
          return lock.tryLock(left, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
