package dev.holdfast.volume;

import dev.holdfast.health.LegState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.Window;
import java.nio.file.Path;
import java.util.List;

/** Shows tests of other packages what lies on a leg. */
public final class LegMarks {
  private LegMarks() {}

  private static VolumeConfig config(Path file) {
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
      return SuperblockIo.read(device).config();
    }
  }

  /** What the device in a file says of a leg: IN_SYNC, STALE or NOT_IN_SYNC. */
  public static String of(Path file, int leg) {
    return config(file).marks().get(leg).name();
  }

  /** The bad ranges of a leg that the device in a file knows of. */
  public static List<BadRange> badRanges(Path file, int leg) {
    return config(file).bad().stream()
        .filter(range -> range.leg() == leg)
        .map(range -> new BadRange(range.offset(), range.length()))
        .toList();
  }

  /** Whether a device says that the region of an offset was written to. */
  public static boolean isDirty(EmulatedDevice device, long offset) {
    long region = offset / VolumeLayout.REGION_SIZE;
    byte[] one = new byte[1];
    device.read(VolumeLayout.DIRTY_MAP_OFFSET + region / Byte.SIZE, one, 0, 1);
    return (one[0] & 1 << (region % Byte.SIZE)) != 0;
  }

  /** What seeds the checksums of a store: who knows it can make records that validate. */
  public static long secret(EmulatedDevice device) {
    return SuperblockIo.read(device).config().secret();
  }

  /** Has the device in a file say of itself that it is marked so, and of nobody that it left. */
  public static void setOwn(Path file, String mark) {
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS);
        Window window = device.map()) {
      Superblock found = SuperblockIo.read(device);
      Leg leg = new Leg(found.leg(), device, LegState.OFFLINE);
      VolumeConfig changed = found.config().withMark(found.leg(), LegMark.valueOf(mark));
      if (!SuperblockIo.write(new Leg.Mapped(leg, window), changed, null)) {
        throw new IllegalStateException(file + ": cannot be written");
      }
    }
  }
}
