package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PmemDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Copies to a leg what it lacks, while operations go on, by this order: its own map says what it
 * lacks; the mark that it is not in sync; the leg into the write set; a grace period; region by
 * region under its lock, each carried to the medium and read back; the leg into the read set.
 *
 * <p>What a leg lacks that went away and came back is what was marked dirty meanwhile, and what its
 * own map says: that is what was under way when it went, or what an earlier copy did not get to. It
 * lacks everything if that cannot be believed: if it is a fresh device, or not as it left, by its
 * superblock ({@link VolumeConfig.Departure}). As regions are copied they are taken out of its map,
 * so a copy that is cut off goes on where it was.
 *
 * <p><b>Threads:</b> one at a time a volume; the caller's. <b>Failure:</b> when either leg is lost
 * on the way, the copy ends and the leg stays stale. <b>Source:</b> the bitmap-based recovery of
 * Linux md and the dirty time log of ZFS.
 */
public final class Resilver {
  /** The map of the leg is brought up to date behind so many regions. */
  private static final int CHECKPOINT_REGIONS = 64;

  private static final long MAP_END = VolumeLayout.DIRTY_MAP_OFFSET + VolumeLayout.DIRTY_MAP_SIZE;

  private final Volume volume;
  private final VolumeNews news;
  private final Rest rest;
  private final Pace pace;

  /** Pages that no leg could give: zeros on the target, which must not pass for a copy. */
  private List<LegRange> missing = new ArrayList<>();

  /** Where the copier lets others do what must not meet it, and waits. */
  @FunctionalInterface
  public interface Rest {
    /**
     * Waits.
     *
     * @param nanos how long; with 0 only for others that wait
     */
    void rest(long nanos);
  }

  Resilver(Volume volume, VolumeNews news, Rest rest, long bytesPerSecond) {
    this.volume = volume;
    this.news = news;
    this.rest = rest;
    this.pace = new Pace(bytesPerSecond);
  }

  static boolean isRunning(Volume volume) {
    return volume.allLegs().stream().anyMatch(leg -> leg.state() == LegState.RESILVERING);
  }

  void resilver(Leg leg, long graceNanos) {
    Optional<VolumeConfig> found = requireUsable(leg);
    if (!volume.grace().await(graceNanos)) {
      // Who still writes to a leg that went would not see what is noted of this one.
      throw new HoldfastException(
          "leg " + leg.index() + ": operations that began long ago did not end in time", null);
    }
    PmemDevice device = leg.device();
    boolean whole = found.isEmpty() || !isAsItLeft(leg, found.get());
    List<BadRange> cleared = device.badBlocks();
    RegionSet lacking = whole ? everything() : missed(leg, cleared);
    Leg.Mapped target = new Leg.Mapped(leg, volume.map(device));
    for (BadRange range : cleared) {
      // It is rewritten, so nothing that was poisoned has to be kept.
      device.clearPoison(range.offset(), range.length());
    }
    leg.state(LegState.RESILVERING);
    Progress progress = new Progress(leg, whole);
    boolean done = false;
    try {
      news.publish(
          HealthEvent.Kind.LEG_RETURNED,
          leg.index(),
          0,
          volume.capacity(),
          whole ? "is being copied to as a whole" : "is being copied to: what it missed",
          System.nanoTime());
      // What takes long is done before those who need room have to wait.
      volume.growAlong(leg, device);
      volume.whileItKeepsItsSize(() -> {
        // Once it is in the write set it grows with the others; before that it would be left
        // behind.
        volume.growAlong(leg, device);
        owe(target, lacking, false);
        join(target);
      });
      if (!volume.grace().await(graceNanos)) {
        throw new HoldfastException(
            "leg " + leg.index() + ": operations of the former leg set did not end in time", null);
      }
      LegSet _ = requireWritten(target);
      owe(target, lacking, true);
      copy(target, lacking, progress);
      checkpoint(target); // It serves from now on: its map is believed.
      finish(target, cleared);
      volume.dirtyMap().owesNothing();
      done = true;
    } catch (DeviceFault fault) {
      volume.recover(fault);
      throw new DeviceOfflineException(
          "leg " + leg.index() + ": a leg was lost while it was copied to", fault);
    } finally {
      volume.copyState(progress.state(false));
      progress.end(done);
      if (!done && leg.state() == LegState.RESILVERING) {
        leave(target);
      }
    }
    news.publish(
        HealthEvent.Kind.LEG_ONLINE,
        leg.index(),
        0,
        volume.capacity(),
        "holds everything: " + progress.bytesDone + " bytes were copied",
        System.nanoTime());
  }

