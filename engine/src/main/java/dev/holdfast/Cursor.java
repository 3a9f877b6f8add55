package dev.holdfast;

/**
 * Walks over entries in key order. It sees every entry that is there all the time of the walk, and
 * may or may not see what comes, goes or changes meanwhile.
 *
 * <p><b>Threads:</b> one at a time. <b>Lifetime:</b> valid until closed; {@link
 * dev.holdfast.error.StoreClosedException} once the store is closed.
 */
public interface Cursor extends AutoCloseable {
  /**
   * Steps to the next entry.
   *
   * @return false if there is none
   * @throws dev.holdfast.error.DataLostException if an entry of the range is lost; stepping again
   *     goes on behind it
   */
  boolean next();

  /**
   * Goes to a place in the range, ahead or back: the next step is to the first entry there is at or
   * behind {@code key}, in the direction of the walk. Before the begin of the range that is its
   * begin; behind its end there is none.
   *
   * @param key any key, of the range or not
   */
  void seek(byte[] key);

  /** {@return the key of the entry, a copy} */
  byte[] key();

  /** {@return the value of the entry, a copy} */
  byte[] value();

  /** Ends the walk. Harmless when it was closed before. */
  @Override
  void close();
}
