package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class MeterTest {
  @Test
  void sampleHoldsWhatWasDoneSinceTheOneBefore() {
    Phases phases = new Phases();
    Meter meter = new Meter("reader 1", false, phases, new Tally(Expectation.NOTHING_LOST, phases));
    meter.end(10, 30, 100, true);
    meter.end(30, 40, 11, true);
    Meter.Sample first = meter.sample();
    assertEquals(111, first.bytes());
    assertEquals(20, first.longest());
    assertTrue(first.nanos() > 0);
    meter.end(50, 55, 1, true);
    Meter.Sample second = meter.sample();
    assertEquals(1, second.bytes());
    assertEquals(5, second.longest());
    assertEquals(0, meter.sample().longest());
  }
}
