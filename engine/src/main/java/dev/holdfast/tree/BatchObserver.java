package dev.holdfast.tree;

/**
 * Sees the steps of a batch, at the moment at which each is done. For tests that let something
 * happen between two of them.
 *
 * <p><b>Threads:</b> called by the thread that writes the batch, which holds no lock of a leaf.
 */
@FunctionalInterface
public interface BatchObserver {
  /** Sees nothing. */
  BatchObserver NONE = step -> {};

  /** What is done. */
  enum Step {
    /** Large values are in their extents. */
    VALUES_STORED,
    /** Every leaf has room for what comes. */
    RESERVED,
    /** It is in the log, and counts from here on. */
    COMMITTED,
    /** One more leaf has its records. */
    LEAF_APPLIED,
    /** Readers see it. */
    VISIBLE,
    /** The log is done with it. */
    SETTLED
  }

  /** A step is done. */
  void reached(Step step);
}
