package dev.holdfast.examples.plugpull;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Which entry a reader reads next: the one that was written last, one that the fault is about to
 * hit, or any.
 *
 * <p><b>Threads:</b> any.
 */
final class ReadChoice {
  private static final int SIDES = 64;
  private static final int LATEST = 8;
  private static final int SMALL = 32;

  private final Ledger ledger;
  private volatile int[] small = {};
  private volatile int[] large = {};

  ReadChoice(Ledger ledger) {
    this.ledger = ledger;
  }

  /** These are read more often; the large ones seldom, since one takes as long as thousands. */
  void prefer(int[] entries) {
    small = Arrays.stream(entries).filter(this::isSmall).toArray();
    large = Arrays.stream(entries).filter(entry -> !isSmall(entry)).toArray();
  }

  private boolean isSmall(int entry) {
    return ledger.length(entry) <= Load.LARGEST_OVERWRITTEN;
  }

  /** An acknowledged entry, or -1. */
  int next(SplittableRandom random) {
    int frontier = ledger.frontier();
    if (frontier == 0) {
      return -1;
    }
    int dice = random.nextInt(SIDES);
    int index;
    if (dice < LATEST) {
      index = ledger.latest();
    } else if (dice < LATEST + SMALL && small.length > 0) {
      index = any(small, random);
    } else if (dice == SIDES - 1 && large.length > 0) {
      index = any(large, random);
    } else {
      index = random.nextInt(frontier);
    }
    return ledger.isAcknowledged(index) ? index : -1;
  }

  private static int any(int[] entries, SplittableRandom random) {
    return entries[random.nextInt(entries.length)];
  }
}
