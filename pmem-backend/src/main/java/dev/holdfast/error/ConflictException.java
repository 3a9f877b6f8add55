package dev.holdfast.error;

/**
 * A transaction was not committed: what it read was changed by somebody else meanwhile. Nothing of
 * it was done. Do it again, on what there is now.
 */
public final class ConflictException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what was expected to be as it was, and is not
   */
  public ConflictException(String message) {
    super(message, null);
  }
}
