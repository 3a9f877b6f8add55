package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How long a scrub in the background waits, by a clock that only the test moves. */
final class ScrubPaceTest {
  private static final long SECOND = 1_000_000_000L;

  private final AtomicLong now = new AtomicLong(17 * SECOND);
  private final ScrubPace pace = new ScrubPace(1 << 20, now::get);

  /** Waits as long as it is told to, and returns how long that was. */
  private long spend(long bytes) {
    long nanos = pace.after(bytes);
    now.addAndGet(nanos);
    return nanos;
  }

  @Test
  void whatWasReadIsWaitedFor() {
    long from = now.get();
    for (int i = 0; i < 1_000; i++) {
      assertTrue(spend(64 << 10) <= SECOND / 16);
    }
    assertEquals(1_000 / 16.0, (now.get() - from) / (double) SECOND, 0.001);
  }

  @Test
  void timeThatTheReadingTookIsPartOfIt() {
    long from = now.get();
    for (int i = 0; i < 160; i++) {
      now.addAndGet(SECOND / 20);
      long _ = spend(64 << 10);
    }
    assertEquals(10.0, (now.get() - from) / (double) SECOND, 0.001);
  }

  /** Somebody kept it from reading for an hour: it does not read as much as it can for an hour. */
  @Test
  void whatWasNotReadIsNotMadeUpFor() {
    long _ = spend(1 << 20);
    now.addAndGet(3_600 * SECOND);
    long from = now.get();
    for (int i = 0; i < 16; i++) {
      long _ = spend(1 << 20);
    }
    assertEquals(15.9, (now.get() - from) / (double) SECOND, 0.001);
  }

  @Test
  void smallWaitsAreJoined() {
    ScrubPace fast = new ScrubPace(1L << 40, now::get);
    long waits = 0;
    for (int i = 0; i < 1_000; i++) {
      long nanos = fast.after(1 << 20);
      assertTrue(nanos == 0 || nanos >= ScrubPace.LEAST_NANOS);
      waits += nanos > 0 ? 1 : 0;
      now.addAndGet(nanos);
    }
    assertTrue(waits < 2, () -> "waited");
  }

  @Test
  void aLargeValueIsWaitedForAsAWhole() {
    assertEquals(1_024 * SECOND, pace.after(1L << 30));
  }
}
