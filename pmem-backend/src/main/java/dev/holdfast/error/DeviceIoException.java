package dev.holdfast.error;

/** A system call on a device file failed. The message names the call, the file and the errno. */
public final class DeviceIoException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public DeviceIoException(String message) {
    super(message, null);
  }

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it
   */
  public DeviceIoException(String message, Throwable cause) {
    super(message, cause);
  }
}
