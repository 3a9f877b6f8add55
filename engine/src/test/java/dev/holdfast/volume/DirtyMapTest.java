package dev.holdfast.volume;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The write-intent map on a volume without a store. */
final class DirtyMapTest {
  private static final long GRACE_NANOS = 1_000_000_000L;
  private static final long RECORDS = VolumeLayout.RECORDS_OFFSET;

  @TempDir Path directory;

  private final List<EmulatedDevice> devices = new ArrayList<>();
  private Volume volume;

  @BeforeEach
  void create() {
    List<PmemDevice> legs = new ArrayList<>();
    for (int leg = 0; leg < 2; leg++) {
      devices.add(
          EmulatedDevice.create(directory.resolve("leg-" + leg), 2 << 20, PersistenceMode.PROCESS));
      legs.add(devices.get(leg));
    }
    volume =
        new VolumeOpener(directory.resolve("witness"), new NoNews(), SwitchObserver.NONE)
            .create(legs)
            .volume();
  }

  @AfterEach
  void close() {
    volume.unmap(true);
    devices.forEach(EmulatedDevice::close);
  }

  private boolean isMarked(int leg, long offset) {
    return LegMarks.isDirty(devices.get(leg), offset);
  }

  private void mark() {
    volume.markDirty(volume.legs(), RECORDS, 1);
  }

  /** What was touched since the last look stays. */
  private void clearIdle() {
    volume.settle(GRACE_NANOS);
    volume.settle(GRACE_NANOS);
  }

  @Test
  void markIsOnBothLegsAndTheOtherRegionsAreNotMarked() {
    mark();
    for (int leg = 0; leg < 2; leg++) {
      assertTrue(isMarked(leg, RECORDS));
      assertTrue(isMarked(leg, RECORDS + VolumeLayout.REGION_SIZE - 1));
      assertFalse(isMarked(leg, RECORDS - 1));
      assertFalse(isMarked(leg, RECORDS + VolumeLayout.REGION_SIZE));
    }
  }

  @Test
  void rangeOverSeveralRegionsMarksEachOfThem() {
    volume.markDirty(volume.legs(), RECORDS - 1, VolumeLayout.REGION_SIZE + 2L);
    for (long region = 0; region < 3; region++) {
      assertTrue(isMarked(0, region * VolumeLayout.REGION_SIZE), "region " + region);
    }
  }

  @Test
  void regionIsClearedOnlyWhenItWasIdleForAWholeRound() {
    mark();
    volume.settle(GRACE_NANOS);
    assertTrue(isMarked(0, RECORDS));
    volume.settle(GRACE_NANOS);
    assertFalse(isMarked(0, RECORDS));
    assertFalse(isMarked(1, RECORDS));
  }

  @Test
  void regionStaysMarkedWhileAnOperationThatSawItMarkedIsUnderWay() {
    mark();
    int entered = volume.grace().enter();
    volume.settle(GRACE_NANOS);
    volume.settle(1_000_000);
    assertTrue(isMarked(0, RECORDS));
    assertTrue(volume.isDirty(RECORDS), "in DRAM, too");
    volume.grace().exit(entered);
    clearIdle();
    assertFalse(isMarked(0, RECORDS));
  }

  @Test
  void nothingIsClearedWithALegLost() {
    mark();
    devices.get(1).faults().remove();
    volume.notified(devices.get(1), FaultKind.REMOVED, 0, devices.get(1).capacity());
    clearIdle();
    assertTrue(isMarked(0, RECORDS));
  }

  /** The clear reached one leg and met a poisoned page on the other. */
  @Test
  void writeBehindAClearThatFailedHalfWayMarksAgain() {
    mark();
    volume.settle(GRACE_NANOS);
    devices.get(1).faults().poison(VolumeLayout.DIRTY_MAP_OFFSET, 1);
    volume.settle(GRACE_NANOS);
    assertEquals(1, volume.badRanges().size());
    mark();
    assertTrue(isMarked(0, RECORDS));
  }

  /** Who waits for a grace period may wait for one who writes without the leg that went. */
  @Test
  void regionStaysMarkedWhereALegWentWhileItWasBeingCleared() throws Exception {
    mark();
    volume.settle(GRACE_NANOS);
    int entered = volume.grace().enter();
    Thread settling = Thread.ofPlatform().start(() -> volume.settle(10 * GRACE_NANOS));
    await().until(() -> !volume.isDirty(RECORDS)); // Nobody sees it marked who comes now.
    volume.giveUp(1, "for the test"); // Its device answers still.
    volume.grace().exit(entered);
    settling.join();
    assertTrue(volume.isDirty(RECORDS), "in DRAM");
    assertTrue(isMarked(0, RECORDS), "on the leg that is left");
  }
}
