package dev.holdfast.error;

/** A file was written in a format that this version cannot read. */
public final class FormatVersionException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public FormatVersionException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public FormatVersionException(String message, Throwable cause) {
    super(message, cause);
  }
}
