package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ExclusionsTest {
  private static final int SPACE = 64;

  @Test
  void noRangeAtAllIsNull() {
    assertNull(Exclusions.of(List.of(), List.of()));
  }

  /** Against arrays of flags, one a byte. */
  @Test
  void answersAsFlagsForEveryByteDo() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("answersAsFlagsForEveryByteDo: -Dseed=" + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 500; round++) {
      boolean[][] bad = new boolean[2][SPACE];
      boolean[][] writeOnly = new boolean[2][SPACE];
      List<LegRange> badRanges = new ArrayList<>();
      List<LegRange> writeOnlyRanges = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        LegRange range = range(random);
        if (random.nextInt(3) == 0) {
          badRanges = Exclusions.without(badRanges, range);
          fill(bad, range, false);
        } else if (random.nextBoolean()) {
          badRanges = Exclusions.with(badRanges, range);
          fill(bad, range, true);
        } else {
          writeOnlyRanges = Exclusions.with(writeOnlyRanges, range);
          fill(writeOnly, range, true);
        }
      }
      Exclusions exclusions = Exclusions.of(badRanges, writeOnlyRanges);
      if (exclusions != null) {
        check(random, exclusions, bad, writeOnly);
      }
    }
  }

  private static void check(
      Random random, Exclusions exclusions, boolean[][] bad, boolean[][] writeOnly) {
    assertNotNull(exclusions);
    for (int i = 0; i < 50; i++) {
      LegRange range = range(random);
      int leg = range.leg();
      boolean anyBad = false;
      boolean anyWriteOnly = false;
      for (long at = range.offset(); at < range.end(); at++) {
        anyBad |= bad[leg][(int) at];
        anyWriteOnly |= writeOnly[leg][(int) at];
      }
      assertEquals(anyBad, exclusions.forbidWriting(leg, range.offset(), range.length()));
      assertEquals(
          anyBad || anyWriteOnly, exclusions.forbidReading(leg, range.offset(), range.length()));
      int skipped = (int) range.offset();
      while (skipped < range.end() && bad[leg][skipped]) {
        skipped++;
      }
      assertEquals(skipped, exclusions.skipBad(leg, range.offset(), range.end()));
      int next = skipped;
      while (next < range.end() && !bad[leg][next]) {
        next++;
      }
      if (skipped < range.end()) {
        assertEquals(next, exclusions.nextBad(leg, skipped, range.end()));
      }
    }
  }

  private static LegRange range(Random random) {
    int offset = random.nextInt(SPACE - 1);
    return new LegRange(random.nextInt(2), offset, 1 + random.nextInt(SPACE - offset - 1));
  }

  private static void fill(boolean[][] flags, LegRange range, boolean value) {
    for (long at = range.offset(); at < range.end(); at++) {
      flags[range.leg()][(int) at] = value;
    }
  }
}
