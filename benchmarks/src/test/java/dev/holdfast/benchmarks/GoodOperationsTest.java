package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

final class GoodOperationsTest {
  /** A clock about to wrap, as nanoTime may be. */
  private static final long MOMENT = Math.subtractExact(Long.MAX_VALUE, 1);

  private final GoodOperations good = new GoodOperations();

  @Test
  void whatBeganBeforeTheMomentDoesNotCountThoughItEndedBehindIt() {
    good.add(MOMENT - 10, MOMENT + 5);
    assertEquals(OptionalLong.empty(), good.firstSince(MOMENT));
    good.add(MOMENT + 5, MOMENT + 9);
    good.add(MOMENT + 9, MOMENT + 12);
    assertEquals(OptionalLong.of(MOMENT + 9), good.firstSince(MOMENT));
    assertEquals(OptionalLong.of(MOMENT + 12), good.firstSince(MOMENT + 6));
  }

  @Test
  void asManyAreKeptAsAWindowHas() {
    for (int i = 0; i < 100_000; i++) {
      good.add(i, i + 1);
    }
    assertEquals(OptionalLong.of(99_001), good.firstSince(99_000));
    good.clear();
    assertEquals(OptionalLong.empty(), good.firstSince(0));
  }
}
