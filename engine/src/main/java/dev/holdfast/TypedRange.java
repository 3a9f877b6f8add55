package dev.holdfast;

import java.util.Arrays;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * A range of keys of a typed map, in the order of their bytes, which is the one that their codec
 * names. One that ends before it begins has no key.
 *
 * <p>Bounds are encoded when a map is asked for the range; one that the codec has no bytes for is
 * an {@link IllegalArgumentException} then.
 *
 * @param <K> the type of the keys
 */
public final class TypedRange<K> {
  private static final KeyRange NONE = KeyRange.open(new byte[1], new byte[1]);

  private final Function<Function<K, byte[]>, KeyRange> range;

  private TypedRange(Function<Function<K, byte[]>, KeyRange> range) {
    this.range = range;
  }

  /**
   * All keys.
   *
   * @param <K> the type of the keys
   * @return the range
   */
  public static <K> TypedRange<K> all() {
    return new TypedRange<>(_ -> KeyRange.all());
  }

  /**
   * The keys from {@code from} on.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @return the range
   */
  public static <K> TypedRange<K> atLeast(K from) {
    return bounded(from, KeyRange::atLeast);
  }

  /**
   * The keys behind {@code from}.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @return the range
   */
  public static <K> TypedRange<K> greaterThan(K from) {
    return bounded(from, KeyRange::greaterThan);
  }

  /**
   * The keys up to {@code to}, which is included.
   *
   * @param <K> the type of the keys
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> atMost(K to) {
    return bounded(to, KeyRange::atMost);
  }

  /**
   * The keys before {@code to}.
   *
   * @param <K> the type of the keys
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> lessThan(K to) {
    return bounded(to, KeyRange::lessThan);
  }

  /**
   * The keys from {@code from} on and before {@code to}.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> closedOpen(K from, K to) {
    return bounded(from, to, KeyRange::closedOpen);
  }

  /**
   * The keys from {@code from} to {@code to}, both included.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> closed(K from, K to) {
    return bounded(from, to, KeyRange::closed);
  }

  /**
   * The keys behind {@code from} and before {@code to}.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> open(K from, K to) {
    return bounded(from, to, KeyRange::open);
  }

  /**
   * The keys behind {@code from}, up to {@code to}, which is included.
   *
   * @param <K> the type of the keys
   * @param from the begin
   * @param to the end
   * @return the range
   */
  public static <K> TypedRange<K> openClosed(K from, K to) {
    return bounded(from, to, KeyRange::openClosed);
  }

  /**
   * The keys whose bytes begin with those of {@code prefix}. For {@link
   * dev.holdfast.codec.Codecs#STRING} and {@link dev.holdfast.codec.Codecs#BYTES} those are the
   * keys that begin with it; for keys that all take the same number of bytes it is the one that
   * equals it.
   *
   * @param <K> the type of the keys
   * @param prefix what keys begin with
   * @return the range
   */
  public static <K> TypedRange<K> prefix(K prefix) {
    return bounded(prefix, KeyRange::prefix);
  }

  private static <K> TypedRange<K> bounded(K bound, Function<byte[], KeyRange> range) {
    Objects.requireNonNull(bound, "bound");
    return new TypedRange<>(encode -> range.apply(encode.apply(bound)));
  }

  private static <K> TypedRange<K> bounded(
      K from, K to, BiFunction<byte[], byte[], KeyRange> range) {
    Objects.requireNonNull(from, "from");
    Objects.requireNonNull(to, "to");
    return new TypedRange<>(encode -> range.apply(encode.apply(from), encode.apply(to)));
  }

  /** The range of bytes. */
  KeyRange encoded(Encodings<K, ?> encodings) {
    return asked(range.apply(encodings::key));
  }

  /**
   * The same keys between bounds that keys can have: an encoding may have no byte at all, or more
   * than a key can have.
   */
  static KeyRange asked(KeyRange range) {
    byte[] from = range.from();
    byte[] to = range.to();
    boolean fromInclusive = range.fromInclusive();
    boolean toInclusive = range.toInclusive();
    if (range.isEmpty() || (to != null && to.length == 0)) {
      return NONE;
    }
    if (from != null && from.length == 0) {
      from = null;
      fromInclusive = true;
    } else if (from != null && from.length > Store.MAX_KEY_LENGTH) {
      from = Arrays.copyOf(from, Store.MAX_KEY_LENGTH);
      fromInclusive = false;
    }
    if (to != null && to.length > Store.MAX_KEY_LENGTH) {
      to = Arrays.copyOf(to, Store.MAX_KEY_LENGTH);
      toInclusive = true;
    }
    return new KeyRange(from, fromInclusive, to, toInclusive);
  }
}
