package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Takes writes up again that were stopped, if what stopped them is gone. The devices are read anew
 * behind that, as where they come back: what a write that was cut off had done half is put right.
 *
 * <p><b>Threads:</b> one at a time, while nothing is repaired.
 */
final class WriteResumption {
  /** How long operations may take to end; reads wait outside meanwhile. */
  private static final long GRACE_NANOS = 500_000_000L;

  private final Volume volume;
  private final Tree tree;

  WriteResumption(Volume volume, Tree tree) {
    this.volume = volume;
    this.tree = tree;
  }

  /**
   * Does it; harmless where nothing was stopped.
   *
   * @throws ReadOnlyStoreException if what stopped writes is not gone; says what to do
   * @throws DeviceOfflineException if no leg can be reached, or operations stand still
   */
  void resume() {
    if (volume.legs().readers() == 0) {
      throw volume.hasFailed()
          ? new DeviceOfflineException(
              "the store gave up by its policy; close it and open it again")
          : volume.offline();
    }
    HoldfastException cause = volume.readOnlyCause();
    if (cause == null) {
      return;
    }
    if (volume.isStoppedForGood()) {
      throw still("can only be written after a close and an open", cause);
    }
    if (cause instanceof InvalidImageException) {
      throw still("metadata is wrong on every leg; save what can be read", cause);
    }
    List<LegRange> bad = metadataWithoutCopy();
    for (LegRange range : bad) {
      if (range.offset() + range.length() > VolumeLayout.DIRTY_MAP_OFFSET) {
        throw still(
            range
                + ": expected metadata that some leg can serve, is on none; save what can be read",
            cause);
      }
    }
    AtomicBoolean ran = new AtomicBoolean();
    AtomicReference<@Nullable HoldfastException> failed = new AtomicReference<>();
    tree.whileSuspended(
        GRACE_NANOS,
        () -> {
          ran.set(true);
          failed.set(volume.resumeWrites(bad));
          if (failed.get() == null) {
            tree.reopen();
          }
        });
    if (!ran.get()) {
      throw new DeviceOfflineException("operations under way did not end in time: ask again");
    }
    HoldfastException why = failed.get();
    if (why != null) {
      throw still(String.valueOf(why.getMessage()), why);
    }
  }

  private List<LegRange> metadataWithoutCopy() {
    List<LegRange> found = new ArrayList<>();
    for (LegRange range : volume.badRanges()) {
      for (LegRange part : volume.byCopy(range)) {
        if (tree.isMetadata(part.offset(), part.length()) && !volume.hasOtherCopy(part)) {
          found.add(part);
        }
      }
    }
    return found;
  }

  private static ReadOnlyStoreException still(String what, HoldfastException cause) {
    return new ReadOnlyStoreException("writes stay stopped: " + what, cause);
  }
}
