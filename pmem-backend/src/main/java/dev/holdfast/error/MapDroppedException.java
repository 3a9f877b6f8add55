package dev.holdfast.error;

/**
 * The map was dropped. What was written to it is gone with it; ask the store for the map once more
 * to have an empty one under the name.
 */
public final class MapDroppedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /**
   * Says what happened.
   *
   * @param message which map
   */
  public MapDroppedException(String message) {
    super(message, null);
  }
}
