package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.LastCopyException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DeviceHolder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.AbsentDevice;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import dev.holdfast.volume.VolumeNews;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Legs that come to a store that runs, and legs that leave it for good.
 *
 * <p>A new one, in this order: what is about to be made is noted beside the store; the device is
 * made; its place, with the mark that it is not in sync, is durable on all legs; its place on disk
 * is noted; it is copied to as any leg that came back. A crash before the mark leaves a file that
 * the next open removes, and one behind it a leg that the next open goes on copying to.
 *
 * <p>One that leaves: it goes out of use in order; that it is no leg is durable on the others, then
 * on itself; the note of its place goes. A crash in between leaves a leg that missed something, or
 * none.
 *
 * <p><b>Threads:</b> what copies runs on the thread that copies to legs, one at a time.
 */
final class LegChanges {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** A copy is begun again so often where another leg was lost under it. */
  private static final int MOST_COPIES = 3;

  private final Path directory;
  private final LegRoster roster;
  private final LegDevices kind;
  private final Volume volume;
  private final ReverseMap reverseMap;
  private final FaultResponse response;
  private final Heartbeats heartbeats;
  private final VolumeNews news;
  private final DeviceHolder holder;

  /** The entries of windows in the reverse map, by leg. */
  private final Map<Integer, Long> pins = new ConcurrentHashMap<>();

  LegChanges(
      Path directory,
      LegRoster roster,
      LegDevices kind,
      Volume volume,
      ReverseMap reverseMap,
      FaultResponse response,
      Heartbeats heartbeats,
      VolumeNews news) {
    this.directory = directory;
    this.roster = roster;
    this.kind = kind;
    this.volume = volume;
    this.reverseMap = reverseMap;
    this.response = response;
    this.heartbeats = heartbeats;
    this.news = news;
    this.holder = response::notified;
  }

  /** Who is told of faults of the legs' devices. */
  DeviceHolder holder() {
    return holder;
  }

  /** Begins to hold the devices. */
  void begin() {
    for (Leg leg : volume.allLegs()) {
      if (leg.state() != LegState.DETACHED) {
        leg.device().hold(holder);
        pin(leg);
      }
    }
  }

  private void pin(Leg leg) {
    pins.put(leg.index(), reverseMap.pin(0, VolumeLayout.MAX_CAPACITY, new LegWindow(leg)));
  }

  /** The window of a leg is a mapping of all of it. */
  private record LegWindow(Leg leg) implements MappingHandle {
    @Override
    public String describe() {
      return "window of leg " + leg.index();
    }

    @Override
    public void invalidated(long offset, long length) {
      // The leg set is what keeps operations from a window; it has been switched already.
    }
  }

  // ---------------------------------------------------------------- legs that come

  /** Adds a leg, and returns its index once it holds everything. */
  int attach(Path place) {
    return response.onCopier(() -> attachNow(LegRoster.absolute(place), null));
  }

  /** Adds a leg for another one, which is none any more when this returns. */
  int replace(int index, Path place) {
    Path by = LegRoster.absolute(place);
    return response.onCopier(() -> replaceNow(index, by, false));
  }

  /** As {@link #replace}, by the thread that copies to legs. */
  int replaceNow(int index, Path by, boolean isSpare) {
    for (LegRoster.Replacement each : roster.replacements()) {
      if (each.leg() == index) {
        throw new IllegalStateException(
            "leg " + index + ": expected a leg that stays, is being replaced by " + each.by());
      }
    }
    Leg _ = requireLeg(index);
    int added = attachNow(by, new LegRoster.Replacement(index, by, isSpare));
    if (volume.allLegs().get(index).state() != LegState.DETACHED) {
      detach(index);
    }
    return added;
  }

  private int attachNow(Path place, LegRoster.@Nullable Replacement replacement) {
    requireFree(place);
    Leg leg = join(place, replacement);
    copyTo(leg, place);
    return leg.index();
  }

