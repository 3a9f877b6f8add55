package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.pmem.FaultKind;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class HealthPipelineTest {
  private static final Duration HOUR = Duration.ofHours(1);

  private final RecordingResponder responder = new RecordingResponder();
  private final List<HealthEvent> heard = new CopyOnWriteArrayList<>();
  private final List<HealthPipeline> opened = new ArrayList<>();

  private HealthPipeline open(int ringSize, Responder responder, Duration rescanInterval) {
    var pipeline = new HealthPipeline("pipeline", ringSize, responder, rescanInterval);
    opened.add(pipeline);
    pipeline.addListener(heard::add);
    return pipeline;
  }

  @AfterEach
  void close() {
    responder.letGo();
    opened.forEach(HealthPipeline::close);
  }

  private List<Kind> kindsHeard() {
    return heard.stream().map(HealthEvent::kind).toList();
  }

  private void awaitHeard(int count) {
    await().until(() -> heard.size() >= count);
  }

  @Test
  void eventsArriveInTheOrderTheyWerePublishedAndAreNumberedFromOne() {
    HealthPipeline pipeline = open(64, responder, HOUR);
    pipeline.publish(Kind.FAULT_CAUGHT, 0, 0, 0, "caught", 11);
    assertTrue(pipeline.report(0, FaultKind.REMOVED, 0, 1 << 20));
    pipeline.publish(Kind.READ_SWITCHED, 0, 0, 0, "switched", 12);
    assertTrue(pipeline.report(1, FaultKind.POISON, 4096, 4096));
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "DEGRADED", 13);

    awaitHeard(5);
    assertEquals(
        List.of(
            Kind.FAULT_CAUGHT,
            Kind.NOTIFIED,
            Kind.READ_SWITCHED,
            Kind.NOTIFIED,
            Kind.STATE_CHANGED),
        kindsHeard());
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), heard.stream().map(HealthEvent::sequence).toList());
    assertEquals(new HealthEvent(3, 12, Kind.READ_SWITCHED, 0, 0, 0, "switched"), heard.get(2));
    HealthEvent notified = heard.get(3);
    assertEquals(1, notified.leg());
    assertEquals(4096, notified.offset());
    assertEquals(4096, notified.length());
    assertEquals("POISON of leg 1 at [4096, +4096)", notified.detail());
  }

  @Test
  void aReportIsToldOfAfterItWasActedOnAndNewsIsNotActedOn() {
    HealthPipeline pipeline = open(64, responder, HOUR);
    responder.hang();
    pipeline.publish(Kind.FAULT_CAUGHT, 0, 0, 0, "caught", 1);
    long before = System.nanoTime();
    pipeline.report(0, FaultKind.SLOW, 0, 1);
    long after = System.nanoTime();
    await().until(() -> responder.atGate.getCount() == 0);
    awaitHeard(1);
    // The publishing thread has nothing to do before the responder lets go, and must not spin.
    await().until(() -> threadState("pipeline-publish") == Thread.State.WAITING);
    assertEquals(List.of(Kind.FAULT_CAUGHT), kindsHeard());

    responder.letGo();
    awaitHeard(2);
    assertEquals(Kind.NOTIFIED, heard.get(1).kind());
    assertTrue(heard.get(1).nanoTime() - before >= 0 && after - heard.get(1).nanoTime() >= 0);
    assertEquals(List.of(new RecordingResponder.Call(0, FaultKind.SLOW, 0, 1)), responder.calls);
  }

  @Test
  void anActIsToldOfWhileTheNextOfItsBatchIsStillUnderWay() {
    var first = new RecordingResponder();
    HealthPipeline pipeline =
        open(
            64,
            new Responder() {
              @Override
              public void respond(int leg, FaultKind kind, long offset, long length) {
                (leg == 0 ? first : responder).respond(leg, kind, offset, length);
                if (leg == 1) {
                  responder.hang();
                }
              }

              @Override
              public void rescan() {}
            },
            HOUR);
    first.hang();
    pipeline.report(0, FaultKind.SLOW, 0, 1);
    await().until(() -> first.atGate.getCount() == 0);
    pipeline.report(1, FaultKind.SLOW, 0, 1);
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "DEGRADED", 1);
    pipeline.report(2, FaultKind.SLOW, 0, 1);
    first.letGo();

    await().until(() -> responder.atGate.getCount() == 0);
    awaitHeard(3);
    assertEquals(List.of(Kind.NOTIFIED, Kind.NOTIFIED, Kind.STATE_CHANGED), kindsHeard());
  }

  @Test
  void aThousandNeighboursThatWaitTogetherAreOneCallAndOneEvent() {
    HealthPipeline pipeline = open(2048, responder, HOUR);
    responder.hang();
    pipeline.report(1, FaultKind.SLOW, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    LongStream.range(0, 1000)
        .forEach(page -> pipeline.report(0, FaultKind.POISON, page * 4096, 4096));
    responder.letGo();

    awaitHeard(2);
    pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "last", 1);
    awaitHeard(3);
    assertEquals(
        List.of(
            new RecordingResponder.Call(1, FaultKind.SLOW, 0, 1),
            new RecordingResponder.Call(0, FaultKind.POISON, 0, 4_096_000)),
        responder.calls);
    assertEquals(List.of(Kind.NOTIFIED, Kind.NOTIFIED, Kind.STATE_CHANGED), kindsHeard());
    assertEquals("POISON of leg 0 at [0, +4096000), 1000 reports", heard.get(1).detail());
    assertEquals(3, heard.get(2).sequence());
  }

  @Test
  void rangesThatCannotExistAreCutDownAndHarmless() {
    HealthPipeline pipeline = open(64, responder, HOUR);
    pipeline.report(0, FaultKind.POISON, -4096, 8192);
    pipeline.report(1, FaultKind.POISON, Long.MAX_VALUE - 1, Long.MAX_VALUE);
    pipeline.report(-7, FaultKind.POISON, 5, -1);
    pipeline.report(3, FaultKind.POISON, Long.MIN_VALUE, Long.MAX_VALUE);
    awaitHeard(4);
    assertEquals(
        List.of(
            new RecordingResponder.Call(0, FaultKind.POISON, 0, 4096),
            new RecordingResponder.Call(1, FaultKind.POISON, Long.MAX_VALUE - 1, 1),
            new RecordingResponder.Call(-7, FaultKind.POISON, 5, 0),
            new RecordingResponder.Call(3, FaultKind.POISON, 0, 0)),
        responder.calls);
  }

  @Test
  void aThrowingResponderIsCalledAgainForTheNextReport() {
    var calls = new AtomicInteger();
    var rescans = new AtomicInteger();
    HealthPipeline pipeline =
        open(
            64,
            new Responder() {
              @Override
              public void respond(int leg, FaultKind kind, long offset, long length) {
                calls.incrementAndGet();
                if (leg == 0) {
                  throw new IllegalStateException("thrown on purpose");
                }
                throw new InternalError("thrown on purpose");
              }

              @Override
              public void rescan() {
                rescans.incrementAndGet();
                throw new IllegalStateException("thrown on purpose");
              }
            },
            HOUR);
    for (int round = 1; round <= 3; round++) {
      pipeline.report(0, FaultKind.POISON, 0, 1);
      pipeline.report(1, FaultKind.POISON, 0, 1);
      awaitHeard(2 * round);
      pipeline.requestRescan();
      int expected = round;
      await().until(() -> rescans.get() == expected);
    }
    assertEquals(6, calls.get());
    assertEquals(6, heard.size());
  }

  @Test
  void anInterruptLeftBehindByTheResponderLosesNothingAndReachesNoOtherCall() {
    var interruptsSeen = new AtomicInteger();
    HealthPipeline pipeline =
        open(
            64,
            new Responder() {
              @Override
              public void respond(int leg, FaultKind kind, long offset, long length) {
                if (Thread.currentThread().isInterrupted()) {
                  interruptsSeen.incrementAndGet();
                }
                Thread.currentThread().interrupt();
              }

              @Override
              public void rescan() {
                Thread.currentThread().interrupt();
              }
            },
            HOUR);
    for (int n = 1; n <= 50; n++) {
      pipeline.requestRescan();
      await().until(() -> threadState("pipeline-health") == Thread.State.TIMED_WAITING);
      pipeline.report(0, FaultKind.SLOW, n, 0);
      awaitHeard(n);
    }
    assertEquals(0, interruptsSeen.get());
    assertEquals(LongStream.rangeClosed(1, 50).boxed().toList(), offsetsHeard());
  }

  private List<Long> offsetsHeard() {
    return heard.stream().map(HealthEvent::offset).toList();
  }

  @Test
  void theTruthIsLookedAtFromTimeToTimeWithNothingLost() {
    HealthPipeline pipeline = open(64, responder, Duration.ofMillis(5));
    await().until(() -> responder.rescans.get() >= 3);
    assertEquals(0, pipeline.lost());
    assertTrue(heard.isEmpty());
  }

  @Test
  void theTimerRescansEvenWhileTheRingIsNeverIdle() {
    var pipelineOf = new HealthPipeline[1];
    var rescans = new AtomicInteger();
    // Each act brings the next report, so that the health thread always finds one waiting.
    pipelineOf[0] =
        open(
            64,
            new Responder() {
              @Override
              public void respond(int leg, FaultKind kind, long offset, long length) {
                while (rescans.get() < 3
                    && !pipelineOf[0].report(0, FaultKind.SLOW, offset + 2, 1)) {
                  Thread.onSpinWait(); // The publishing thread is about to free a slot.
                }
              }

              @Override
              public void rescan() {
                rescans.incrementAndGet();
              }
            },
            Duration.ofMillis(5));
    pipelineOf[0].report(0, FaultKind.SLOW, 0, 1);
    pipelineOf[0].report(0, FaultKind.SLOW, 1L << 40, 1);
    await().until(() -> rescans.get() >= 3);
  }

  @Test
  void aRequestedRescanRunsOnTheHealthThreadAndRequestsMeanwhileAreOne() {
    HealthPipeline pipeline = open(64, responder, HOUR);
    responder.hang();
    pipeline.report(0, FaultKind.SLOW, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    for (int n = 0; n < 100; n++) {
      pipeline.requestRescan();
    }
    assertEquals(0, responder.rescans.get());
    responder.letGo();
    await().until(() -> responder.rescans.get() > 0);
    await().until(() -> threadState("pipeline-health") == Thread.State.TIMED_WAITING);
    assertEquals(1, responder.rescans.get());
  }

  @Test
  void reportingAllocatesNothingWhetherThereIsRoomOrNot() {
    HealthPipeline pipeline = open(1 << 15, responder, HOUR);
    responder.hang();
    pipeline.report(0, FaultKind.SLOW, 0, 1);
    await().until(() -> responder.atGate.getCount() == 0);
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    reportMany(pipeline, 1_000);
    long before = threads.getCurrentThreadAllocatedBytes();
    reportMany(pipeline, 20_000);
    long withRoom = threads.getCurrentThreadAllocatedBytes() - before;
    reportMany(pipeline, 1 << 15);
    long lost = pipeline.lost();
    before = threads.getCurrentThreadAllocatedBytes();
    reportMany(pipeline, 20_000);
    long withoutRoom = threads.getCurrentThreadAllocatedBytes() - before;

    assertEquals(20_000, pipeline.lost() - lost);
    // The measurement itself allocates a little, the smallest object per report 320,000 bytes.
    assertTrue(withRoom < 20_000, "bytes allocated with room: " + withRoom);
    assertTrue(withoutRoom < 20_000, "bytes allocated without room: " + withoutRoom);
  }

  private static void reportMany(HealthPipeline pipeline, int count) {
    for (int n = 0; n < count; n++) {
      pipeline.report(0, FaultKind.POISON, n * 8192L, 4096);
    }
  }

  @Test
  void aRingSizeOrAnIntervalThatMakesNoSenseIsRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> new HealthPipeline("p", 100, responder, HOUR));
    assertThrows(
        IllegalArgumentException.class,
        () -> new HealthPipeline("p", 64, responder, Duration.ZERO));
    assertFalse(threadExists("p-health"));
  }

  static boolean threadExists(String name) {
    return Thread.getAllStackTraces().keySet().stream().anyMatch(t -> t.getName().equals(name));
  }

  static Thread.State threadState(String name) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().equals(name))
        .findFirst()
        .orElseThrow()
        .getState();
  }
}
