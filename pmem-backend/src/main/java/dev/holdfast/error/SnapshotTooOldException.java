package dev.holdfast.error;

/**
 * The snapshot has ended, because what the store kept for it became more than there is room for. A
 * new one can be taken.
 */
public final class SnapshotTooOldException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public SnapshotTooOldException(String message) {
    super(message, null);
  }
}
