package dev.holdfast;

import java.util.Map;
import java.util.Objects;

/**
 * An entry that an iterator came to: the value that it had then, and a way to set another one.
 *
 * <p><b>Threads:</b> one.
 */
final class ViewEntry<K, V> implements Map.Entry<K, V> {
  private final TypedWrites<K, V> writes;
  private final byte[] bytes;
  private final K key;
  private V value;

  ViewEntry(TypedWrites<K, V> writes, byte[] bytes, K key, V value) {
    this.writes = writes;
    this.bytes = bytes;
    this.key = key;
    this.value = value;
  }

  @Override
  public K getKey() {
    return key;
  }

  @Override
  public V getValue() {
    return value;
  }

  /** Replaces the value that the key has now; one that was removed meanwhile stays removed. */
  @Override
  public V setValue(V newValue) {
    Objects.requireNonNull(newValue, "value");
    V former = writes.getAndReplace(bytes, newValue);
    if (former == null) {
      throw new IllegalStateException("entry: expected it to be in the map, was removed");
    }
    value = newValue;
    return former;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Map.Entry<?, ?> entry
        && key.equals(entry.getKey())
        && value.equals(entry.getValue());
  }

  @Override
  public int hashCode() {
    return key.hashCode() ^ value.hashCode();
  }

  @Override
  public String toString() {
    return key + "=" + value;
  }
}
