package dev.holdfast.error;

/**
 * A batch of writes was interrupted behind the point where it can be taken back. It is not
 * half-done, and nobody sees a part of it: it is completed, or dropped, as a whole when the store
 * is opened again or its device returns. Until then its keys cannot be written.
 */
public final class BatchUnsettledException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /** What is known of the batch. */
  public enum Outcome {
    /** It is durable in the log, and will be completed. */
    COMMITTED,
    /**
     * It may be in the log or not: what the log says when it can be read again is what happened.
     */
    UNKNOWN
  }

  /** What is known of the batch. */
  private final Outcome outcome;

  /**
   * Says what happened, and what led to it.
   *
   * @param outcome what is known of the batch
   * @param message what happened, where, expected and was
   * @param cause what interrupted it
   */
  public BatchUnsettledException(Outcome outcome, String message, Throwable cause) {
    super(message, cause);
    this.outcome = outcome;
  }

  /** {@return what is known of the batch} */
  public Outcome outcome() {
    return outcome;
  }
}
