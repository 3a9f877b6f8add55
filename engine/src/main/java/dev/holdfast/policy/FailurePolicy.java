package dev.holdfast.policy;

import dev.holdfast.pmem.FaultKind;

/**
 * What a fault means. Decisions are pure, their effects are elsewhere: that is what makes the table
 * in docs/failure-model.md testable row by row.
 */
@FunctionalInterface
public interface FailurePolicy {
  /**
   * Decides what one fault of one subject means. A fault that hits several subjects is decided once
   * for each.
   *
   * <p>It must be a function of its arguments alone, and answer for all of them. <b>Threads:</b>
   * the one that responds to faults, off the data path. <b>Failure:</b> where a policy of a user
   * throws, answers null, takes too long or says what {@linkplain Verdicts#isPossible cannot be
   * done}, the {@linkplain #standard() standard} one decides.
   *
   * @param topology what copies there are
   * @param subject what was hit
   * @param fault what happened
   * @return what is to be done
   */
  Verdict decide(Topology topology, Subject subject, FaultKind fault);

  /** {@return the policy of the store, row by row as docs/failure-model.md tells it} */
  static FailurePolicy standard() {
    return new StandardPolicy();
  }
}
