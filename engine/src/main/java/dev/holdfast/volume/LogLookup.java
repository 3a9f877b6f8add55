package dev.holdfast.volume;

/**
 * Looks for the volume that has the redo log of another one, before that one is written to.
 *
 * <p><b>Threads:</b> the one that opens the volume, once.
 */
@FunctionalInterface
public interface LogLookup {
  /** For a volume that has its redo log in itself, or whose log nobody asks for. */
  LogLookup AS_IT_IS = (_, _) -> new Outcome.Kept();

  /** What is to be done about the log. */
  sealed interface Outcome {
    /** What the configuration says stands. */
    record Kept() implements Outcome {}

    /**
     * From now on the redo log lies in the volume itself: the other one held nothing, or is given
     * up.
     */
    record Dropped() implements Outcome {}

    /**
     * The other volume is not there, and may hold a batch: nothing may be written.
     *
     * @param why for people
     */
    record Missing(String why) implements Outcome {}
  }

  /**
   * Looks for it.
   *
   * @param config what the volume says of itself
   * @param unclean whether it was not closed in order
   */
  Outcome look(VolumeConfig config, boolean unclean);
}
