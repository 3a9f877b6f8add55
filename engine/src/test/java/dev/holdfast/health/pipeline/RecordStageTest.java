package dev.holdfast.health.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.FaultKind;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RecordStageTest {
  private final List<Slot> slots = new ArrayList<>();

  private void report(int leg, FaultKind kind, long offset, long length) {
    var slot = new Slot();
    slot.fillWithReport(leg, kind, offset, length, slots.size());
    slots.add(slot);
  }

  private void news(int leg) {
    var slot = new Slot();
    slot.fillWithNews(HealthEvent.Kind.RANGE_REPAIRED, leg, 0, 0, "news", slots.size());
    slots.add(slot);
  }

  private void record() {
    new RecordStage(sequence -> slots.get((int) sequence)).record(0, slots.size() - 1);
  }

  private List<String> left() {
    return slots.stream().filter(slot -> slot.reports > 0).map(Slot::describe).toList();
  }

  @Test
  void adjacentOverlappingAndEqualRangesBecomeOne() {
    report(0, FaultKind.POISON, 100, 10);
    report(0, FaultKind.POISON, 110, 10);
    report(0, FaultKind.POISON, 105, 20);
    report(0, FaultKind.POISON, 100, 10);
    report(0, FaultKind.POISON, 103, 2);
    record();
    assertEquals(List.of("POISON of leg 0 at [100, +25), 5 reports"), left());
  }

  @Test
  void aRangeThatFillsAGapJoinsBothSidesAtThePlaceOfTheEarliest() {
    report(0, FaultKind.POISON, 20, 10);
    report(0, FaultKind.POISON, 50, 10);
    report(0, FaultKind.POISON, 0, 10);
    report(0, FaultKind.POISON, 10, 10);
    record();
    assertEquals(
        List.of("POISON of leg 0 at [0, +30), 3 reports", "POISON of leg 0 at [50, +10)"), left());
    assertEquals(3, slots.get(0).reports);
  }

  @Test
  void otherLegsOtherKindsAndDistantRangesStayApart() {
    report(0, FaultKind.POISON, 0, 10);
    report(1, FaultKind.POISON, 10, 10);
    report(0, FaultKind.POISON, 11, 10);
    report(2, FaultKind.CHECKSUM, 10, 10);
    record();
    assertEquals(4, left().size());
  }

  @Test
  void nothingIsMergedAcrossAReportOfAnotherKindOfTheSameLeg() {
    report(0, FaultKind.POISON, 0, 10);
    report(0, FaultKind.CLEARED, 0, 10);
    report(0, FaultKind.POISON, 0, 10);
    report(0, FaultKind.POISON, 10, 10);
    record();
    assertEquals(
        List.of(
            "POISON of leg 0 at [0, +10)",
            "CLEARED of leg 0 at [0, +10)",
            "POISON of leg 0 at [0, +20), 2 reports"),
        left());
  }

  @Test
  void nothingIsMergedAcrossNewsOfTheSameLegAndAllAcrossThatOfAnother() {
    report(0, FaultKind.POISON, 0, 10);
    news(1);
    report(0, FaultKind.POISON, 10, 10);
    news(0);
    report(0, FaultKind.POISON, 20, 10);
    record();
    assertEquals(
        List.of(
            "POISON of leg 0 at [0, +20), 2 reports",
            "news",
            "news",
            "POISON of leg 0 at [20, +10)"),
        left());
  }

  @Test
  void recordingABatchAgainChangesNothing() {
    report(0, FaultKind.POISON, 0, 10);
    report(0, FaultKind.POISON, 10, 10);
    report(1, FaultKind.POISON, 5, 10);
    record();
    List<String> once = left();
    record();
    assertEquals(once, left());
  }

  @Test
  void randomRangesOfOneLegCoverTheSameBytesInDisjointCallsThatDoNotTouch() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("RecordStageTest -Dseed=" + seed);
    var random = new Random(seed);
    for (int round = 0; round < 300; round++) {
      slots.clear();
      var expected = new BitSet();
      int count = 2 + random.nextInt(60);
      for (int n = 0; n < count; n++) {
        int offset = random.nextInt(1000);
        int length = 1 + random.nextInt(round % 2 == 0 ? 5 : 60);
        report(0, FaultKind.POISON, offset, length);
        expected.set(offset, offset + length);
      }
      if (random.nextBoolean()) {
        Collections.shuffle(slots, random);
      }
      record();

      var covered = new BitSet();
      int calls = 0;
      int reports = 0;
      for (Slot slot : slots) {
        if (slot.reports > 0) {
          covered.set((int) slot.offset, (int) slot.end());
          calls++;
          reports += slot.reports;
        }
      }
      assertEquals(expected, covered, "-Dseed=" + seed + " round " + round);
      assertEquals(runs(expected), calls, "-Dseed=" + seed + " round " + round);
      assertEquals(count, reports, "-Dseed=" + seed + " round " + round);
    }
  }

  private static int runs(BitSet set) {
    int runs = 0;
    for (int at = set.nextSetBit(0); at >= 0; at = set.nextSetBit(set.nextClearBit(at))) {
      runs++;
    }
    return runs;
  }
}
