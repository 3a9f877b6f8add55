package dev.holdfast.error;

import org.jspecify.annotations.Nullable;

/**
 * A device cannot be removed in order: it holds what nothing else does. Nothing was changed, it is
 * LIVE. Says what has to be done first; to ask again later is harmless.
 */
public final class RemovalRefusedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened, and what led to it.
   *
   * @param message which device, expected and was, what to do
   * @param cause what led to it, or null
   */
  public RemovalRefusedException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
