package dev.holdfast.tree;

import dev.holdfast.error.OutOfMemoryBudgetException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * How much memory off the heap the indexes and descriptors of a store take, and may take.
 *
 * <p>What makes an index larger is counted, never refused: half a change would be worse. Entries
 * that are new are refused instead, before anything is stored for them, as soon as the next step of
 * growth might go over; what was removed makes room for others in the places that there are.
 *
 * <p><b>Threads:</b> any.
 */
final class MemoryBudget {
  /** Of small stores, what the next step of all indexes together takes, and of the volume. */
  private static final long LEAST_MARGIN = 256 << 10;

  /** What a leaf that is split takes, and a volume that grows for it. */
  private static final long STEP = 80 << 10;

  /** Of large ones the directory of the point index is doubled: a thousandth of all of it. */
  private static final int MARGIN_SHARE = 64;

  /** An entry takes a slot of 8 bytes of segments that are half full at least, and of its leaf. */
  private static final long ENTRY_BYTES = 16;

  private final long limit;
  private final long tight;
  private final AtomicLong used = new AtomicLong();

  /** The most entries for which leaves, separators and slots were made near the limit. */
  private final AtomicLong most = new AtomicLong();

  /**
   * @param limit bytes, > 0
   */
  MemoryBudget(long limit) {
    this.limit = limit;
    this.tight = limit - Math.max(LEAST_MARGIN, limit / MARGIN_SHARE);
  }

  /** One that nothing goes over. */
  static MemoryBudget unlimited() {
    return new MemoryBudget(Long.MAX_VALUE);
  }

  /**
   * Counts memory that an index or a table of descriptors began to use; negative if it is given
   * back.
   */
  void take(long bytes) {
    used.addAndGet(bytes);
  }

  /** The bytes that are in use. */
  long used() {
    return used.get();
  }

  /** The bytes that may be in use. */
  long limit() {
    return limit;
  }

  /** Whether so many bytes more stay within the limit. */
  boolean hasRoomFor(long bytes) {
    return used.get() <= limit - bytes;
  }

  /** Whether new entries may make an index grow over the limit. */
  boolean isTight() {
    return used.get() > tight;
  }

  /**
   * Whether there may be so many entries, where it is tight and the point index has slots for them:
   * their leaves and separators must fit too, or are those of others that were removed.
   */
  boolean admits(long entries) {
    return used.get() <= limit - STEP
        ? entries <= most.accumulateAndGet(entries, Math::max)
        : entries <= most.get();
  }

  /** Whether so many new entries may. */
  boolean isTightWith(long entries) {
    return used.get() > tight - ENTRY_BYTES * entries;
  }

  /**
   * Before so many entries are led to that the devices hold already, which nobody can refuse later:
   * whether what they take in any case fits.
   *
   * @throws OutOfMemoryBudgetException if their index would not fit
   */
  void requireRoomFor(long entries) {
    // Segments are split at nine tenths, all at about the same time: what was let in fits again.
    long needed = used.get() + entries * Long.BYTES * 10 / 9;
    if (needed > limit) {
      throw new OutOfMemoryBudgetException(
          "memory budget: expected at most "
              + limit
              + " bytes of memory off the heap, was about "
              + needed
              + " for the "
              + entries
              + " entries of the store: open it with a larger memoryBudget");
    }
  }

  /** What who wants to add an entry is told. */
  OutOfMemoryBudgetException exceeded() {
    return new OutOfMemoryBudgetException(
        "memory budget: expected at most "
            + limit
            + " bytes of memory off the heap, was "
            + used.get()
            + " and more for another entry: remove entries, or open the store with a larger"
            + " memoryBudget");
  }
}