  private Leg join(Path place, LegRoster.@Nullable Replacement replacement) {
    requireRoom();
    roster.make(place, replacement);
    PmemDevice device = null;
    try {
      device = kind.create(place, volume.capacity());
      PmemDevice made = device;
      Leg[] leg = new Leg[1];
      response.whileNothingIsRepaired(() -> {
        leg[0] = volume.slots().add(made);
        made.hold(holder);
        pin(leg[0]);
        response.forgetErrors(leg[0].index());
      });
      heartbeats.add(leg[0]);
      noteJoined(leg[0].index(), place);
      return leg[0];
    } catch (RuntimeException e) {
      if (device != null) {
        device.close();
      }
      if (volume.isStopping()) {
        throw e; // The directory may be somebody else's by now; the next open tidies it.
      }
      if (device != null) {
        remove(place);
      }
      try {
        roster.unmake(place);
      } catch (DeviceIoException suppressed) {
        e.addSuppressed(suppressed); // The next open finds nothing there.
      }
      throw e;
    }
  }

  /** What is noted as being made is looked for, too: that it is not noted as a leg does no harm. */
  private void noteJoined(int index, Path place) {
    try {
      roster.joined(index, place);
    } catch (DeviceIoException e) {
      LOG.log(Level.WARNING, e.getMessage());
    }
  }

  private void requireRoom() {
    if (volume.isStopping()) {
      throw new StoreClosedException(directory + ": the store is closed");
    }
    var _ = volume.writableLegs();
    if (volume.countLegs() >= VolumeLayout.MAX_LEGS) {
      throw new IllegalStateException(
          directory + ": legs: expected fewer than " + VolumeLayout.MAX_LEGS + ", are that many");
    }
  }

  /** Copies everything to a fresh leg, as often as another leg is lost under it. */
  private void copyTo(Leg leg, Path place) {
    for (int i = 1; ; i++) {
      try {
        leg.hold(false);
        response.bringBackNow(leg.index());
        if (leg.state() == LegState.DETACHED) {
          throw new IllegalStateException(
              "leg " + leg.index() + " (" + place + "): was detached while it was copied to");
        }
        return;
      } catch (StoreClosedException e) {
        throw new StoreClosedException(
            directory
                + ": the store is closed; leg "
                + leg.index()
                + " ("
                + place
                + ") is copied to when it is opened again");
      } catch (HoldfastException e) {
        if (leg.state() == LegState.DETACHED) {
          throw new IllegalStateException(
              "leg " + leg.index() + " (" + place + "): was detached while it was copied to", e);
        }
        if (leg.device().state() != DeviceState.LIVE
            || e instanceof OutOfSpaceException
            || e instanceof SpareLegs.NotNeeded) {
          takeBack(leg, place);
          throw e;
        }
        if (i == MOST_COPIES || volume.legs().readers() == 0) {
          throw e; // Tried again now and then, as for any leg that came back.
        }
      }
    }
  }

  /** Has a leg that does not hold everything be none, and removes what was made for it. */
  void takeBack(Leg leg, Path place) {
    try {
      detach(leg.index());
      remove(place);
    } catch (HoldfastException e) {
      LOG.log(
          Level.WARNING, "leg " + leg.index() + " (" + place + ") stays a leg: " + e.getMessage());
    }
  }

  // ---------------------------------------------------------------- the place

  private void requireFree(Path place) {
    String found = whatIsAt(place);
    if (found != null) {
      throw new IllegalArgumentException(
          place + ": expected a place where nothing is, in a directory; " + found);
    }
  }

