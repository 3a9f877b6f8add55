package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ThresholdTest {
  private static final long SECOND = 1_000_000_000L;

  @Test
  void standardFiresAtTheTenthErrorWithinTenMinutes() {
    Threshold threshold = Threshold.standard();
    for (int i = 0; i < 9; i++) {
      assertFalse(threshold.error(i * SECOND), "error " + (i + 1));
    }
    assertFalse(threshold.hasFired());
    assertTrue(threshold.error(600 * SECOND), "the window includes its ends");
    assertTrue(threshold.hasFired());
  }

  @Test
  void errorsFartherApartThanTheWindowNeverFire() {
    Threshold threshold = Threshold.standard();
    // Ten of these span one nanosecond more than the window.
    long step = 600 * SECOND / 9 + 1;
    for (int i = 0; i < 1_000; i++) {
      assertFalse(threshold.error(i * step), "error " + (i + 1));
    }
  }

  @Test
  void firesOnceUntilReset() {
    Threshold threshold = new Threshold(2, Duration.ofSeconds(1));
    threshold.error(0);
    assertTrue(threshold.error(1));
    assertFalse(threshold.error(2));
    assertTrue(threshold.hasFired());
    threshold.reset();
    assertFalse(threshold.hasFired());
    assertFalse(threshold.error(3), "what came before the reset is forgotten");
    assertTrue(threshold.error(4));
  }

  @Test
  void singleErrorCanBeTooMany() {
    assertTrue(new Threshold(1, Duration.ZERO).error(42));
  }

  @Test
  void clockMayWrap() {
    Threshold threshold = new Threshold(2, Duration.ofNanos(10));
    threshold.error(Long.MAX_VALUE - 20);
    assertFalse(threshold.error(Long.MIN_VALUE + 2));
    assertTrue(threshold.error(Long.MIN_VALUE + 3));
    threshold.reset();
    threshold.error(Long.MAX_VALUE - 2);
    assertTrue(threshold.error(Long.MAX_VALUE - 1));
  }

  @Test
  void nonsenseIsRefused() {
    Duration window = Duration.ofSeconds(1);
    assertThrows(IllegalArgumentException.class, () -> new Threshold(0, window));
    assertThrows(
        IllegalArgumentException.class, () -> new Threshold(1, Duration.ofSeconds(1).negated()));
  }

  @Test
  void agreesWithAListOfAllErrors() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("ThresholdTest: -Dseed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    int fired = 0;
    for (int round = 0; round < 2_000; round++) {
      int errors = random.nextInt(1, 8);
      long window = random.nextInt(100);
      Threshold threshold = new Threshold(errors, Duration.ofNanos(window));
      List<Long> all = new ArrayList<>();
      boolean expectedFired = false;
      long now = random.nextLong();
      for (int i = 0; i < 50; i++) {
        now += random.nextInt(40);
        boolean fires = false;
        if (!expectedFired) {
          all.add(now);
          long at = now;
          fires = all.stream().filter(time -> at - time <= window).count() >= errors;
        }
        expectedFired |= fires;
        assertEquals(fires, threshold.error(now), "seed " + seed + " round " + round);
        fired += fires ? 1 : 0;
        if (random.nextInt(20) == 0) {
          threshold.reset();
          all.clear();
          expectedFired = false;
        }
      }
    }
    assertTrue(fired > 1_000, "the rounds must fire to show anything, fired " + fired);
  }
}
