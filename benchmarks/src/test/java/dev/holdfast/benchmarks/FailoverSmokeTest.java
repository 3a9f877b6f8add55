package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The benchmark on the real store, small: no bars on times. */
final class FailoverSmokeTest {
  private static final ByteSize SIZE = ByteSize.parse("4M");
  private static final long SEED = Long.getLong("seed", 1);

  @ParameterizedTest
  @EnumSource(names = {"PROCESS", "FILE"})
  void twoLossesUnderLoadFailNothingAndTellEveryStepInOrder(
      PersistenceMode mode, @TempDir Path directory) throws InterruptedException {
    var settings =
        new FailoverSettings(
            2,
            Duration.ofMillis(50),
            Duration.ofMillis(10),
            Duration.ofMillis(150),
            Duration.ofMillis(30),
            SEED);
    Dataset data = new Dataset(SIZE, SEED);
    FailoverResult result;
    try (Store store =
        Store.builder(directory.resolve("store"))
            .persistence(PersistenceMode.PROCESS)
            .initialCapacity(2 * SIZE.bytes())
            .open()) {
      FailoverRun.fill(store, data);
    }
    try (Store store = Store.builder(directory.resolve("store")).persistence(mode).open()) {
      var cell = Results.cell(FailoverFault.REMOVE, FailoverTopology.MIRROR, "4M", mode);
      result = new FailoverRun(store, data, settings, line -> {}).run(cell, "any", StoreRates.NONE);
    }
    assertNull(result.firstProblem(), "seed " + SEED);
    assertEquals(0, result.failed() + result.wrong(), "seed " + SEED);
    assertEquals(2, result.rounds().size());
    for (FaultRound round : result.rounds()) {
      long read = round.readSwitch().orElseThrow();
      long mark = round.markDurable().orElseThrow();
      long write = round.writeSwitch().orElseThrow();
      assertTrue(0 <= read && read <= mark && mark <= write, "seed " + SEED + ": " + round);
    }
  }
}
