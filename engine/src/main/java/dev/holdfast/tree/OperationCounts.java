package dev.holdfast.tree;

import dev.holdfast.volume.GracePeriod;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/**
 * How many operations there were since the tree was opened. Each place of the {@link GracePeriod}
 * has counters of its own, which nobody else writes, so that counting shares no cache line.
 *
 * <p><b>Threads:</b> any.
 */
final class OperationCounts {
  static final int GET = 0;

  /** Records that gets read, with those that turned out to be of another key. */
  static final int GET_READ = 1;

  static final int PUT = 2;
  static final int REMOVE = 3;
  static final int BATCH = 4;
  static final int BATCH_OPERATION = 5;

  /** Leaves that were copied for a walk. */
  static final int SCANNED_LEAF = 6;

  private static final int KINDS = 7;

  /** Longs from one place to the next: two cache lines. */
  private static final int STRIDE = 16;

  private final AtomicLongArray placed = new AtomicLongArray((GracePeriod.PLACES + 2) * STRIDE);
  private final LongAdder[] others = new LongAdder[KINDS];

  OperationCounts() {
    for (int i = 0; i < others.length; i++) {
      others[i] = new LongAdder();
    }
  }

  /** Counts for who has a place, or -1 if he has none. */
  void add(int kind, long count, int place) {
    if (place < 0) {
      others[kind].add(count);
    } else {
      int at = (place + 1) * STRIDE + kind;
      placed.setOpaque(at, placed.getOpaque(at) + count);
    }
  }

  /** A get, and how many records it read. */
  void get(int reads, int place) {
    add(GET, 1, place);
    add(GET_READ, reads, place);
  }

  long of(int kind) {
    long sum = others[kind].sum();
    for (int place = 0; place < GracePeriod.PLACES; place++) {
      sum += placed.getOpaque((place + 1) * STRIDE + kind);
    }
    return sum;
  }
}
