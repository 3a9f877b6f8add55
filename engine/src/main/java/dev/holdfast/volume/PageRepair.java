package dev.holdfast.volume;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.lang.System.Logger.Level;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes a poisoned range of a leg good again, while operations go on.
 *
 * <p><b>Threads:</b> the health thread. <b>Source:</b> the order of {@code pmem_recovery_write} of
 * Linux: clear, write, then drop the record, so that nobody reads what is not there yet.
 */
final class PageRepair {
  private static final System.Logger LOG = System.getLogger(PageRepair.class.getName());
  private final Volume volume;

  PageRepair(Volume volume) {
    this.volume = volume;
  }

  /** Returns why it could not be done; null if it is. */
  @Nullable HoldfastException repair(LegRange range, boolean zero, long graceNanos) {
    LegSet set = volume.legs();
    Leg.Mapped target = find(set.writers, range.leg());
    if (target == null) {
      return new DeviceOfflineException("leg " + range.leg() + " is not written to");
    }
    PmemDevice device = target.leg().device();
    try {
      device.clearPoison(range.offset(), range.length());
    } catch (HoldfastException e) {
      if (!readsWell(target, range)) {
        LOG.log(
            Level.WARNING, "leg " + range.leg() + ": poison cannot be cleared: " + e.getMessage());
        return e;
      }
      LOG.log(Level.INFO, "leg " + range.leg() + ": reads well again, though: " + e.getMessage());
    }
    if (!zero) {
      writeOnly(range);
    }
    boolean done = false;
    HoldfastException why =
        new HoldfastException("what was written does not read back, or was changed", null);
    try {
      done =
          // Zeros must not meet a record: where no copy is left the range stays closed to writers
          // until they are down, and there is nobody to wait for.
          (zero || volume.grace().await(graceNanos))
              && fill(target, range, zero)
              && dropRecord(device, range, zero);
    } catch (DeviceFault fault) {
      volume.recover(fault);
      why = new HoldfastException("it faulted again while it was rewritten", null);
    } catch (LegSetChanged e) {
      why = new HoldfastException("the legs changed meanwhile", null);
    } catch (HoldfastException e) {
      why = e;
      LOG.log(
          Level.WARNING, "leg " + range.leg() + ": repair will be tried again: " + e.getMessage());
    } finally {
      if (!done && !zero) {
        putBack(range);
      }
    }
    return done ? null : why;
  }

  /**
   * Whether a range that was bad can be read again, though its device did not clear it: it is not
   * on the list of the device any more, and each page of it answers. Its bytes are not believed.
   */
  private boolean readsWell(Leg.Mapped target, LegRange range) {
    PmemDevice device = target.leg().device();
    if (device.state() != DeviceState.LIVE
        || device.badBlocks().stream()
            .anyMatch(bad -> range.overlaps(bad.offset(), bad.length()))) {
      return false;
    }
    for (long at = range.offset(); at < range.end(); at += volume.pageSize()) {
      if (!Leg.answers(target.window(), at)) {
        return false;
      }
    }
    return true;
  }

  /** From here on the range is written to and not read. */
  private void writeOnly(LegRange range) {
    volume.change(old ->
        new LegSet(
            old.epoch,
            List.of(old.readers),
            List.of(old.writers),
            Exclusions.of(
                Exclusions.without(Exclusions.bad(old.exclusions), range),
                Exclusions.with(Exclusions.writeOnly(old.exclusions), range)),
            true));
  }

  private boolean fill(Leg.Mapped target, LegRange range, boolean zero) {
    boolean superblock = false;
    for (long at = range.offset(); at < range.end(); at += volume.pageSize()) {
      volume.requireNotStopping();
      int length = (int) Math.min(volume.pageSize(), range.end() - at);
      if (at < VolumeLayout.DIRTY_MAP_OFFSET) {
        superblock = true;
      } else if (!copyLocked(target, at, length, zero)) {
        return false;
      }
    }
    return !superblock || volume.rewriteSuperblock(target);
  }

  private boolean copyLocked(Leg.Mapped target, long at, int length, boolean zero) {
    boolean[] copied = new boolean[1];
    Runnable copy =
        () -> {
          long locked = volume.regions().lock(at, length);
          try {
            copied[0] = copy(target, at, length, zero);
          } finally {
            volume.regions().unlock(locked);
          }
        };
    if (volume.secondCopies().of(at) >= 0) {
      // A store to one copy that is not yet in the other must not be undone.
      volume.secondCopies().whileNobodyStores(copy);
    } else {
      copy.run();
    }
    return copied[0];
  }

  private boolean copy(Leg.Mapped target, long at, int length, boolean zero) {
    LegSet set = volume.legs();
    byte[] page = new byte[length];
    int reader = set.readerOf(at, length);
    long from = at;
    if (reader < 0) {
      long second = volume.secondCopyOf(set, at, length);
      from = second < 0 ? at : second;
      reader = set.readerOf(from, length);
    }
    if (reader < 0 != zero) {
      // Lost or found since: zeros are for what has no copy, and writers were not asked to wait.
      return false;
    }
    if (reader >= 0) {
      try {
        volume.load(set, reader, from, page, 0, length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw volume.faulted(set, from, length, e);
      }
    }
    byte[] back = new byte[length];
    try {
      Gateway.copyIn(page, 0, target.window(), at, length);
      Gateway.barrier();
      PmemDevice device = target.leg().device();
      Runnable flush =
          () -> {
            device.flush("page repair", at, length);
            device.fence("page repair");
          };
      if (device.persistenceMode() == PersistenceMode.FILE) {
        volume.waitFor(set, target.leg(), flush);
      } else {
        flush.run();
      }
      Gateway.copyOut(target.window(), at, back, 0, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, at, length, e);
    }
    return Arrays.equals(page, back);
  }

  private boolean dropRecord(PmemDevice device, LegRange range, boolean zero) {
    device.dropBadBlocks(range.offset(), range.length());
    return volume.changeDurably(
        config -> config.withBad(Exclusions.without(config.bad(), range)),
        List.of(),
        old -> {
          List<LegRange> bad = Exclusions.bad(old.exclusions);
          if (zero) {
            bad = Exclusions.without(bad, range);
          }
          List<LegRange> writeOnly =
              Exclusions.without(Exclusions.writeOnly(old.exclusions), range);
          if (bad.stream().noneMatch(other -> other.leg() == range.leg())) {
            Leg leg = volume.allLegs().get(range.leg());
            if (leg.state() == LegState.DEGRADED) {
              leg.state(LegState.ONLINE);
            }
          }
          return new LegSet(
              old.epoch,
              List.of(old.readers),
              List.of(old.writers),
              Exclusions.of(bad, writeOnly),
              !writeOnly.isEmpty() || Resilver.isRunning(volume));
        });
  }

  private void putBack(LegRange range) {
    volume.change(old -> {
      List<LegRange> writeOnly = Exclusions.without(Exclusions.writeOnly(old.exclusions), range);
      return new LegSet(
          old.epoch,
          List.of(old.readers),
          List.of(old.writers),
          Exclusions.of(Exclusions.with(Exclusions.bad(old.exclusions), range), writeOnly),
          !writeOnly.isEmpty() || Resilver.isRunning(volume));
    });
  }

  private static Leg.@Nullable Mapped find(Leg.Mapped[] mapped, int leg) {
    for (Leg.Mapped m : mapped) {
      if (m.leg().index() == leg) {
        return m;
      }
    }
    return null;
  }
}
