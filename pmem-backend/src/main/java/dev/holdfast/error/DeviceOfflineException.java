package dev.holdfast.error;

/**
 * No leg that holds the data can be reached. Offline is not lost: the same call succeeds once the
 * device is back.
 */
public final class DeviceOfflineException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public DeviceOfflineException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public DeviceOfflineException(String message, Throwable cause) {
    super(message, cause);
  }
}
