package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import java.time.Duration;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

final class SwitchTimesTest {
  private static final int LEG = 1;

  private final SwitchTimes times = new SwitchTimes();

  private void tell(Kind kind, int leg, long nanoTime) {
    times.onEvent(new HealthEvent(1, nanoTime, kind, leg, 0, 0, ""));
  }

  private OptionalLong seen(Kind kind, long raisedAt) throws InterruptedException {
    return times.await(kind, raisedAt, Duration.ZERO);
  }

  @Test
  void aStepIsTimedFromTheFaultOn() throws InterruptedException {
    times.arm(LEG);
    long raisedAt = System.nanoTime();
    tell(Kind.READ_SWITCHED, LEG, raisedAt + 700);
    assertEquals(OptionalLong.of(700), seen(Kind.READ_SWITCHED, raisedAt));
    assertEquals(OptionalLong.empty(), seen(Kind.WRITE_SWITCHED, raisedAt));
  }

  @Test
  void theFirstEventOfAKindCounts() throws InterruptedException {
    times.arm(LEG);
    long raisedAt = System.nanoTime();
    tell(Kind.FAULT_CAUGHT, LEG, raisedAt + 5);
    tell(Kind.FAULT_CAUGHT, LEG, raisedAt + 50);
    assertEquals(OptionalLong.of(5), seen(Kind.FAULT_CAUGHT, raisedAt));
  }

  @Test
  void eventsOfTheOtherLegAndOfTheFaultBeforeAreNotTaken() throws InterruptedException {
    long before = System.nanoTime() - 1;
    times.arm(LEG);
    long raisedAt = System.nanoTime();
    tell(Kind.READ_SWITCHED, LEG, before);
    tell(Kind.WRITE_SWITCHED, 1 - LEG, raisedAt + 5);
    assertEquals(OptionalLong.empty(), seen(Kind.READ_SWITCHED, raisedAt));
    assertEquals(OptionalLong.empty(), seen(Kind.WRITE_SWITCHED, raisedAt));
  }

  @Test
  void armingForgetsTheFaultBefore() throws InterruptedException {
    times.arm(LEG);
    long raisedAt = System.nanoTime();
    tell(Kind.READ_SWITCHED, LEG, raisedAt + 5);
    times.arm(LEG);
    assertEquals(OptionalLong.empty(), seen(Kind.READ_SWITCHED, raisedAt));
  }

  @Test
  void anEventThatComesLaterIsWaitedFor() throws InterruptedException {
    times.arm(LEG);
    long raisedAt = System.nanoTime();
    Thread.ofPlatform().start(() -> tell(Kind.WRITE_SWITCHED, LEG, raisedAt + 9));
    assertEquals(
        OptionalLong.of(9), times.await(Kind.WRITE_SWITCHED, raisedAt, Duration.ofMinutes(1)));
  }
}
