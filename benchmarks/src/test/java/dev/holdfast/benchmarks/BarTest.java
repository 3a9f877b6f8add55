package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class BarTest {
  private static final String STALL = "median stall minus control";
  private static final String READ_SWITCH = "median read switch, from the fault caught";
  private static final String FAILED = "failed operations";
  private static final String WRONG = "wrong values";
  private static final String LOST = "lost entries";

  private static List<String> figures(FailoverResult result) {
    return Bar.of(result).stream().map(Bar::figure).toList();
  }

  private static Bar bar(FailoverResult result, String figure) {
    return Bar.of(result).stream().filter(b -> b.figure().equals(figure)).findFirst().orElseThrow();
  }

  private static FailoverResult gibibyte(FaultRound... rounds) {
    return Results.result("1G", PersistenceMode.PROCESS, Results.MEMORY, rounds);
  }

  @Test
  void timesHaveBarsInProcessModeInMemoryAndStallsFromOneGibibyteOn() {
    FaultRound round = Results.round(1, 1, 1);
    assertEquals(List.of(STALL, READ_SWITCH, FAILED, WRONG, LOST), figures(gibibyte(round)));
    assertEquals(
        List.of(READ_SWITCH, FAILED, WRONG, LOST),
        figures(Results.result("64M", PersistenceMode.PROCESS, Results.MEMORY, round)));
    assertEquals(
        List.of(FAILED, WRONG, LOST),
        figures(Results.result("1G", PersistenceMode.PROCESS, "ext4", round)));
    assertEquals(
        List.of(FAILED, WRONG, LOST),
        figures(Results.result("1G", PersistenceMode.FILE, Results.MEMORY, round)));
  }

  @Test
  void theStallBarIsOnTheMedianOfTheDifferences() {
    // Differences 3, 1 and 2 ms; the medians of the two columns differ by 4 ms.
    FailoverResult atTheBar =
        gibibyte(
            Results.round(1, 4_000_000, 1_000_000),
            Results.round(1, 10_000_000, 9_000_000),
            Results.round(1, 102_000_000, 100_000_000));
    Bar bar = bar(atTheBar, STALL);
    assertEquals(Optional.of(2e6), bar.measured());
    assertTrue(bar.passes());
    assertTrue(bar.toString().endsWith("(bar: ≤ 2,000 µs, aim: ≤ 500 µs)"), bar.toString());
    assertFalse(bar(gibibyte(Results.round(1, 2_000_002, 1)), STALL).passes());
  }

  @Test
  void aReadSwitchThatNobodySawFailsItsBar() {
    FailoverResult result = gibibyte(Results.round(10, 1, 1), Results.round(-1, 1, 1));
    Bar bar = bar(result, READ_SWITCH);
    assertFalse(bar.passes());
    assertTrue(
        bar.toString()
            .startsWith(
                "FAIL  remove mirror 1G, mixed, PROCESS on tmpfs: " + READ_SWITCH + " could not"));
  }

  @Test
  void aReadSwitchOverOneMillisecondFailsItsBar() {
    assertTrue(bar(gibibyte(Results.round(1_000_000, 1, 1)), READ_SWITCH).passes());
    assertFalse(bar(gibibyte(Results.round(1_000_001, 1, 1)), READ_SWITCH).passes());
  }

  @Test
  void oneFailedOperationOrWrongValueFailsInEveryMode() {
    FaultRound round = Results.round(1, 1, 1);
    var failed = Results.result("64M", PersistenceMode.FILE, "ext4", 1, 0, round);
    var wrong = Results.result("64M", PersistenceMode.FILE, "ext4", 0, 1, round);
    assertFalse(bar(failed, FAILED).passes());
    assertTrue(bar(failed, WRONG).passes());
    assertFalse(bar(wrong, WRONG).passes());
    assertTrue(bar(wrong, FAILED).passes());
  }

  @Test
  void poisonHasNoReadSwitchAndTheSameBarOfStalls() {
    var cell =
        Results.cell(FailoverFault.POISON, FailoverTopology.MIRROR3, "4G", PersistenceMode.PROCESS);
    var result = Results.result(cell, Results.MEMORY, 0, 0, 0, Results.round(-1, 2_500_000, 1));
    assertEquals(List.of(STALL, FAILED, WRONG, LOST), figures(result));
    assertFalse(bar(result, STALL).passes());
  }

  @Test
  void oneLostEntryFailsWhereThereIsAnotherLegAndNotWhereThereIsNone() {
    FaultRound round = Results.round(1, 1, 1);
    var mirror =
        Results.cell(FailoverFault.POISON, FailoverTopology.MIRROR, "64M", PersistenceMode.FILE);
    assertFalse(bar(Results.result(mirror, "ext4", 0, 0, 1, round), LOST).passes());
    var single =
        Results.cell(FailoverFault.POISON, FailoverTopology.SINGLE, "64M", PersistenceMode.FILE);
    assertEquals(List.of(FAILED, WRONG), figures(Results.result(single, "ext4", 0, 0, 1, round)));
  }
}