  /** How far it is. */
  private static final class Progress {
    /** So often it is in a flight recording. */
    private static final long TELL_NANOS = 100_000_000L;

    final Leg leg;
    final boolean whole;
    final long began = System.nanoTime();
    long bytesDone;
    long bytesTotal;
    private long toldAt = began - TELL_NANOS;

    Progress(Leg leg, boolean whole) {
      this.leg = leg;
      this.whole = whole;
    }

    CopyState state(boolean running) {
      return new CopyState(
          leg.index(), whole, bytesDone, bytesTotal, System.nanoTime() - began, running);
    }

    /** The state while it goes on, which is recorded now and then. */
    CopyState step() {
      CopyState state = state(true);
      if (began + state.nanos() - toldAt >= TELL_NANOS) {
        toldAt = began + state.nanos();
        ResilverNotice.emit(leg, state, ResilverNotice.Phase.RUNNING);
      }
      return state;
    }

    void end(boolean done) {
      ResilverNotice.emit(
          leg, state(false), done ? ResilverNotice.Phase.COMPLETE : ResilverNotice.Phase.CUT_OFF);
    }
  }

  /** Whether it missed only what was written since it went: not what a copy of it would miss. */
  private boolean isAsItLeft(Leg leg, VolumeConfig found) {
    VolumeConfig config = volume.config();
    int index = leg.index();
    return found.devices().get(index).equals(leg.device().id())
        && config.devices().get(index).equals(leg.device().id())
        // Its file lost its end, whatever its superblock says.
        && leg.device().capacity() >= found.capacity()
        && config.departures().get(index).isOf(found);
  }

  private RegionSet everything() {
    RegionSet all = new RegionSet();
    all.addRange(0, volume.capacity());
    return all;
  }

  /**
   * What its own map says, and what cannot be read; what was marked since is added by who knows.
   */
  private RegionSet missed(Leg leg, List<BadRange> unreadable) {
    RegionSet regions = new RegionSet();
    regions.addFrom(leg.device(), volume.capacity());
    for (BadRange range : unreadable) {
      if (range.offset() < volume.capacity()) {
        regions.addRange(
            range.offset(), Math.min(range.length(), volume.capacity() - range.offset()));
      }
    }
    for (LegRange range : volume.config().bad()) {
      if (range.leg() == leg.index()) {
        regions.addRange(range.offset(), range.length());
      }
    }
    return regions;
  }

  private void owe(Leg.Mapped target, RegionSet lacking, boolean complete) {
    try {
      volume.dirtyMap().owe(volume, target, lacking, volume.capacity(), complete);
    } catch (InternalError e) {
      if (!Gateway.isMemoryFault(e)) {
        throw e;
      }
      throw gone(target, e);
    } catch (DeviceIoException e) {
      throw gone(target, e);
    }
  }

  private static DeviceOfflineException gone(Leg.Mapped target, Throwable cause) {
    return new DeviceOfflineException(
        "leg " + target.leg().index() + ": its map cannot be written: " + cause.getMessage(),
        cause);
  }

