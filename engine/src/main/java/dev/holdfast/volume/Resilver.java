package dev.holdfast.volume;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Copies a volume to a leg that lacks something, while operations go on, by this order: the mark
 * that the leg is not in sync; the leg into the write set; a grace period; region by region under
 * its lock, each read back; the leg into the read set.
 *
 * <p><b>Threads:</b> one at a time a volume; the caller's. <b>Failure:</b> when either leg is lost
 * on the way, the copy ends and the leg stays stale.
 */
final class Resilver {
  private final Volume volume;
  private final VolumeNews news;

  /** Pages that no leg could give: zeros on the target, which must not pass for a copy. */
  private List<LegRange> missing = new ArrayList<>();

  Resilver(Volume volume, VolumeNews news) {
    this.volume = volume;
    this.news = news;
  }

  static boolean isRunning(Volume volume) {
    return volume.allLegs().stream().anyMatch(leg -> leg.state() == LegState.RESILVERING);
  }

  void resilver(Leg leg, long graceNanos) {
    requireUsable(leg);
    PmemDevice device = leg.device();
    Window window = volume.map(device);
    Leg.Mapped target = new Leg.Mapped(leg, window);
    List<BadRange> cleared = device.badBlocks();
    for (BadRange range : cleared) {
      // Everything is rewritten, so nothing that was poisoned has to be kept.
      device.clearPoison(range.offset(), range.length());
    }
    leg.state(LegState.RESILVERING);
    boolean done = false;
    try {
      news.publish(
          HealthEvent.Kind.LEG_RETURNED,
          leg.index(),
          0,
          volume.capacity(),
          "is being copied to",
          System.nanoTime());
      volume.whileItKeepsItsSize(() -> {
        // Once it is in the write set it grows with the others; before that it would be left
        // behind.
        device.grow(volume.capacity());
        if (volume.isSparse()) {
          device.reserve(0, volume.capacity());
        }
        join(target);
      });
      if (!volume.grace().await(graceNanos)) {
        throw new HoldfastException(
            "leg " + leg.index() + ": operations of the former leg set did not end in time", null);
      }
      copyEverything(target);
      finish(target, cleared);
      done = true;
    } catch (DeviceFault fault) {
      volume.recover(fault);
      throw new DeviceOfflineException(
          "leg " + leg.index() + ": a leg was lost while everything was copied", fault);
    } finally {
      if (!done && leg.state() == LegState.RESILVERING) {
        leave(target);
      }
    }
    news.publish(
        HealthEvent.Kind.LEG_ONLINE,
        leg.index(),
        0,
        volume.capacity(),
        "holds everything",
        System.nanoTime());
  }

  private void requireUsable(Leg leg) {
    HoldfastException stopped = volume.readOnlyCause();
    if (stopped != null) {
      // Before anything is changed on its device.
      throw new ReadOnlyStoreException(
          "leg " + leg.index() + ": nothing is copied to it: " + stopped.getMessage(), stopped);
    }
    if (leg.state() == LegState.RESILVERING
        || leg.state() == LegState.ONLINE
        || leg.state() == LegState.DEGRADED) {
      throw new IllegalStateException(
          "leg " + leg.index() + ": expected a leg out of use, was " + leg.state());
    }
    try {
      Superblock found = SuperblockIo.read(leg.device());
      if (!found.config().storeId().equals(volume.config().storeId())) {
        throw new InvalidImageException(
            leg.device().name()
                + ": expected a leg of store "
                + volume.config().storeId()
                + ", was one of "
                + found.config().storeId());
      }
    } catch (InvalidImageException | PoisonedRangeException e) {
      if (!leg.device().id().equals(volume.config().devices().get(leg.index()))) {
        throw e;
      }
      // Its superblocks are gone, but the device is the one that was there: it is rewritten.
    }
  }

  private void join(Leg.Mapped target) {
    int index = target.leg().index();
    boolean joined =
        volume.changeDurably(
            config -> config.withMark(index, LegMark.NOT_IN_SYNC),
            List.of(target),
            old -> {
              List<Leg.Mapped> writers = new ArrayList<>(List.of(old.writers));
              writers.add(target);
              return new LegSet(
                  old.epoch,
                  List.of(old.readers),
                  writers,
                  Exclusions.of(
                      withoutLeg(Exclusions.bad(old.exclusions), index),
                      withoutLeg(Exclusions.writeOnly(old.exclusions), index)),
                  true);
            });
    if (!joined) {
      throw new DeviceOfflineException(
          "leg " + index + ": expected to mark it as not in sync, but a leg was lost");
    }
  }

  private void copyEverything(Leg.Mapped target) {
    byte[] bytes = new byte[VolumeLayout.REGION_SIZE];
    byte[] back = new byte[VolumeLayout.REGION_SIZE];
    // The capacity is read anew each time: a volume that grows meanwhile grows zeroed on every leg.
    for (long at = VolumeLayout.DIRTY_MAP_OFFSET; at < volume.capacity(); ) {
      volume.requireNotStopping();
      long end = Math.min(LegSet.nextStep(at, VolumeLayout.REGION_SIZE), volume.capacity());
      int length = (int) (end - at);
      long locked = volume.regions().lock(at, length);
      try {
        LegSet set = volume.legs();
        if (!contains(set.writers, target)) {
          throw new DeviceOfflineException(
              "leg " + target.leg().index() + ": was lost while it was copied to");
        }
        copyRegion(set, target, at, length, bytes, back);
      } finally {
        volume.regions().unlock(locked);
      }
      at = end;
    }
  }

