package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The repair of a page that is written to all the time, on a volume without a store. */
final class PageRepairTest {
  private static final long GRACE_NANOS = 5_000_000_000L;
  private static final int ROUNDS = 300;
  private static final long PAGE = VolumeLayout.RECORDS_OFFSET + 8 * 4096;
  private static final int DAMAGED = 1;

  @TempDir Path directory;

  /** Stores one byte as an operation of the store does. */
  private static void store(Volume volume, long offset, byte[] one) {
    while (true) {
      int entered = volume.grace().enter();
      try {
        LegSet set = volume.writableLegs();
        long locked = volume.lockRegions(set, offset, 1);
        try {
          volume.store(set, offset, one, 0, 1);
          Gateway.barrier();
        } finally {
          volume.unlockRegions(locked);
        }
        volume.requireCurrent(set);
        return;
      } catch (LegSetChanged e) {
        // Again, with the set that is in force now.
      } finally {
        volume.grace().exit(entered);
      }
    }
  }

  @Test
  void noStoreIsLostToTheCopyThatRepairsItsPage() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("noStoreIsLostToTheCopyThatRepairsItsPage: -Dseed=" + seed);
    Random random = new Random(seed);
    try (EmulatedDevice good =
            EmulatedDevice.create(directory.resolve("leg-0"), 2 << 20, PersistenceMode.PROCESS);
        EmulatedDevice damaged =
            EmulatedDevice.create(directory.resolve("leg-1"), 2 << 20, PersistenceMode.PROCESS)) {
      Volume volume =
          new VolumeOpener(directory.resolve("witness"), new NoNews(), SwitchObserver.NONE)
              .create(List.of(good, damaged))
              .volume();
      int pageSize = volume.pageSize();
      byte[][] onLeg = new byte[2][pageSize];
      for (int round = 0; round < ROUNDS; round++) {
        damaged.faults().poison(PAGE, 1);
        volume.notified(damaged, FaultKind.POISON, PAGE, pageSize);
        // Each byte is stored once: what the copy takes back, no later store puts right.
        int start = random.nextInt(pageSize);
        byte[] value = {(byte) (round + 1)};
        Thread writer =
            Thread.ofPlatform()
                .start(() -> {
                  for (int i = 0; i < pageSize; i++) {
                    store(volume, PAGE + (start + i) % pageSize, value);
                  }
                });
        assertTrue(volume.repair(new LegRange(DAMAGED, PAGE, pageSize), false, GRACE_NANOS));
        writer.join();
        good.read(PAGE, onLeg[0], 0, pageSize);
        damaged.read(PAGE, onLeg[1], 0, pageSize);
        assertArrayEquals(onLeg[0], onLeg[1], "round " + round);
      }
      volume.unmap(true);
    }
  }
}
