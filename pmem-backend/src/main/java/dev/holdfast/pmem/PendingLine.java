package dev.holdfast.pmem;

import java.util.Arrays;

/**
 * The stores to one line (or page) that may not have reached the medium yet, oldest first, in
 * pieces of at most one atom each.
 *
 * <p>Pieces are only ever appended, and become durable from the front, so that a {@link View} of
 * some moment stays true without a copy. <b>Threads:</b> one; its views any.
 */
final class PendingLine {
  final int number;
  private int[] places = new int[4];
  private long[] values = new long[4];

  /** The number of the event that made the piece. */
  private int[] events = new int[4];

  /** What the pieces up to here add to the hash of the line as it was at first. */
  private long[] hashes = new long[5];

  private int durable;
  private int size;

  PendingLine(int number) {
    this.number = number;
  }

  /**
   * @param at where in the file the piece begins
   * @param length 1 to 8, inside one atom
   * @param value its bytes, little endian
   * @param hashChange by how much the atom changes the hash
   */
  void append(int event, int at, int length, long value, long hashChange) {
    if (size == values.length) {
      int more = 2 * size;
      places = Arrays.copyOf(places, more);
      values = Arrays.copyOf(values, more);
      events = Arrays.copyOf(events, more);
      hashes = Arrays.copyOf(hashes, more + 1);
    }
    places[size] = at << 4 | length;
    values[size] = value;
    events[size] = event;
    hashes[size + 1] = hashes[size] + hashChange;
    size++;
  }

  boolean isDurable() {
    return durable == size;
  }

  /** How many pieces events before {@code event} have made. */
  int madeBefore(int event) {
    int n = size;
    while (n > 0 && events[n - 1] >= event) {
      n--;
    }
    return n;
  }

  int size() {
    return size;
  }

  /**
   * Makes the pieces up to a count durable.
   *
   * @return by how much the hash of what is durable changes
   */
  long commit(int upTo, PagedImage medium) {
    if (upTo <= durable) {
      return 0;
    }
    View pieces = view();
    byte[] page = medium.own(pieces.page());
    for (int i = 0; i < upTo - durable; i++) {
      pieces.apply(i, page);
    }
    long change = hashes[upTo] - hashes[durable];
    durable = upTo;
    return change;
  }

  /** The pending pieces of this moment. */
  View view() {
    return new View(number, places, values, hashes, durable, size - durable);
  }

  /**
   * Pending pieces at some moment.
   *
   * @param count how many; a power cut persists the first 0 to {@code count}
   */
  @SuppressWarnings("ArrayRecordComponent") // shared, never compared, only ever appended to
  record View(int number, int[] places, long[] values, long[] hashes, int first, int count) {
    /** By how much the hash changes if the first {@code n} persist. */
    long hashChange(int n) {
      return hashes[first + n] - hashes[first];
    }

    /** Stores a piece into the page that the line lies in. */
    void apply(int index, byte[] page) {
      int at = places[first + index] >>> 4;
      int length = places[first + index] & 15;
      for (int i = 0; i < length; i++) {
        page[at % PagedImage.PAGE + i] = (byte) (values[first + index] >>> (Byte.SIZE * i));
      }
    }

    /** The page of the file that all the pieces lie in. */
    int page() {
      return (places[first] >>> 4) / PagedImage.PAGE;
    }
  }

  /** An atom after a piece was stored into it. */
  static long merge(long atom, int offset, int length, long value) {
    long mask = (length == Long.BYTES ? -1L : (1L << (Byte.SIZE * length)) - 1);
    int shift = Byte.SIZE * offset;
    return (atom & ~(mask << shift)) | ((value & mask) << shift);
  }
}
