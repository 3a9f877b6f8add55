package dev.holdfast.health;

/**
 * Something that happened to the store, as its listeners see it.
 *
 * @param sequence counts the events of a store from 1; a gap means that events were lost, and a
 *     {@link Kind#LOST} event behind it says so
 * @param nanoTime when it happened, by {@link System#nanoTime}
 * @param kind what happened
 * @param leg the index of the leg it happened to, or -1 where it concerns the whole store
 * @param offset the first byte concerned, volume-relative; 0 where no range is meant
 * @param length the number of bytes concerned; 0 where no range is meant
 * @param detail one line for people
 */
public record HealthEvent(
    long sequence, long nanoTime, Kind kind, int leg, long offset, long length, String detail) {
  /** What can happen. */
  public enum Kind {
    /** A device told of a fault. */
    NOTIFIED,
    /** The first fault of a leg or range was caught by an operation or a probe. */
    FAULT_CAUGHT,
    /** Reads go to the surviving legs from now on. */
    READ_SWITCHED,
    /** The stale mark of the lost leg is durable. */
    MARK_DURABLE,
    /** Writes go to the surviving legs alone, and are acknowledged again. */
    WRITE_SWITCHED,
    /** A range of a leg cannot be read any more. */
    RANGE_POISONED,
    /** A range was rewritten from another leg. */
    RANGE_REPAIRED,
    /** Entries have no copy left. */
    DATA_LOST,
    /** A leg is back, or a new one came, and is being copied to. */
    LEG_RETURNED,
    /** A leg holds everything again. */
    LEG_ONLINE,
    /** A device was about to be removed in order, and is needed: it stays. */
    REMOVAL_REFUSED,
    /** A leg was taken out of the store for good. */
    LEG_DETACHED,
    /** A policy of a user did not decide, or decided what cannot be done: the standard one did. */
    POLICY_OVERRULED,
    /** The state of the store changed. */
    STATE_CHANGED,
    /** Everything was read and verified. */
    SCRUB_ENDED,
    /**
     * Events were lost: either the ring was full, and the store looked at the durable truth again,
     * or this listener had no time for them. The sequence numbers left out in front of this event
     * are those of the lost ones; in the second case its own number belongs to the last of them.
     */
    LOST
  }
}
