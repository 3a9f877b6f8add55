package dev.holdfast.rmap;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Slots for pins. A slot is reused for ever and never freed, so that a reader or a stale token that
 * comes late finds a slot, and its generation tells that it is not the one meant.
 *
 * <p><b>Threads:</b> any. A slot goes through these states, all held in one word beside its
 * generation g:
 *
 * <pre>
 *   FREE g ──claim──► BUSY g ──publish──► LIVE g ──release──► BUSY g ──► FREE g+1
 * </pre>
 *
 * Only who moved the slot to BUSY writes its fields. A reader takes the fields between two looks at
 * the word, and believes them if both looks found the same LIVE g: a slot is LIVE g once.
 */
final class SlotSegment {
  /** No slot was free. No token is negative, as a generation in a token is cut to 35 bits. */
  static final long NONE = -1;

  /** The number of low bits of a token that hold the number of the slot; the generation follows. */
  static final int NUMBER_BITS = 28;

  private static final long GENERATION_MASK = (1L << (63 - NUMBER_BITS)) - 1;

  private static final int FREE = 0;
  private static final int BUSY = 1;
  private static final int LIVE = 2;
  private static final int STATE_BITS = 2;
  private static final int STATE_MASK = 3;

  // The words of a slot. The fourth is not used: two slots fill a cache line, and none lies in
  // three.
  private static final int STATE = 0;
  private static final int OFFSET = 1;
  private static final int END = 2;
  private static final int SLOT_WORDS = 4;

  /** How many slots of an overflow segment are tried before the next segment is. */
  private static final int PROBES = 8;

  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
  private static final VarHandle HANDLE =
      MethodHandles.arrayElementVarHandle(MappingHandle[].class);
  private static final VarHandle NEXT;

  static {
    try {
      NEXT = MethodHandles.lookup().findVarHandle(SlotSegment.class, "next", SlotSegment.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final int firstNumber;
  private final long[] words;
  private final @Nullable MappingHandle[] handles;

  @SuppressWarnings("unused") // through NEXT
  private volatile @Nullable SlotSegment next;

  /** Where to look for a free slot first. Written by several threads at once: only a hint. */
  private int hint;

  SlotSegment(int firstNumber, int slots) {
    this.firstNumber = firstNumber;
    this.words = new long[slots * SLOT_WORDS];
    this.handles = new MappingHandle[slots];
  }

  int slots() {
    return handles.length;
  }

  int firstNumber() {
    return firstNumber;
  }

  @Nullable SlotSegment next() {
    return next;
  }

  /** Hangs {@code segment} behind the last segment of this chain. */
  void append(SlotSegment segment) {
    @Nullable SlotSegment last = this;
    while (last != null && !NEXT.compareAndSet(last, null, segment)) {
      last = last.next; // not null: a segment is never unlinked
    }
  }

  /** Fills one slot if it is free. */
  long claim(int slot, long offset, long length, MappingHandle handle) {
    int at = slot * SLOT_WORDS;
    long state = (long) WORD.getOpaque(words, at + STATE);
    if ((state & STATE_MASK) != FREE
        || !WORD.compareAndSet(words, at + STATE, state, state + BUSY)) {
      return NONE;
    }
    // A compare-and-set does not by itself keep later stores behind its own on every machine.
    VarHandle.storeStoreFence();
    WORD.setOpaque(words, at + OFFSET, offset);
    WORD.setOpaque(words, at + END, offset + length);
    HANDLE.setOpaque(handles, slot, handle);
    // Volatile, not release: what the caller reads next must not be read before this is seen.
    WORD.setVolatile(words, at + STATE, state + LIVE);
    return ((state >>> STATE_BITS & GENERATION_MASK) << NUMBER_BITS) | (firstNumber + slot);
  }

  /** Fills some free slot, looking at a few of them only. */
  long claimAny(long offset, long length, MappingHandle handle) {
    int mask = handles.length - 1;
    int slot = hint;
    for (int probe = 0; probe < PROBES; probe++) {
      long token = claim(slot & mask, offset, length, handle);
      slot++;
      if (token != NONE) {
        hint = slot & mask;
        return token;
      }
    }
    // Moves on, or a run of long-lived pins would hide all the free slots behind it.
    hint = slot & mask;
    return NONE;
  }

  /** Empties the slot that {@code token} names, unless it is not that pin's any more. */
  boolean release(long token) {
    int slot = (int) (token & ((1 << NUMBER_BITS) - 1)) - firstNumber;
    int at = slot * SLOT_WORDS;
    long state = (long) WORD.getOpaque(words, at + STATE);
    if ((state & STATE_MASK) != LIVE
        || (state >>> STATE_BITS & GENERATION_MASK) != token >>> NUMBER_BITS
        || !WORD.compareAndSet(words, at + STATE, state, state - LIVE + BUSY)) {
      return false;
    }
    VarHandle.storeStoreFence();
    HANDLE.setOpaque(handles, slot, null); // a free slot keeps nothing alive
    WORD.setRelease(words, at + STATE, state - LIVE + (1 << STATE_BITS));
    return true;
  }

  /** Shows the visitor those of {@code count} slots that are live and of the query. */
  void visit(int firstSlot, int count, MappingQuery query, MappingVisitor visitor) {
    for (int slot = firstSlot; slot < firstSlot + count; slot++) {
      int at = slot * SLOT_WORDS;
      long state = (long) WORD.getVolatile(words, at + STATE);
      if ((state & STATE_MASK) != LIVE) {
        continue;
      }
      long offset = (long) WORD.getOpaque(words, at + OFFSET);
      long end = (long) WORD.getOpaque(words, at + END);
      MappingHandle handle = (MappingHandle) HANDLE.getOpaque(handles, slot);
      VarHandle.loadLoadFence();
      boolean unchanged = (long) WORD.getOpaque(words, at + STATE) == state;
      if (unchanged && query.matches(offset, end)) {
        visitor.visit(offset, end - offset, handle);
      }
    }
  }
}
