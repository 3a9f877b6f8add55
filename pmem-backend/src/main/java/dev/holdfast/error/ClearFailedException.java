package dev.holdfast.error;

import org.jspecify.annotations.Nullable;

/**
 * A bad range could not be cleared, or a part of it. What is bad stays recorded and excluded, and
 * what was lost stays lost. The message says what was to be cleared, where, and why it was not.
 */
public final class ClearFailedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened, and what led to it.
   *
   * @param message the leg, its device, the range and why
   * @param cause what the device or the store said; null where the store decided not to
   */
  public ClearFailedException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
