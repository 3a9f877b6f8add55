package dev.holdfast.async;

import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.BatchEventProcessorBuilder;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.WaitStrategy;
import com.lmax.disruptor.YieldingWaitStrategy;
import com.lmax.disruptor.dsl.ProducerType;
import dev.holdfast.error.StoreClosedException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Takes writes from any thread, and has one thread store them in the order in which they came; what
 * it finds there at once it makes durable at once.
 *
 * <p>Each write that was taken completes its future, once: when it is durable, by what it threw, or
 * by {@link StoreClosedException} where the ring is ended first. A write that was begun when the
 * ring was ended may have been stored.
 *
 * <p><b>Threads:</b> any. It runs a daemon thread, {@code NAME-async}, and completes futures on
 * virtual ones. <b>Lifetime:</b> from construction to {@link #end}.
 */
public final class WriteRing {
  /*
   * callers ─► room ─► ring ─► store, store, … ─► commit ─► places and room given back
   *            (wait here)     └──────── one thread ───┘ └─► virtual threads: futures
   *
   * 1. Whoever is in the room has a place in the ring: nobody waits in the ring itself.
   * 2. An entry is stored or dropped by who takes it first.
   * 3. Who publishes looks at `ended` behind it, who ends looks at what is published behind that:
   *    one of them sees the other.
   */
  private static final Logger LOG = System.getLogger(WriteRing.class.getName());

  /** The most entries that one commit is for: those that were stored first wait for the last. */
  private static final int GROUP_MOST = 4_096;

  private static final long LOOK_NANOS = 200_000L;
  private static final Duration JOIN = Duration.ofMillis(300);

  private final RingBuffer<RingSlot> ring;
  private final Room room;
  private final BatchEventProcessor<RingSlot> storing;
  private final Thread thread;
  private final AtomicBoolean ended = new AtomicBoolean();

  /** A write, and what it answers. */
  public interface Write<T extends @Nullable Object> {
    /** Stores it. */
    T store();

    /** Lets go of what it holds: behind {@link #store}, or where that will not be called. */
    default void release() {}
  }

  /**
   * What bounds a ring.
   *
   * @param places how many writes it takes at most, a power of two
   * @param bytes how many bytes of keys and values, or one write that is larger
   * @param idle what its thread does while there is nothing to do
   */
  public record Settings(int places, int bytes, RingWait idle) {}

  /**
   * Starts its thread.
   *
   * @param name what the name of the thread begins with
   * @param commit makes durable what was stored before; null where a write is durable once it is
   *     stored
   */
  public WriteRing(String name, Settings settings, @Nullable Runnable commit) {
    ParkedWait parked = new ParkedWait();
    WaitStrategy wait =
        switch (settings.idle) {
          case PARK -> parked;
          case YIELD -> new YieldingWaitStrategy();
          case SPIN -> new BusySpinWaitStrategy();
        };
    room = new Room(settings.places, settings.bytes);
    ring = RingBuffer.create(ProducerType.MULTI, RingSlot::new, settings.places, wait);
    parked.lookAt(ring::isAvailable);
    StoreStage stage = new StoreStage(ring, room, commit, ended);
    storing =
        new BatchEventProcessorBuilder()
            .setMaxBatchSize(GROUP_MOST)
            .build(ring, ring.newBarrier(), stage);
    storing.setExceptionHandler(new LogAndGoOn(name));
    ring.addGatingSequences(storing.getSequence());
    thread = Thread.ofPlatform().daemon().name(name + "-async").start(storing);
  }

  /**
   * Takes a write; waits where there is no room.
   *
   * @param bytes about how many bytes it holds until it is stored
   * @throws StoreClosedException if nothing is taken any more
   */
  public <T extends @Nullable Object> CompletableFuture<T> submit(Write<T> write, long bytes) {
    int share = room.share(bytes);
    room.enter(share);
    return publish(new Entry<>(write, share));
  }

  /** Takes a write if there is room, and waits for nothing. */
  public <T extends @Nullable Object> Optional<CompletableFuture<T>> trySubmit(
      Write<T> write, long bytes) {
    int share = room.share(bytes);
    return room.tryEnter(share)
        ? Optional.of(publish(new Entry<>(write, share)))
        : Optional.empty();
  }

  private <T extends @Nullable Object> CompletableFuture<T> publish(Entry<T> entry) {
    long sequence = ring.next();
    ring.get(sequence).entry = entry;
    ring.publish(sequence);
    VarHandle.fullFence();
    if (ended.get()) {
      entry.drop();
      entry.complete(Room.closed());
    }
    return entry.future();
  }

  /**
   * Takes nothing more, and waits until what was taken is completed, for as long as that makes
   * sense.
   *
   * @param nanos how long at most
   * @param hopeless whether there is nothing to wait for
   */
  public void drain(long nanos, BooleanSupplier hopeless) {
    room.end();
    long deadline = System.nanoTime() + nanos;
    boolean interrupted = false;
    while (storing.getSequence().get() < ring.getCursor()
        && !ended.get()
        && System.nanoTime() - deadline < 0
        && !hopeless.getAsBoolean()) {
      LockSupport.parkNanos(this, LOOK_NANOS);
      interrupted |= Thread.interrupted();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends it at once: what is not completed is completed by {@link StoreClosedException}. */
  public void end() {
    room.end();
    if (!ended.compareAndSet(false, true)) {
      return;
    }
    VarHandle.fullFence();
    storing.halt();
    List<Entry<?>> left = new ArrayList<>();
    for (long at = storing.getSequence().get() + 1; at <= ring.getCursor(); at++) {
      Entry<?> entry = ring.isAvailable(at) ? ring.get(at).entry : null;
      if (entry != null) {
        entry.drop();
        left.add(entry);
      }
    }
    Completions.complete(left, Room.closed());
  }

  /** Waits a little for the thread to end, behind {@link #end}. */
  public void join() {
    try {
      boolean _ = thread.join(JOIN);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The library's own handler rethrows, which ends the thread. */
  private record LogAndGoOn(String name) implements ExceptionHandler<RingSlot> {
    @Override
    public void handleEventException(Throwable e, long sequence, @Nullable RingSlot slot) {
      Entry<?> entry = slot == null ? null : slot.entry;
      if (entry != null) {
        entry.drop();
        Completions.complete(entry, e);
      }
      LOG.log(Level.ERROR, name + ": an asynchronous write failed; others go on", e);
    }

    @Override
    public void handleOnStartException(Throwable e) {
      LOG.log(Level.ERROR, name + ": the thread of asynchronous writes threw at its start", e);
    }

    @Override
    public void handleOnShutdownException(Throwable e) {
      LOG.log(Level.ERROR, name + ": the thread of asynchronous writes threw at its end", e);
    }
  }
}
