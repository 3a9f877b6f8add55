package dev.holdfast.error;

/** A file is not what its place says it is: foreign, truncated or damaged. */
public final class InvalidImageException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public InvalidImageException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public InvalidImageException(String message, Throwable cause) {
    super(message, cause);
  }
}
