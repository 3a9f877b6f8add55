package dev.holdfast.error;

/** Holdfast runs on Linux, on x86-64 and aarch64; this machine is something else. */
public final class UnsupportedPlatformException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public UnsupportedPlatformException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public UnsupportedPlatformException(String message, Throwable cause) {
    super(message, cause);
  }
}
