package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.error.OpenRefusedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.SwitchObserver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** L3: read set, marks, witness, write set; and a process that dies between any two of them. */
final class L3LossOfALegTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  static List<Arguments> everyStep() {
    List<Arguments> all = new ArrayList<>();
    for (SwitchObserver.Step step : SwitchObserver.Step.values()) {
      all.add(Arguments.of(step, "halt"));
      all.add(Arguments.of(step, "park"));
    }
    // It goes on for a while with the survivor alone.
    all.add(Arguments.of(SwitchObserver.Step.WRITE_SWITCHED, "run"));
    return all;
  }

  @ParameterizedTest
  @MethodSource("everyStep")
  void noAcknowledgedWriteIsMissingWhereTheProcessDiesWithinASwitch(
      SwitchObserver.Step step, String how) throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("L3 " + step + " " + how + ": -Dseed=" + seed);
    int lost = new Random(seed).nextInt(2);
    Path place = directory.resolve("s");
    Ledger ledger = new Ledger(seed);
    Child child =
        Child.start(
            ledger,
            directory.resolve("child.log"),
            List.of(),
            place,
            "mirror",
            seed,
            2,
            0,
            lost,
            step,
            how);
    assertTrue(child.untilStopped(), "expected the child to come to " + step);
    assertTrue(Files.exists(CrashImage.removed(place, lost)), "the leg was removed");

    if (step.compareTo(SwitchObserver.Step.MARKS_DURABLE) >= 0) {
      assertEquals("STALE", LegMarks.of(CrashImage.leg(place, 1 - lost), lost));
    }
    Path back = CrashImage.of(place, directory.resolve("back"));
    FaultInjector.reinsert(CrashImage.leg(back, lost));
    lostLegThatIsBackIsCopiedTo(back, lost, ledger.copy());

    Path alone = CrashImage.of(place, directory.resolve("alone"));
    FaultInjector.reinsert(CrashImage.leg(alone, lost));
    CrashImage.remove(alone, 1 - lost);
    lostLegAloneServesEverythingOrNothing(alone, ledger.copy());

    survivorServesAndStaysTheTruth(place, lost, ledger.copy());
  }

  private static void lostLegThatIsBackIsCopiedTo(Path place, int lost, Ledger ledger) {
    try (Store store = Store.open(place)) {
      ledger.settle(store);
      Entries.awaitOnline(store);
      // What the lost leg holds now, alone.
      ((EmulatedDevice) store.devices().get(1 - lost)).faults().remove();
      ledger.settle(store);
    }
  }

  private static void lostLegAloneServesEverythingOrNothing(Path place, Ledger ledger) {
    try (Store store = Store.open(place)) {
      ledger.settle(store);
    } catch (OpenRefusedException e) {
      assertTrue(String.valueOf(e.getMessage()).contains("openDegraded"), e.getMessage());
    }
  }

  private static void survivorServesAndStaysTheTruth(Path place, int lost, Ledger ledger) {
    try (Store store = Store.open(place)) {
      assertEquals(StoreState.DEGRADED, store.health().state());
      ledger.settle(store);
      store.put("written-alone".getBytes(US_ASCII), new byte[] {1});
      ledger.record("written-alone", new byte[] {1});
    }
    FaultInjector.reinsert(CrashImage.leg(place, lost));
    lostLegThatIsBackIsCopiedTo(place, lost, ledger);
  }
}
