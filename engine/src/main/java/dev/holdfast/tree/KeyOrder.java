package dev.holdfast.tree;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The order of the keys of a leaf's copy. What all keys begin with is left out, and of the rest the
 * first eight bytes are compared as a number: few pairs need more.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class KeyOrder {
  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private byte[] bytes = {};
  private int[] records = {};

  /** How many bytes all keys begin with. */
  private int common;

  /** By index of the record: the eight bytes behind those, as a number without a sign. */
  private long[] heads = {};

  /** Begins with the records of a copy; what the methods are told and tell are their indexes. */
  void begin(byte[] copy, int[] recordsOfCopy, int count) {
    bytes = copy;
    records = recordsOfCopy;
    if (heads.length < count) {
      heads = new long[Math.max(count, 2 * heads.length)];
    }
    common = count == 0 ? 0 : common(count);
    for (int i = 0; i < count; i++) {
      heads[i] = head(records[i]);
    }
  }

  private int common(int count) {
    int first = RecordLayout.keyAt(records[0]);
    int length = RecordLayout.keyLength(bytes, records[0]);
    for (int i = 1; i < count && length > 0; i++) {
      int key = RecordLayout.keyAt(records[i]);
      int most = Math.min(length, RecordLayout.keyLength(bytes, records[i]));
      int mismatch = Arrays.mismatch(bytes, first, first + most, bytes, key, key + most);
      length = mismatch < 0 ? most : mismatch;
    }
    return length;
  }

  private long head(int record) {
    int from = RecordLayout.keyAt(record) + common;
    int length = RecordLayout.keyLength(bytes, record) - common;
    if (length >= Long.BYTES) {
      return (long) WORD.get(bytes, from);
    }
    long head = 0;
    for (int i = 0; i < length; i++) {
      head |= (bytes[from + i] & 0xffL) << (Long.SIZE - Byte.SIZE * (i + 1));
    }
    return head;
  }

  /** Compares the keys of two records, unsigned. */
  int compare(int a, int b) {
    int order = Long.compareUnsigned(heads[a], heads[b]);
    return order != 0 ? order : compareAll(a, b);
  }

  private int compareAll(int a, int b) {
    int aKey = RecordLayout.keyAt(records[a]);
    int bKey = RecordLayout.keyAt(records[b]);
    return Arrays.compareUnsigned(
        bytes,
        aKey + common,
        aKey + RecordLayout.keyLength(bytes, records[a]),
        bytes,
        bKey + common,
        bKey + RecordLayout.keyLength(bytes, records[b]));
  }

  /**
   * Sorts a range of records by key, those of the same key by index.
   *
   * @param out gets their indexes in the low {@code indexBits} bits of each word
   */
  void sort(int from, int to, long[] out, int indexBits) {
    int count = to - from;
    long mask = (1L << indexBits) - 1;
    for (int i = 0; i < count; i++) {
      out[i] = ((heads[from + i] ^ Long.MIN_VALUE) & ~mask) | (from + i);
    }
    Arrays.sort(out, 0, count);
    for (int i = 1; i < count; i++) {
      if (out[i] >>> indexBits == out[i - 1] >>> indexBits) {
        i = sortRun(out, i - 1, count, indexBits) - 1;
      }
    }
  }

  /** Sorts those that look alike; returns where they end. */
  private int sortRun(long[] out, int from, int to, int indexBits) {
    long mask = (1L << indexBits) - 1;
    int end = from + 1;
    while (end < to && out[end] >>> indexBits == out[from] >>> indexBits) {
      long next = out[end];
      int low = from;
      int high = end;
      while (low < high) {
        int middle = (low + high) >>> 1;
        // Behind all that are equal: it has the higher index.
        if (compare((int) (out[middle] & mask), (int) (next & mask)) <= 0) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      System.arraycopy(out, low, out, low + 1, end - low);
      out[low] = next;
      end++;
    }
    return end;
  }
}
