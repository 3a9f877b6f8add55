package dev.holdfast.health.pipeline;

import dev.holdfast.pmem.FaultKind;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** Takes down what it is asked to do, and can be made to hang while it does it. */
final class RecordingResponder implements Responder {
  record Call(int leg, FaultKind kind, long offset, long length) {}

  final List<Call> calls = new CopyOnWriteArrayList<>();
  final AtomicInteger rescans = new AtomicInteger();
  final AtomicInteger interrupts = new AtomicInteger();

  /** Counted down when a call hangs at the gate. */
  final CountDownLatch atGate = new CountDownLatch(1);

  private volatile CountDownLatch gate = new CountDownLatch(0);
  private volatile boolean heedsInterrupts = true;

  /** Calls hang from now on, until {@link #letGo}. */
  void hang() {
    gate = new CountDownLatch(1);
  }

  void hangThroughInterrupts() {
    heedsInterrupts = false;
    hang();
  }

  void letGo() {
    gate.countDown();
  }

  @Override
  public void respond(int leg, FaultKind kind, long offset, long length) {
    calls.add(new Call(leg, kind, offset, length));
    passGate();
  }

  @Override
  public void rescan() {
    rescans.incrementAndGet();
    passGate();
  }

  private void passGate() {
    while (gate.getCount() > 0) {
      atGate.countDown();
      try {
        gate.await();
      } catch (InterruptedException e) {
        interrupts.incrementAndGet();
        if (heedsInterrupts) {
          return;
        }
      }
    }
  }
}
