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

  /** All keys. */
  public static KeyRange all() {
    return ALL;
  }

  /** The keys from {@code from} on. */
  public static KeyRange atLeast(byte[] from) {
    return new KeyRange(from.clone(), true, null, true);
  }

  /** The keys behind {@code from}. */
  public static KeyRange greaterThan(byte[] from) {
    return new KeyRange(from.clone(), false, null, true);
  }

  /** The keys up to {@code to}, which is included. */
  public static KeyRange atMost(byte[] to) {
    return new KeyRange(null, true, to.clone(), true);
  }

  /** The keys before {@code to}. */
  public static KeyRange lessThan(byte[] to) {
    return new KeyRange(null, true, to.clone(), false);
  }

  /** The keys from {@code from} on and before {@code to}. */
  public static KeyRange closedOpen(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), true, to.clone(), false);
  }

  /** The keys from {@code from} to {@code to}, both included. */
  public static KeyRange closed(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), true, to.clone(), true);
  }

  /** The keys behind {@code from} and before {@code to}. */
  public static KeyRange open(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), false, to.clone(), false);
  }

  /** The keys behind {@code from}, up to {@code to}, which is included. */
  public static KeyRange openClosed(byte[] from, byte[] to) {
    return new KeyRange(from.clone(), false, to.clone(), true);
  }

  /** Whether no key can be in it. */
  public boolean isEmpty() {
    if (from == null || to == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(from, to);
    return order > 0 || (order == 0 && !(fromInclusive && toInclusive));
  }

  /** Whether a key is in it. */
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

  /** The keys that begin with {@code prefix}. */
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
