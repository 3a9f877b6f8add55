package dev.holdfast.error;

/**
 * The store cannot be opened without risking acknowledged writes. The message spells out the
 * choice.
 */
public final class OpenRefusedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public OpenRefusedException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public OpenRefusedException(String message, Throwable cause) {
    super(message, cause);
  }
}
