package dev.holdfast.error;

/** A file is not what its place says it is: foreign, truncated or damaged. */
public final class InvalidImageException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public InvalidImageException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public InvalidImageException(String message, Throwable cause) {
    super(message, cause);
  }
}
