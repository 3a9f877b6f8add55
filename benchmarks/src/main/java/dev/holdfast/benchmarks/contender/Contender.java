package dev.holdfast.benchmarks.contender;

/**
 * An open store that is measured.
 *
 * <p><b>Threads:</b> any; each makes its own {@link Access}.
 */
public interface Contender extends AutoCloseable {
  /** A way in for the calling thread. */
  Access access();

  /**
   * Begins a load.
   *
   * @param ascending the keys come in order and behind all that are there
   */
  Bulk bulk(boolean ascending);

  /**
   * Makes the files as small as the contender can while it is in use.
   *
   * @throws UnsupportedOperationException if {@link ContenderKind#compacts} is false
   */
  void compact();

  /** Closes the store in order. */
  @Override
  void close();
}
