package dev.holdfast.tree;

/**
 * A batch that is under way: which keys it is about, and, once it is being applied, which records
 * nobody may see yet.
 *
 * <p>There is one at a time, and none begins before the one before it is over on the devices. So a
 * record of a batch that is at least as new as {@link #sequence} belongs to this one.
 *
 * <p><b>Threads:</b> any; it does not change once others can see it, but for the sequence, which is
 * set before anybody is told to hide anything.
 */
final class InFlightBatch {
  /** Hashes of keys, open addressing; 0 is free. Null: it may be about any key. */
  private final long @org.jspecify.annotations.Nullable [] table;

  /** The first sequence that is hidden. */
  volatile long sequence = Long.MAX_VALUE;

  /** About the keys with these hashes. */
  InFlightBatch(long[] hashes, int count) {
    int size = Integer.highestOneBit(Math.max(1, count)) << 2;
    long[] filled = new long[size];
    for (int i = 0; i < count; i++) {
      long hash = stored(hashes[i]);
      int at = slot(hash, size);
      while (filled[at] != 0) {
        at = (at + 1) & (size - 1);
      }
      filled[at] = hash;
    }
    table = filled;
  }

  private InFlightBatch() {
    table = null;
  }

  /** A batch of which nobody knows the keys any more: hides what is not older than a sequence. */
  static InFlightBatch ofAnyKey(long sequence) {
    InFlightBatch batch = new InFlightBatch();
    batch.sequence = sequence;
    return batch;
  }

  private static long stored(long hash) {
    return hash == 0 ? 1 : hash;
  }

  private static int slot(long hash, int size) {
    return (int) ((hash * 0x9E3779B97F4A7C15L) >>> 33) & (size - 1);
  }

  /** Whether the batch may be about a key. */
  boolean holds(long keyHash) {
    long[] all = table;
    if (all == null) {
      return true;
    }
    long hash = stored(keyHash);
    int at = slot(hash, all.length);
    while (all[at] != 0) {
      if (all[at] == hash) {
        return true;
      }
      at = (at + 1) & (all.length - 1);
    }
    return false;
  }

  /** Whether a record is one of the batch. */
  boolean hides(byte[] bytes, int at) {
    return RecordLayout.isOfBatch(bytes, at) && RecordLayout.sequence(bytes, at) >= sequence;
  }
}
