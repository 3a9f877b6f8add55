package dev.holdfast;

import java.util.Map;

/**
 * Walks over entries of a typed map in the order of their keys, as the {@link Cursor} under it
 * does: it sees every entry that is there all the time of the walk, and may or may not see what
 * comes, goes or changes meanwhile; over a {@link Snapshot} it sees exactly what that holds.
 *
 * <p><b>Threads:</b> one at a time. <b>Lifetime:</b> valid until closed.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 */
public final class TypedCursor<K, V> implements AutoCloseable {
  private final Cursor cursor;
  private final Encodings<K, V> encodings;

  TypedCursor(Cursor cursor, Encodings<K, V> encodings) {
    this.cursor = cursor;
    this.encodings = encodings;
  }

  /**
   * Steps to the next entry.
   *
   * @return false if there is none
   * @throws dev.holdfast.error.DataLostException if an entry of the range is lost; stepping again
   *     goes on behind it
   */
  public boolean next() {
    return cursor.next();
  }

  /**
   * Goes to a place in the range, ahead or back: the next step is to the first entry there is at or
   * behind {@code key}, in the direction of the walk.
   *
   * @param key any key, of the range or not
   */
  public void seek(K key) {
    cursor.seek(encodings.key(key));
  }

  /**
   * The key of the entry.
   *
   * @return the key
   * @throws dev.holdfast.error.InvalidEncodingException if its bytes are no key
   */
  public K key() {
    return encodings.keyOf(cursor.key());
  }

  /**
   * The value of the entry.
   *
   * @return the value
   * @throws dev.holdfast.error.InvalidEncodingException if its bytes are no value
   */
  public V value() {
    return encodings.valueOf(cursor.key(), cursor.value());
  }

  /**
   * The entry, as it was when the cursor came to it.
   *
   * @return the result
   */
  public Map.Entry<K, V> entry() {
    return Map.entry(key(), value());
  }

  /** Ends the walk. Harmless when it was closed before. */
  @Override
  public void close() {
    cursor.close();
  }
}
