package dev.holdfast.health.pipeline;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * One listener, its bounded queue and its thread.
 *
 * <p>The thread is a platform thread: a listener that blocks in native code or never returns would
 * take a virtual one's carrier from all others.
 *
 * <p><b>Threads:</b> the publishing thread offers, anybody stops.
 */
final class ListenerChannel {
  /** How many events wait for a listener at most. */
  static final int CAPACITY = 256;

  private static final Logger LOG = System.getLogger(ListenerChannel.class.getName());

  /** Wakes the thread; never delivered. No event has its number, they count from 1. */
  private static final HealthEvent END =
      new HealthEvent(0, 0, HealthEvent.Kind.LOST, -1, 0, 0, "end of channel");

  private final HealthListener listener;
  private final BlockingQueue<HealthEvent> queue = new ArrayBlockingQueue<>(CAPACITY);
  private final Thread thread;

  /** The sequence of the last event that found no room. */
  private volatile long dropped = -1;

  private volatile boolean ending;
  private volatile boolean stopped;

  ListenerChannel(String threadName, HealthListener listener) {
    this.listener = listener;
    this.thread = Thread.ofPlatform().daemon().name(threadName).unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  @SuppressWarnings("ReferenceEquality") // equals would be code of the user's
  boolean serves(HealthListener other) {
    return listener == other;
  }

  Thread thread() {
    return thread;
  }

  /** Never blocks: what does not fit is told later as one LOST event. */
  void offer(HealthEvent event) {
    if (!queue.offer(event)) {
      dropped = event.sequence();
    }
  }

  /** Ends the thread when everything that waits is delivered. Nothing is offered any more. */
  void finish() {
    ending = true;
    wake();
  }

  /** Ends the thread after the delivery under way. */
  void stop() {
    stopped = true;
    wake();
  }

  /** Ends the thread, and the delivery under way if it heeds interrupts. */
  void kill() {
    stopped = true;
    if (!thread.equals(Thread.currentThread())) { // A listener may close the pipeline itself.
      thread.interrupt();
    }
  }

  private void wake() {
    var _ = queue.offer(END); // Where it does not fit, the thread is not waiting either.
  }

  private void run() {
    long seen = -1;
    while (!stopped) {
      // Both before the look into the queue: what was queued before them is then seen first.
      long missed = dropped;
      boolean last = ending;
      HealthEvent event = queue.poll();
      if (event == null && missed > seen) {
        deliver(lost(seen, missed));
        seen = missed;
        continue;
      }
      if (event == null && last) {
        return;
      }
      if (event == null) {
        event = await();
      }
      if (event.equals(END)) {
        continue;
      }
      long before = event.sequence() - 1;
      // A LOST event of the pipeline itself explains the gap in front of it.
      if (seen >= 0 && before > seen && event.kind() != HealthEvent.Kind.LOST) {
        deliver(lost(seen, before));
      }
      seen = event.sequence();
      deliver(event);
    }
  }

  private HealthEvent await() {
    try {
      return queue.take();
    } catch (InterruptedException e) {
      return END; // Killed, or the listener left the thread interrupted.
    }
  }

  /** Stands for the events after {@code seen} up to {@code last}, whose sequence it carries. */
  private static HealthEvent lost(long seen, long last) {
    return new HealthEvent(
        last,
        System.nanoTime(),
        HealthEvent.Kind.LOST,
        -1,
        0,
        0,
        "events " + (seen + 1) + " to " + last + ": the listener had no time for them");
  }

  private void deliver(HealthEvent event) {
    if (stopped) {
      return;
    }
    try {
      listener.onEvent(event);
    } catch (Throwable e) {
      LOG.log(Level.WARNING, thread.getName() + ": the listener threw on " + event, e);
    }
  }
}
