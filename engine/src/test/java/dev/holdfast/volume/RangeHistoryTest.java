package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** What is on record of bad ranges, without a volume. */
final class RangeHistoryTest {
  private static final UUID A = new UUID(8, 0);
  private static final UUID B = new UUID(8, 1);

  private static RangeRecord record(
      long offset, long length, RangeState state, int count, long first, long last, long since) {
    return new RangeRecord(A, offset, length, state, RangeOrigin.ACCESS, count, first, last, since);
  }

  @Test
  void aRangeGoesFromStateToStateAndBack() {
    RangeHistory found = RangeHistory.NONE.found(A, 4096, 8192, RangeOrigin.ACCESS, 10);
    assertEquals(List.of(record(4096, 8192, RangeState.UNACKED, 1, 10, 10, 10)), found.records());
    RangeHistory acked = found.acked(A, 0, 100_000, 20);
    assertEquals(List.of(record(4096, 8192, RangeState.ACKED, 1, 10, 10, 20)), acked.records());
    assertSame(acked, acked.acked(A, 0, 100_000, 25));
    RangeHistory cleared = acked.cleared(A, 4096, 8192, 30);
    assertEquals(List.of(record(4096, 8192, RangeState.CLEARED, 1, 10, 10, 30)), cleared.records());
    assertSame(cleared, cleared.acked(A, 4096, 8192, 35), "what serves is not bad for that");
    RangeHistory again = cleared.found(A, 4096, 4096, RangeOrigin.ACCESS, 40);
    assertEquals(
        List.of(
            record(4096, 4096, RangeState.UNACKED, 2, 10, 40, 40),
            record(8192, 4096, RangeState.CLEARED, 1, 10, 10, 30)),
        again.records());
    assertTrue(again.of(B).isEmpty());
  }

  @Test
  void neighboursThatFailTogetherAreOneRange() {
    RangeHistory history = RangeHistory.NONE;
    for (int page : new int[] {3, 1, 2, 5}) {
      history = history.found(A, page * 4096L, 4096, RangeOrigin.ACCESS, 10);
    }
    history = history.found(B, 4 * 4096L, 4096, RangeOrigin.ACCESS, 10);
    assertEquals(
        List.of(
            record(4096, 3 * 4096, RangeState.UNACKED, 1, 10, 10, 10),
            record(5 * 4096, 4096, RangeState.UNACKED, 1, 10, 10, 10)),
        history.of(A));
    assertEquals(1, history.of(B).size());
  }

  @Test
  void whatIsNotExcludedAnyMoreWasRewrittenAndWhatIsKnownDoesNotCount() {
    RangeHistory history = RangeHistory.NONE.found(A, 0, 3 * 4096, RangeOrigin.ACCESS, 10);
    history = history.found(B, 0, 4096, RangeOrigin.ACCESS, 10);
    List<LegRange> bad = List.of(new LegRange(0, 4096, 4096), new LegRange(0, 5 * 4096, 4096));
    RangeHistory agreed = history.agreeing(A, bad, RangeOrigin.DEVICE_LIST, 20);
    assertEquals(
        List.of(
            record(0, 4096, RangeState.CLEARED, 1, 10, 10, 20),
            record(4096, 4096, RangeState.UNACKED, 1, 10, 10, 10),
            record(2 * 4096, 4096, RangeState.CLEARED, 1, 10, 10, 20),
            new RangeRecord(
                A, 5 * 4096, 4096, RangeState.UNACKED, RangeOrigin.DEVICE_LIST, 1, 20, 20, 20)),
        agreed.of(A));
    assertEquals(history.of(B), agreed.of(B));
    assertEquals(agreed, agreed.agreeing(A, bad, RangeOrigin.DEVICE_LIST, 30));
  }

  @Test
  void whatWasClearedLongAgoIsForgotten() {
    RangeHistory history =
        RangeHistory.NONE
            .found(A, 0, 4096, RangeOrigin.ACCESS, 10)
            .cleared(A, 0, 4096, 20)
            .found(A, 8192, 4096, RangeOrigin.ACCESS, 10)
            .found(B, 0, 4096, RangeOrigin.ACCESS, 10);
    List<UUID> both = List.of(A, B);
    assertSame(history, history.aged(both, 119, 100));
    RangeHistory aged = history.aged(both, 120, 100);
    assertEquals(List.of(record(8192, 4096, RangeState.UNACKED, 1, 10, 10, 10)), aged.of(A));
    assertEquals(1, aged.of(B).size());
    assertTrue(history.aged(List.of(A), 120, 100).of(B).isEmpty(), "no device of the volume");
  }

  @Test
  void thereIsAnEndToItAndWhatIsBadGoesLast() {
    RangeHistory history = RangeHistory.NONE;
    for (int i = 0; i < RangeHistory.MOST; i++) {
      history = history.found(A, i * 8192L, 4096, RangeOrigin.ACCESS, i);
    }
    history = history.cleared(A, 100 * 8192L, 4096, 1_000);
    history = history.found(B, 0, 4096, RangeOrigin.ACCESS, 2_000);
    assertEquals(RangeHistory.MOST, history.records().size());
    assertEquals(1, history.of(B).size());
    assertTrue(history.of(A).stream().allMatch(RangeRecord::isLive), "what was cleared went");
    history = history.found(B, 8192, 4096, RangeOrigin.ACCESS, 2_000);
    assertEquals(RangeHistory.MOST, history.records().size());
    assertEquals(8192, history.of(A).getFirst().offset(), "the oldest went");
  }
}
