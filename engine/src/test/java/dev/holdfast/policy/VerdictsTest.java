package dev.holdfast.policy;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.FaultKind;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which verdicts the store can carry out. */
final class VerdictsTest {
  private static final Topology SINGLE = new Topology.Single();
  private static final Topology LEFT = new Topology.Mirror(1);
  private static final Topology NONE_LEFT = new Topology.Mirror(0);
  private static final Subject VALUE = new Subject(Role.DATA, Subject.Content.VALUE);

  @Test
  void whatTheStandardPolicySaysIsPossible() {
    for (Topology topology : List.of(SINGLE, LEFT, NONE_LEFT)) {
      for (Role role : Role.values()) {
        for (Subject.Content content : Subject.Content.values()) {
          for (FaultKind fault : FaultKind.values()) {
            Subject subject = new Subject(role, content);
            Verdict verdict = FailurePolicy.standard().decide(topology, subject, fault);
            assertTrue(
                Verdicts.isPossible(topology, subject, fault, verdict),
                () -> topology + ", " + subject + ", " + fault + ": " + verdict);
          }
        }
      }
    }
  }

  private static void assertImpossible(Topology topology, FaultKind fault, Verdict verdict) {
    assertFalse(
        Verdicts.isPossible(topology, VALUE, fault, verdict),
        () -> topology + ", " + fault + ": " + verdict);
  }

  @Test
  void whatWouldLeaveARangeOrALegToItselfIsNot() {
    assertImpossible(SINGLE, FaultKind.POISON, new Verdict.Repair());
    assertImpossible(NONE_LEFT, FaultKind.CHECKSUM, new Verdict.Repair());
    assertImpossible(LEFT, FaultKind.REMOVED, new Verdict.Repair());
    assertImpossible(LEFT, FaultKind.POISON, new Verdict.NameLost());
    assertImpossible(SINGLE, FaultKind.REMOVED, new Verdict.NameLost());
    assertImpossible(NONE_LEFT, FaultKind.POISON, new Verdict.FailOver());
    assertImpossible(SINGLE, FaultKind.PRE_REMOVE, new Verdict.Evacuate());
    assertImpossible(SINGLE, FaultKind.SLOW, new Verdict.Detach());
    assertImpossible(LEFT, FaultKind.CHECKSUM, new Verdict.FailOver());
    assertImpossible(SINGLE, FaultKind.POISON, new Verdict.GoOffline());
    assertImpossible(LEFT, FaultKind.REMOVED, new Verdict.GoOffline());
    assertImpossible(LEFT, FaultKind.REMOVED, new Verdict.RefuseRemoval());
    assertImpossible(LEFT, FaultKind.POISON, new Verdict.Resilver());
    assertImpossible(NONE_LEFT, FaultKind.RETURNED, new Verdict.Resilver());
    assertImpossible(LEFT, FaultKind.RETURNED, new Verdict.Reconcile());
    assertImpossible(LEFT, FaultKind.POISON, new Verdict.RehomeLog());
  }
}
