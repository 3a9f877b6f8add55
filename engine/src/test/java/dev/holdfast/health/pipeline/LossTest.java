package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.pmem.FaultKind;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class LossTest {
  private static final Duration HOUR = Duration.ofHours(1);

  private final List<HealthEvent> heard = new CopyOnWriteArrayList<>();

  @Test
  void aFullRingCountsRescansAndTellsHowManyWereLost() {
    var responder = new RecordingResponder();
    try (var pipeline = new HealthPipeline("full", 8, responder, HOUR)) {
      pipeline.addListener(heard::add);
      responder.hang();
      // The first is with the responder and still holds its slot.
      assertTrue(pipeline.report(0, FaultKind.POISON, 0, 1));
      await().until(() -> responder.atGate.getCount() == 0);
      for (int n = 1; n < 8; n++) {
        assertTrue(pipeline.report(0, FaultKind.POISON, n * 10L, 1));
      }
      assertEquals(0, pipeline.lost());
      assertFalse(pipeline.report(0, FaultKind.POISON, 1000, 1));
      assertFalse(pipeline.report(0, FaultKind.REMOVED, 0, 1000));
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "lost too", 1);
      assertEquals(3, pipeline.lost());
      assertEquals(0, responder.rescans.get());
      responder.letGo();

      await().until(() -> heard.size() == 9);
      assertEquals(1, responder.rescans.get());
      assertEquals(8, responder.calls.size());
      // Somewhere behind the first, as the rescan waits for one batch only.
      List<Kind> kinds = heard.stream().map(HealthEvent::kind).toList();
      int at = kinds.indexOf(Kind.LOST);
      assertTrue(at > 0, () -> "LOST among " + kinds);
      HealthEvent lost = heard.get(at);
      assertEquals(-1, lost.leg());
      assertEquals(
          "3 events found the ring full; the rescan that makes up for them is done", lost.detail());
      // The numbers of the three are left out in front of it, and nowhere else.
      for (int n = 0; n < 9; n++) {
        assertEquals(n < at ? n + 1 : n + 4, heard.get(n).sequence());
      }
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "next", 1);
      await().until(() -> heard.size() == 10);
      assertEquals(13, heard.get(9).sequence());
    }
  }

  @Test
  void lossIsToldOnlyAfterARescanThatBeganBehindIt() {
    var begun = new AtomicInteger();
    var mayEnd = new AtomicInteger();
    var responder =
        new Responder() {
          @Override
          public void respond(int leg, FaultKind kind, long offset, long length) {}

          @Override
          public void rescan() {
            int number = begun.incrementAndGet();
            await().until(() -> mayEnd.get() >= number);
          }
        };
    try (var pipeline = new HealthPipeline("late", 2, responder, HOUR)) {
      pipeline.addListener(heard::add);
      pipeline.requestRescan();
      await().until(() -> begun.get() == 1);
      // The rescan under way may have passed the place already.
      pipeline.report(0, FaultKind.POISON, 0, 1);
      pipeline.report(0, FaultKind.POISON, 10, 1);
      assertFalse(pipeline.report(0, FaultKind.POISON, 20, 1));
      mayEnd.set(1);
      await().until(() -> begun.get() == 2 && heard.size() == 2);
      await().until(() -> HealthPipelineTest.threadState("late-publish") == Thread.State.WAITING);
      assertEquals(
          List.of(Kind.NOTIFIED, Kind.NOTIFIED), heard.stream().map(HealthEvent::kind).toList());
      mayEnd.set(2);
      await().until(() -> heard.size() == 3);
      assertEquals(Kind.LOST, heard.get(2).kind());
    }
  }

  @Test
  void aRescanThatThrowsIsToldAsFailed() {
    var recording = new RecordingResponder();
    var responder =
        new Responder() {
          @Override
          public void respond(int leg, FaultKind kind, long offset, long length) {
            recording.respond(leg, kind, offset, length);
          }

          @Override
          public void rescan() {
            throw new IllegalStateException("thrown on purpose");
          }
        };
    try (var pipeline = new HealthPipeline("failing", 1, responder, HOUR)) {
      pipeline.addListener(heard::add);
      recording.hang();
      pipeline.report(0, FaultKind.POISON, 0, 1);
      await().until(() -> recording.atGate.getCount() == 0);
      assertFalse(pipeline.report(0, FaultKind.POISON, 10, 1));
      recording.letGo();
      await().until(() -> heard.size() == 2);
      assertEquals(
          "1 events found the ring full; the rescan that makes up for them failed and will be"
              + " repeated",
          heard.get(1).detail());
    }
  }
}
