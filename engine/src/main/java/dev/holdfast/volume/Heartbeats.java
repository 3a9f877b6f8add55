package dev.holdfast.volume;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * Asks the medium of every leg at an interval whether it still writes, off the data path: a file
 * system that died under its mappings makes no access fault.
 *
 * <p><b>Threads:</b> one for each leg, so that one that hangs hinders no other, and one that looks
 * after them. <b>Lifetime:</b> from {@link #start} to {@link #stop}; a thread whose medium hangs is
 * left behind, and ends when the medium answers.
 */
public final class Heartbeats {
  /** How long a beat may take before it is called slow. Longer than a busy disk takes. */
  private static final long SLOW_NANOS = Duration.ofSeconds(5).toNanos();

  /** How long a beat may take before its leg is given up. Source: half of what ZFS calls slow. */
  private static final long DEAD_NANOS = Duration.ofSeconds(15).toNanos();

  private final List<Heartbeat> beats = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final Duration interval;
  private volatile boolean stopped;

  /**
   * @param interval from one beat to the next; zero: none
   * @param clock nanoseconds that never go backwards
   */
  public Heartbeats(Volume volume, VolumeNews news, Duration interval, LongSupplier clock) {
    this.interval = interval;
    for (Leg leg : volume.allLegs()) {
      beats.add(new Heartbeat(volume, news, leg, clock, SLOW_NANOS, DEAD_NANOS));
    }
  }

  /** Begins. */
  public void start() {
    if (interval.isZero()) {
      return;
    }
    for (int leg = 0; leg < beats.size(); leg++) {
      Heartbeat beat = beats.get(leg);
      begin("holdfast-heartbeat-" + leg, beat::beat);
    }
    begin("holdfast-heartbeat-watch", () -> beats.forEach(Heartbeat::look));
  }

  private void begin(String name, Runnable step) {
    threads.add(Thread.ofPlatform().daemon().name(name).start(() -> repeat(step)));
  }

  private void repeat(Runnable step) {
    while (!stopped) {
      try {
        Thread.sleep(interval);
      } catch (InterruptedException e) {
        continue; // By stop, or by somebody who has no business here.
      }
      if (!stopped) {
        step.run();
      }
    }
  }

  /**
   * Ends it.
   *
   * @param nanos how long to wait for beats that are under way; those that hang are left behind
   */
  public void stop(long nanos) {
    stopped = true;
    threads.forEach(Thread::interrupt);
    long deadline = System.nanoTime() + nanos;
    boolean interrupted = false;
    for (Thread thread : threads) {
      try {
        boolean _ = thread.join(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
