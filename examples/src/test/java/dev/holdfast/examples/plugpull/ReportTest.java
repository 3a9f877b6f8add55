package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.StoreHealth;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.BadRange;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class ReportTest {
  private static StoreHealth.Leg leg(int index, LegState state, BadRange... bad) {
    return new StoreHealth.Leg(index, new UUID(0, index), "leg-" + index, state, List.of(bad));
  }

  @Test
  void degradedStoreIsExplained() {
    StoreHealth health =
        new StoreHealth(
            StoreState.DEGRADED,
            "not everything has two copies",
            List.of(
                leg(0, LegState.ONLINE, new BadRange(0, 4096), new BadRange(8192, 4096)),
                leg(1, LegState.ONLINE)),
            List.of());
    assertEquals(
        List.of(
            "DEGRADED: not everything has two copies",
            "leg 0: 2 bad ranges not repaired when the import ended"),
        Report.explain(health));
  }

  @Test
  void onlineStoreNeedsNoWords() {
    StoreHealth health =
        new StoreHealth(StoreState.ONLINE, null, List.of(leg(0, LegState.ONLINE)), List.of());
    assertEquals(List.of(), Report.explain(health));
  }
}