  /** The configuration that the leg has; empty if it has none and is to be written as a whole. */
  private Optional<VolumeConfig> requireUsable(Leg leg) {
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
      VolumeConfig found = SuperblockIo.read(leg.device()).config();
      if (!found.storeId().equals(volume.config().storeId())) {
        throw new InvalidImageException(
            leg.device().name()
                + ": expected a leg of store "
                + volume.config().storeId()
                + ", was one of "
                + found.storeId());
      }
      return Optional.of(found);
    } catch (InvalidImageException | PoisonedRangeException e) {
      if (!leg.device().id().equals(volume.config().devices().get(leg.index()))) {
        throw e;
      }
      // Its superblocks are gone, but the device is the one that was there: it is rewritten.
      return Optional.empty();
    }
  }

  private void join(Leg.Mapped target) {
    int index = target.leg().index();
    boolean joined =
        volume.changeDurably(
            config -> config.withJoined(index, LegMark.NOT_IN_SYNC),
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

  private void copy(Leg.Mapped target, RegionSet lacking, Progress progress) {
    byte[] bytes = new byte[VolumeLayout.REGION_SIZE];
    byte[] back = new byte[VolumeLayout.REGION_SIZE];
    // A volume that grows meanwhile grows zeroed on every leg: what comes behind is not lacking.
    for (long region = lacking.next(0); region >= 0; region = lacking.next(region + 1)) {
      progress.bytesTotal += endOf(region) - startOf(region);
    }
    volume.copyState(progress.step());
    int sinceCheckpoint = 0;
    for (long region = lacking.next(0); region >= 0; region = lacking.next(region + 1)) {
      volume.requireNotStopping();
      long at = startOf(region);
      int length = (int) (endOf(region) - at);
      long locked = volume.regions().lock(at, length);
      try {
        copyRegion(requireWritten(target), target, at, length, bytes, back);
      } finally {
        volume.regions().unlock(locked);
      }
      lacking.remove(region);
      progress.bytesDone += length;
      volume.copyState(progress.step());
      if (++sinceCheckpoint == CHECKPOINT_REGIONS) {
        sinceCheckpoint = 0;
        checkpoint(target);
      }
      rest.rest(pace.restAfter(length, System.nanoTime()));
    }
  }

  /** Each leg has superblocks and a map of its own. */
  private static long startOf(long region) {
    return Math.max(region * VolumeLayout.REGION_SIZE, MAP_END);
  }

  private long endOf(long region) {
    return Math.max(
        startOf(region), Math.min((region + 1) * VolumeLayout.REGION_SIZE, volume.capacity()));
  }

  /**
   * The set in force. A leg that was lost is not in it, and its window may be unmapped as soon as
   * the copier rests.
   */
  private LegSet requireWritten(Leg.Mapped target) {
    LegSet set = volume.legs();
    if (!contains(set.writers, target)) {
      throw new DeviceOfflineException(
          "leg " + target.leg().index() + ": was lost while it was copied to");
    }
    return set;
  }

  private void checkpoint(Leg.Mapped target) {
    LegSet set = requireWritten(target);
    try {
      volume.dirtyMap().checkpoint(volume);
    } catch (InternalError e) {
      throw volume.faulted(set, VolumeLayout.DIRTY_MAP_OFFSET, VolumeLayout.DIRTY_MAP_SIZE, e);
    } catch (DeviceIoException | DeviceOfflineException e) {
      throw new DeviceFault(set, target.leg(), "flush failed: " + e.getMessage());
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
      // To the medium in any mode: its map forgets that the region is lacking.
      PmemDevice device = target.leg().device();
      volume.waitFor(
          set,
          target.leg(),
          () -> {
            device.writeBack("resilver", at, length);
            device.fence("resilver");
          });
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
                  .withJoined(index, LegMark.IN_SYNC)
                  .withDevice(index, device.id())
                  .withBad(withMissing(withBadOf(withoutLeg(config.bad(), index), index)));
            },
            List.of(),
            old -> {
              List<Leg.Mapped> readers = new ArrayList<>(List.of(old.readers));
              readers.add(target);
              List<LegRange> bad = withMissing(Exclusions.bad(old.exclusions));
              boolean whole = bad.stream().noneMatch(range -> range.leg() == index);
              // Here and not later: a leg that is lost from now on must not be called back.
              target.leg().state(whole ? LegState.ONLINE : LegState.DEGRADED);
              return new LegSet(
                  old.epoch,
                  readers,
                  List.of(old.writers),
                  Exclusions.of(bad, Exclusions.writeOnly(old.exclusions)),
                  !Exclusions.writeOnly(old.exclusions).isEmpty());
            });
    if (!finished) {
      throw new DeviceOfflineException("leg " + index + ": a leg was lost before it was in sync");
    }
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

  /**
   * Takes the leg out of the write set. What it lacks then is what its map says, and what is marked
   * from now on: the note of what it owes stays, for those who still write to it.
   */
  private void leave(Leg.Mapped target) {
    if (volume.isStopping()) {
      return; // Whoever closes writes to it to the end, and the next open goes on.
    }
    int index = target.leg().index();
    target.leg().state(LegState.OFFLINE);
    UnaryOperator<LegSet> without =
        old -> {
          List<Leg.Mapped> writers = new ArrayList<>(List.of(old.writers));
          writers.remove(target);
          return new LegSet(
              old.epoch,
              List.of(old.readers),
              writers,
              old.exclusions,
              !Exclusions.writeOnly(old.exclusions).isEmpty());
        };
    try {
      if (contains(volume.legs().writers, target)
          && volume.changeDurably(
              // It is told of this, too.
              config ->
                  config.withDeparted(index, config.withSequence(volume.config().sequence() + 1)),
              List.of(),
              without)) {
        return;
      }
    } catch (ReadOnlyStoreException | DeviceOfflineException e) {
      // Then nothing is written that it could miss.
    }
    volume.change(without);
  }

  private static boolean contains(Leg.Mapped[] mapped, Leg.Mapped wanted) {
    return Arrays.asList(mapped).contains(wanted);
  }

  private static List<LegRange> withoutLeg(List<LegRange> ranges, int leg) {
    return ranges.stream().filter(range -> range.leg() != leg).toList();
  }
}
