package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.pmem.PersistenceMode;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VerdictTest {
  private static Settings settings(FaultChoice fault, boolean mirrored) {
    return new Settings(
        null,
        fault,
        1,
        mirrored,
        Duration.ZERO,
        PersistenceMode.PROCESS,
        1,
        Long.MAX_VALUE,
        null,
        1000,
        Duration.ZERO);
  }

  private static Result result(int lost, int wrong, long failed, long caught, String state) {
    return new Result(9, 9, 9, lost, wrong, failed, caught, 1, 1, null, null, List.of(), state);
  }

  private static Verdict.Facts facts(
      int silent, long refused, long afterLoss, long closeMillis, long fewest) {
    return new Verdict.Facts(
        silent, refused, refused, afterLoss, closeMillis, fewest, fewest, List.of());
  }

  @ParameterizedTest
  @CsvSource({
    // fault, mirrored, lost, wrong, failed, caught, silent, refused, afterLoss, close, ops, code
    "REMOVE, true, 0, 0, 0, 1, 0, 0, 0, 5, 1000, 0",
    "REMOVE, true, 1, 0, 0, 1, 0, 0, 0, 5, 1000, 1",
    "REMOVE, true, 0, 1, 0, 1, 0, 0, 0, 5, 1000, 1",
    "REMOVE, true, 0, 0, 1, 1, 0, 0, 0, 5, 1000, 1",
    "REMOVE, true, 0, 0, 0, 0, 0, 0, 0, 5, 1000, 1",
    "REMOVE, true, 0, 0, 0, 1, 0, 0, 0, 5, 999, 3",
    "REMOVE, true, 1, 0, 0, 1, 0, 0, 0, 5, 999, 1",
    "NONE, true, 0, 0, 0, 0, 0, 0, 0, 5, 1000, 0",
    "NONE, true, 0, 0, 0, 1, 0, 0, 0, 5, 1000, 1",
    "POISON, false, 7, 0, 0, 1, 0, 0, 0, 5, 1000, 0",
    "POISON, false, 7, 0, 0, 1, 1, 0, 0, 5, 1000, 1",
    "POISON_METADATA, false, 0, 0, 0, 1, 0, 5, 0, 5, 1000, 0",
    "POISON_METADATA, false, 0, 0, 0, 1, 0, 0, 0, 5, 1000, 1",
    "POISON_METADATA, false, 0, 0, 0, 1, 0, 5, 1, 5, 1000, 1",
    "REMOVE, false, 0, 0, 0, 1, 0, 5, 0, 1000, 1000, 4",
    "REMOVE, false, 0, 0, 0, 1, 0, 5, 0, 1001, 1000, 1",
    "REMOVE, false, 0, 0, 0, 1, 0, 5, 1, 5, 1000, 1",
    "REMOVE, false, 0, 0, 0, 1, 0, 0, 0, 5, 1000, 1",
    "REMOVE_BOTH, true, 0, 0, 0, 0, 0, 5, 0, 5, 1000, 4"
  })
  void exitCodeFollowsFromWhatWasFound(
      FaultChoice fault,
      boolean mirrored,
      int lost,
      int wrong,
      long failed,
      long caught,
      int silent,
      long refused,
      long afterLoss,
      long closeMillis,
      long fewest,
      int code) {
    Verdict verdict =
        Verdict.of(
            settings(fault, mirrored),
            result(lost, wrong, failed, caught, "READ_ONLY"),
            facts(silent, refused, afterLoss, closeMillis, fewest));
    assertEquals(code, verdict.exitCode(), verdict.unmet().toString());
  }

  @Test
  void writableStoreAfterLostMetadataIsNoShutdown() {
    Verdict verdict =
        Verdict.of(
            settings(FaultChoice.POISON_METADATA, false),
            result(0, 0, 0, 1, "ONLINE"),
            facts(0, 5, 0, 5, 1000));
    assertEquals(List.of("state: expected READ_ONLY, was ONLINE"), verdict.unmet());
  }
}
