package dev.holdfast.policy;

/** How many copies of a range there are. */
public sealed interface Topology {
  /** One copy, on the device that the fault hit. */
  record Single() implements Topology {}

  /**
   * Several copies, one a leg.
   *
   * @param goodCopies how many legs besides the one that the fault hit hold the range in sync and
   *     can be read there now, ≥ 0
   */
  record Mirror(int goodCopies) implements Topology {
    /** Refuses fewer copies than none. */
    public Mirror {
      if (goodCopies < 0) {
        throw new IllegalArgumentException("good copies: expected ≥ 0, was " + goodCopies);
      }
    }
  }
}
