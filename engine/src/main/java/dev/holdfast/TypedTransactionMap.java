package dev.holdfast;

/**
 * A {@link TypedMap} within a transaction: what it held when that began, with what it has written.
 *
 * <p><b>Lifetime and threads:</b> those of the {@link Transaction}.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 */
public final class TypedTransactionMap<K, V> extends ReadableTypedMap<K, V> {
  private final TransactionMap map;

  TypedTransactionMap(TransactionMap map, Encodings<K, V> encodings) {
    super(map, encodings);
    this.map = map;
  }

  /**
   * Sets the value of a key, when the transaction is committed.
   *
   * @param key the key
   * @param value its value from then on
   */
  public void put(K key, V value) {
    map.put(encodeKey(key), encodeValue(key, value));
  }

  /**
   * Removes a key, if it is there, when the transaction is committed.
   *
   * @param key the key
   */
  public void remove(K key) {
    map.remove(encodeKey(key));
  }
}
