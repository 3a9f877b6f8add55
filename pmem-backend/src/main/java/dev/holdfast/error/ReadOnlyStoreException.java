package dev.holdfast.error;

/** The store stopped accepting writes; the cause says why. Reads go on. */
public final class ReadOnlyStoreException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public ReadOnlyStoreException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public ReadOnlyStoreException(String message, Throwable cause) {
    super(message, cause);
  }
}