  /** What keeps a device from being made at a place, for people; null if nothing does. */
  @Nullable String whatIsAt(Path place) {
    int leg = legAt(place);
    if (leg >= 0) {
      return "is leg " + leg + " of this store";
    }
    if (Files.exists(place.resolveSibling(place.getFileName() + ".removed"))) {
      return "is the place of a device that was removed";
    }
    if (Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
      return Files.isRegularFile(place, LinkOption.NOFOLLOW_LINKS)
          ? "is " + contents(place)
          : "is something that is no file";
    }
    Path parent = place.getParent();
    return parent != null && Files.isDirectory(parent) ? null : "there is no such directory";
  }

  /** The index of the leg that lies at a place, or lay there and is away; -1 if none does. */
  int legAt(Path place) {
    for (Leg leg : volume.allLegs()) {
      if (leg.state() != LegState.DETACHED
          && place.equals(LegRoster.absolute(Path.of(leg.device().name())))) {
        return leg.index();
      }
    }
    return -1;
  }

  private String contents(Path file) {
    try (PmemDevice device = kind.open(file)) {
      return volume.slots().describe(device);
    } catch (HoldfastException e) {
      return "a file that is no device";
    }
  }

  /** Removes a device that was made here and is no leg, and what lies beside it. */
  static void remove(Path place) {
    try {
      for (String suffix : List.of("", ".badblocks", ".sparse")) {
        Files.deleteIfExists(place.resolveSibling(place.getFileName() + suffix));
      }
      DurableFile.syncDirectory(place);
    } catch (IOException | HoldfastException e) {
      LOG.log(Level.WARNING, place + ": is not used and cannot be removed: " + e.getMessage());
    }
  }

  // ---------------------------------------------------------------- legs that leave

  private Leg requireLeg(int index) {
    Leg leg = volume.allLegs().get(index);
    if (leg.state() == LegState.DETACHED) {
      throw new IllegalArgumentException("leg " + index + ": expected a leg, was detached");
    }
    return leg;
  }

  /** Takes a leg out of the store. */
  void detach(int index) {
    response.whileNothingIsRepaired(() -> {
      Leg leg = requireLeg(index);
      var _ = volume.writableLegs();
      String name = leg.device().name();
      if (!volume.holdsEverythingWithout(index)) {
        throw new LastCopyException(
            "leg "
                + index
                + " ("
                + name
                + "): expected another leg that holds everything, is the last copy of"
                + " something");
      }
      response.takeOut(index);
      PmemDevice device = volume.slots().detach(leg);
      try {
        roster.left(index);
      } catch (DeviceIoException e) {
        LOG.log(Level.WARNING, e.getMessage()); // The next open finds out by itself.
      }
      device.release(holder);
      device.close();
      Long pin = pins.remove(index);
      if (pin != null) {
        boolean _ = reverseMap.unpin(pin);
      }
      news.publish(
          HealthEvent.Kind.LEG_DETACHED,
          index,
          0,
          0,
          name + " is no leg any more",
          System.nanoTime());
    });
  }

  // ---------------------------------------------------------------- devices that were away

  /**
   * Finds the device of a leg that was not there when the store was opened. One at a time: a device
   * that another found meanwhile is not replaced.
   */
  void present(Leg leg) {
    if (isThere(leg)) {
      return;
    }
    Path place =
        roster
            .placeOf(leg.index())
            .orElseThrow(() ->
                new DeviceOfflineException(
                    "leg " + leg.index() + ": no device file is left for it"));
    PmemDevice device = kind.open(place);
    if (!device.id().equals(leg.device().id())) {
      device.close();
      throw new InvalidImageException(
          place
              + ": expected device "
              + leg.device().id()
              + ", which is leg "
              + leg.index()
              + ", was device "
              + device.id()
              + "; put the right one there, or have the leg replaced");
    }
    device.hold(holder);
    volume.present(leg.index(), device);
    if (volume.isStopping()) {
      // A close that came meanwhile may have gone over the devices without this one.
      device.release(holder);
      device.close();
      throw new StoreClosedException(directory + ": the store is closed");
    }
  }

  static boolean isThere(Leg leg) {
    return !(leg.device() instanceof AbsentDevice);
  }
}
