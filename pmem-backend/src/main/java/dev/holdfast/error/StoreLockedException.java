package dev.holdfast.error;

/** Another opener holds the store. */
public final class StoreLockedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /** The process that holds the store, or -1. */
  private final long pid;

  /**
   * Says what happened.
   *
   * @param message which store, and who holds it
   * @param pid the process that holds it, or -1 where it is not known
   */
  public StoreLockedException(String message, long pid) {
    super(message, null);
    this.pid = pid;
  }

  /** {@return the process that holds the store, or -1 where it is not known} */
  public long pid() {
    return pid;
  }
}
