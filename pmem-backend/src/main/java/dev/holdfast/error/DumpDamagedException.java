package dev.holdfast.error;

/** A dump is not what was written: foreign, damaged, cut off or made up. */
public final class DumpDamagedException extends HoldfastException {
  private static final long serialVersionUID = 1L;

  /** Where the part begins that is not right. */
  private final long offset;

  /** How many entries were written to the store before that was found. */
  private final long entriesImported;

  /**
   * Says what happened.
   *
   * @param message what happened, where, expected and was
   * @param offset where the part begins that is not right
   * @param entriesImported how many entries were written to the store before that was found
   */
  public DumpDamagedException(String message, long offset, long entriesImported) {
    super(message, null);
    this.offset = offset;
    this.entriesImported = entriesImported;
  }

  /** {@return where the part begins that is not right: bytes from the begin of the dump} */
  public long offset() {
    return offset;
  }

  /**
   * {@return how many entries were written to the store before that was found: the first ones of
   * the dump, each as it was dumped} 0 where nothing was changed.
   */
  public long entriesImported() {
    return entriesImported;
  }
}
