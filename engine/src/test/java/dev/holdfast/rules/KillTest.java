package dev.holdfast.rules;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A store whose process is killed in the middle of writing, again and again. */
final class KillTest {
  private static final int KILLS = 30;
  private static final int WITH_OPERATION_IN_FLIGHT = 20;
  private static final int WRITERS = 6;
  private static final int LONGEST_BURST_MILLIS = 120;

  @TempDir(factory = FastPlace.class)
  Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"mirror", "single"})
  @Timeout(120)
  void everyAcknowledgedWriteOutlivesThirtyKills(String topology) throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println(
        "everyAcknowledgedWriteOutlivesThirtyKills " + topology + ": -Dseed=" + seed);
    Random random = new Random(seed);
    Path place = directory.resolve("s");
    Ledger ledger = new Ledger(seed);
    int caught = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Child child =
          Child.start(
              ledger,
              directory.resolve("child.log"),
              List.of("-XX:TieredStopAtLevel=1"),
              place,
              topology,
              seed,
              WRITERS,
              kill * 1_000_000L);
      child.killAfter(random.nextLong(1_000_000L * LONGEST_BURST_MILLIS));
      caught += ledger.inFlight() > 0 ? 1 : 0;
      try (Store store = Store.open(place)) {
        ledger.settle(store);
      }
    }
    System.out.println(
        "  " + ledger.acknowledgements() + " acknowledged, " + caught + " kills in an operation");
    assertTrue(
        caught >= WITH_OPERATION_IN_FLIGHT,
        "expected at least " + WITH_OPERATION_IN_FLIGHT + " kills in an operation, was " + caught);
  }
}
