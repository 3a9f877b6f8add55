package dev.holdfast;

import dev.holdfast.codec.Codec;
import dev.holdfast.error.InvalidEncodingException;
import dev.holdfast.tree.Keys;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The codecs of a typed map, and what is said where one of them fails. */
final class Encodings<K, V> {
  private final Codec<K> keys;
  private final Codec<V> values;
  private final @Nullable Comparator<? super K> comparator;

  Encodings(Codec<K> keys, Codec<V> values) {
    this.keys = Objects.requireNonNull(keys, "keys");
    this.values = Objects.requireNonNull(values, "values");
    comparator = comparator(keys);
  }

  private static <K> @Nullable Comparator<? super K> comparator(Codec<K> keys) {
    Comparator<? super K> order = keys.comparator();
    if (order == null) {
      return (a, b) -> Arrays.compareUnsigned(keys.encode(a), keys.encode(b));
    }
    return order.equals(Comparator.naturalOrder()) ? null : order;
  }

  /** The order of the keys, as a sorted map tells it: null where it is their natural order. */
  @Nullable Comparator<? super K> comparator() {
    return comparator;
  }

  byte[] key(K key) {
    Objects.requireNonNull(key, "key");
    try {
      return keys.encode(key);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("key: " + e.getMessage(), e);
    }
  }

  /**
   * The bytes of what may be no key at all; null if no entry can have it as its key.
   *
   * @throws ClassCastException if it is of another type
   */
  @SuppressWarnings("unchecked") // the codec tells whether it is one
  byte @Nullable [] soughtKey(Object key) {
    Objects.requireNonNull(key, "key");
    byte[] bytes;
    try {
      bytes = keys.encode((K) key);
    } catch (IllegalArgumentException e) {
      return null;
    }
    return bytes.length == 0 || bytes.length > Store.MAX_KEY_LENGTH ? null : bytes;
  }

  /**
   * @param key whose value it is to be, for what is said where it has no bytes
   */
  byte[] value(byte[] key, V value) {
    Objects.requireNonNull(value, "value");
    try {
      return values.encode(value);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(valueOfKey(key) + e.getMessage(), e);
    }
  }

  K keyOf(byte[] key) {
    try {
      return keys.decode(key);
    } catch (RuntimeException e) {
      throw new InvalidEncodingException("key " + Keys.printable(key) + ": " + reason(e), e);
    }
  }

  V valueOf(byte[] key, byte[] value) {
    try {
      return values.decode(value);
    } catch (RuntimeException e) {
      throw new InvalidEncodingException(valueOfKey(key) + reason(e), e);
    }
  }

  @Nullable V valueOrNull(byte[] key, byte @Nullable [] value) {
    return value == null ? null : valueOf(key, value);
  }

  /** Whether bytes are the value that is looked for. */
  Match match(Object value) {
    Objects.requireNonNull(value, "value");
    return new Match(value, soughtValue(value));
  }

  @SuppressWarnings("unchecked") // the codec tells whether it is one
  private byte @Nullable [] soughtValue(Object value) {
    try {
      return values.encode((V) value);
    } catch (ClassCastException | IllegalArgumentException e) {
      return null;
    }
  }

  private static String valueOfKey(byte[] key) {
    return "value of key " + Keys.printable(key) + ": ";
  }

  /** What a codec of ours says names no bytes; what others say may, and is left to the cause. */
  private static String reason(RuntimeException e) {
    return e instanceof InvalidEncodingException
        ? String.valueOf(e.getMessage())
        : "expected bytes that its codec takes, was " + e.getClass().getName();
  }

  /**
   * A value that is looked for: bytes are it if they are the same as its own, or decode to an equal
   * one.
   */
  final class Match {
    private final Object value;
    private final byte @Nullable [] bytes;

    Match(Object value, byte @Nullable [] bytes) {
      this.value = value;
      this.bytes = bytes;
    }

    /** Its own bytes; null if it has none. */
    byte @Nullable [] bytes() {
      return bytes;
    }

    boolean matches(byte[] key, byte[] held) {
      return (bytes != null && Arrays.equals(bytes, held)) || valueOf(key, held).equals(value);
    }
  }
}
