package dev.holdfast.policy;

import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.Subject.Content;
import dev.holdfast.policy.Topology.Mirror;
import dev.holdfast.policy.Topology.Single;

/**
 * The table of docs/failure-model.md. No switch has a default: what is added to a type has to be
 * decided here before it compiles.
 */
final class StandardPolicy implements FailurePolicy {
  @Override
  public Verdict decide(Topology topology, Subject subject, FaultKind fault) {
    return switch (fault) {
      case PRE_REMOVE -> beforeRemoval(topology, subject.role());
      case REMOVED -> removed(topology, subject.role());
      case RETURNED -> returned(topology, subject.role());
      case POISON -> poisoned(topology, subject);
      case CHECKSUM -> wrongBytes(topology, subject);
      case SLOW -> new Verdict.Watch();
      case CLEARED -> new Verdict.Ignore();
    };
  }

  private static Verdict beforeRemoval(Topology topology, Role role) {
    return switch (role) {
      case CACHE -> new Verdict.Detach();
      case DATA, BULK ->
          hasOtherCopy(topology) ? new Verdict.Evacuate() : new Verdict.RefuseRemoval();
      case LOG -> hasOtherCopy(topology) ? new Verdict.Evacuate() : new Verdict.RehomeLog();
    };
  }

  private static Verdict removed(Topology topology, Role role) {
    return switch (role) {
      case CACHE -> new Verdict.Detach();
      case DATA, BULK -> hasOtherCopy(topology) ? new Verdict.FailOver() : new Verdict.GoOffline();
      case LOG -> hasOtherCopy(topology) ? new Verdict.FailOver() : new Verdict.RehomeLog();
    };
  }

  private static Verdict returned(Topology topology, Role role) {
    return switch (role) {
      // What a cache held may be older than what it was a copy of.
      case CACHE -> new Verdict.Ignore();
      case DATA, BULK, LOG ->
          hasOtherCopy(topology) ? new Verdict.Resilver() : new Verdict.Reconcile();
    };
  }

  private static Verdict poisoned(Topology topology, Subject subject) {
    return switch (subject.role()) {
      case CACHE -> new Verdict.Detach();
      case DATA, BULK ->
          hasOtherCopy(topology) ? new Verdict.Repair() : withoutCopy(subject.content());
      // Also where there were two: what is acknowledged has settled, and its new home is as safe as
      // the entries are.
      case LOG -> hasOtherCopy(topology) ? new Verdict.Repair() : new Verdict.RehomeLog();
    };
  }

  private static Verdict wrongBytes(Topology topology, Subject subject) {
    return switch (subject.role()) {
      case CACHE -> new Verdict.Detach();
      case DATA, BULK ->
          hasOtherCopy(topology) ? new Verdict.Repair() : withoutCopy(subject.content());
      // The device still works and memory knows what the log should say.
      case LOG -> hasOtherCopy(topology) ? new Verdict.Repair() : new Verdict.RehomeLog();
    };
  }

  private static Verdict withoutCopy(Content content) {
    return switch (content) {
      case VALUE -> new Verdict.NameLost();
      // To write on with a structure that is not known would spread the damage.
      case METADATA -> new Verdict.ReadOnly();
    };
  }

  private static boolean hasOtherCopy(Topology topology) {
    return switch (topology) {
      case Single() -> false;
      case Mirror(int goodCopies) -> goodCopies > 0;
    };
  }
}
