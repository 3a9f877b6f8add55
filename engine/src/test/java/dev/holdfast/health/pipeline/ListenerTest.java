package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.HealthListener;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ListenerTest {
  private final HealthPipeline pipeline =
      new HealthPipeline("listened", 1024, new RecordingResponder(), Duration.ofHours(1));
  private final CountDownLatch gate = new CountDownLatch(1);
  private final List<HealthEvent> heard = new CopyOnWriteArrayList<>();

  /** Hangs in its first event until the gate opens. */
  private final List<HealthEvent> heardLate = new CopyOnWriteArrayList<>();

  private final HealthListener hanging =
      event -> {
        heardLate.add(event);
        awaitGate();
      };

  private void awaitGate() {
    try {
      gate.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @AfterEach
  void close() {
    gate.countDown();
    pipeline.close();
  }

  private void publish(int count) {
    int before = heard.size();
    for (int n = 1; n <= count; n++) {
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", n);
      if (n % 100 == 0 || n == count) { // Fewer than a queue holds.
        int sofar = before + n;
        await().until(() -> heard.size() == sofar);
      }
    }
  }

  private static List<Long> sequences(List<HealthEvent> events) {
    return events.stream().map(HealthEvent::sequence).toList();
  }

  @Test
  void aHangingListenerDelaysNobodyAndIsToldOnceWhatItMissed() {
    pipeline.addListener(hanging);
    pipeline.addListener(heard::add);
    publish(1);
    await().until(() -> heardLate.size() == 1);
    int queued = ListenerChannel.CAPACITY;
    publish(queued + 50);
    assertEquals(LongStream.rangeClosed(1, queued + 51).boxed().toList(), sequences(heard));
    assertEquals(1, heardLate.size());

    gate.countDown();
    await().until(() -> heardLate.size() == queued + 2);
    publish(1);
    await().until(() -> heardLate.size() == queued + 3);
    assertEquals(
        LongStream.rangeClosed(1, queued + 1).boxed().toList(),
        sequences(heardLate).subList(0, queued + 1));
    HealthEvent lost = heardLate.get(queued + 1);
    assertEquals(Kind.LOST, lost.kind());
    assertEquals(queued + 51, lost.sequence());
    assertEquals(
        "events " + (queued + 2) + " to " + (queued + 51) + ": the listener had no time for them",
        lost.detail());
    assertEquals(queued + 52, heardLate.get(queued + 2).sequence());
    assertFalse(heard.stream().anyMatch(event -> event.kind() == Kind.LOST));
  }

  @Test
  void whatIsMissedInTheMiddleIsToldInFrontOfWhatCameBehindIt() {
    var step = new CountDownLatch(1);
    var steps = new AtomicInteger();
    pipeline.addListener(event -> {
      heardLate.add(event);
      if (steps.incrementAndGet() == 1) {
        awaitGate();
      } else if (steps.get() == 2) {
        await().until(() -> step.getCount() == 0);
      }
    });
    pipeline.addListener(heard::add);
    publish(1);
    await().until(() -> heardLate.size() == 1);
    int queued = ListenerChannel.CAPACITY;
    publish(queued + 3); // 3 are dropped
    gate.countDown();
    await().until(() -> heardLate.size() == 2); // one taken: there is room for one
    publish(1);
    step.countDown();
    await().until(() -> heardLate.size() == queued + 3);
    HealthEvent lost = heardLate.get(queued + 1);
    assertEquals(Kind.LOST, lost.kind());
    assertEquals(queued + 4, lost.sequence());
    assertEquals(queued + 5, heardLate.get(queued + 2).sequence());
    assertEquals(1, heardLate.stream().filter(event -> event.kind() == Kind.LOST).count());
  }

  @Test
  void aThrowingListenerIsToldOfTheNextEventAndStopsNobody() {
    pipeline.addListener(event -> {
      heardLate.add(event);
      Thread.currentThread().interrupt();
      if (event.sequence() % 2 == 0) {
        throw new AssertionError("thrown on purpose");
      }
      throw new IllegalStateException("thrown on purpose");
    });
    pipeline.addListener(heard::add);
    publish(5);
    await().until(() -> heardLate.size() == 5);
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), sequences(heardLate));
  }

  @Test
  void aRemovedListenerIsToldNothingMore() {
    HealthListener removed = heardLate::add;
    pipeline.addListener(removed);
    pipeline.addListener(heard::add);
    publish(1);
    await().until(() -> heardLate.size() == 1);
    pipeline.removeListener(removed);
    pipeline.removeListener(removed);
    await().until(() -> !HealthPipelineTest.threadExists("listened-listener-1"));
    publish(3);
    assertEquals(1, heardLate.size());
    pipeline.addListener(removed);
    publish(1);
    await().until(() -> heardLate.size() == 2);
    assertEquals(List.of(1L, 5L), sequences(heardLate));
  }

  @Test
  void whatWaitsForARemovedListenerIsNotDelivered() {
    pipeline.addListener(hanging);
    pipeline.addListener(heard::add);
    publish(3);
    await().until(() -> heardLate.size() == 1);
    pipeline.removeListener(hanging);
    gate.countDown();
    await().until(() -> !HealthPipelineTest.threadExists("listened-listener-1"));
    assertEquals(List.of(1L), sequences(heardLate));
  }

  @Test
  void aListenerAddedTwiceIsToldOnce() {
    HealthListener twice = heardLate::add;
    pipeline.addListener(twice);
    pipeline.addListener(twice);
    pipeline.addListener(heard::add);
    publish(3);
    pipeline.close();
    assertEquals(List.of(1L, 2L, 3L), sequences(heardLate));
  }
}
