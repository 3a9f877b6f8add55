package dev.holdfast.volume;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.util.List;
import java.util.UUID;

/**
 * The places of legs in a volume: a new device takes one, a leg that is taken out for good leaves
 * one. A place keeps its index for ever, because bad ranges, departures and superblocks name it.
 *
 * <p><b>Threads:</b> one at a time, which holds the lock of whoever repairs. <b>Durability:</b>
 * what a method changed is on every leg of the write set when it returns.
 */
public final class LegSlots {
  /** A change is tried again so often where a leg was lost while it was written down. */
  private static final int TRIES = VolumeLayout.MAX_LEGS + 1;

  private final Volume volume;

  LegSlots(Volume volume) {
    this.volume = volume;
  }

  /** How many places have a leg. */
  static int taken(List<Leg> legs) {
    return (int) legs.stream().filter(leg -> leg.state() != LegState.DETACHED).count();
  }

  /** A place that a leg has left. */
  static Leg empty(int index, UUID device) {
    Leg leg = new Leg(index, nothing(device), LegState.DETACHED);
    leg.hold(true);
    return leg;
  }

  /** In place of a device that nobody expects. It limits no mode. */
  private static PmemDevice nothing(UUID device) {
    return new AbsentDevice(device, "(detached)", PersistenceMode.DAX);
  }

  /**
   * Gives a fresh device a place: that it holds nothing yet is durable on all legs before anything
   * is written to it. It is held out of use.
   *
   * @return its leg
   * @throws IllegalStateException if every place has a leg
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   */
  public Leg add(PmemDevice device) {
    int index = volume.config().freePlace();
    if (index >= VolumeLayout.MAX_LEGS) {
      throw new IllegalStateException(
          "legs: expected fewer than " + VolumeLayout.MAX_LEGS + ", are " + index);
    }
    Leg leg = volume.take(index, device);
    try {
      change(index, device.id(), true);
    } catch (HoldfastException e) {
      volume.vacate(index, nothing(device.id()));
      throw e;
    }
    return leg;
  }

  /**
   * Takes a leg that is out of use out for good: nobody misses it, and its device never is a leg
   * again. The device is told, too, if it is there.
   *
   * @return the device that the leg had
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   */
  public PmemDevice detach(Leg leg) {
    PmemDevice device = leg.device();
    change(leg.index(), device.id(), false);
    tell(leg, device);
    volume.vacate(leg.index(), nothing(device.id()));
    return device;
  }

  /** What a device is that is no leg of this volume, for people. */
  public String describe(PmemDevice device) {
    Superblock found;
    try {
      found = SuperblockIo.read(device);
    } catch (HoldfastException e) {
      return "a device that is no leg";
    }
    UUID store = found.config().storeId();
    return store.equals(volume.config().storeId())
        ? "a device that was detached from this store, or a copy of a leg"
        : "leg " + found.leg() + " of store " + store;
  }

  private void change(int index, UUID device, boolean add) {
    for (int i = 0; i < TRIES; i++) {
      boolean done =
          volume.changeDurably(
              config -> add ? config.withNewLeg(index, device) : config.withDetached(index),
              List.of(),
              same -> same);
      if (done) {
        return;
      }
    }
    throw new HoldfastException(
        "leg " + index + ": legs were lost as often as it was written down", null);
  }

  /** Without this the device would be found out by the others, if they are there. */
  private void tell(Leg leg, PmemDevice device) {
    if (device.state() != DeviceState.LIVE) {
      return;
    }
    try (Window window = device.map()) {
      // It may be detached because it does not answer.
      boolean _ =
          SuperblockIo.write(new Leg.Mapped(leg, window), volume.config(), null, volume::waitFor);
    } catch (DeviceOfflineException e) {
      // It went just now.
    }
  }
}
