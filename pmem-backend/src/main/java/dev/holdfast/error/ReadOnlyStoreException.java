package dev.holdfast.error;

/** The store stopped accepting writes; the cause says why. Reads go on. */
public final class ReadOnlyStoreException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public ReadOnlyStoreException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public ReadOnlyStoreException(String message, Throwable cause) {
    super(message, cause);
  }
}
