package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The copies of a piece of metadata on all legs that are read, under whatever keeps others from
 * storing there.
 *
 * <p><b>Threads:</b> one.
 */
final class MetadataCopies {
  /** One of them; that of a page that cannot be read is left out: it is repaired as poison. */
  @SuppressWarnings("ArrayRecordComponent") // compared by nobody
  private record Copy(int leg, long offset, byte[] bytes) {}

  private final List<Copy> copies = new ArrayList<>();
  private final List<WrongPart> wrong = new ArrayList<>();

  /**
   * Reads them.
   *
   * @param places where each leg has it
   */
  static MetadataCopies read(
      Volume volume, LegSet set, long[] places, int length, @Nullable ScrubTally tally) {
    MetadataCopies read = new MetadataCopies();
    for (int reader = 0; reader < set.readers(); reader++) {
      for (long place : places) {
        byte[] bytes = new byte[length];
        if (!volume.loadChecked(set, reader, place, bytes, 0, length)) {
          continue;
        }
        read.copies.add(new Copy(set.legOf(reader), place, bytes));
        if (tally != null) {
          tally.read(set.legOf(reader), length);
        }
      }
    }
    return read;
  }

  /** Whether a part of a copy is right. */
  @FunctionalInterface
  interface Test {
    boolean isRight(byte[] copy);
  }

  /** Whether all are the same. */
  boolean areSame() {
    for (Copy copy : copies) {
      if (!Arrays.equals(copy.bytes, copies.getFirst().bytes)) {
        return false;
      }
    }
    return true;
  }

  /** Whether there is one that can be read. */
  boolean isEmpty() {
    return copies.isEmpty();
  }

  /** The first that is right; null if none is. */
  byte @Nullable [] first(Test test) {
    for (Copy copy : copies) {
      if (test.isRight(copy.bytes)) {
        return copy.bytes;
      }
    }
    return null;
  }

  /** Each of them. */
  List<byte[]> all() {
    return copies.stream().map(Copy::bytes).toList();
  }

  /**
   * Notes which of them have something else in a range than they should.
   *
   * @param expected has the right bytes in the range; null if no copy has: then all are wrong
   */
  void compare(byte @Nullable [] expected, int from, int to) {
    for (Copy copy : copies) {
      if (expected == null) {
        wrong.add(
            new WrongPart(copy.leg, copy.offset + from, to - from, ScrubFault.WRONG_BYTES, null));
      } else if (!Arrays.equals(copy.bytes, from, to, expected, from, to)) {
        ScrubFault kind = WrongBytes.kind(copy.bytes, expected, from, to);
        byte[] right = Arrays.copyOfRange(expected, from, to);
        wrong.add(new WrongPart(copy.leg, copy.offset + from, to - from, kind, right));
      }
    }
  }

  /** What was noted. */
  List<WrongPart> wrong() {
    return wrong;
  }
}
