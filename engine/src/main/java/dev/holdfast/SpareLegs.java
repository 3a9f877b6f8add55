package dev.holdfast;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.Volume;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntPredicate;
import java.util.function.LongSupplier;

/**
 * Takes a spare for a leg that is away, and carries replacements to their end. It acts on what is,
 * as each rescan finds it, not on what happened: a leg that was missing at the open counts as one
 * that went.
 *
 * <p>While a spare is copied to, the leg it comes for stays a leg. If its device returns first,
 * what it missed is less than all: it is copied to, and the spare goes back. If the copy is
 * complete first, the leg is detached.
 *
 * <p><b>Threads:</b> {@link #looked} the health thread, with the lock of the {@link FaultResponse};
 * what it has done is done by the thread that copies to legs.
 */
final class SpareLegs implements FaultResponse.LegWatch {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** A spare that could not be taken is not tried again for so long. */
  private static final long AGAIN_NANOS = Duration.ofMinutes(1).toNanos();

  private final LegChanges changes;
  private final LegRoster roster;
  private final Volume volume;
  private final FaultResponse response;
  private final long graceNanos;
  private final LongSupplier clock;

  /** Whether the policy has a spare taken for a leg. */
  private final IntPredicate isWanted;

  /** Since when legs are away, by index; by the health thread. */
  private final Map<Integer, Long> awaySince = new HashMap<>();

  /** When spares were found not to be usable. */
  private final Map<Path, Long> failedAt = new ConcurrentHashMap<>();

  /** Whether the thread that copies to legs has something to do yet. */
  private final AtomicBoolean busy = new AtomicBoolean();

  SpareLegs(
      LegChanges changes,
      LegRoster roster,
      Volume volume,
      FaultResponse response,
      Duration grace,
      LongSupplier clock) {
    this.changes = changes;
    this.roster = roster;
    this.volume = volume;
    this.response = response;
    this.graceNanos = grace.toNanos();
    this.clock = clock;
    this.isWanted = response::takesSpareFor;
  }

  /** A leg that comes back is worth more than a spare that is half copied to. */
  static final class NotNeeded extends HoldfastException {
    private static final long serialVersionUID = 1;

    NotNeeded(int leg) {
      super(
          "the device of leg " + leg + " is back: the spare that came for it is not needed", null);
    }
  }

  // ---------------------------------------------------------------- what the store has

  /** Looks at the places of the spares, before the store serves. */
  void begin() {
    for (Path place : roster.spares()) {
      if (changes.legAt(place) < 0 && changes.whatIsAt(place) != null) {
        LOG.log(
            Level.WARNING, "the spare " + place + " cannot be used: it " + changes.whatIsAt(place));
        failedAt.put(place, clock.getAsLong() - AGAIN_NANOS);
      }
    }
  }

  /** The spares, and what they do. As they were when they were looked at last: it never waits. */
  List<StoreHealth.Spare> spares() {
    List<StoreHealth.Spare> spares = new ArrayList<>();
    for (Path place : roster.spares()) {
      int leg = changes.legAt(place);
      StoreHealth.SpareState state =
          leg >= 0
              ? StoreHealth.SpareState.IN_USE
              : failedAt.containsKey(place)
                  ? StoreHealth.SpareState.UNAVAILABLE
                  : StoreHealth.SpareState.AVAILABLE;
      spares.add(new StoreHealth.Spare(place, state, leg));
    }
    return spares;
  }

  // ---------------------------------------------------------------- what is done

  @Override
  public void looked() {
    List<Integer> due = legsThatAreAway();
    if (volume.isReadOnly() || volume.legs().readers() == 0 || !hasWork(due)) {
      return;
    }
    if (busy.compareAndSet(false, true) && !response.later(() -> work(due))) {
      busy.set(false);
    }
  }

  /** The legs that have been away for long enough, and that nobody has replaced. */
  private List<Integer> legsThatAreAway() {
    List<Integer> due = new ArrayList<>();
    long now = clock.getAsLong();
    for (Leg leg : volume.allLegs()) {
      boolean away = leg.state() == LegState.REMOVED || leg.state() == LegState.FAULTED;
      if (!away || leg.isHeld()) {
        awaySince.remove(leg.index());
      } else if (now - awaySince.computeIfAbsent(leg.index(), _ -> now) >= graceNanos) {
        due.add(leg.index());
      }
    }
    return due;
  }

  private boolean hasWork(List<Integer> due) {
    return !roster.replacements().isEmpty() || (!due.isEmpty() && !roster.spares().isEmpty());
  }

  private void work(List<Integer> due) {
    try {
      for (LegRoster.Replacement each : roster.replacements()) {
        carryOn(each);
      }
      for (int leg : due) {
        take(leg);
      }
    } catch (HoldfastException | IllegalStateException | IllegalArgumentException e) {
      if (!volume.isStopping()) {
        LOG.log(Level.WARNING, "a leg is not replaced: " + e.getMessage());
      }
    } finally {
      busy.set(false);
    }
  }

  /** Ends a replacement whose copy is complete, or that is not needed any more. */
  private void carryOn(LegRoster.Replacement replacement) {
    int by = changes.legAt(replacement.by());
    if (by < 0) {
      return;
    }
    Leg fresh = volume.allLegs().get(by);
    if (fresh.state() == LegState.ONLINE && volume.holdsEverythingWithout(replacement.leg())) {
      changes.detach(replacement.leg());
    } else if (replacement.isSpare()
        && fresh.state() != LegState.ONLINE
        && fresh.state() != LegState.DEGRADED
        && (isBack(replacement.leg()) || fresh.device().state() != DeviceState.LIVE)) {
      changes.takeBack(fresh, replacement.by());
    }
  }

  private boolean isBack(int index) {
    Leg leg = volume.allLegs().get(index);
    return leg.state() != LegState.DETACHED
        && leg.state() != LegState.FAULTED
        && !leg.isHeld()
        && leg.device().state() == DeviceState.LIVE;
  }

  private void take(int index) {
    Leg leg = volume.allLegs().get(index);
    boolean stillAway = leg.state() == LegState.REMOVED || leg.state() == LegState.FAULTED;
    boolean concerned =
        roster.replacements().stream()
            .anyMatch(each -> each.leg() == index || changes.legAt(each.by()) == index);
    if (!stillAway || isBack(index) || concerned || !isWanted.test(index)) {
      return;
    }
    for (Path place : roster.spares()) {
      Long failed = failedAt.get(place);
      boolean again = failed == null || clock.getAsLong() - failed >= AGAIN_NANOS;
      if (!again || changes.legAt(place) >= 0) {
        continue;
      }
      if (changes.whatIsAt(place) != null) {
        failedAt.put(place, clock.getAsLong());
        continue;
      }
      failedAt.remove(place);
      try {
        LOG.log(Level.INFO, "leg " + index + " is away: the spare " + place + " takes its place");
        changes.replaceNow(index, place, true);
        return;
      } catch (NotNeeded e) {
        LOG.log(Level.INFO, e.getMessage());
        return;
      } catch (HoldfastException | IllegalArgumentException e) {
        if (volume.isStopping() || changes.legAt(place) >= 0) {
          throw e;
        }
        failedAt.put(place, clock.getAsLong());
        LOG.log(Level.WARNING, "the spare " + place + " cannot be used: " + e.getMessage());
      }
    }
  }

  @Override
  public void requireWanted(int index) {
    for (LegRoster.Replacement each : roster.replacements()) {
      if (each.isSpare() && changes.legAt(each.by()) == index && isBack(each.leg())) {
        throw new NotNeeded(each.leg());
      }
    }
  }
}
