package dev.holdfast.pmem;

/** How far a store to a window has come once {@link PmemDevice#flush} and a fence are behind it. */
public enum PersistenceMode {
  /** On persistent memory: survives power loss. */
  DAX,
  /** On the medium under a file: survives power loss. {@code flush} is an msync. */
  FILE,
  /**
   * In the page cache: survives the death of the process, not power loss. {@code flush} is free.
   */
  PROCESS;

  /**
   * {@return whether what has come as far as this mode has come as far as another one}
   *
   * @param other the mode that it is compared with
   */
  public boolean reaches(PersistenceMode other) {
    return compareTo(other) <= 0; // from the farthest on
  }
}
