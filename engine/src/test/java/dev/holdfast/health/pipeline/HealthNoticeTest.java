package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.pmem.FaultKind;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingStream;
import org.junit.jupiter.api.Test;

class HealthNoticeTest {
  @Test
  void everyPublishedEventIsInAFlightRecordingWithoutAStackTrace() {
    List<RecordedEvent> recorded = new CopyOnWriteArrayList<>();
    try (var stream = new RecordingStream();
        var pipeline =
            new HealthPipeline("recorded", 64, new RecordingResponder(), Duration.ofHours(1))) {
      stream.setReuse(false);
      stream.enable("dev.holdfast.HealthNotice");
      stream.onEvent("dev.holdfast.HealthNotice", recorded::add);
      stream.startAsync();
      pipeline.report(1, FaultKind.POISON, 4096, 8192);
      long happened = System.nanoTime() - 1_000_000_000;
      pipeline.publish(Kind.STATE_CHANGED, -1, 0, 0, "DEGRADED", happened);
      await().until(() -> recorded.size() == 2);
    }
    RecordedEvent notified = recorded.get(0);
    assertEquals(1, notified.getLong("sequence"));
    assertEquals("NOTIFIED", notified.getString("kind"));
    assertEquals(1, notified.getInt("leg"));
    assertEquals(4096, notified.getLong("offset"));
    assertEquals(8192, notified.getLong("length"));
    assertEquals("POISON of leg 1 at [4096, +8192)", notified.getString("detail"));
    assertNull(notified.getStackTrace());
    assertEquals(List.of("Holdfast"), notified.getEventType().getCategoryNames());
    RecordedEvent changed = recorded.get(1);
    assertEquals("STATE_CHANGED", changed.getString("kind"));
    assertEquals("DEGRADED", changed.getString("detail"));
    assertTrue(changed.getDuration("age").compareTo(Duration.ofSeconds(1)) >= 0);
  }
}
