package dev.holdfast.volume;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Which legs a volume may be opened with. Pure.
 *
 * <p>The danger is a leg that was left behind: opened alone it looks whole, and what was
 * acknowledged without it is gone. So absent legs must be known to be stale, or known to have
 * missed nothing.
 */
final class OpenRules {
  private OpenRules() {}

  /** What is to be done. */
  sealed interface Decision {
    /**
     * Open.
     *
     * @param inSync the indexes of the legs that hold everything
     * @param stale the indexes of the present legs that have to be copied to
     * @param outside the indexes of what is present and no leg: taken out for good, or made for a
     *     place that it never got
     * @param config the newest configuration among the legs in sync
     */
    record Open(
        List<Integer> inSync, List<Integer> stale, List<Integer> outside, VolumeConfig config)
        implements Decision {}

    /**
     * Do not open.
     *
     * @param why the choice, spelt out
     * @param forcible whether {@code openDegraded()} overrides it
     */
    record Refuse(String why, boolean forcible) implements Decision {}
  }

  /**
   * Decides.
   *
   * @param legs the configuration that each leg carries, by index; null for a leg that is absent
   * @param witness the witness, or empty if there is none
   * @param force whether the user asked to open with what is there
   */
  static Decision decide(
      List<@Nullable VolumeConfig> legs, Optional<Witness> witness, boolean force) {
    int newest = -1;
    for (int i = 0; i < legs.size(); i++) {
      VolumeConfig config = legs.get(i);
      if (config == null || !mayHoldEverything(config.markOf(i))) {
        continue;
      }
      VolumeConfig best = newest < 0 ? null : legs.get(newest);
      if (best == null || knowsMore(config, i, best, newest)) {
        newest = i;
      }
    }
    if (newest < 0) {
      return new Decision.Refuse(
          "no leg that holds everything is there; a leg whose copy was never verified does not open"
              + " alone. Put the missing device back",
          false);
    }
    VolumeConfig truth = legs.get(newest);
    if (truth == null) {
      throw new IllegalStateException("the newest leg is absent");
    }
    List<Integer> inSync = new ArrayList<>();
    List<Integer> stale = new ArrayList<>();
    List<Integer> outside = new ArrayList<>();
    for (int i = 0; i < legs.size(); i++) {
      VolumeConfig config = legs.get(i);
      if (config == null) {
        continue;
      }
      if (truth.markOf(i) != LegMark.IN_SYNC || !mayHoldEverything(config.markOf(i))) {
        if (leftBehind(config.markOf(newest)) && i != newest) {
          return new Decision.Refuse(
              "leg "
                  + newest
                  + " and leg "
                  + i
                  + " have each been written without the other (epochs "
                  + truth.epoch()
                  + " and "
                  + config.epoch()
                  + "). Choose one: move the device file of the other away, then open with"
                  + " openDegraded()",
              false);
        }
        (truth.markOf(i) == LegMark.DETACHED ? outside : stale).add(i);
      } else if (misses(truth, config, newest)) {
        stale.add(i);
      } else if (sameHistory(truth, config)) {
        inSync.add(i);
      } else {
        return new Decision.Refuse(
            "leg "
                + newest
                + " and leg "
                + i
                + " belong to different histories (epochs "
                + truth.epoch()
                + " and "
                + config.epoch()
                + "). Choose one: move the device file of the other away, then open with"
                + " openDegraded()",
            false);
      }
    }
    Optional<String> danger = danger(legs, truth, witness);
    if (danger.isPresent() && !force) {
      return new Decision.Refuse(
          danger.get()
              + ". Put the missing device back, or open with openDegraded() and lose what was"
              + " acknowledged without the legs that are there",
          true);
    }
    return new Decision.Open(inSync, stale, outside, truth);
  }

  /**
   * Who was written without the other marked it before: a leg whose mark stands against one that
   * has none knows more, whatever their counters say. A change that never ended leaves a counter
   * ahead with nothing behind it.
   */
  private static boolean knowsMore(VolumeConfig config, int leg, VolumeConfig best, int bestLeg) {
    boolean wroteAlone = leftBehind(config.markOf(bestLeg));
    boolean bestWroteAlone = leftBehind(best.markOf(leg));
    if (wroteAlone != bestWroteAlone) {
      return wroteAlone;
    }
    return config.epoch().counter() > best.epoch().counter()
        || (config.epoch().equals(best.epoch()) && config.sequence() > best.sequence());
  }

