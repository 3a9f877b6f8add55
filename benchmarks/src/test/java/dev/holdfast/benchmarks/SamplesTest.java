package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

final class SamplesTest {
  @Test
  void medianOfAnOddCountIsTheMiddleOne() {
    assertEquals(5, Samples.of(LongStream.of(100, 5, -3)).median());
  }

  @Test
  void medianOfAnEvenCountLiesHalfwayBetweenTheMiddleTwo() {
    assertEquals(15, Samples.of(LongStream.of(10, 1, 20, 1000)).median());
  }

  @Test
  void medianOfHugeValuesDoesNotOverflow() {
    long huge = Long.MAX_VALUE - 1;
    assertEquals(huge, Samples.of(LongStream.of(huge, huge)).median());
  }

  @Test
  void extremesAreThoseOfAllValues() {
    Samples samples = Samples.of(LongStream.of(3, -7, 12, 4));
    assertEquals(-7, samples.min());
    assertEquals(12, samples.max());
    assertEquals(4, samples.count());
  }

  @Test
  void nothingHasNoMedian() {
    assertThrows(IllegalArgumentException.class, () -> Samples.of(LongStream.empty()));
  }

  @Test
  void percentileIsTheLeastThatSoManyDoNotExceed() {
    Samples hundred = Samples.of(LongStream.rangeClosed(1, 100));
    assertEquals(99, hundred.percentile(99));
    assertEquals(100, hundred.percentile(100));
    assertEquals(1, hundred.percentile(1));
    assertEquals(20, Samples.of(LongStream.rangeClosed(1, 20)).percentile(99));
    assertEquals(7, Samples.of(LongStream.of(7)).percentile(50));
  }
}
