package dev.holdfast.async;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The stage of the ring: stores what it finds there, one after the other, and behind the last one
 * has all of them made durable at once.
 *
 * <p><b>Threads:</b> the one of the ring.
 */
final class StoreStage implements EventHandler<RingSlot> {
  private final RingBuffer<RingSlot> ring;
  private final Room room;
  private final @Nullable Runnable commit;
  private final AtomicBoolean ended;
  private Sequence released = new Sequence();

  /** What is stored and waits for the commit. */
  private List<Entry<?>> stored = new ArrayList<>();

  /** The first place that was not given back. */
  private long first;

  private int shares;

  /**
   * @param commit makes durable what was stored; null where it is durable once it is stored
   */
  StoreStage(RingBuffer<RingSlot> ring, Room room, @Nullable Runnable commit, AtomicBoolean ended) {
    this.ring = ring;
    this.room = room;
    this.commit = commit;
    this.ended = ended;
  }

  @Override
  public void setSequenceCallback(Sequence sequence) {
    released = sequence;
  }

  @Override
  public void onEvent(RingSlot slot, long sequence, boolean endOfBatch) {
    Entry<?> entry = slot.entry;
    try {
      if (entry != null) {
        shares += entry.share;
        store(entry);
      }
    } finally {
      if (endOfBatch) {
        endBatch(sequence);
      }
    }
  }

  private void endBatch(long last) {
    try {
      commit();
    } finally {
      giveBack(last);
    }
  }

  private void store(Entry<?> entry) {
    if (ended.get()) {
      entry.drop();
      Completions.complete(entry, Room.closed());
      return;
    }
    try {
      if (!entry.store()) {
        return;
      }
    } catch (Throwable e) {
      Completions.complete(entry, e); // Its own: those beside it are none the worse.
      return;
    }
    if (commit == null) {
      Completions.complete(entry, null);
    } else {
      stored.add(entry);
    }
  }

  private void commit() {
    List<Entry<?>> done = stored;
    Runnable committing = commit;
    if (done.isEmpty() || committing == null) {
      return;
    }
    stored = new ArrayList<>();
    Throwable failure = null;
    try {
      committing.run();
    } catch (Throwable e) {
      failure = e;
    }
    Completions.complete(done, failure);
  }

  /** The places first: whoever is let in finds one. */
  private void giveBack(long last) {
    int count = (int) (last + 1 - first);
    for (long sequence = first; sequence <= last; sequence++) {
      ring.get(sequence).entry = null;
    }
    first = last + 1;
    int given = shares;
    shares = 0;
    released.set(last);
    room.leave(count, given);
  }
}