  /**
   * Whether a device is no leg any more, by what itself says or one that knows more.
   *
   * @param superblock what it says
   * @param device its UUID
   * @param others what the other devices of the store say
   */
  static boolean wasTakenOut(Superblock superblock, UUID device, List<Superblock> others) {
    VolumeConfig config = superblock.config();
    if (config.markOf(superblock.leg()) == LegMark.DETACHED) {
      return true;
    }
    for (Superblock other : others) {
      VolumeConfig knows = other.config();
      boolean wroteAlone = config.markOf(other.leg()) == LegMark.STALE;
      if (mayHoldEverything(knows.markOf(other.leg()))
          && knows.epoch().counter() > config.epoch().counter()
          && !wroteAlone // Then there are two histories, and somebody has to choose.
          && !knows.isLeg(superblock.leg(), device)) {
        return true;
      }
    }
    return false;
  }

  private static boolean mayHoldEverything(LegMark mark) {
    return mark != LegMark.NOT_IN_SYNC && mark != LegMark.DETACHED;
  }

  /** Whether others were written without it, for a while or for good. */
  private static boolean leftBehind(LegMark mark) {
    return mark == LegMark.STALE || mark == LegMark.DETACHED;
  }

  /**
   * Whether a leg that nobody marked is older than the truth by more than one write of the
   * superblock, which is all that a crash can be in the middle of: its file system had died under
   * its mappings and took nothing more, or its file was put back from a copy. The dirty map forgets
   * nothing without two such writes, see {@link DirtyMap}. Whoever served without the leg would
   * have marked it; so it was written to with the others, and they have what it has.
   */
  private static boolean misses(VolumeConfig truth, VolumeConfig config, int newest) {
    long changes = truth.epoch().counter() - config.epoch().counter();
    boolean descends = sameHistory(truth, config) || changes > 1;
    return descends
        && config.markOf(newest) == LegMark.IN_SYNC
        && truth.sequence() - config.sequence() > 1;
  }

  /**
   * A change of the epoch reaches one leg before the other: then one is the other's predecessor.
   */
  private static boolean sameHistory(VolumeConfig newer, VolumeConfig older) {
    return newer.epoch().equals(older.epoch()) || newer.previous().equals(older.epoch());
  }

  private static Optional<String> danger(
      List<@Nullable VolumeConfig> legs, VolumeConfig truth, Optional<Witness> witness) {
    List<Integer> unexplained = new ArrayList<>();
    boolean absent = false;
    for (int i = 0; i < truth.legs(); i++) {
      boolean isThere = i < legs.size() && legs.get(i) != null;
      absent |= !isThere && truth.markOf(i) != LegMark.DETACHED;
      if (!isThere && truth.markOf(i) == LegMark.IN_SYNC) {
        unexplained.add(i);
      }
    }
    if (absent && witness.isPresent() && vetoes(witness.get(), truth)) {
      return Optional.of(
          "the witness knows epoch "
              + witness.get().epoch()
              + ", the legs that are there know "
              + truth.epoch()
              + ": writes were acknowledged that none of them has");
    }
    if (unexplained.isEmpty()) {
      return Optional.empty();
    }
    boolean closedWhole = truth.summary() != null && truth.allInSync();
    boolean witnessAgrees = witness.isPresent() && !vetoes(witness.get(), truth);
    if (closedWhole || witnessAgrees) {
      return Optional.empty();
    }
    return Optional.of(
        "leg "
            + unexplained
            + " is missing, the store was not closed in order, and there is no"
            + " witness that says nothing was written without the legs that are there");
  }

  /** The witness is written last, so it is never ahead of the superblocks of a survivor. */
  private static boolean vetoes(Witness witness, VolumeConfig truth) {
    if (!witness.storeId().equals(truth.storeId())) {
      return true;
    }
    return !witness.epoch().equals(truth.epoch()) && !witness.epoch().equals(truth.previous());
  }
}
