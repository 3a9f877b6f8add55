package dev.holdfast.error;

/** A range of a device cannot be read, because its medium is poisoned there. */
public final class PoisonedRangeException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public PoisonedRangeException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public PoisonedRangeException(String message, Throwable cause) {
    super(message, cause);
  }
}
