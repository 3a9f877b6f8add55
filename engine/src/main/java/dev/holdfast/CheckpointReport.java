package dev.holdfast;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * What a checkpoint holds.
 *
 * @param directory where it is
 * @param takenAt of which moment
 * @param sequence the place of that moment in the order of all writes, see {@link
 *     Snapshot#sequence}
 * @param entries how many entries
 * @param bytes the bytes of their keys and values
 * @param lost what is not in it, because no leg of the store holds it any more; empty but where
 *     {@link CheckpointOptions#leaveOutLost} was asked for
 */
public record CheckpointReport(
    Path directory,
    Instant takenAt,
    long sequence,
    long entries,
    long bytes,
    List<StoreHealth.Lost> lost) {
  /** Copies what it is given. */
  public CheckpointReport {
    lost = List.copyOf(lost);
  }
}
