package dev.holdfast;

import dev.holdfast.tree.Keys;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where a view of a map begins and ends, and which way it goes.
 *
 * @param keys its keys, by bounds as their codec encodes them, whether keys can have them or not
 * @param descending whether it begins with the greatest key
 */
record ViewRange(KeyRange keys, boolean descending) {
  static final ViewRange ALL = new ViewRange(KeyRange.all(), false);

  ViewRange reversed() {
    return new ViewRange(keys, !descending);
  }

  boolean contains(byte[] key) {
    return keys.contains(key);
  }

  /** What a map is to be asked for. */
  KeyRange asked() {
    return TypedRange.asked(keys);
  }

  /** Walks over its entries, in its direction. */
  Cursor cursor(RawMap map) {
    return descending ? map.reverseCursor(asked()) : map.cursor(asked());
  }

  /**
   * What of it is not before a key, in its direction; nothing or all of it if the key is out of it.
   *
   * @param inclusive whether the key itself belongs to it
   */
  ViewRange from(byte[] key, boolean inclusive) {
    if (descending) {
      return keys.isBehind(key)
          ? this
          : narrowed(keys.from(), keys.fromInclusive(), key, inclusive);
    }
    return keys.isBefore(key) ? this : narrowed(key, inclusive, keys.to(), keys.toInclusive());
  }

  /**
   * A part of it.
   *
   * @param begin where the part begins, in the direction of this one; null for where this one does
   * @param end where it ends; null for where this one does
   * @throws IllegalArgumentException if a bound is out of this range, or the end before the begin
   */
  ViewRange part(
      byte @Nullable [] begin,
      boolean beginInclusive,
      byte @Nullable [] end,
      boolean endInclusive) {
    byte[] from = descending ? end : begin;
    byte[] to = descending ? begin : end;
    boolean fromInclusive = descending ? endInclusive : beginInclusive;
    boolean toInclusive = descending ? beginInclusive : endInclusive;
    if (from == null) {
      from = keys.from();
      fromInclusive = keys.fromInclusive();
    } else {
      requireNotBefore(from, fromInclusive);
    }
    if (to == null) {
      to = keys.to();
      toInclusive = keys.toInclusive();
    } else {
      requireNotBehind(to, toInclusive);
    }
    if (from != null && to != null && Arrays.compareUnsigned(from, to) > 0) {
      throw new IllegalArgumentException(
          "range of keys: expected its begin not to be behind its end, was "
              + (descending ? bounds(to, from) : bounds(from, to)));
    }
    return narrowed(from, fromInclusive, to, toInclusive);
  }

  private ViewRange narrowed(
      byte @Nullable [] from, boolean fromInclusive, byte @Nullable [] to, boolean toInclusive) {
    return new ViewRange(new KeyRange(from, fromInclusive, to, toInclusive), descending);
  }

  /** A bound that belongs to no part of it may lie where this range begins and has no key. */
  private void requireNotBefore(byte[] bound, boolean inclusive) {
    if (keys.isBefore(bound) && (inclusive || !Arrays.equals(bound, keys.from()))) {
      throw outOfRange(bound);
    }
  }

  private void requireNotBehind(byte[] bound, boolean inclusive) {
    if (keys.isBehind(bound) && (inclusive || !Arrays.equals(bound, keys.to()))) {
      throw outOfRange(bound);
    }
  }

  static IllegalArgumentException outOfRange(byte[] key) {
    return new IllegalArgumentException(
        "key " + Keys.printable(key) + ": expected one in the range of the view, was out of it");
  }

  private static String bounds(byte[] begin, byte[] end) {
    return Keys.printable(begin) + " to " + Keys.printable(end);
  }
}
