package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The heartbeat of one leg: what it says, and what its silence says.
 *
 * <p>One that fails once faults the leg, as a refused flush does: it is lost, or, if it is the last
 * copy, takes no more writes. It is never asked again. A beat carries a superblock that changed to
 * the medium, too, whatever the persistence mode: what comes back of a dead file system is what had
 * come there, and must not be older than one change. One that does not come back is news at first;
 * then the leg is taken out of use where another one holds everything.
 *
 * <p><b>Threads:</b> {@link #beat} one, {@link #look} another one.
 */
final class Heartbeat {
  private final Volume volume;
  private final VolumeNews news;
  private final Leg leg;
  private final LongSupplier clock;
  private final long slowNanos;
  private final long deadNanos;

  /** When the beat began that is under way; null while none is. */
  private volatile @Nullable Long began;

  /** The superblock that is on the medium for certain, by its sequence; by who beats. */
  private long carried = -1;

  /** The beat that was called slow, by when it began. */
  private @Nullable Long calledSlow;

  Heartbeat(
      Volume volume, VolumeNews news, Leg leg, LongSupplier clock, long slowNanos, long deadNanos) {
    this.volume = volume;
    this.news = news;
    this.leg = leg;
    this.clock = clock;
    this.slowNanos = slowNanos;
    this.deadNanos = deadNanos;
  }

  /**
   * Asks the device of the leg, if it is in use. Takes as long as its medium lets it. One that does
   * not write and that nobody needs is given up, so that what it lies on can be unmounted; one that
   * was given up is looked for.
   */
  void beat() {
    PmemDevice device = leg.device();
    if (device.state() == DeviceState.DEAD && !leg.isHeld() && !volume.isStopping()) {
      boolean _ = device.comeBack(false);
      return;
    }
    boolean faulted = leg.state() == LegState.FAULTED;
    if (!(isInUse() || faulted) || device.state() != DeviceState.LIVE) {
      return;
    }
    began = clock.getAsLong();
    try {
      device.heartbeat();
      if (!faulted) {
        carried = volume.carrySuperblock(leg, carried);
      }
    } catch (DeviceIoException e) {
      // Another device may have taken its place while this one made up its mind.
      if (leg.device().equals(device)
          && !volume.refused(leg, "heartbeat failed: " + e.getMessage())) {
        device.abandon();
      }
    } catch (HoldfastException e) {
      // It went away, or its place has no room: others tell what that means.
    } finally {
      began = null;
    }
  }

  /** Acts on a beat that is under way for too long. Never waits for the medium. */
  void look() {
    Long since = began;
    if (since == null || !isInUse()) {
      return;
    }
    long nanos = clock.getAsLong() - since;
    if (nanos >= slowNanos && !since.equals(calledSlow)) {
      calledSlow = since;
      news.report(leg.index(), FaultKind.SLOW, 0, volume.capacity());
    }
    if (nanos >= deadNanos) {
      volume.giveUp(
          leg.index(), "its heartbeat has not come back for " + deadNanos / 1_000_000 + " ms");
    }
  }

  private boolean isInUse() {
    LegSet set = volume.legs();
    for (Leg.Mapped writer : set.writers) {
      if (writer.leg() == leg) {
        return true;
      }
    }
    // Of a store that takes no writes a dead medium takes nothing away.
    return false;
  }
}
