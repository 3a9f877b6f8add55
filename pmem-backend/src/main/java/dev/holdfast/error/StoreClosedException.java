package dev.holdfast.error;

/** The store, or the store that this object belongs to, was closed. */
public final class StoreClosedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public StoreClosedException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public StoreClosedException(String message, Throwable cause) {
    super(message, cause);
  }
}
