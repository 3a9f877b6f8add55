package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.FaultKind;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class HealthPipelineCloseTest {
  /** What close() promises. */
  private static final Duration BOUND = Duration.ofMillis(500);

  private final RecordingResponder responder = new RecordingResponder();
  private final List<HealthEvent> heard = new CopyOnWriteArrayList<>();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final HealthPipeline pipeline =
      new HealthPipeline("closing", 512, responder, Duration.ofHours(1));

  @AfterEach
  void close() {
    responder.letGo();
    gate.countDown();
    pipeline.close();
  }

  private static Set<String> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith("closing-"))
        .collect(Collectors.toSet());
  }

  private List<Long> sequencesHeard() {
    return heard.stream().map(HealthEvent::sequence).toList();
  }

  @Test
  void whatWasPublishedIsDeliveredAndNoThreadIsLeft() {
    pipeline.addListener(heard::add);
    pipeline.addListener(event -> {});
    assertEquals(
        Set.of("closing-health", "closing-publish", "closing-listener-1", "closing-listener-2"),
        threads());
    for (int n = 0; n < 100; n++) {
      pipeline.report(n, FaultKind.POISON, 0, 1);
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", n);
    }
    pipeline.close();
    assertEquals(LongStream.rangeClosed(1, 200).boxed().toList(), sequencesHeard());
    assertEquals(100, responder.calls.size());
    assertEquals(Set.of(), threads());
  }

  @Test
  void closingAgainAndUsingAClosedPipelineIsHarmless() {
    pipeline.addListener(heard::add);
    pipeline.close();
    assertTimeout(BOUND, pipeline::close);
    for (int n = 0; n < 1000; n++) {
      assertFalse(pipeline.report(0, FaultKind.POISON, 0, 1));
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "late", 1);
    }
    pipeline.requestRescan();
    pipeline.addListener(event -> {});
    pipeline.removeListener(event -> {});
    assertEquals(0, pipeline.lost());
    assertEquals(List.of(), heard);
    assertEquals(Set.of(), threads());
  }

  @Test
  void aHangingListenerHoldsUpNeitherTheOthersNorTheCloseBeyondItsBound() {
    pipeline.addListener(event -> {
      try {
        gate.await();
      } catch (InterruptedException e) {
        // Ends the delivery.
      }
    });
    pipeline.addListener(heard::add);
    for (int n = 0; n < 200; n++) {
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", n);
    }
    assertTimeout(BOUND, pipeline::close);
    assertEquals(200, heard.size());
    await().until(() -> threads().isEmpty());
  }

  @Test
  void aListenerThatHangsAfterItsRemovalIsEndedToo() {
    var entered = new CountDownLatch(1);
    HealthListener hanging =
        event -> {
          entered.countDown();
          try {
            gate.await();
          } catch (InterruptedException e) {
            // Ends the delivery.
          }
        };
    pipeline.addListener(hanging);
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", 1);
    await().until(() -> entered.getCount() == 0);
    pipeline.removeListener(hanging);
    assertTimeout(BOUND, pipeline::close);
    await().until(() -> threads().isEmpty());
  }

  @Test
  void aHangingResponderIsInterruptedAndWhatWaitedBehindItIsDelivered() {
    pipeline.addListener(heard::add);
    responder.hang();
    pipeline.report(0, FaultKind.POISON, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    for (int n = 1; n <= 50; n++) {
      pipeline.report(n, FaultKind.POISON, 0, 1);
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", n);
    }
    assertTimeout(BOUND, pipeline::close);
    assertEquals(1, responder.interrupts.get());
    assertEquals(1, responder.calls.size());
    assertEquals(LongStream.rangeClosed(1, 101).boxed().toList(), sequencesHeard());
    assertEquals(Set.of(), threads());
  }

  @Test
  void aHangingRescanIsInterrupted() {
    responder.hang();
    pipeline.requestRescan();
    await().until(() -> responder.atGate.getCount() == 0);
    assertTimeout(BOUND, pipeline::close);
    assertEquals(1, responder.interrupts.get());
    assertEquals(Set.of(), threads());
  }

  @Test
  void aResponderMayCloseThePipelineThatCallsIt() {
    var closed = new CountDownLatch(1);
    var own = new HealthPipeline[1];
    own[0] =
        new HealthPipeline(
            "closing-own",
            8,
            new Responder() {
              @Override
              public void respond(int leg, FaultKind kind, long offset, long length) {
                own[0].close();
                if (!Thread.currentThread().isInterrupted()) {
                  closed.countDown();
                }
              }

              @Override
              public void rescan() {}
            },
            Duration.ofHours(1));
    own[0].report(0, FaultKind.POISON, 0, 1);
    await().until(() -> closed.getCount() == 0);
    await().until(() -> threads().stream().noneMatch(name -> name.startsWith("closing-own")));
  }

  @Test
  void aResponderThatHeedsNoInterruptHoldsUpTheCloseNoLongerAndEndsWithItsCall() {
    pipeline.addListener(heard::add);
    responder.hangThroughInterrupts();
    pipeline.report(0, FaultKind.POISON, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    pipeline.report(1, FaultKind.POISON, 0, 1);
    assertTimeout(BOUND, pipeline::close);
    assertEquals(Set.of("closing-health"), threads());
    responder.letGo();
    await().until(() -> threads().isEmpty());
    assertEquals(1, responder.calls.size());
  }

  @Test
  void responderAndListenerThatBothHeedNoInterruptHoldUpTheCloseNoLonger() {
    pipeline.addListener(event -> {
      while (gate.getCount() > 0) {
        try {
          gate.await();
        } catch (InterruptedException e) {
          heard.add(event);
        }
      }
    });
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", 1);
    responder.hangThroughInterrupts();
    pipeline.report(0, FaultKind.POISON, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    assertTimeout(BOUND, pipeline::close);
    await().until(() -> heard.size() == 1); // interrupted, and back at the gate
    gate.countDown();
    responder.letGo();
    await().until(() -> threads().isEmpty());
  }

  @Test
  void anInterruptedCloserStillClosesAndStaysInterrupted() {
    pipeline.addListener(heard::add);
    responder.hang();
    pipeline.report(0, FaultKind.POISON, 0, 1);
    Thread.currentThread().interrupt();
    pipeline.close();
    assertTrue(Thread.interrupted());
    assertEquals(1, heard.size());
    assertEquals(Set.of(), threads());
  }

  @Test
  void aListenerMayCloseThePipelineThatCallsIt() {
    var interrupted = new AtomicBoolean();
    var closed = new CountDownLatch(1);
    pipeline.addListener(heard::add);
    pipeline.addListener(event -> {
      pipeline.close();
      interrupted.set(Thread.currentThread().isInterrupted());
      closed.countDown();
    });
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "n", 1);
    await().until(() -> closed.getCount() == 0);
    assertFalse(interrupted.get());
    await().until(() -> threads().isEmpty());
    assertEquals(1, heard.size());
  }
}
