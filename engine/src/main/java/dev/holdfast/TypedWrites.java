package dev.holdfast;

import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.BiPredicate;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What typed maps and their views do to a key whose bytes they have: each of it atomic, by the
 * methods of {@link RawMap} that are.
 *
 * <p><b>Threads:</b> any.
 */
final class TypedWrites<K, V> {
  private final ModedWrites writes;
  private final Encodings<K, V> encodings;

  TypedWrites(ModedWrites writes, Encodings<K, V> encodings) {
    this.writes = writes;
    this.encodings = encodings;
  }

  RawMap map() {
    return writes.map();
  }

  Encodings<K, V> encodings() {
    return encodings;
  }

  @Nullable V get(byte[] key) {
    return encodings.valueOrNull(key, map().get(key));
  }

  void put(byte[] key, V value) {
    writes.put(key, encodings.value(key, value));
  }

  boolean putIfAbsent(byte[] key, V value) {
    return writes.putIfAbsent(key, encodings.value(key, value));
  }

  boolean replace(byte[] key, V value) {
    return writes.replace(key, encodings.value(key, value));
  }

  boolean remove(byte[] key) {
    return writes.remove(key);
  }

  /** Removes a key whose value is these very bytes. */
  boolean removeSame(byte[] key, byte[] value) {
    return writes.remove(key, value);
  }

  @Nullable V getAndPut(byte[] key, V value) {
    return encodings.valueOrNull(key, writes.getAndPut(key, encodings.value(key, value)));
  }

  @Nullable V getAndPutIfAbsent(byte[] key, V value) {
    return encodings.valueOrNull(key, writes.getAndPutIfAbsent(key, encodings.value(key, value)));
  }

  @Nullable V getAndRemove(byte[] key) {
    return encodings.valueOrNull(key, writes.getAndRemove(key));
  }

  /** Sets the value of a key that has one; the one that it had, null if there is none. */
  @Nullable V getAndReplace(byte[] key, V value) {
    byte[] bytes = encodings.value(key, value);
    byte[] held = map().get(key);
    if (held == null) {
      held = writes.getAcknowledged(key);
    }
    while (held != null && !writes.replace(key, held, bytes)) {
      held = writes.getAcknowledged(key);
    }
    return encodings.valueOrNull(key, held);
  }

  /** Removes a key whose value is the one that is looked for. */
  boolean remove(byte[] key, Object expected) {
    return changeIf(key, encodings.match(expected), held -> writes.remove(key, held));
  }

  /** Sets the value of a key whose value is the one that is looked for. */
  boolean replace(byte[] key, V expected, V value) {
    byte[] bytes = encodings.value(key, value);
    return changeIf(key, encodings.match(expected), held -> writes.replace(key, held, bytes));
  }

  /**
   * @param change changes the key if its value still is the bytes it gets
   */
  private boolean changeIf(
      byte[] key, Encodings<K, V>.Match match, Function<byte[], Boolean> change) {
    byte[] held = match.bytes();
    while (held == null || !change.apply(held)) {
      // It may be there in other bytes than the codec would give it now.
      held = writes.getAcknowledged(key);
      if (held == null || !match.matches(key, held)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Removes an entry whose value a test picks, and only with a value that the test was given.
   *
   * @param value the value that it had a moment ago
   */
  boolean removeIf(byte[] key, byte[] value, BiPredicate<byte[], byte[]> picks) {
    byte[] held = value;
    while (held != null && picks.test(key, held)) {
      if (writes.remove(key, held)) {
        return true;
      }
      held = map().get(key);
    }
    return false;
  }

  @Nullable V compute(
      byte[] bytes,
      K key,
      BiFunction<? super K, ? super @Nullable V, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    return encodings.valueOrNull(
        bytes,
        writes.compute(
            bytes,
            (_, held) -> made(bytes, function.apply(key, encodings.valueOrNull(bytes, held)))));
  }

  @Nullable V computeIfAbsent(
      byte[] bytes, K key, Function<? super K, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    return encodings.valueOrNull(
        bytes, writes.computeIfAbsent(bytes, _ -> made(bytes, function.apply(key))));
  }

  @Nullable V computeIfPresent(
      byte[] bytes, K key, BiFunction<? super K, ? super V, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    return encodings.valueOrNull(
        bytes,
        writes.computeIfPresent(
            bytes, (_, held) -> made(bytes, function.apply(key, encodings.valueOf(bytes, held)))));
  }

  @Nullable V merge(
      byte[] key, V value, BiFunction<? super V, ? super V, ? extends @Nullable V> function) {
    Objects.requireNonNull(function, "function");
    byte[] given = encodings.value(key, value);
    return encodings.valueOrNull(
        key,
        writes.compute(
            key,
            (_, held) ->
                held == null
                    ? given
                    : made(key, function.apply(encodings.valueOf(key, held), value))));
  }

  private byte @Nullable [] made(byte[] key, @Nullable V value) {
    return value == null ? null : encodings.value(key, value);
  }
}
