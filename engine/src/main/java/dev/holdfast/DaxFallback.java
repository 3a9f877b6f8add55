package dev.holdfast;

/** What to do where legs should be DAX files and a place of one is no DAX mount. */
public enum DaxFallback {
  /** The store is not opened. */
  REFUSE,
  /**
   * All legs are written back by msync, as {@link dev.holdfast.pmem.PersistenceMode#FILE} has it.
   */
  MSYNC
}
