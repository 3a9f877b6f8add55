package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import org.jspecify.annotations.Nullable;

/**
 * A part of the metadata that is wrong on a leg.
 *
 * @param leg on which
 * @param offset where
 * @param length how many bytes
 * @param kind what happened, as far as the bytes tell
 * @param right what should be there; null if no copy is right
 */
@SuppressWarnings("ArrayRecordComponent") // compared by nobody
record WrongPart(int leg, long offset, int length, ScrubFault kind, byte @Nullable [] right) {
  /** Whether it is the same place. */
  boolean isAt(WrongPart other) {
    return leg == other.leg && offset == other.offset;
  }
}
