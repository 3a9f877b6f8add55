package dev.holdfast.policy;

import dev.holdfast.pmem.FaultKind;

/** Which verdicts the store can carry out: pure. */
public final class Verdicts {
  private Verdicts() {}

  /**
   * {@return whether a verdict means something for a fault} What does not would leave a range or a
   * leg to itself: nothing would be repaired, named or given up.
   *
   * @param topology what copies there are
   * @param subject what was hit
   * @param fault what happened
   * @param verdict what was decided
   */
  public static boolean isPossible(
      Topology topology, Subject subject, FaultKind fault, Verdict verdict) {
    boolean hasCopy = topology instanceof Topology.Mirror(int copies) && copies > 0;
    boolean isDamage = fault == FaultKind.POISON || fault == FaultKind.CHECKSUM;
    boolean takesOut =
        switch (fault) {
          case PRE_REMOVE, REMOVED, POISON, SLOW -> true;
          case RETURNED, CHECKSUM, CLEARED -> false;
        };
    boolean isLog = subject.role() == Role.LOG;
    return switch (verdict) {
      case Verdict.Watch(), Verdict.Ignore(), Verdict.ReadOnly(), Verdict.Fail() -> true;
      case Verdict.Repair() -> isDamage && hasCopy;
      case Verdict.NameLost() -> isDamage && !hasCopy;
      case Verdict.FailOver(), Verdict.Evacuate() -> hasCopy && takesOut;
      case Verdict.Detach() ->
          subject.role() == Role.CACHE ? takesOut || isDamage : hasCopy && takesOut;
      case Verdict.GoOffline() -> fault == FaultKind.REMOVED && !hasCopy;
      case Verdict.RefuseRemoval() -> fault == FaultKind.PRE_REMOVE;
      case Verdict.Resilver() -> fault == FaultKind.RETURNED && hasCopy;
      case Verdict.Reconcile() -> fault == FaultKind.RETURNED && !hasCopy;
      case Verdict.RehomeLog() ->
          isLog && (isDamage || fault == FaultKind.REMOVED || fault == FaultKind.PRE_REMOVE);
    };
  }
}
