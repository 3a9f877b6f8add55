package dev.holdfast.error;

/** A range of a device cannot be read, because its medium is poisoned there. */
public final class PoisonedRangeException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public PoisonedRangeException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public PoisonedRangeException(String message, Throwable cause) {
    super(message, cause);
  }
}
