package dev.holdfast.health.pipeline;

import com.lmax.disruptor.EventHandler;
import dev.holdfast.health.HealthEvent;

/**
 * The third stage: numbers events in the order in which listeners see them and hands them out.
 *
 * <p><b>Threads:</b> the publishing thread.
 */
final class PublishStage implements EventHandler<Slot> {
  private final ListenerSet listeners;
  private final Losses losses;
  private final Doorbell doorbell;
  private long lastSequence;
  private long lossesTold;

  PublishStage(ListenerSet listeners, Losses losses, Doorbell doorbell) {
    this.listeners = listeners;
    this.losses = losses;
    this.doorbell = doorbell;
  }

  @Override
  public void onStart() {
    // The first use of flight recording in a JVM loads much; not while an event waits for it.
    HealthNotice.prepare();
  }

  @Override
  public void onEvent(Slot slot, long sequence, boolean endOfBatch) {
    if (slot.reports > 0) {
      publish(slot.nanoTime, slot.kind, slot.leg, slot.offset, slot.length, slot.describe());
    }
    slot.detail = ""; // It may be the last reference.
    if (endOfBatch) { // What was lost is younger than what was in the ring.
      tellLosses();
    }
  }

  @Override
  public void onTimeout(long sequence) {
    doorbell.take();
    tellLosses();
  }

  private void tellLosses() {
    long settled = losses.settled();
    long news = settled - lossesTold;
    if (news == 0) {
      return;
    }
    lossesTold = settled;
    lastSequence += news; // The gap that HealthEvent.sequence promises.
    publish(
        System.nanoTime(),
        HealthEvent.Kind.LOST,
        -1,
        0,
        0,
        news
            + " events found the ring full; the rescan that makes up for them "
            + (losses.rescanFailed() ? "failed and will be repeated" : "is done"));
  }

  private void publish(
      long nanoTime, HealthEvent.Kind kind, int leg, long offset, long length, String detail) {
    HealthEvent event =
        new HealthEvent(++lastSequence, nanoTime, kind, leg, offset, length, detail);
    HealthNotice.emit(event);
    listeners.offer(event);
  }
}
