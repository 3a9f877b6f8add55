package dev.holdfast.error;

/** Bytes that were to be decoded are those of no value that the codec knows. */
public final class InvalidEncodingException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public InvalidEncodingException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public InvalidEncodingException(String message, Throwable cause) {
    super(message, cause);
  }
}
