package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A device that is asked whether its medium is there, given up, and found again. */
final class AbandonedDeviceTest {
  @TempDir Path directory;

  private final List<FaultKind> told = new ArrayList<>();
  private Path file;
  private EmulatedDevice device;

  @BeforeEach
  void create() {
    file = directory.resolve("device");
    device = EmulatedDevice.create(file, 1 << 20, PersistenceMode.PROCESS);
    device.hold((_, fault) -> told.add(fault.kind()));
  }

  @AfterEach
  void close() {
    device.close();
  }

  private static boolean faults(Window window) {
    try {
      Gateway.touch(window, 0);
      Gateway.barrier();
      return false;
    } catch (InternalError e) {
      return true;
    }
  }

  /** How many descriptors of this process lead to the file. */
  private long descriptors() throws Exception {
    try (var all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(
              fd -> {
                try {
                  return Files.readSymbolicLink(fd).toString().startsWith(file.toString());
                } catch (java.io.IOException e) {
                  return false;
                }
              })
          .count();
    }
  }

  @Test
  void mediumThatIsGoneRefusesWhatGoesToItAndMemoryAnswers() {
    Window window = device.map();
    device.heartbeat();
    device.faults().shutDownFileSystem();
    assertThrows(DeviceIoException.class, device::heartbeat);
    assertThrows(DeviceIoException.class, () -> device.writeBack("x", 0, 1));
    assertThrows(DeviceIoException.class, () -> device.grow(2 << 20));
    assertThrows(DeviceIoException.class, () -> device.read(0, new byte[1], 0, 1));
    assertFalse(faults(window));
    device.flush(0, 1); // Nothing goes to the medium in this mode.
    assertEquals(List.of(), told);
  }

  @Test
  void abandonedDeviceFaultsAndHoldsNoFile() throws Exception {
    Window window = device.map();
    device.heartbeat();
    assertEquals(2, descriptors());
    device.abandon();
    assertEquals(0, descriptors());
    assertTrue(faults(window));
    assertEquals(DeviceState.DEAD, device.state());
    assertEquals(List.of(FaultKind.REMOVED), told);
    assertFalse(Files.readString(Path.of("/proc/self/maps")).contains(file.toString()));
    assertThrows(DeviceOfflineException.class, device::heartbeat);
    assertThrows(DeviceOfflineException.class, device::map);
    device.abandon();
    assertEquals(List.of(FaultKind.REMOVED), told, "once");
  }

  @Test
  void abandonedDeviceComesBackOnceItWasAway() throws Exception {
    Window before = device.map();
    device.abandon();
    assertFalse(device.comeBack(false), "it never was away");
    Files.move(file, directory.resolve("elsewhere"));
    assertFalse(device.comeBack(false));
    Files.move(directory.resolve("elsewhere"), file);
    assertTrue(device.comeBack(false));
    assertEquals(List.of(FaultKind.REMOVED, FaultKind.RETURNED), told);
    assertTrue(faults(before), "a window of its former life");
    assertFalse(faults(device.map()));
    device.heartbeat();
    assertTrue(device.comeBack(false));
    assertEquals(2, told.size(), "once");
    assertEquals(3, device.generation(), "it died and returned");
  }

  @Test
  void abandonedDeviceComesBackWhereSomebodySaysSo() {
    device.abandon();
    device.faults().shutDownFileSystem();
    assertFalse(device.comeBack(true));
    device.faults().mountFileSystem();
    assertTrue(device.comeBack(true));
  }

  @Test
  void anotherDeviceInItsPlaceIsNotIt() throws Exception {
    device.abandon();
    Files.delete(file);
    assertFalse(device.comeBack(false));
    EmulatedDevice.create(file, 1 << 20, PersistenceMode.PROCESS).close();
    assertFalse(device.comeBack(true));
    assertEquals(0, descriptors());
  }

  @Test
  void shorterFileIsAShorterDevice() throws Exception {
    Path then = directory.resolve("then");
    Files.copy(file, then);
    device.grow(2 << 20);
    device.abandon();
    Files.move(then, file, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertTrue(device.comeBack(true));
    assertEquals(1 << 20, device.capacity());
  }

  @Test
  void fileThatLostItsEndIsARemovalBeforeItIsAReturn() throws Exception {
    try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(512 << 10);
    }
    assertThrows(DeviceIoException.class, device::heartbeat);
    device.abandon();
    assertEquals(List.of(FaultKind.REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
    assertTrue(device.comeBack(false), "it is not what it was, so it was away");
    assertEquals(List.of(FaultKind.REMOVED, FaultKind.RETURNED), told);
  }

  @Test
  void heartbeatFindsAFileThatLiesThereNoMore() throws Exception {
    Files.move(file, directory.resolve("elsewhere"));
    assertThrows(DeviceIoException.class, device::heartbeat);
    Files.copy(directory.resolve("elsewhere"), file);
    assertThrows(DeviceIoException.class, device::heartbeat, "a copy of it is another file");
    Files.delete(file);
    Files.move(directory.resolve("elsewhere"), file);
    device.heartbeat();
  }

  @Test
  void hangingBeatHoldsNothingAndClosesWhatItUsed() throws Exception {
    device.heartbeat();
    device.faults().hangHeartbeats();
    Thread hanging =
        Thread.ofPlatform().start(() -> assertThrows(RuntimeException.class, device::heartbeat));
    while (device.faults().heartbeats() < 2) {
      Thread.onSpinWait();
    }
    device.close();
    device.faults().resumeHeartbeats();
    hanging.join();
    assertEquals(0, descriptors());
  }

  @Test
  void pageOfALiveDeviceTakesStores() {
    Window window = device.map();
    assertFalse(window.refusesStores(0, FaultInjector.pageSize()));
  }
}
