package dev.holdfast.tree;

/**
 * A batch that was not acknowledged, and of which the log no longer has what is needed to complete
 * it. Nobody sees a part of it.
 *
 * @param sequence its number, or the least that it can have
 * @param operations how many operations it had; -1 where that is not known
 */
public record BatchAtRisk(long sequence, int operations) {
  @Override
  public String toString() {
    return operations < 0
        ? "a batch from number " + sequence + " on, if there was one"
        : "batch " + sequence + " of " + operations + " operations";
  }
}
