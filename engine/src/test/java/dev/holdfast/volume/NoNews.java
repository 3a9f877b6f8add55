package dev.holdfast.volume;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.FaultKind;

/** For volumes without a store: nobody is told. */
final class NoNews implements VolumeNews {
  @Override
  public void publish(
      HealthEvent.Kind kind, int leg, long offset, long length, String detail, long nanoTime) {}

  @Override
  public void report(int leg, FaultKind kind, long offset, long length) {}
}
