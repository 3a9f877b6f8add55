package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class HeartbeatTest {
  private static final long SLOW = 100;
  private static final long DEAD = 300;

  @TempDir Path directory;

  private final List<PmemDevice> devices = new ArrayList<>();
  private final List<String> told = new CopyOnWriteArrayList<>();
  private final AtomicLong now = new AtomicLong(1_000);

  private final VolumeNews news =
      new VolumeNews() {
        @Override
        public void publish(
            HealthEvent.Kind kind, int leg, long offset, long length, String detail, long at) {}

        @Override
        public void report(int leg, FaultKind kind, long offset, long length) {
          told.add(kind + " " + leg);
        }
      };

  private Volume volume(int legs) {
    for (int leg = 0; leg < legs; leg++) {
      devices.add(
          EmulatedDevice.create(directory.resolve("leg-" + leg), 2 << 20, PersistenceMode.PROCESS));
    }
    return new VolumeOpener(directory.resolve("witness"), news, SwitchObserver.NONE)
        .create(devices)
        .volume();
  }

  private EmulatedDevice device(int leg) {
    return (EmulatedDevice) devices.get(leg);
  }

  private Heartbeat heartbeat(Volume volume, int leg) {
    return new Heartbeat(volume, news, volume.allLegs().get(leg), now::get, SLOW, DEAD);
  }

  @AfterEach
  void close() {
    for (int leg = 0; leg < devices.size(); leg++) {
      device(leg).faults().resumeHeartbeats();
      device(leg).close();
    }
  }

  @Test
  void oneThatComesBackSaysNothing() {
    Volume volume = volume(2);
    Heartbeat beat = heartbeat(volume, 0);
    beat.beat();
    now.addAndGet(10 * DEAD);
    beat.look();
    assertEquals(2, volume.legs().readers());
    assertEquals(List.of(), told);
  }

  @Test
  void aSuperblockThatChangedIsCarriedToTheMediumOnce() {
    Volume volume = volume(2);
    Heartbeat beat = heartbeat(volume, 0);
    beat.beat();
    long flushes = device(0).faults().flushes();
    beat.beat();
    assertEquals(flushes, device(0).faults().flushes(), "it is there");
    volume.configure(config -> config.withSequenceCeiling(77));
    flushes = device(0).faults().flushes();
    beat.beat();
    assertEquals(flushes + 1, device(0).faults().flushes());
    beat.beat();
    assertEquals(flushes + 1, device(0).faults().flushes());
    volume.configure(config -> config.withSequenceCeiling(78));
    device(0).faults().failFlush("superblock");
    beat.beat();
    assertEquals(LegState.FAULTED, volume.allLegs().get(0).state(), "what refused it is lost");
  }

  @Test
  void oneThatFailsLosesTheLegDurably() {
    Volume volume = volume(2);
    device(1).faults().shutDownFileSystem();
    heartbeat(volume, 0).beat();
    assertEquals(2, volume.legs().readers());
    heartbeat(volume, 1).beat();
    assertEquals(1, volume.legs().readers());
    assertEquals(1, volume.legs().writers());
    assertEquals(LegState.FAULTED, volume.allLegs().get(1).state());
    assertEquals(LegMark.STALE, SuperblockIo.read(device(0)).config().marks().get(1));
    long sequence = volume.config().sequence();
    heartbeat(volume, 1).beat();
    assertEquals(sequence, volume.config().sequence(), "a leg is lost once");
  }

  @Test
  void theLastCopyIsKeptAndTakesNoWrites() {
    Volume volume = volume(2);
    device(0).faults().shutDownFileSystem();
    device(1).faults().shutDownFileSystem();
    heartbeat(volume, 1).beat();
    assertNull(volume.readOnlyCause());
    heartbeat(volume, 0).beat();
    assertNotNull(volume.readOnlyCause());
    assertEquals(1, volume.legs().readers());
    assertEquals(0, volume.legs().legOf(0));
  }

  @Test
  void oneThatHangsIsToldOnceAndThenItsLegIsGivenUp() throws InterruptedException {
    Volume volume = volume(2);
    Heartbeat beat = heartbeat(volume, 1);
    Thread hanging = hang(beat, 1);
    now.addAndGet(SLOW - 1);
    beat.look();
    assertEquals(List.of(), told);
    now.addAndGet(1);
    beat.look();
    beat.look();
    assertEquals(List.of("SLOW 1"), told);
    now.addAndGet(DEAD - SLOW - 1);
    beat.look();
    assertEquals(2, volume.legs().readers());
    now.addAndGet(1);
    beat.look();
    assertEquals(1, volume.legs().readers());
    assertEquals(0, volume.legs().legOf(0));
    assertEquals(LegState.FAULTED, volume.allLegs().get(1).state());
    long sequence = volume.config().sequence();
    beat.look();
    assertEquals(sequence, volume.config().sequence(), "a leg is lost once");
    device(1).faults().resumeHeartbeats();
    hanging.join();
  }

  @Test
  void theLastCopyIsNotGivenUpForItsSilence() throws InterruptedException {
    Volume volume = volume(1);
    Heartbeat beat = heartbeat(volume, 0);
    Thread hanging = hang(beat, 0);
    now.addAndGet(2 * DEAD);
    beat.look();
    assertEquals(List.of("SLOW 0"), told);
    assertEquals(1, volume.legs().readers());
    assertEquals(1, volume.legs().writers());
    device(0).faults().resumeHeartbeats();
    hanging.join();
  }

  @Test
  void oneThatHangsHindersNoOther() {
    Volume volume = volume(2);
    device(0).faults().hangHeartbeats();
    device(1).faults().shutDownFileSystem();
    Heartbeats all =
        new Heartbeats(
            volume, news, "holdfast-heartbeat-", Duration.ofMillis(1), MediumCalls.LIMIT, now::get);
    all.start();
    Awaitility.await().until(() -> volume.legs().readers() == 1);
    assertEquals(0, volume.legs().legOf(0));
    all.stop(1_000_000); // Returns, though one hangs.
    assertTrue(isAlive("holdfast-heartbeat-0"));
    device(0).faults().resumeHeartbeats();
    Awaitility.await().until(() -> !isAlive("holdfast-heartbeat-0"));
    assertFalse(isAlive("holdfast-heartbeat-watch"));
  }

  private static boolean isAlive(String name) {
    return Thread.getAllStackTraces().keySet().stream().anyMatch(t -> t.getName().equals(name));
  }

  /** Begins a beat that does not come back. */
  private Thread hang(Heartbeat beat, int leg) {
    device(leg).faults().hangHeartbeats();
    Thread thread = Thread.ofPlatform().start(beat::beat);
    Awaitility.await().until(() -> thread.getState() == Thread.State.WAITING);
    return thread;
  }
}
