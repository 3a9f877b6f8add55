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
 * @param entries how many entries it holds
 * @param bytes the bytes of their keys and values
 * @param entriesWritten how many of them were written by this run; all, unless it brought an
 *     earlier one up to date
 * @param entriesRemoved how many entries of the earlier one are there no more, those of maps that
 *     were dropped not counted
 * @param lost what is not in it, because no leg of the store holds it any more; empty but where
 *     {@link CheckpointOptions#leaveOutLost} was asked for
 */
public record CheckpointReport(
    Path directory,
    Instant takenAt,
    long sequence,
    long entries,
    long bytes,
    long entriesWritten,
    long entriesRemoved,
    List<StoreHealth.Lost> lost) {
  /** Copies what it is given. */
  public CheckpointReport {
    lost = List.copyOf(lost);
  }
}
