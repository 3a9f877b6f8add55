package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The heartbeat of one leg: what it says, and what its silence says.
 *
 * <p>One that fails once faults the leg, as a refused flush does: it is lost, or, if it is the last
 * copy, takes no more writes. It is never asked again. One that does not come back is news at
 * first; then the leg is taken out of use where another one holds everything.
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

  /** Asks the device of the leg, if it is in use. Takes as long as its medium lets it. */
  void beat() {
    PmemDevice device = leg.device();
    if (!isInUse() || device.state() != DeviceState.LIVE) {
      return;
    }
    began = clock.getAsLong();
    try {
      device.heartbeat();
    } catch (DeviceIoException e) {
      // Another device may have taken its place while this one made up its mind.
      if (leg.device().equals(device)) {
        volume.recover(new DeviceFault(volume.legs(), leg, "heartbeat failed: " + e.getMessage()));
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
