package dev.holdfast.health.pipeline;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.Sequence;
import dev.holdfast.pmem.FaultKind;

/**
 * The second stage: has the responder act on each report, and rescans when that is due.
 *
 * <p><b>Threads:</b> the health thread, but for {@link #abandon}. <b>Failure:</b> what the
 * responder throws passes through to the exception handler, behind the release of the event.
 */
final class RespondStage implements EventHandler<Slot> {
  private final RecordStage record;
  private final Responder responder;
  private final Losses losses;
  private final Doorbell rescans;
  private final Doorbell publishing;
  private Sequence released = new Sequence();
  private long unrecorded;
  private volatile boolean abandoned;

  /**
   * @param rescans rings when a rescan is due
   * @param publishing where the third stage sleeps; rung when losses were settled
   */
  RespondStage(
      RecordStage record,
      Responder responder,
      Losses losses,
      Doorbell rescans,
      Doorbell publishing) {
    this.record = record;
    this.responder = responder;
    this.losses = losses;
    this.rescans = rescans;
    this.publishing = publishing;
  }

  /** From now on events pass without the responder. */
  void abandon() {
    abandoned = true;
  }

  @Override
  public void setSequenceCallback(Sequence sequence) {
    released = sequence;
  }

  @Override
  public void onStart() {
    responder.prepare();
  }

  @Override
  public void onBatchStart(long batchSize, long queueDepth) {
    unrecorded = batchSize;
  }

  @Override
  public void onEvent(Slot slot, long sequence, boolean endOfBatch) {
    if (unrecorded > 0) {
      record.record(sequence, sequence + unrecorded - 1);
      unrecorded = 0;
    }
    try {
      FaultKind fault = slot.fault;
      if (fault != null && slot.reports > 0 && !abandoned) {
        responder.respond(slot.leg, fault, slot.offset, slot.length);
      }
    } finally {
      Thread.interrupted(); // What a call leaves behind is not meant for the next one.
      // Not at the end of the batch: what was acted on is told before the next act begins.
      released.set(sequence);
      publishing.wake();
      if (endOfBatch && rescans.isDue()) {
        rescan();
      }
    }
  }

  @Override
  public void onTimeout(long sequence) {
    rescan();
  }

  private void rescan() {
    rescans.take();
    long count = losses.count();
    boolean failed = true;
    try {
      if (!abandoned) {
        responder.rescan();
      }
      failed = false;
    } finally {
      rescans.rewind();
      if (count > losses.settled()) {
        losses.settle(count, failed);
        publishing.ring();
      }
    }
  }
}
