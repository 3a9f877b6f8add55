package dev.holdfast.error;

/**
 * The indexes of the store would take more memory off the heap than it may have. Thrown before
 * anything is stored: what was there before stays as it was; reads, overwrites and deletes still
 * work, and what they free can be used again.
 */
public final class OutOfMemoryBudgetException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   */
  public OutOfMemoryBudgetException(String message) {
    super(message, null);
  }
}
