package dev.holdfast.volume;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.FaultKind;

/** Carries the news of a volume to whoever acts on it. Never blocks. */
public interface VolumeNews {
  /** Something happened that listeners want to see. */
  void publish(
      HealthEvent.Kind kind, int leg, long offset, long length, String detail, long nanoTime);

  /** A fault was recorded; what follows from it is not done yet. */
  void report(int leg, FaultKind kind, long offset, long length);
}
