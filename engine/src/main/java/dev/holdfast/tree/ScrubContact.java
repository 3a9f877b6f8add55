package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.volume.LegRange;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Who decides what follows from what a scrub finds, and how fast it goes on. Asked by the thread
 * that scrubs, outside of any operation and with no lock of the tree held, so that it may wait.
 */
public interface ScrubContact {
  /**
   * Something is wrong, of a leaf that was found so: told of each part, before what follows from
   * it.
   *
   * @param isOnNoLeg whether no leg has it right
   */
  default void found(ScrubFault fault, boolean isOnNoLeg, LegRange where) {}

  /** Records, or a large value, in a range are wrong on a leg and right on another one. */
  void wrong(int leg, long offset, long length);

  /**
   * Metadata in a range is wrong on a leg.
   *
   * @param hasCopy whether another copy of it is right, of this leg or of another
   * @param repair makes it right by that copy; whether it did
   */
  void wrongMetadata(int leg, long offset, long length, boolean hasCopy, BooleanSupplier repair);

  /** Records, or a large value, in a range are right on no leg. */
  void lost(int leg, long offset, long length);

  /**
   * A range of a leg is on its device's list of bad blocks, or cannot be read.
   *
   * @return whether it is repaired
   */
  boolean poisoned(int leg, long offset, long length);

  /**
   * Called behind each leaf, and now and then in front of the first.
   *
   * @param next the first key of the leaf that is next; null behind the last
   * @return whether to go on
   */
  boolean goesOn(byte @Nullable [] next);
}
