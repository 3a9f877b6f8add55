package dev.holdfast.error;

/** The store, or the store that this object belongs to, was closed. */
public final class StoreClosedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public StoreClosedException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public StoreClosedException(String message, Throwable cause) {
    super(message, cause);
  }
}
