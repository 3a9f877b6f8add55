package dev.holdfast;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A range of keys, in unsigned lexicographic order of their bytes. One that ends before it begins
 * has no key.
 *
 * @param from where it begins, or null for the first key
 * @param fromInclusive whether {@code from} itself belongs to it
 * @param to where it ends, or null for the last key
 * @param toInclusive whether {@code to} itself belongs to it
 */
@SuppressWarnings("ArrayRecordComponent") // a range is asked, never compared
public record KeyRange(
    byte @Nullable [] from, boolean fromInclusive, byte @Nullable [] to, boolean toInclusive) {
  private static final KeyRange ALL = new KeyRange(null, true, null, true);

  /** {@return all keys} */
  public static KeyRange all() {
    return ALL;
  }

  /**
   * {@return the keys from {@code from} on}
   *
   * @param from the first of them
   */
  public static KeyRange atLeast(byte[] from) {
    return new KeyRange(from.clone(), true, null, true);
  }

  /**
   * {@return the keys behind {@code from}}
   *
   * @param from the one before the first of them
   */
  public static KeyRange greaterThan(byte[] from) {
    return new KeyRange(from.clone(), false, null, true);
  }

  /**
   * {@return the keys up to {@code to}, which is included}
   *
   * @param to the last of them
   */
  public static KeyRange atMost(byte[] to) {
    return new KeyRange(null, true, to.clone(), true);
  }

  /**
   * {@return the keys before {@code to}}
   *
   * @param to the one behind the last of them
   */
  public static KeyRange lessThan(byte[] to) {
    return new KeyRange(null, true, to.clone(), false);
  }

  /**
   * {@return the keys from {@code from} on and before {@code to}}
   *
   * @param from the first of them
   * @param to the one behind the last of them
   */
  public static KeyRange closedOpen(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), true, to.clone(), false);
  }

  /**
   * {@return the keys from {@code from} to {@code to}, both included}
   *
   * @param from the first of them
   * @param to the last of them
   */
  public static KeyRange closed(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), true, to.clone(), true);
  }

  /**
   * {@return the keys behind {@code from} and before {@code to}}
   *
   * @param from the one before the first of them
   * @param to the one behind the last of them
   */
  public static KeyRange open(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), false, to.clone(), false);
  }

  /**
   * {@return the keys behind {@code from}, up to {@code to}, which is included}
   *
   * @param from the one before the first of them
   * @param to the last of them
   */
  public static KeyRange openClosed(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), false, to.clone(), true);
  }

  /** {@return whether no key can be in it} */
  public boolean isEmpty() {
    if (from == null || to == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(from, to);
    return order > 0 || (order == 0 && !(fromInclusive && toInclusive));
  }

  /**
   * {@return whether a key is in it}
   *
   * @param key the key
   */
  public boolean contains(byte[] key) {
    return !isBefore(key) && !isBehind(key);
  }

  /** Whether a key lies before its begin. */
  boolean isBefore(byte[] key) {
    if (from == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(key, from);
    return order < 0 || (order == 0 && !fromInclusive);
  }

  /** Whether a key lies behind its end. */
  boolean isBehind(byte[] key) {
    if (to == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(key, to);
    return order > 0 || (order == 0 && !toInclusive);
  }

  /**
   * {@return the keys that begin with {@code prefix}}
   *
   * @param prefix the first bytes of each of them
   */
  public static KeyRange prefix(byte[] prefix) {
    int last = prefix.length - 1;
    while (last >= 0 && prefix[last] == (byte) 0xff) {
      last--;
    }
    if (last < 0) {
      return atLeast(prefix);
    }
    byte[] end = Arrays.copyOf(prefix, last + 1);
    end[last]++;
    return new KeyRange(prefix.clone(), true, end, false);
  }
}
