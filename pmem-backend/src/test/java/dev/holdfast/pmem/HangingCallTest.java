package dev.holdfast.pmem;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A call that waits for a medium that hangs keeps what it uses, and nobody else. */
@Timeout(30)
final class HangingCallTest {
  private static final long CAPACITY = 1 << 20;

  @TempDir Path directory;

  private EmulatedDevice device;
  private final CountDownLatch answer = new CountDownLatch(1);
  private Thread hanging;

  @BeforeEach
  void begin() throws InterruptedException {
    device = EmulatedDevice.create(directory.resolve("d"), CAPACITY, PersistenceMode.FILE);
    CountDownLatch inside = new CountDownLatch(1);
    // As an msync does, while it is in the kernel.
    hanging =
        Thread.ofPlatform()
            .start(() -> {
              device.use.readLock().lock();
              try {
                inside.countDown();
                answer.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              } finally {
                device.use.readLock().unlock();
              }
            });
    inside.await();
  }

  @AfterEach
  void end() throws InterruptedException {
    answer.countDown();
    hanging.join();
    device.close();
  }

  @Test
  void aCloseDoesNotWaitForIt() throws IOException {
    Window window = device.map();
    Access.store(window, 8, 77);
    device.close();
    assertTrue(Access.faults(window, 8), "a store that comes late must not arrive");
    assertThrows(DeviceOfflineException.class, device::map);
    assertThrows(DeviceOfflineException.class, () -> device.flush(0, 8));
    assertTrue(isOpen(), "the call uses the descriptor");
    answer.countDown();
    await().until(() -> !isOpen());
    try (EmulatedDevice again = EmulatedDevice.open(device.file(), PersistenceMode.FILE);
        Window other = again.map()) {
      assertEquals(77, Access.load(other, 8));
    }
  }

  @Test
  void aWindowIsUnmappedBehindIt() throws IOException {
    try (Window kept = device.map()) {
      Window window = device.map();
      String address = Long.toHexString(window.address) + "-";
      assertTrue(isMapped(address));
      window.close();
      assertTrue(isMapped(address), "the call uses the addresses");
      Access.store(kept, 8, 78);
      assertEquals(78, Access.load(kept, 8));
      answer.countDown();
      // The next call that ends finds that nobody uses them.
      await()
          .until(() -> {
            device.flush(0, 8);
            return !isMapped(address);
          });
      assertFalse(Access.faults(kept, 8));
    }
  }

  private static boolean isMapped(String address) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .anyMatch(line -> line.startsWith(address));
  }

  /** Whether this process has the device's file open. */
  private boolean isOpen() throws IOException {
    try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
      return descriptors.anyMatch(fd -> {
        try {
          return Files.readSymbolicLink(fd).equals(device.file().toRealPath());
        } catch (IOException e) {
          return false;
        }
      });
    }
  }
}
