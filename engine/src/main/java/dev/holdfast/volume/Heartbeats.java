package dev.holdfast.volume;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
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
  private final List<Heartbeat> beats = new CopyOnWriteArrayList<>();
  private final List<Thread> threads = new CopyOnWriteArrayList<>();
  private final Volume volume;
  private final VolumeNews news;
  private final LongSupplier clock;
  private final Duration interval;
  private final long deadNanos;
  private final String threadNames;
  private boolean started;
  private volatile boolean stopped;

  /**
   * @param threadNames what the names of its threads begin with
   * @param interval from one beat to the next; zero: none
   * @param silence how long a beat may take before its leg is given up; a third of it is slow
   * @param clock nanoseconds that never go backwards
   */
  public Heartbeats(
      Volume volume,
      VolumeNews news,
      String threadNames,
      Duration interval,
      Duration silence,
      LongSupplier clock) {
    this.threadNames = threadNames;
    this.deadNanos = silence.toNanos();
    this.volume = volume;
    this.news = news;
    this.interval = interval;
    this.clock = clock;
    for (Leg leg : volume.allLegs()) {
      beats.add(newBeat(leg));
    }
  }

  /** Begins. */
  public synchronized void start() {
    started = true;
    if (interval.isZero()) {
      return;
    }
    for (int leg = 0; leg < beats.size(); leg++) {
      Heartbeat beat = beats.get(leg);
      begin(threadNames + leg, beat::beat);
    }
    begin(threadNames + "watch", () -> beats.forEach(Heartbeat::look));
  }

  /** Asks another leg, too, if it is not asked already. */
  public synchronized void add(Leg leg) {
    if (leg.index() < beats.size()) {
      return; // It took the place of another one.
    }
    Heartbeat beat = newBeat(leg);
    beats.add(beat);
    if (started && !interval.isZero() && !stopped) {
      begin(threadNames + leg.index(), beat::beat);
    }
  }

  private Heartbeat newBeat(Leg leg) {
    return new Heartbeat(volume, news, leg, clock, deadNanos / MediumCalls.SLOW_PART, deadNanos);
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
    synchronized (this) {
      stopped = true; // None begins from here on.
    }
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
