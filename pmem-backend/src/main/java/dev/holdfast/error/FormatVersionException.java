package dev.holdfast.error;

/** A file was written in a format that this version cannot read. */
public final class FormatVersionException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what happened, where, expected and was
   */
  public FormatVersionException(String message) {
    super(message, null);
  }

  /**
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public FormatVersionException(String message, Throwable cause) {
    super(message, cause);
  }
}
