package dev.holdfast.examples.plugpull;

/** What a fault may cost, by the topology it meets. */
enum Expectation {
  /** Nothing: no operation fails, nothing is lost. */
  NOTHING_LOST,
  /** The records on the poisoned pages are lost, named, and healed by overwriting them. */
  NAMED_LOSS,
  /** Reads go on and are right, every write is refused with the cause. */
  READ_ONLY,
  /** Every operation is refused with a typed exception until the device is back. */
  UNAVAILABLE;

  /** The store decides to refuse writes when the news reach it: so many show that it did. */
  int leastRefusedWrites() {
    return switch (this) {
      case NOTHING_LOST, NAMED_LOSS -> 0;
      case READ_ONLY, UNAVAILABLE -> 1;
    };
  }

  static Expectation of(boolean mirrored, FaultChoice fault) {
    return switch (fault) {
      case NONE, KILL, FS_SHUTDOWN, FS_SHUTDOWN_KILL -> NOTHING_LOST;
      case REMOVE -> mirrored ? NOTHING_LOST : UNAVAILABLE;
      case POISON -> mirrored ? NOTHING_LOST : NAMED_LOSS;
      case POISON_METADATA -> mirrored ? NOTHING_LOST : READ_ONLY;
      case REMOVE_BOTH -> UNAVAILABLE;
    };
  }
}
