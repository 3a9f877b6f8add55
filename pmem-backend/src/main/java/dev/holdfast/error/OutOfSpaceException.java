package dev.holdfast.error;

/**
 * The place that holds the store has no room left. Thrown before anything is mapped or stored: what
 * was there before stays as it was, deletes and overwrites still work.
 */
public final class OutOfSpaceException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public OutOfSpaceException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public OutOfSpaceException(String message, Throwable cause) {
    super(message, cause);
  }
}
