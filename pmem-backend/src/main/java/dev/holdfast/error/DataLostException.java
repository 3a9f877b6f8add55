package dev.holdfast.error;

/**
 * The entry was acknowledged once and no leg holds it any more. Writing the key again, or deleting
 * it, ends this answer.
 */
public final class DataLostException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public DataLostException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public DataLostException(String message, Throwable cause) {
    super(message, cause);
  }
}
