package dev.holdfast;

import java.util.AbstractMap;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.Map;
import java.util.NavigableSet;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.function.BiFunction;
import java.util.function.BiPredicate;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A range of a typed map, or all of it, in one direction, as a map of the Java collections: what
 * {@link TypedMap#asMap} says.
 *
 * <p>It holds no state but where it begins and ends.
 *
 * <p><b>Threads:</b> any.
 */
final class MapView<K, V> extends AbstractMap<K, V> implements ConcurrentNavigableMap<K, V> {
  private final TypedWrites<K, V> writes;
  private final Encodings<K, V> encodings;
  private final ViewRange range;

  MapView(TypedWrites<K, V> writes, ViewRange range) {
    this.writes = writes;
    this.encodings = writes.encodings();
    this.range = range;
  }

  TypedWrites<K, V> writes() {
    return writes;
  }

  // Of one key.

  /** The bytes of a key that may have an entry in this view; null if it cannot. */
  byte @Nullable [] sought(Object key) {
    byte[] bytes = encodings.soughtKey(key);
    return bytes != null && range.contains(bytes) ? bytes : null;
  }

  /** The bytes of a key that an entry is to be set for. */
  private byte[] own(K key) {
    byte[] bytes = encodings.key(key);
    if (!range.contains(bytes)) {
      throw ViewRange.outOfRange(bytes);
    }
    return bytes;
  }

  @Override
  public @Nullable V get(Object key) {
    byte[] bytes = sought(key);
    return bytes == null ? null : writes.get(bytes);
  }

  @Override
  public boolean containsKey(Object key) {
    byte[] bytes = sought(key);
    return bytes != null && writes.map().containsKey(bytes);
  }

  @Override
  public @Nullable V put(K key, V value) {
    Objects.requireNonNull(value, "value");
    return writes.getAndPut(own(key), value);
  }

  @Override
  public @Nullable V putIfAbsent(K key, V value) {
    Objects.requireNonNull(value, "value");
    return writes.getAndPutIfAbsent(own(key), value);
  }

  @Override
  public @Nullable V replace(K key, V value) {
    Objects.requireNonNull(value, "value");
    byte[] bytes = sought(key);
    return bytes == null ? null : writes.getAndReplace(bytes, value);
  }

  @Override
  public boolean replace(K key, V expected, V value) {
    Objects.requireNonNull(expected, "expected");
    Objects.requireNonNull(value, "value");
    byte[] bytes = sought(key);
    return bytes != null && writes.replace(bytes, expected, value);
  }

  @Override
  public @Nullable V remove(Object key) {
    byte[] bytes = sought(key);
    return bytes == null ? null : writes.getAndRemove(bytes);
  }

  @Override
  public boolean remove(Object key, Object value) {
    byte[] bytes = sought(key);
    return bytes != null && value != null && writes.remove(bytes, value);
  }

  /** Removes a key whose value nobody asks for. */
  boolean removeKey(Object key) {
    byte[] bytes = sought(key);
    return bytes != null && writes.remove(bytes);
  }

  @Override
  public @Nullable V compute(
      K key, BiFunction<? super K, ? super @Nullable V, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    return writes.compute(own(key), key, function);
  }

  @Override
  public @Nullable V computeIfAbsent(K key, Function<? super K, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    return writes.computeIfAbsent(own(key), key, function);
  }

  @Override
  public @Nullable V computeIfPresent(
      K key, BiFunction<? super K, ? super V, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    byte[] bytes = sought(key);
    return bytes == null ? null : writes.computeIfPresent(bytes, key, function);
  }

  @Override
  public @Nullable V merge(
      K key, V value, BiFunction<? super V, ? super V, ? extends @Nullable V> function) {
    Objects.requireNonNull(value, "value");
    Objects.requireNonNull(function, "function");
    return writes.merge(own(key), value, function);
  }

  // Of many keys.

  /** Walks over the entries of the view, in its order. */
  Cursor cursor() {
    return range.cursor(writes.map());
  }

  /**
   * Removes the entries that a test of their key and value picks.
   *
   * @return whether it removed any
   */
  boolean removeEach(BiPredicate<byte[], byte[]> picks) {
    boolean removed = false;
    try (Cursor cursor = cursor()) {
      while (cursor.next()) {
        removed |= writes.removeIf(cursor.key(), cursor.value(), picks);
      }
    }
    return removed;
  }

  /** The number of entries; {@link Integer#MAX_VALUE} if there are more. */
  @Override
  public int size() {
    long count = writes.map().scan(range.asked(), false, (_, _, _, _, _, _) -> true);
    return (int) Math.min(count, Integer.MAX_VALUE);
  }

  @Override
  public boolean isEmpty() {
    try (Cursor cursor = cursor()) {
      return !cursor.next();
    }
  }

  @Override
  public boolean containsValue(Object value) {
    Encodings<K, V>.Match match = encodings.match(value);
    try (Cursor cursor = cursor()) {
      while (cursor.next()) {
        if (match.matches(cursor.key(), cursor.value())) {
          return true;
        }
      }
    }
    return false;
  }

  /** Whether a key has a value. */
  boolean holds(Object key, Object value) {
    byte[] bytes = sought(key);
    byte[] held = bytes == null ? null : writes.map().get(bytes);
    return bytes != null && held != null && encodings.match(value).matches(bytes, held);
  }

  /** Removes the first entry that has a value. */
  boolean removeFirst(Object value) {
    Encodings<K, V>.Match match = encodings.match(value);
    try (Cursor cursor = cursor()) {
      while (cursor.next()) {
        if (writes.removeIf(cursor.key(), cursor.value(), match::matches)) {
          return true;
        }
      }
    }
    return false;
  }

  @Override
  public void putAll(Map<? extends K, ? extends V> entries) {
    entries.forEach((key, value) -> {
      V _ = put(key, value); // As put, and as put by itself: of what expires the deadline stays.
    });
  }

  @Override
  public void replaceAll(BiFunction<? super K, ? super V, ? extends V> function) {
    Objects.requireNonNull(function, "function");
    try (Cursor cursor = cursor()) {
      while (cursor.next()) {
        byte[] bytes = cursor.key();
        V _ =
            writes.computeIfPresent(
                bytes,
                encodings.keyOf(bytes),
                (key, value) ->
                    Objects.requireNonNull(function.apply(key, value), "value of function"));
      }
    }
  }

  @Override
  public void clear() {
    try (Cursor cursor = cursor()) {
      while (cursor.next()) {
        boolean _ = writes.remove(cursor.key());
      }
    }
  }

  // Views.

  @Override
  public NavigableSet<K> navigableKeySet() {
    return new KeySetView<>(this);
  }

  @Override
  public NavigableSet<K> keySet() {
    return navigableKeySet();
  }

  @Override
  public NavigableSet<K> descendingKeySet() {
    return descendingMap().navigableKeySet();
  }

  @Override
  public Collection<V> values() {
    return new ValuesView<>(this);
  }

  @Override
  public Set<Map.Entry<K, V>> entrySet() {
    return new EntrySetView<>(this);
  }

  @Override
  public MapView<K, V> descendingMap() {
    return new MapView<>(writes, range.reversed());
  }

  @Override
  public MapView<K, V> subMap(K from, boolean fromInclusive, K to, boolean toInclusive) {
    return new MapView<>(
        writes, range.part(encodings.key(from), fromInclusive, encodings.key(to), toInclusive));
  }

  @Override
  public MapView<K, V> headMap(K to, boolean inclusive) {
    return new MapView<>(writes, range.part(null, true, encodings.key(to), inclusive));
  }

  @Override
  public MapView<K, V> tailMap(K from, boolean inclusive) {
    return new MapView<>(writes, range.part(encodings.key(from), inclusive, null, true));
  }

  @Override
  public MapView<K, V> subMap(K from, K to) {
    return subMap(from, true, to, false);
  }

  @Override
  public MapView<K, V> headMap(K to) {
    return headMap(to, false);
  }

  @Override
  public MapView<K, V> tailMap(K from) {
    return tailMap(from, true);
  }

  // Ordered.

  @Override
  public @Nullable Comparator<? super K> comparator() {
    Comparator<? super K> order = encodings.comparator();
    return range.descending() ? Collections.reverseOrder(order) : order;
  }

  @Override
  public Map.@Nullable Entry<K, V> firstEntry() {
    return first(range, this::entry);
  }

  @Override
  public Map.@Nullable Entry<K, V> lastEntry() {
    return first(range.reversed(), this::entry);
  }

  @Override
  public K firstKey() {
    return required(first(range, this::key));
  }

  @Override
  public K lastKey() {
    return required(first(range.reversed(), this::key));
  }

  @Override
  public Map.@Nullable Entry<K, V> lowerEntry(K key) {
    return before(key, false, this::entry);
  }

  @Override
  public @Nullable K lowerKey(K key) {
    return before(key, false, this::key);
  }

  @Override
  public Map.@Nullable Entry<K, V> floorEntry(K key) {
    return before(key, true, this::entry);
  }

  @Override
  public @Nullable K floorKey(K key) {
    return before(key, true, this::key);
  }

  @Override
  public Map.@Nullable Entry<K, V> ceilingEntry(K key) {
    return ahead(key, true, this::entry);
  }

  @Override
  public @Nullable K ceilingKey(K key) {
    return ahead(key, true, this::key);
  }

  @Override
  public Map.@Nullable Entry<K, V> higherEntry(K key) {
    return ahead(key, false, this::entry);
  }

  @Override
  public @Nullable K higherKey(K key) {
    return ahead(key, false, this::key);
  }

  @Override
  public Map.@Nullable Entry<K, V> pollFirstEntry() {
    return poll(range);
  }

  @Override
  public Map.@Nullable Entry<K, V> pollLastEntry() {
    return poll(range.reversed());
  }

  /** Takes the first entry: whoever removes the very value that was read has it. */
  private Map.@Nullable Entry<K, V> poll(ViewRange of) {
    while (true) {
      try (Cursor cursor = of.cursor(writes.map())) {
        if (!cursor.next()) {
          return null;
        }
        Map.Entry<K, V> entry = entry(cursor);
        if (writes.removeSame(cursor.key(), cursor.value())) {
          return entry;
        }
      }
    }
  }

  /** What is next behind a key, in the order of the view. */
  private <T> @Nullable T ahead(K key, boolean inclusive, Function<Cursor, T> shape) {
    return first(range.from(encodings.key(key), inclusive), shape);
  }

  /** What is next before a key, in the order of the view. */
  private <T> @Nullable T before(K key, boolean inclusive, Function<Cursor, T> shape) {
    return first(range.reversed().from(encodings.key(key), inclusive), shape);
  }

  private <T> @Nullable T first(ViewRange of, Function<Cursor, T> shape) {
    try (Cursor cursor = of.cursor(writes.map())) {
      return cursor.next() ? shape.apply(cursor) : null;
    }
  }

  K key(Cursor cursor) {
    return encodings.keyOf(cursor.key());
  }

  V value(Cursor cursor) {
    return value(cursor.key(), cursor.value());
  }

  V value(byte[] key, byte[] value) {
    return encodings.valueOf(key, value);
  }

  Map.Entry<K, V> entry(byte[] key, byte[] value) {
    return Map.entry(encodings.keyOf(key), value(key, value));
  }

  private Map.Entry<K, V> entry(Cursor cursor) {
    return entry(cursor.key(), cursor.value());
  }

  private static <K> K required(@Nullable K key) {
    if (key == null) {
      throw new NoSuchElementException("expected the view to have an entry, was empty");
    }
    return key;
  }
}
