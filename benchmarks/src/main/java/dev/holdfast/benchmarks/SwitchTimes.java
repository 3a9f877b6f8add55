package dev.holdfast.benchmarks;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.HealthListener;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Takes down when the steps of a failover happened, by the store's own events: the first of each
 * kind that concerns the leg and is not older than the fault.
 *
 * <p><b>Threads:</b> any.
 */
final class SwitchTimes implements HealthListener {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Map<Kind, Long> nanosAfterFault = new EnumMap<>(Kind.class);
  private int leg = -1;
  private long raisedAt;

  /** Forgets the fault before, and waits for the events of this leg. Called before the fault. */
  void arm(int leg) {
    lock.lock();
    try {
      nanosAfterFault.clear();
      this.leg = leg;
      this.raisedAt = System.nanoTime();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void onEvent(HealthEvent event) {
    lock.lock();
    try {
      long after = event.nanoTime() - raisedAt;
      if (leg >= 0 && event.leg() == leg && after >= 0) {
        nanosAfterFault.putIfAbsent(event.kind(), after);
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * When a step happened.
   *
   * @param raisedAt when the fault was raised, by {@link System#nanoTime}
   * @return nanoseconds after the fault; empty if it did not happen within {@code patience}
   */
  OptionalLong await(Kind kind, long raisedAt, Duration patience) throws InterruptedException {
    long left = patience.toNanos();
    lock.lock();
    try {
      while (true) {
        Long after = nanosAfterFault.get(kind);
        if (after != null) {
          return OptionalLong.of(this.raisedAt + after - raisedAt);
        }
        if (left <= 0) {
          return OptionalLong.empty();
        }
        left = changed.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  static String describe(OptionalLong nanos) {
    return nanos.isPresent()
        ? Figures.micros(nanos.getAsLong())
        : "none within " + TimeUnit.MILLISECONDS.toSeconds(FailoverRun.PATIENCE.toMillis()) + " s";
  }
}
