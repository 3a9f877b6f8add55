package dev.holdfast;

import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The answer to the question which ranges of a leg are bad, or were. What the store has on record
 * is in each of them; they differ in what the device says. That it has no other bad ranges, that it
 * keeps no list, and that its list cannot be read are three answers.
 */
public sealed interface BadRanges {
  /** {@return the index of the leg} */
  int leg();

  /** {@return the UUID of the device that the ranges belong to: they go where it goes} */
  UUID device();

  /**
   * {@return what the store has on record, ascending by offset, disjoint: 512 ranges of a store at
   * most, and what is excluded beyond that}
   */
  List<Range> ranges();

  /**
   * The device keeps a list of its bad blocks, and the store has looked at it.
   *
   * @param leg the index of the leg
   * @param device the UUID of its device
   * @param ranges what is on record; empty where nothing is bad, nor was lately
   */
  record Listed(int leg, UUID device, List<Range> ranges) implements BadRanges {
    /** Copies the list. */
    public Listed {
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * The device cannot know which of its blocks are bad: the store learns of them by touching them.
   *
   * @param leg the index of the leg
   * @param device the UUID of its device
   * @param why for people
   * @param ranges what is on record
   */
  record Unsupported(int leg, UUID device, String why, List<Range> ranges) implements BadRanges {
    /** Copies the list. */
    public Unsupported {
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * The device cannot be asked now: it is not there, or its list cannot be read.
   *
   * @param leg the index of the leg
   * @param device the UUID of its device
   * @param why for people
   * @param ranges what is on record
   */
  record Failed(int leg, UUID device, String why, List<Range> ranges) implements BadRanges {
    /** Copies the list. */
    public Failed {
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * One range.
   *
   * @param offset the first byte, device-relative, as volume-relative
   * @param length the number of bytes
   * @param state how far it has come
   * @param origin who found it, the last time that it failed; null where that is not on record
   * @param count how often it failed; 0 where that is not on record
   * @param firstSeen when it failed first, by the clock of the machine; null where that is not on
   *     record: the store was opened read-only, or there were too many
   * @param lastSeen when it failed last, likewise
   * @param since when it came to its state, likewise
   */
  record Range(
      long offset,
      long length,
      RangeState state,
      @Nullable RangeOrigin origin,
      int count,
      @Nullable Instant firstSeen,
      @Nullable Instant lastSeen,
      @Nullable Instant since) {}
}
