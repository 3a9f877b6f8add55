package dev.holdfast.error;

/**
 * A leg cannot be taken out of use: no other leg holds everything. Nothing was changed. Bring
 * another leg back first, or wait until it holds everything.
 */
public final class LastCopyException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what was asked for, where, expected and was
   */
  public LastCopyException(String message) {
    super(message, null);
  }
}
