package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class MeasuredWindowTest {
  /** A clock about to wrap, as nanoTime may be. */
  private static final long OPENED = Math.subtractExact(Long.MAX_VALUE, 500);

  private static final long CLOSED = OPENED + 1_000;

  private final MeasuredWindow window = new MeasuredWindow(2, OPENED);

  @Test
  void operationsOfAllWorkersCount() {
    window.record(0, OPENED + 10, OPENED + 20);
    window.record(1, OPENED + 10, OPENED + 40);
    window.close(CLOSED);
    assertEquals(2, window.count());
    assertEquals(30, window.longestNanos());
  }

  @Test
  void anOperationUnderWayAtTheOpeningCountsWhole() {
    window.record(0, OPENED - 900, OPENED + 1);
    assertEquals(901, window.longestNanos());
  }

  @Test
  void anOperationUnderWayAtTheClosingCountsWhole() {
    window.close(CLOSED);
    window.record(0, CLOSED - 1, CLOSED + 900);
    assertEquals(901, window.longestNanos());
  }

  @Test
  void operationsBeforeAndAfterDoNotCount() {
    window.record(0, OPENED - 50, OPENED - 10);
    window.close(CLOSED);
    window.record(0, CLOSED, CLOSED + 10);
    assertEquals(0, window.count());
  }

  @Test
  void aStallCountsForTheOperationsThatItKeptFromBeginning() {
    for (int i = 0; i < 1_000; i++) {
      window.record(0, OPENED, OPENED + 1_000);
    }
    window.record(0, OPENED, OPENED + 1_000_000);
    // About 500 operations that would have begun in the second half of the stall waited half of it
    // or more; uncorrected, 1 of 1,001 did.
    long waited = window.operations().getValueAtPercentile(90);
    assertTrue(waited > 400_000, "p90 was " + waited);
    assertEquals(1_001, window.count());
  }
}