  private void copyRegion(
      LegSet set, Leg.Mapped target, long at, int length, byte[] bytes, byte[] back) {
    int reader = set.readerOf(at, length);
    if (reader >= 0) {
      try {
        volume.load(set, reader, at, bytes, 0, length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw volume.faulted(set, at, length, e);
      }
    } else {
      salvage(set, target.leg().index(), at, length, bytes);
    }
    try {
      Gateway.copyIn(bytes, 0, target.window(), at, length);
      Gateway.barrier();
      target.leg().device().flush("resilver", at, length);
      target.leg().device().fence("resilver");
      Gateway.copyOut(target.window(), at, back, 0, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, at, length, e);
    }
    if (!Arrays.equals(bytes, 0, length, back, 0, length)) {
      throw new HoldfastException(
          "leg "
              + target.leg().index()
              + ": what was written to ["
              + at
              + ", +"
              + length
              + ") does not read back",
          null);
    }
  }

  /**
   * Copies what can be read. A page that is on no leg is zero on the target and bad there, too:
   * otherwise it would be repaired from those zeros, and nobody would be told what was lost.
   */
  private void salvage(LegSet set, int leg, long at, int length, byte[] bytes) {
    int page = volume.pageSize();
    Arrays.fill(bytes, 0, length, (byte) 0);
    for (int i = 0; i < length; i += page) {
      int n = Math.min(page, length - i);
      if (!volume.assemble(set, at + i, bytes, i, n)) {
        missing = Exclusions.with(missing, new LegRange(leg, at + i, n));
      }
    }
  }

  private void finish(Leg.Mapped target, List<BadRange> cleared) {
    int index = target.leg().index();
    PmemDevice device = target.leg().device();
    dropRewritten(target, cleared);
    boolean finished =
        volume.changeDurably(
            config -> {
              // Before it is durable that the leg holds everything.
              if (!contains(volume.legs().writers, target)) {
                throw new DeviceOfflineException(
                    "leg " + index + ": was lost while it was copied to");
              }
              return config
                  .withMark(index, LegMark.IN_SYNC)
                  .withDevice(index, device.id())
                  .withBad(withMissing(withBadOf(withoutLeg(config.bad(), index), index)));
            },
            List.of(),
            old -> {
              List<Leg.Mapped> readers = new ArrayList<>(List.of(old.readers));
              readers.add(target);
              return new LegSet(
                  old.epoch,
                  readers,
                  List.of(old.writers),
                  Exclusions.of(
                      withMissing(Exclusions.bad(old.exclusions)),
                      Exclusions.writeOnly(old.exclusions)),
                  !Exclusions.writeOnly(old.exclusions).isEmpty());
            });
    if (!finished) {
      throw new DeviceOfflineException("leg " + index + ": a leg was lost before it was in sync");
    }
    boolean whole = volume.badRanges().stream().noneMatch(range -> range.leg() == index);
    target.leg().state(whole ? LegState.ONLINE : LegState.DEGRADED);
  }

  /** Drops what was rewritten; what was poisoned since, behind the copy, stays bad. */
  private void dropRewritten(Leg.Mapped target, List<BadRange> cleared) {
    int page = volume.pageSize();
    int index = target.leg().index();
    for (BadRange range : cleared) {
      for (long at = range.offset() / page * page; at < range.end(); at += page) {
        LegRange whole = new LegRange(index, at, page);
        boolean bad =
            volume.badRanges().stream()
                .anyMatch(other -> other.leg() == index && other.overlaps(whole.offset(), page));
        if (!bad && Leg.answers(target.window(), at)) {
          target.leg().device().dropBadBlocks(at, page);
        }
      }
    }
  }

  /** Adds what was found bad of a leg while it was copied to. */
  private List<LegRange> withBadOf(List<LegRange> ranges, int leg) {
    List<LegRange> all = new ArrayList<>(ranges);
    volume.badRanges().stream().filter(range -> range.leg() == leg).forEach(all::add);
    return all;
  }

  private List<LegRange> withMissing(List<LegRange> ranges) {
    List<LegRange> all = ranges;
    for (LegRange range : missing) {
      all = Exclusions.with(all, range);
    }
    return all;
  }

  private void leave(Leg.Mapped target) {
    target.leg().state(LegState.OFFLINE);
    volume.change(old -> {
      List<Leg.Mapped> writers = new ArrayList<>(List.of(old.writers));
      writers.remove(target);
      return new LegSet(
          old.epoch,
          List.of(old.readers),
          writers,
          old.exclusions,
          !Exclusions.writeOnly(old.exclusions).isEmpty());
    });
  }

  private static boolean contains(Leg.Mapped[] mapped, Leg.Mapped wanted) {
    return Arrays.asList(mapped).contains(wanted);
  }

  private static List<LegRange> withoutLeg(List<LegRange> ranges, int leg) {
    return ranges.stream().filter(range -> range.leg() != leg).toList();
  }
}
