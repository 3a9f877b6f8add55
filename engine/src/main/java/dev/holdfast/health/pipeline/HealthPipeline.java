package dev.holdfast.health.pipeline;

import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.BatchEventProcessorBuilder;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.dsl.ProducerType;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.FaultKind;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Carries the news of faults from the threads that meet them to the responder that acts on them and
 * to the listeners that are told.
 *
 * <p>It carries news, not the truth, which is durable elsewhere: where the ring is full, the news
 * is dropped and counted, and {@link Responder#rescan} makes up for it. So nobody who brings news
 * ever waits.
 *
 * <p><b>Threads:</b> all methods from any. It runs two daemon threads, {@code NAME-health} (record
 * and respond) and {@code NAME-publish}, and one for each listener. <b>Lifetime:</b> from
 * construction to {@link #close}.
 */
public final class HealthPipeline implements AutoCloseable {
  /*
   * producers ─► ring ─► record ─► respond ─► publish ─► queue ─► listener 1
   *                      └─ health thread ┘   └ own ┘ └─► queue ─► listener 2 …
   *
   * 1. A slot belongs to one stage at a time; respond releases it by its sequence, publish frees it.
   * 2. Rescans run on the health thread: by request, after a loss, and by the interval.
   * 3. A loss is settled by a rescan that began after it, and only then told as LOST.
   * 4. Only the publishing thread gives out sequence numbers.
   */
  private static final Logger LOG = System.getLogger(HealthPipeline.class.getName());

  /* When close() goes on to the next, harsher step, counted from its start. */
  private static final long DRAINED_NANOS = TimeUnit.MILLISECONDS.toNanos(150);
  private static final long ABANDONED_NANOS = TimeUnit.MILLISECONDS.toNanos(225);
  private static final long HALTED_NANOS = TimeUnit.MILLISECONDS.toNanos(275);
  private static final long DELIVERED_NANOS = TimeUnit.MILLISECONDS.toNanos(375);
  private static final long KILLED_NANOS = TimeUnit.MILLISECONDS.toNanos(425);

  private final String name;
  private final RingBuffer<Slot> ring;
  private final Losses losses = new Losses();
  private final Doorbell rescans;
  private final Doorbell publishing = new Doorbell(0);
  private final ListenerSet listeners;
  private final RespondStage respond;
  private final BatchEventProcessor<Slot> responding;
  private final BatchEventProcessor<Slot> publisher;
  private final Thread healthThread;
  private final Thread publishThread;
  private final AtomicBoolean closed = new AtomicBoolean();

  /**
   * Starts its threads.
   *
   * @param name what the names of its threads begin with
   * @param ringSize how many events can wait for the responder; a power of two
   * @param responder what acts
   * @param rescanInterval how often the truth is looked at again even if nothing was lost, counted
   *     from the end of the last look
   * @throws IllegalArgumentException if the ring size is not a power of two or the interval is not
   *     positive
   */
  public HealthPipeline(String name, int ringSize, Responder responder, Duration rescanInterval) {
    if (!rescanInterval.isPositive()) {
      throw new IllegalArgumentException("rescanInterval: expected > 0, was " + rescanInterval);
    }
    this.name = Objects.requireNonNull(name, "name");
    Objects.requireNonNull(responder, "responder");
    rescans = new Doorbell(rescanInterval.toNanos());
    listeners = new ListenerSet(name);
    var wait = new ParkingWait(rescans, publishing);
    ring = RingBuffer.create(ProducerType.MULTI, Slot::new, ringSize, wait);
    wait.lookAt(ring::isAvailable);
    respond = new RespondStage(new RecordStage(ring), responder, losses, rescans, publishing);
    responding = processor(ring.newBarrier(), respond);
    publisher =
        processor(
            ring.newBarrier(responding.getSequence()),
            new PublishStage(listeners, losses, publishing));
    ring.addGatingSequences(publisher.getSequence());
    healthThread = Thread.ofPlatform().daemon().name(name + "-health").start(responding);
    publishThread = Thread.ofPlatform().daemon().name(name + "-publish").start(publisher);
  }

  private BatchEventProcessor<Slot> processor(SequenceBarrier barrier, EventHandler<Slot> handler) {
    BatchEventProcessor<Slot> processor =
        new BatchEventProcessorBuilder().build(ring, barrier, handler);
    processor.setExceptionHandler(new LogAndGoOn(name));
    return processor;
  }

  /**
   * News from a device or from the slow path of the barrier. Never blocks and allocates nothing; a
   * range that cannot exist is cut down to what can.
   *
   * @param leg the index of the leg
   * @param offset the first byte, volume-relative
   * @param length the number of bytes
   * @return false if the news was not taken: the ring is full, which is counted and followed by a
   *     rescan, or the pipeline is closed
   */
  public boolean report(int leg, FaultKind kind, long offset, long length) {
    Objects.requireNonNull(kind, "kind");
    long now = System.nanoTime();
    long sequence = claim();
    if (sequence < 0) {
      return false;
    }
    try {
      ring.get(sequence).fillWithReport(leg, kind, offset, length, now);
    } finally {
      ring.publish(sequence);
    }
    return true;
  }

  /**
   * Tells listeners, and a flight recording, of something that happened, behind all that was
   * reported and published before. Never blocks; what finds the ring full is counted, followed by a
   * rescan, and told as {@link HealthEvent.Kind#LOST}.
   *
   * @param leg the index of the leg, or -1 for the whole store
   * @param offset the first byte concerned, volume-relative, or 0
   * @param length the number of bytes concerned, or 0
   * @param detail one line for people
   * @param nanoTime when it happened, by {@link System#nanoTime}
   */
  public void publish(
      HealthEvent.Kind kind, int leg, long offset, long length, String detail, long nanoTime) {
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(detail, "detail");
    long sequence = claim();
    if (sequence < 0) {
      return;
    }
    try {
      ring.get(sequence).fillWithNews(kind, leg, offset, length, detail, nanoTime);
    } finally {
      ring.publish(sequence);
    }
  }

  /** Claims a slot, or counts the loss and returns -1. */
  private long claim() {
    if (closed.get()) {
      return -1;
    }
    try {
      return ring.tryNext();
    } catch (InsufficientCapacityException e) { // One instance for all, without a stack trace.
      losses.add();
      rescans.ring();
      return -1;
    }
  }

  /**
   * Adds a listener, which is told of events from about now on. One that is there already, or that
   * comes after {@link #close}, is not added.
   */
  public void addListener(HealthListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
  }

  /** Removes a listener. A delivery under way may still end; no other begins. */
  public void removeListener(HealthListener listener) {
    listeners.remove(Objects.requireNonNull(listener, "listener"));
  }

  /** The number of events that found the ring full. */
  public long lost() {
    return losses.count();
  }

  /** Asks for a rescan soon. Requests that come before it begins are one. */
  public void requestRescan() {
    rescans.ring();
  }

  /**
   * Has what was reported and published so far acted on and delivered, as far as responder and
   * listeners keep up, and ends all threads. It returns within 500 ms: a responder or listener that
   * is still at work then was interrupted, and its daemon thread ends when it returns.
   */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    long start = System.nanoTime();
    boolean interrupted = Thread.interrupted(); // With it set nothing below would wait.
    interrupted |= awaitDrained(start + DRAINED_NANOS);
    if (!isDrained()) {
      interruptResponder();
      interrupted |= awaitDrained(start + ABANDONED_NANOS);
    }
    responding.halt();
    publisher.halt();
    publishing.wake();
    interrupted |= join(List.of(healthThread, publishThread), start + ABANDONED_NANOS);
    if (healthThread.isAlive()) {
      interruptResponder(); // In a rescan, with nothing waiting behind it.
      interrupted |= join(List.of(healthThread, publishThread), start + HALTED_NANOS);
    }
    interrupted |= join(listeners.finish(), start + DELIVERED_NANOS);
    interrupted |= join(listeners.kill(), start + KILLED_NANOS);
    if (healthThread.isAlive()) {
      LOG.log(Level.WARNING, "{0}: closed while the responder is still at work", name);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void interruptResponder() {
    respond.abandon();
    // A responder may close the pipeline itself.
    if (!healthThread.equals(Thread.currentThread())) {
      healthThread.interrupt();
    }
  }

  private boolean isDrained() {
    return publisher.getSequence().get() >= ring.getCursor();
  }

  private boolean awaitDrained(long deadlineNanos) {
    boolean interrupted = false;
    while (!isDrained() && System.nanoTime() - deadlineNanos < 0) {
      LockSupport.parkNanos(this, TimeUnit.MICROSECONDS.toNanos(200));
      interrupted |= Thread.interrupted();
    }
    return interrupted;
  }

  private static boolean join(List<Thread> threads, long deadlineNanos) {
    boolean interrupted = false;
    for (Thread thread : threads) {
      long left = deadlineNanos - System.nanoTime();
      while (!thread.equals(Thread.currentThread()) && thread.isAlive() && left > 0) {
        try {
          thread.join(Duration.ofNanos(left));
        } catch (InterruptedException e) {
          interrupted = true;
        }
        left = deadlineNanos - System.nanoTime();
      }
    }
    return interrupted;
  }

  /** The library's own handler rethrows, which ends the consumer. */
  private record LogAndGoOn(String name) implements ExceptionHandler<Slot> {
    @Override
    public void handleEventException(Throwable e, long sequence, @Nullable Slot slot) {
      // Not the slot: it is released, and may be somebody else's by now.
      LOG.log(Level.WARNING, name + ": the responder failed; the pipeline goes on", e);
    }

    @Override
    public void handleOnStartException(Throwable e) {
      LOG.log(Level.ERROR, name + ": a stage threw at its start", e);
    }

    @Override
    public void handleOnShutdownException(Throwable e) {
      LOG.log(Level.ERROR, name + ": a stage threw at its end", e);
    }
  }
}
