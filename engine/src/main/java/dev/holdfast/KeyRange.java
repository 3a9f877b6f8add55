package dev.holdfast;

import org.jspecify.annotations.Nullable;

/**
 * A range of keys, in unsigned lexicographic order of their bytes.
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

  /** The keys that begin with {@code prefix}. */
  public static KeyRange prefix(byte[] prefix) {
    int last = prefix.length - 1;
    while (last >= 0 && prefix[last] == (byte) 0xff) {
      last--;
    }
    if (last < 0) {
      return atLeast(prefix);
    }
    byte[] end = java.util.Arrays.copyOf(prefix, last + 1);
    end[last]++;
    return new KeyRange(prefix.clone(), true, end, false);
  }
}
