package dev.holdfast.examples.plugpull;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;

/**
 * The single operations around the fault: the last ones before it and the first ones after.
 *
 * <p><b>Threads:</b> confined to one; hand over by joining it.
 */
final class OperationLog {
  /** One operation; times since the start of the run. */
  record Operation(long start, long end, boolean good) {}

  private static final int BEFORE = 1 << 13;
  private static final int AFTER = 1 << 15;

  private final long[] start = new long[BEFORE + AFTER];
  private final long[] end = new long[BEFORE + AFTER];
  private final BitSet good = new BitSet();
  private long countBefore;
  private int countAfter;

  void add(long startNanos, long endNanos, boolean succeeded, boolean afterFault) {
    int at;
    if (!afterFault) {
      at = (int) (countBefore++ % BEFORE);
    } else if (countAfter < AFTER) {
      at = BEFORE + countAfter++;
    } else {
      return;
    }
    start[at] = startNanos;
    end[at] = endNanos;
    good.set(at, succeeded);
  }

  /** In order of their start. */
  List<Operation> operations() {
    List<Operation> all = new ArrayList<>();
    int before = (int) Math.min(countBefore, BEFORE);
    for (int i = 0; i < before; i++) {
      all.add(operation(i));
    }
    for (int i = BEFORE; i < BEFORE + countAfter; i++) {
      all.add(operation(i));
    }
    all.sort(Comparator.comparingLong(Operation::start));
    return all;
  }

  private Operation operation(int at) {
    return new Operation(start[at], end[at], good.get(at));
  }
}
