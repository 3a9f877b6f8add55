package dev.holdfast.error;

import org.jspecify.annotations.Nullable;

/**
 * The root of everything that Holdfast throws, but for misuse ({@link IllegalArgumentException}).
 */
public class HoldfastException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it, or null
   */
  public HoldfastException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
