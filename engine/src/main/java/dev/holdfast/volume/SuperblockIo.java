package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** Reads and writes the superblocks of a leg. Each is there twice, both are written every time. */
final class SuperblockIo {
  private static final String[] SITES = {"superblock 0", "superblock 1"};

  private SuperblockIo() {}

  /** Who makes a call that waits for the medium of a leg. */
  @FunctionalInterface
  interface Waiting {
    /**
     * Makes it.
     *
     * @throws MediumCalls.Silent if it does not come back in time
     */
    void waitFor(Leg leg, Runnable call);
  }

  /** Does what the other one does, and waits for the medium as long as it takes. */
  static boolean write(Leg.Mapped to, VolumeConfig config, @Nullable Exclusions exclusions) {
    return write(to, config, exclusions, (_, call) -> call.run());
  }

  /**
   * Writes both copies, one after the other, so that one is whole at any time.
   *
   * @return false if none could be written, or the medium refused or was silent
   */
  static boolean write(
      Leg.Mapped to, VolumeConfig config, @Nullable Exclusions exclusions, Waiting waiting) {
    int leg = to.leg().index();
    byte[] bytes = new Superblock(leg, config).encode();
    boolean written = false;
    for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
      long at = VolumeLayout.superblockOffset(copy);
      if (exclusions != null && exclusions.forbidWriting(leg, at, bytes.length)) {
        continue;
      }
      try {
        Gateway.copyIn(bytes, 0, to.window(), at, bytes.length);
        Gateway.barrier();
      } catch (InternalError e) {
        // The copy is bad or the leg is gone; the other copy will tell.
        to.leg().countFault();
        continue;
      }
      try {
        PmemDevice device = to.leg().device();
        String site = SITES[copy];
        Runnable flush =
            () -> {
              device.flush(site, at, bytes.length);
              device.fence(site);
            };
        if (device.persistenceMode() == PersistenceMode.FILE) {
          waiting.waitFor(to.leg(), flush);
        } else {
          flush.run();
        }
      } catch (DeviceIoException e) {
        to.leg().refuse();
        return false;
      } catch (DeviceOfflineException | MediumCalls.Silent e) {
        return false;
      } catch (InternalError e) {
        to.leg().countFault(); // A page went under its write-back: as above.
        continue;
      }
      written = true;
    }
    return written;
  }

  /**
   * Reads the newer of the copies that validate.
   *
   * @throws HoldfastException the error of the first copy, if none does
   */
  static Superblock read(PmemDevice device) {
    Superblock best = null;
    HoldfastException first = null;
    for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
      try {
        byte[] bytes = readCopy(device, VolumeLayout.superblockOffset(copy));
        Superblock found = Superblock.decode(bytes, device.name() + ", copy " + copy);
        if (best == null || found.config().sequence() > best.config().sequence()) {
          best = found;
        }
      } catch (HoldfastException e) {
        first = first == null ? e : first;
      }
    }
    if (best == null) {
      throw first == null ? new IllegalStateException("no copy") : first;
    }
    return best;
  }

  /**
   * Finds the copies of a leg that are not what was written last.
   *
   * @param read is told how many bytes were read
   */
  static List<LegRange> inspect(
      Leg.Mapped of,
      VolumeConfig config,
      @Nullable Exclusions exclusions,
      BiConsumer<Integer, Integer> read) {
    List<LegRange> wrong = new ArrayList<>();
    int leg = of.leg().index();
    PmemDevice device = of.leg().device();
    for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
      long at = VolumeLayout.superblockOffset(copy);
      int length = new Superblock(leg, config).encode().length;
      if (exclusions != null && exclusions.forbidReading(leg, at, length)) {
        continue; // It is repaired as poison.
      }
      try {
        byte[] bytes = readCopy(device, at);
        read.accept(leg, bytes.length);
        Superblock found = Superblock.decode(bytes, device.name() + ", copy " + copy);
        if (found.leg() != leg || found.config().sequence() != config.sequence()) {
          wrong.add(new LegRange(leg, at, length));
        }
      } catch (PoisonedRangeException e) {
        // As above, as soon as it is known.
      } catch (DeviceOfflineException e) {
        return List.of();
      } catch (HoldfastException e) {
        wrong.add(new LegRange(leg, at, length));
      }
    }
    return wrong;
  }

  /** Reads what it says it uses, which is much less than its place, or up to the first bad page. */
  private static byte[] readCopy(PmemDevice device, long at) {
    int step = 4096;
    byte[] bytes = new byte[VolumeLayout.SUPERBLOCK_SIZE];
    int read = 0;
    PoisonedRangeException poisoned = null;
    int wanted = step;
    while (read < wanted && poisoned == null) {
      if (at + read + step > device.capacity()) {
        // As a file that is being copied back, or lost its end.
        throw new InvalidImageException(
            device.name()
                + ": expected at least "
                + (at + read + step)
                + " bytes, was "
                + device.capacity());
      }
      try {
        device.read(at + read, bytes, read, step);
        read += step;
        if (read == step) {
          wanted = Superblock.usedBytes(bytes);
        }
      } catch (PoisonedRangeException e) {
        poisoned = e;
      }
    }
    if (read == 0 && poisoned != null) {
      throw poisoned;
    }
    return java.util.Arrays.copyOf(bytes, read);
  }
}
