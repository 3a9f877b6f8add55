package dev.holdfast;

import dev.holdfast.health.LegState;
import dev.holdfast.health.ScrubFault;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was found by {@link StoreBuilder#verify}.
 *
 * @param closedInOrder whether the store was closed in order. After a crash legs may differ in what
 *     was not acknowledged, or not further than to the memory of the machine: the next open makes
 *     them equal. Here it is among the findings
 * @param legs the legs, as they were found; one that is missing is not ONLINE
 * @param findings what is wrong, in the order in which it was found
 * @param lost what no leg holds, found now or on record
 * @param records how many records were checked, each on all legs
 * @param bytesRead how many bytes were read of all legs
 * @param bulk what was found in the BULK volume; null if there is none
 */
public record VerifyReport(
    boolean closedInOrder,
    List<StoreHealth.Leg> legs,
    List<Finding> findings,
    List<StoreHealth.Lost> lost,
    long records,
    long bytesRead,
    @Nullable Bulk bulk) {
  /**
   * Something that is wrong.
   *
   * @param leg the index of the leg
   * @param offset the first byte, volume-relative
   * @param length the number of bytes
   * @param fault what is wrong with them
   * @param isOnNoLeg whether no other leg has them right either, as far as that is known where it
   *     was found
   * @param keys whose records or large values lie there, as far as they can be told: those of the
   *     store's own map
   * @param named the same, of maps that have a name
   */
  public record Finding(
      int leg,
      long offset,
      long length,
      ScrubFault fault,
      boolean isOnNoLeg,
      List<byte[]> keys,
      List<NamedKey> named) {
    /** Copies the lists. */
    public Finding {
      keys = List.copyOf(keys);
      named = List.copyOf(named);
    }
  }

  /**
   * A key of a map that has a name.
   *
   * @param map the name of the map
   * @param key the key
   */
  @SuppressWarnings("ArrayRecordComponent") // a report is read, never compared
  public record NamedKey(String map, byte[] key) {}

  /**
   * What was found in the BULK volume, whose offsets and legs are its own; the keys are those of
   * the values.
   *
   * @param problem why it cannot be opened, so that nothing is known of it; null if it can
   * @param legs its legs
   * @param findings what is wrong
   * @param lost what no leg holds
   */
  public record Bulk(
      @Nullable String problem,
      List<StoreHealth.Leg> legs,
      List<Finding> findings,
      List<StoreHealth.Lost> lost) {
    /** Copies the lists. */
    public Bulk {
      legs = List.copyOf(legs);
      findings = List.copyOf(findings);
      lost = List.copyOf(lost);
    }

    private boolean isWhole() {
      return problem == null && VerifyReport.isWhole(legs, findings, lost);
    }
  }

  /** Copies what it is given. */
  public VerifyReport {
    legs = List.copyOf(legs);
    findings = List.copyOf(findings);
    lost = List.copyOf(lost);
  }

  /** {@return whether every leg is there, nothing is wrong, and nothing lost} */
  public boolean isWhole() {
    return isWhole(legs, findings, lost) && (bulk == null || bulk.isWhole());
  }

  private static boolean isWhole(
      List<StoreHealth.Leg> legs, List<Finding> findings, List<StoreHealth.Lost> lost) {
    return findings.isEmpty()
        && lost.isEmpty()
        && legs.stream()
            .allMatch(leg -> leg.state() == LegState.ONLINE || leg.state() == LegState.DETACHED);
  }
}
