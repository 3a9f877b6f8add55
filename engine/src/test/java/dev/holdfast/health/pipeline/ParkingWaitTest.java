package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.TimeoutException;
import com.lmax.disruptor.dsl.ProducerType;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ParkingWaitTest {
  private final Doorbell doorbell = new Doorbell(0);
  private final ParkingWait wait = new ParkingWait(doorbell, new Doorbell(0));
  private final RingBuffer<Slot> ring = RingBuffer.create(ProducerType.MULTI, Slot::new, 8, wait);
  private final SequenceBarrier barrier = ring.newBarrier();
  private final CompletableFuture<Long> result = new CompletableFuture<>();

  private Thread waitForTheFirst() {
    wait.lookAt(ring::isAvailable);
    return Thread.ofPlatform()
        .daemon()
        .start(() -> {
          try {
            result.complete(barrier.waitFor(0));
          } catch (Exception e) {
            result.completeExceptionally(e);
          }
        });
  }

  private long result() throws Exception {
    return result.get(10, TimeUnit.SECONDS);
  }

  @Test
  void itParksWhileAClaimedSlotIsNotPublished() throws Exception {
    long claimed = claim();
    Thread waiter = waitForTheFirst();
    await().until(() -> waiter.getState() == Thread.State.WAITING);
    assertFalse(result.isDone());
    ring.publish(claimed);
    assertEquals(0, result());
  }

  private long claim() throws InsufficientCapacityException {
    return ring.tryNext();
  }

  @Test
  void anInterruptNeitherEndsTheWaitNorMakesItSpin() throws Exception {
    Thread waiter = waitForTheFirst();
    await().until(() -> waiter.getState() == Thread.State.WAITING);
    waiter.interrupt();
    await().until(() -> !waiter.isInterrupted() && waiter.getState() == Thread.State.WAITING);
    assertFalse(result.isDone());
    ring.publish(claim());
    assertEquals(0, result());
  }

  @Test
  void aRingAtTheDoorEndsTheWaitAsATimeout() {
    Thread waiter = waitForTheFirst();
    await().until(() -> waiter.getState() == Thread.State.WAITING);
    doorbell.ring();
    var e = assertThrows(ExecutionException.class, this::result);
    assertInstanceOf(TimeoutException.class, e.getCause());
  }

  @Test
  void anAlertEndsTheWait() {
    Thread waiter = waitForTheFirst();
    await().until(() -> waiter.getState() == Thread.State.WAITING);
    barrier.alert();
    var e = assertThrows(ExecutionException.class, this::result);
    assertInstanceOf(AlertException.class, e.getCause());
  }
}
