package dev.holdfast.benchmarks.contender;

/**
 * One thread's way into a contender, with the buffers and the transactions that are used again and
 * again.
 *
 * <p><b>Threads:</b> the one that it was made for.
 */
public interface Access extends AutoCloseable {
  /** Begins a run of reads, for contenders that read in transactions. Not measured. */
  default void beginReads() {}

  /** Ends what {@link #beginReads} began. Not measured. */
  default void endReads() {}

  /** The mark of the value of the key at {@code offset}, {@link Entries#NONE} if there is none. */
  long get(byte[] keys, int offset);

  /** Sets a value and acknowledges it in the contender's durability class. */
  void put(byte[] keys, int keyOffset, byte[] values, int valueOffset);

  /**
   * Shows entries to {@code check} in key order from the first, or in reverse from the last, but
   * not more than {@code limit}.
   *
   * @throws UnsupportedOperationException if {@link ContenderKind#ordered} is false
   */
  void scan(boolean reverse, long limit, ScanCheck check);

  @Override
  void close();
}
