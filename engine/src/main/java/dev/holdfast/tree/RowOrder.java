package dev.holdfast.tree;

import dev.holdfast.tree.LeafTable.Row;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Brings rows of the leaf table into the order of their keys: by a few bytes behind what all have
 * in common, as numbers, and only those that are alike there by all of their bytes.
 */
final class RowOrder {
  /** Enough for every unit that a leaf table can have. */
  private static final int INDEX_BITS = 24;

  private static final int INDEX_MASK = (1 << INDEX_BITS) - 1;
  private static final int PREFIX_BYTES = 5;
  private static final Comparator<Row> BY_SEPARATOR =
      (a, b) -> Arrays.compareUnsigned(a.separator, b.separator);

  private RowOrder() {}

  static Row[] sorted(List<Row> rows) {
    int count = rows.size();
    if (count > INDEX_MASK) {
      throw new IllegalArgumentException(
          "rows: expected at most " + INDEX_MASK + ", were " + count);
    }
    int common = commonPrefix(rows);
    long[] numbers = new long[count];
    for (int i = 0; i < count; i++) {
      // Its highest bit is that of a byte, not a sign.
      numbers[i] = (prefix(rows.get(i).separator, common) << INDEX_BITS | i) ^ Long.MIN_VALUE;
    }
    Arrays.sort(numbers);
    Row[] sorted = new Row[count];
    for (int i = 0; i < count; i++) {
      sorted[i] = rows.get((int) numbers[i] & INDEX_MASK);
    }
    for (int from = 0; from < count; ) {
      int to = from + 1;
      while (to < count && numbers[to] >>> INDEX_BITS == numbers[from] >>> INDEX_BITS) {
        to++;
      }
      if (to - from > 1) {
        Arrays.sort(sorted, from, to, BY_SEPARATOR);
      }
      from = to;
    }
    return sorted;
  }

  /** The bytes that all separators begin with, but for those that are no longer than that. */
  private static int commonPrefix(List<Row> rows) {
    byte[] first = null;
    int common = 0;
    for (Row row : rows) {
      byte[] separator = row.separator;
      if (separator.length == 0) {
        continue; // The least one, which is less than any number of bytes.
      }
      if (first == null) {
        first = separator;
        common = separator.length;
        continue;
      }
      int length = Math.min(common, separator.length);
      int differs = Arrays.mismatch(first, 0, length, separator, 0, length);
      common = differs < 0 ? length : differs;
    }
    return common;
  }

  /** Bytes as a number, the first highest; zeros behind the last: shorter ones come first. */
  private static long prefix(byte[] separator, int from) {
    long number = 0;
    for (int i = from; i < from + PREFIX_BYTES; i++) {
      number = number << Byte.SIZE | (i < separator.length ? separator[i] & 0xff : 0);
    }
    return number;
  }
}
