package dev.holdfast.volume;

/**
 * Sees the steps by which a leg is taken out of use, at the moment at which each is done. For tests
 * that stop a process between two of them.
 *
 * <p><b>Threads:</b> called by the thread that detected the loss, under the small lock of the
 * volume: whoever blocks here stalls every operation that meets the loss, as a stopped process
 * does.
 */
@FunctionalInterface
public interface SwitchObserver {
  /** Sees nothing. */
  SwitchObserver NONE = (step, leg) -> {};

  /** What is done. */
  enum Step {
    /** The read set without the leg is in force. */
    READ_SWITCHED,
    /** One survivor carries the mark that the leg is stale; {@code leg} is the survivor. */
    SURVIVOR_MARKED,
    /** Every survivor carries it. */
    MARKS_DURABLE,
    /** The witness knows the new epoch. */
    WITNESS_WRITTEN,
    /** The write set without the leg is in force. */
    WRITE_SWITCHED
  }

  /**
   * A step is done.
   *
   * @param step which
   * @param leg the leg that is lost, or the survivor where the step says so
   */
  void reached(Step step, int leg);
}
