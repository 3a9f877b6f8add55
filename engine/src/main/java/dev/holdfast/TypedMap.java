package dev.holdfast;

import dev.holdfast.codec.Codec;
import dev.holdfast.pmem.PersistenceMode;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * An ordered map from keys to values of types: a {@link RawMap}, whose bytes two {@linkplain Codec
 * codecs} turn into keys and values. It holds nothing itself, and any number of them may be over
 * one map.
 *
 * <pre>{@code
 * TypedMap<String, Long> ages = TypedMap.of(store, Codecs.STRING, Codecs.LONG);
 * ages.merge("ann", 1L, Long::sum);
 * try (var b = ages.stream(TypedRange.prefix("b"))) {
 *   b.limit(10).forEach(System.out::println);
 * }
 * ConcurrentNavigableMap<String, Long> map = ages.asMap();
 * }</pre>
 *
 * <h2>What is atomic</h2>
 *
 * Each method is, for its key, as the one of {@link RawMap} that it is made of, against every other
 * writer of the key; functions may be called more than once, as is said there. A former value that
 * its codec does not take is an {@link dev.holdfast.error.InvalidEncodingException}: nothing was
 * changed by a method with a function or an expected value, while {@link #getAndPut} and {@link
 * #getAndRemove} have done what they are for. {@link #put} and {@link #remove(Object)} read none.
 *
 * <h2>Equal values</h2>
 *
 * A value is the one that is expected if its bytes are the same, or if it is equal once it is
 * decoded: so values with no equality of their own, arrays, are compared by what is in them.
 *
 * <p><b>Threads:</b> all methods are safe for any thread, virtual ones too. <b>Failure:</b> as
 * {@link ReadableTypedMap} and {@link RawMap} say.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 */
public final class TypedMap<K, V> extends ReadableTypedMap<K, V> {
  private final TypedWrites<K, V> writes;

  private TypedMap(ModedWrites writes, Encodings<K, V> encodings) {
    super(writes.map(), encodings);
    this.writes = new TypedWrites<>(writes, encodings);
  }

  /**
   * Reads and writes a map by codecs.
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @param map a store, or a map of it
   * @param keys an order-preserving one, where the order is to mean something
   * @param values turns values into bytes
   * @return the map, read by the codecs
   */
  public static <K, V> TypedMap<K, V> of(RawMap map, Codec<K> keys, Codec<V> values) {
    return new TypedMap<>(new ModedWrites(map, null), new Encodings<>(keys, values));
  }

  /**
   * The same map, whose writes, and those of its {@linkplain #asMap view}, are acknowledged as far
   * as {@code mode} says.
   *
   * @param mode how far a write has come when it is acknowledged
   * @return the same map
   */
  public TypedMap<K, V> with(PersistenceMode mode) {
    return new TypedMap<>(new ModedWrites(writes.map(), mode), encodings());
  }

  /**
   * What {@code map} holds, read by the codecs of this one.
   *
   * @param map a snapshot or a transaction that shows the map under this one
   * @return the map as it is seen there
   */
  public ReadableTypedMap<K, V> in(ReadableMap map) {
    return new ReadableTypedMap<>(map, encodings());
  }

  /**
   * This map within a transaction of its store.
   *
   * @param transaction one that goes on
   * @return the map, as the transaction sees it
   */
  public TypedTransactionMap<K, V> in(Transaction transaction) {
    return new TypedTransactionMap<>(transaction.in(writes.map()), encodings());
  }

  /**
   * This map, as one of the Java collections: a view, which reads and writes through.
   *
   * <ul>
   *   <li>What is atomic here is atomic there: {@code compute}, {@code merge}, {@code putIfAbsent}
   *       and their like; {@code pollFirstEntry} and {@code pollLastEntry} remove an entry that
   *       nobody else gets. Operations on many keys, {@code putAll}, {@code clear}, {@code
   *       replaceAll}, {@code removeIf}, are one after the other; those that remove by a value
   *       remove an entry only with a value that was looked at.
   *   <li>Iterators, spliterators and streams are weakly consistent, see {@link Cursor}: they never
   *       throw {@link java.util.ConcurrentModificationException}. An entry of one keeps the value
   *       that was read. Its {@code setValue} sets the value in the map and returns the one that
   *       was replaced there; where the key has none any more it sets none, and throws {@link
   *       IllegalStateException}. Entries from {@code firstEntry} and the like are unmodifiable.
   *   <li>{@code comparator()} is that of the codec of the keys, null where it names their natural
   *       order; that of the bytes, where the codec names none. Keys are the same where their bytes
   *       are.
   *   <li>{@code size()} counts by a walk over the entries, and reads them all.
   *   <li>A key that can have no entry, as it has no bytes or too many, is absent for what looks
   *       for one, may be the bound of a range, and is an {@link IllegalArgumentException} for what
   *       sets one. One of another type is a {@link ClassCastException}, if the codec throws that.
   *   <li>Where entries are lost, a walk throws {@link dev.holdfast.error.DataLostException} once,
   *       and goes on behind them when it is asked again.
   *   <li>It is not serializable.
   * </ul>
   *
   * @return the view
   */
  public ConcurrentNavigableMap<K, V> asMap() {
    return new MapView<>(writes, ViewRange.ALL);
  }

  /**
   * Sets the value of a key. When it returns, the write is acknowledged.
   *
   * @param key the key
   * @param value the value
   */
  public void put(K key, V value) {
    writes.put(encodeKey(key), value);
  }

  /**
   * Sets the value of a key that has none; false if it has one.
   *
   * @param key the key
   * @param value the value
   * @return whether it was set
   */
  public boolean putIfAbsent(K key, V value) {
    return writes.putIfAbsent(encodeKey(key), value);
  }

  /**
   * Sets the value of a key that has one; false if it has none.
   *
   * @param key the key
   * @param value the value
   * @return whether it was set
   */
  public boolean replace(K key, V value) {
    return writes.replace(encodeKey(key), value);
  }

  /**
   * Sets the value of a key whose value equals {@code expected}; false if it does not.
   *
   * @param key the key
   * @param expected the value that it must have
   * @param value the value
   * @return whether it was set
   */
  public boolean replace(K key, V expected, V value) {
    return writes.replace(encodeKey(key), expected, value);
  }

  /**
   * Removes a key; false if it has no value.
   *
   * @param key the key
   * @return whether there was one to remove
   */
  public boolean remove(K key) {
    return writes.remove(encodeKey(key));
  }

  /**
   * Removes a key whose value equals {@code expected}; false if it does not.
   *
   * @param key the key
   * @param expected the value that it must have
   * @return whether there was one to remove
   */
  public boolean remove(K key, V expected) {
    return writes.remove(encodeKey(key), expected);
  }

  /**
   * Sets the value of a key; the one that it had, null if there was none.
   *
   * @param key the key
   * @param value the value
   * @return the value that it had; null if there was none
   */
  public @Nullable V getAndPut(K key, V value) {
    return writes.getAndPut(encodeKey(key), value);
  }

  /**
   * Sets the value of a key that has none; null if it did that, else the value that there is.
   *
   * @param key the key
   * @param value the value
   * @return the value that it had; null if there was none
   */
  public @Nullable V getAndPutIfAbsent(K key, V value) {
    return writes.getAndPutIfAbsent(encodeKey(key), value);
  }

  /**
   * Removes a key; the value that it had, null if there was none.
   *
   * @param key the key
   * @return the value that it had; null if there was none
   */
  public @Nullable V getAndRemove(K key) {
    return writes.getAndRemove(encodeKey(key));
  }

  /**
   * Sets the value of a key to what a function makes of the one it has.
   *
   * @param function is given the key and its value, null if there is none; returns the value to
   *     set, or null to have none
   * @param key the key
   * @return the value that the key has now; null if there is none
   */
  public @Nullable V compute(
      K key, BiFunction<? super K, ? super @Nullable V, ? extends @Nullable V> function) {
    return writes.compute(encodeKey(key), key, function);
  }

  /**
   * Sets the value of a key that has none to what a function gives for the key.
   *
   * @param function returns the value to set, or null to set none
   * @param key the key
   * @return the value that the key has now; null if there is none
   */
  public @Nullable V computeIfAbsent(K key, Function<? super K, ? extends @Nullable V> function) {
    return writes.computeIfAbsent(encodeKey(key), key, function);
  }

  /**
   * Sets the value of a key that has one to what a function makes of it.
   *
   * @param function is given the key and its value; returns the value to set, or null to have none
   * @param key the key
   * @return the value that the key has now; null if there is none
   */
  public @Nullable V computeIfPresent(
      K key, BiFunction<? super K, ? super V, ? extends @Nullable V> function) {
    return writes.computeIfPresent(encodeKey(key), key, function);
  }

  /**
   * Sets the value of a key to {@code value} if it has none, else to what a function makes of the
   * one it has and {@code value}.
   *
   * @param function is given the former value and {@code value} itself; returns the value to set,
   *     or null to have none
   * @param key the key
   * @param value the value
   * @return the value that the key has now; null if there is none
   */
  public @Nullable V merge(
      K key, V value, BiFunction<? super V, ? super V, ? extends @Nullable V> function) {
    return writes.merge(encodeKey(key), value, function);
  }
}
