package dev.holdfast.error;

import org.jspecify.annotations.Nullable;

/**
 * What a lease points at cannot be served: no leg holds it any more, or none that does can be
 * reached. The cause says which, and it matters: with a {@link DeviceOfflineException} the same
 * access succeeds once the device is back with what it had; with a {@link DataLostException} those
 * bytes are gone, and the rest of the value goes on being served. Without a cause the lease was
 * ended, because the store had no other room to write to.
 */
public final class MappingRevokedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened, and what led to it.
   *
   * @param message what happened, where, expected and was
   * @param cause what led to it, or null
   */
  public MappingRevokedException(String message, @Nullable HoldfastException cause) {
    super(message, cause);
  }
}
