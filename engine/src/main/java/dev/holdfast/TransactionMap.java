package dev.holdfast;

/**
 * A map as a {@link Transaction} sees it: what it held when the transaction began, with what the
 * transaction has written.
 *
 * <p><b>Lifetime and threads:</b> those of the transaction.
 */
public interface TransactionMap extends ReadableMap {
  /**
   * Sets the value of a key, when the transaction is committed.
   *
   * @param key the key
   * @param value the value
   */
  void put(byte[] key, byte[] value);

  /**
   * Removes a key, if it is there, when the transaction is committed.
   *
   * @param key the key
   */
  void remove(byte[] key);
}
