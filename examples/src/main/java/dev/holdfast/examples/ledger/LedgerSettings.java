package dev.holdfast.examples.ledger;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What a run is.
 *
 * @param accounts how many accounts
 * @param tellers how many threads make transfers
 * @param length how long they do
 * @param fault what happens to the first leg
 * @param seed of what is chosen at random
 * @param place where the store is made; null for shared memory
 */
record LedgerSettings(
    int accounts, int tellers, Duration length, Fault fault, long seed, @Nullable Path place) {
  /** What happens to the first leg after 40 % of the time; at 70 % it is put back. */
  enum Fault {
    /** Nothing. */
    NONE,
    /** Its device is pulled out. */
    REMOVE,
    /** 16 of its pages are poisoned. */
    POISON
  }
}
