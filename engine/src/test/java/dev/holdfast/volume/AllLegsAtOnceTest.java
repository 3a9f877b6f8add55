package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** All legs are silent or refuse at once, as on one disk that is busy, or full. */
final class AllLegsAtOnceTest {
  private static final VolumeNews NO_NEWS =
      new VolumeNews() {
        @Override
        public void publish(
            HealthEvent.Kind kind, int leg, long offset, long length, String detail, long at) {}

        @Override
        public void report(int leg, FaultKind kind, long offset, long length) {}
      };

  @TempDir Path directory;

  private final List<PmemDevice> devices = new ArrayList<>();

  @AfterEach
  void close() {
    devices.forEach(PmemDevice::close);
  }

  private Volume volume(int legs) {
    for (int leg = 0; leg < legs; leg++) {
      devices.add(
          EmulatedDevice.create(directory.resolve("leg-" + leg), 2 << 20, PersistenceMode.FILE));
    }
    return new VolumeOpener(directory.resolve("witness"), NO_NEWS, SwitchObserver.NONE)
        .create(devices)
        .volume();
  }

  private FaultInjector faults(int leg) {
    return ((EmulatedDevice) devices.get(leg)).faults();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void theLastSilentOneIsNotGivenUp(int legs) {
    Volume volume = volume(legs);
    volume.silentFor(Duration.ofMillis(100));
    for (int leg = 0; leg < legs; leg++) {
      faults(leg).flushLatency(Duration.ofMillis(500));
    }
    volume.configure(config -> config.withSequenceCeiling(77));
    assertNull(volume.readOnlyCause());
    assertEquals(1, volume.legs().readers());
    assertEquals(1, volume.legs().writers());
    assertEquals(77, volume.config().sequenceCeiling());
  }

  /**
   * The legs are flushed at once: who is asked again after a refusal would say that all is well.
   */
  @Test
  void whatEachOneRefusesIsHeard() {
    Volume volume = volume(2);
    faults(0).failFlush("commit");
    faults(1).failFlush("commit");
    DeviceFault fault =
        assertThrows(DeviceFault.class, () -> volume.flush("commit", volume.legs(), 0, 4096));
    assertTrue(volume.recover(fault));
    assertTrue(volume.isStoppedForGood());
    assertNotNull(volume.readOnlyCause());
    assertEquals(1, volume.legs().readers());
    assertEquals(0, volume.legs().writers());
  }
}
