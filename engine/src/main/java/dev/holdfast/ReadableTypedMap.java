package dev.holdfast;

import dev.holdfast.codec.Codec;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What can be read of an ordered map from keys to values of types: a map, a {@link Snapshot} or a
 * {@link Transaction}, whose bytes two {@linkplain Codec codecs} turn into keys and values.
 *
 * <p>Keys are in the order of their bytes, which is the one that the codec of the keys names.
 * Nothing is null, keys, values, ranges and functions included: {@link NullPointerException}.
 *
 * <p><b>Threads:</b> as what it reads. <b>Failure:</b> what that throws; {@link
 * dev.holdfast.error.InvalidEncodingException} where bytes are none that a codec takes, which names
 * the key; {@link IllegalArgumentException} for a key or a value that a codec has no bytes for, or
 * more than a store takes.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 */
public sealed class ReadableTypedMap<K, V> permits TypedMap, TypedTransactionMap {
  private final ReadableMap map;
  private final Encodings<K, V> encodings;

  ReadableTypedMap(ReadableMap map, Encodings<K, V> encodings) {
    this.map = Objects.requireNonNull(map, "map");
    this.encodings = encodings;
  }

  /**
   * Reads a map by codecs.
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @param keys an order-preserving one, where the order is to mean something
   * @param map the map
   * @param values turns values into bytes
   * @return the map, read by the codecs
   */
  public static <K, V> ReadableTypedMap<K, V> of(ReadableMap map, Codec<K> keys, Codec<V> values) {
    return new ReadableTypedMap<>(map, new Encodings<>(keys, values));
  }

  final Encodings<K, V> encodings() {
    return encodings;
  }

  /**
   * The bytes that a key has in the map under this one, for what takes bytes alone, as a {@link
   * WriteBatch} does.
   *
   * @param key the key
   * @return its bytes
   */
  public final byte[] encodeKey(K key) {
    return encodings.key(key);
  }

  /**
   * The bytes that a value has in the map under this one.
   *
   * @param key the key
   * @param value the value
   * @return its bytes
   */
  public final byte[] encodeValue(K key, V value) {
    return encodings.value(encodings.key(key), value);
  }

  /**
   * The value of a key; null if there is none.
   *
   * @param key the key
   * @return the value; null if there is none
   */
  public final @Nullable V get(K key) {
    byte[] bytes = encodings.key(key);
    return encodings.valueOrNull(bytes, map.get(bytes));
  }

  /**
   * The value of a key; {@code other} if there is none.
   *
   * @param key the key
   * @param other what is returned where there is none
   * @return the value, or {@code other}
   */
  public final V getOrDefault(K key, V other) {
    Objects.requireNonNull(other, "other");
    V value = get(key);
    return value == null ? other : value;
  }

  /**
   * Whether the key has a value.
   *
   * @param key the key
   * @return whether it has a value
   */
  public final boolean containsKey(K key) {
    return map.containsKey(encodings.key(key));
  }

  /**
   * The entry with the least key; null if there is none.
   *
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> first() {
    return firstOf(cursor(TypedRange.all()));
  }

  /**
   * The entry with the greatest key; null if there is none.
   *
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> last() {
    return firstOf(reverseCursor(TypedRange.all()));
  }

  /**
   * The entry with the greatest key that is not above {@code key}; null if there is none.
   *
   * @param key the key
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> floor(K key) {
    return firstOf(reverseCursor(TypedRange.atMost(key)));
  }

  /**
   * The entry with the least key that is not below {@code key}; null if there is none.
   *
   * @param key the key
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> ceiling(K key) {
    return firstOf(cursor(TypedRange.atLeast(key)));
  }

  /**
   * The entry with the greatest key below {@code key}; null if there is none.
   *
   * @param key the key
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> lower(K key) {
    return firstOf(reverseCursor(TypedRange.lessThan(key)));
  }

  /**
   * The entry with the least key above {@code key}; null if there is none.
   *
   * @param key the key
   * @return the entry; null if there is none
   */
  public final Map.@Nullable Entry<K, V> higher(K key) {
    return firstOf(cursor(TypedRange.greaterThan(key)));
  }

  /**
   * Walks over a range of keys, ascending.
   *
   * @param range which keys
   * @return a walk, to be closed
   */
  public final TypedCursor<K, V> cursor(TypedRange<K> range) {
    return new TypedCursor<>(map.cursor(range.encoded(encodings)), encodings);
  }

  /**
   * Walks over a range of keys, descending.
   *
   * @param range which keys
   * @return a walk, to be closed
   */
  public final TypedCursor<K, V> reverseCursor(TypedRange<K> range) {
    return new TypedCursor<>(map.reverseCursor(range.encoded(encodings)), encodings);
  }

  /**
   * The entries of a range, ascending, read while the stream is consumed: close it, and with it the
   * cursor under it. It sees what the cursor sees.
   *
   * @param range which keys
   * @return the entries; to be closed
   */
  public final Stream<Map.Entry<K, V>> stream(TypedRange<K> range) {
    return map.stream(range.encoded(encodings)).map(this::decoded);
  }

  /**
   * The entries of a range, descending; as {@link #stream}.
   *
   * @param range which keys
   * @return the entries; to be closed
   */
  public final Stream<Map.Entry<K, V>> reverseStream(TypedRange<K> range) {
    return map.reverseStream(range.encoded(encodings)).map(this::decoded);
  }

  private Map.Entry<K, V> decoded(Entry entry) {
    return Map.entry(encodings.keyOf(entry.key()), encodings.valueOf(entry.key(), entry.value()));
  }

  private static <K, V> Map.@Nullable Entry<K, V> firstOf(TypedCursor<K, V> cursor) {
    try (cursor) {
      return cursor.next() ? cursor.entry() : null;
    }
  }
}
