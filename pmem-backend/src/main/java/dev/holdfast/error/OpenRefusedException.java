package dev.holdfast.error;

/**
 * The store cannot be opened without risking acknowledged writes. The message spells out the
 * choice.
 */
public final class OpenRefusedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public OpenRefusedException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public OpenRefusedException(String message, Throwable cause) {
    super(message, cause);
  }
}
