package dev.holdfast;

import dev.holdfast.error.ClearFailedException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Clears bad ranges because somebody asked for it: from another leg where one holds them; where
 * none does, only what nobody owns, or what somebody said may be lost, which is named first. What
 * is lost stays lost.
 *
 * <p><b>Threads:</b> those that hold the lock of the {@link FaultResponse}.
 */
final class RangeClearing {
  private final Volume volume;
  private final Tree tree;
  private final ReverseMap reverseMap;
  private final Predicate<LegRange> names;
  private final Consumer<LegRange> cleared;

  /**
   * @param names names what a range held as lost; whether that could be done
   * @param cleared is told each part that was cleared
   */
  RangeClearing(
      Volume volume,
      Tree tree,
      ReverseMap reverseMap,
      Predicate<LegRange> names,
      Consumer<LegRange> cleared) {
    this.volume = volume;
    this.tree = tree;
    this.reverseMap = reverseMap;
    this.names = names;
    this.cleared = cleared;
  }

  /**
   * @param acceptsLoss whether what no leg holds any more may be given up
   * @param deadline when to end, by {@link System#nanoTime}; looked at between parts
   */
  void clear(LegRange asked, boolean acceptsLoss, long deadline) {
    if (volume.readOnlyCause() != null) {
      throw failed(volume, asked, "writes were stopped", volume.readOnlyCause());
    }
    if (!volume.isWritten(asked.leg())) {
      throw failed(volume, asked, "the leg is not in use", null);
    }
    volume.lookAround();
    List<LegRange> parts = new ArrayList<>();
    for (LegRange range : volume.badRanges()) {
      if (range.leg() == asked.leg() && overlap(range, asked)) {
        parts.addAll(volume.byCopy(range));
      }
    }
    // First what costs nothing, so that a refusal leaves as little as it can.
    for (LegRange part : parts) {
      if (overlap(part, asked) && volume.hasOtherCopy(part)) {
        repair(part, false, deadline);
      }
    }
    for (LegRange part : parts) {
      if (overlap(part, asked) && !volume.hasOtherCopy(part) && isBad(part)) {
        requireFree(part, acceptsLoss);
        repair(part, true, deadline);
      }
    }
  }

  private static boolean overlap(LegRange one, LegRange other) {
    return one.overlaps(other.offset(), other.length());
  }

  private boolean isBad(LegRange part) {
    return volume.badRanges().stream()
        .anyMatch(range -> range.leg() == part.leg() && overlap(range, part));
  }

  private void requireFree(LegRange part, boolean acceptsLoss) {
    if (tree.isMetadata(part.offset(), part.length())) {
      throw failed(volume, part, "metadata lies there, and no other copy of it is left", null);
    }
    List<OwnedExtent> owners = new ArrayList<>();
    reverseMap.owners(part.offset(), part.length(), owners::add);
    if (owners.isEmpty()) {
      return;
    }
    if (!acceptsLoss) {
      throw failed(
          volume,
          part,
          "no other leg holds it, entries may lie there, and nobody said that they may be lost",
          null);
    }
    if (!names.test(part)) {
      throw failed(volume, part, "what is lost with it cannot be named now", null);
    }
  }

  private void repair(LegRange part, boolean zero, long deadline) {
    if (System.nanoTime() - deadline > 0) {
      throw failed(volume, part, "there was no time for it: ask again", null);
    }
    HoldfastException why = volume.tryRepair(part, zero, OpenStore.GRACE_NANOS);
    if (why != null) {
      throw failed(volume, part, why.getMessage(), why);
    }
    cleared.accept(part);
  }

  static ClearFailedException failed(
      Volume volume, LegRange range, @Nullable String why, @Nullable Throwable cause) {
    return new ClearFailedException(
        "leg "
            + range.leg()
            + " ("
            + volume.allLegs().get(range.leg()).device().name()
            + "): bad range ["
            + range.offset()
            + ", +"
            + range.length()
            + ") cannot be cleared: "
            + why,
        cause);
  }
}
