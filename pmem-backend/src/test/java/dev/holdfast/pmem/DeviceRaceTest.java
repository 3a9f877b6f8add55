package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.PoisonedRangeException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What may happen at once, many times over, at offsets in time that the seed decides. */
@Timeout(60)
class DeviceRaceTest {
  private static final int PAGE = FaultInjector.pageSize();
  private static final long CAPACITY = 8L * PAGE;
  private static final int ROUNDS = 300;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private Random random = new Random();
  private EmulatedDevice device;

  @BeforeEach
  void open() {
    random = new Random(Seed.next("DeviceRaceTest"));
    fresh(0);
  }

  @AfterEach
  void close() {
    device.close();
  }

  private void fresh(int round) {
    device =
        EmulatedDevice.create(
            directory.resolve("device" + round), CAPACITY, PersistenceMode.PROCESS);
  }

  /** One thread's part in a race. */
  @FunctionalInterface
  private interface Part {
    void run() throws Exception;
  }

  /** Runs all parts at once, each after a random number of spins; throws what the first threw. */
  private void race(Part... parts) throws Exception {
    CyclicBarrier start = new CyclicBarrier(parts.length);
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (Part part : parts) {
      int spins = random.nextInt(1 << random.nextInt(15));
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  start.await();
                  for (int i = 0; i < spins; i++) {
                    Thread.onSpinWait();
                  }
                  part.run();
                } catch (Throwable t) {
                  failure.compareAndSet(null, t);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    Throwable thrown = failure.get();
    if (thrown != null) {
      throw new AssertionError("one part of the race failed", thrown);
    }
  }

  @Test
  void windowMappedDuringAKillNeverOutlivesIt() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      List<Window> mapped = new CopyOnWriteArrayList<>();
      Part mapping =
          () -> {
            try {
              for (int i = 0; i < 4; i++) {
                mapped.add(device.map());
              }
            } catch (DeviceOfflineException e) {
              // The kill came first.
            }
          };
      race(mapping, mapping, () -> device.faults().remove());
      for (Window window : mapped) {
        assertTrue(Access.faults(window, 0), "round " + round + ": a window outlived the device");
        window.close();
      }
      device.faults().reinsert();
    }
  }

  @Test
  void noNotificationRunsAfterTheReleaseReturned() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      AtomicBoolean released = new AtomicBoolean();
      AtomicInteger late = new AtomicInteger();
      DeviceHolder holder =
          (_, _) -> {
            for (int i = 0; i < 2_000; i++) {
              Thread.onSpinWait();
            }
            if (released.get()) {
              late.incrementAndGet();
            }
          };
      device.hold(holder);
      Part notifying =
          () -> {
            for (int i = 0; i < 8; i++) {
              device.notifications.tell(new Fault(FaultKind.SLOW, 0, PAGE));
            }
          };
      race(
          notifying,
          notifying,
          () -> {
            device.release(holder);
            released.set(true);
          });
      assertEquals(0, late.get(), "round " + round + ": told after the release");
    }
  }

  @Test
  void closeDuringNotificationsHurtsNobody() throws Exception {
    for (int round = 1; round <= ROUNDS / 2; round++) {
      device.close();
      fresh(round);
      Window window = device.map();
      device.hold((source, _) -> {
        source.state();
        source.badBlocks();
        Access.faults(window, 0);
      });
      race(
          () -> {
            try {
              for (int i = 0; i < 8; i++) {
                device.faults().poison((long) (i % 2) * PAGE, 1);
              }
            } catch (DeviceOfflineException e) {
              // The close came first.
            }
          },
          () -> {
            try {
              device.dropBadBlocks(0, CAPACITY);
            } catch (DeviceOfflineException e) {
              // The close came first.
            }
          },
          () -> device.close());
      assertTrue(Access.faults(window, 2L * PAGE), "a window outlived the close");
      window.close();
    }
  }

  @Test
  void releaseAndCloseDuringAKillLeaveOneOfTwoOutcomes() throws Exception {
    int killed = 0;
    for (int round = 1; round <= ROUNDS; round++) {
      device.close();
      fresh(round);
      Window window = device.map();
      AtomicBoolean released = new AtomicBoolean();
      List<String> wrong = new CopyOnWriteArrayList<>();
      AtomicReference<@Nullable Fault> told = new AtomicReference<>();
      DeviceHolder holder =
          (source, fault) -> {
            told.set(fault);
            if (released.get()) {
              wrong.add("told after the release");
            }
            if (source.state() != DeviceState.DEAD || !Access.faults(window, 0)) {
              wrong.add("told before the device was gone");
            }
          };
      device.hold(holder);
      AtomicBoolean removed = new AtomicBoolean();
      race(
          () -> {
            try {
              device.faults().remove();
              removed.set(true);
            } catch (IllegalStateException e) {
              // The close came first: nothing is left to remove.
            }
          },
          () -> {
            device.release(holder);
            released.set(true);
            device.close();
          },
          () -> {
            // Keeps the lock on the windows busy, so that kill and close both have to queue for it.
            try {
              for (int i = 0; i < 16; i++) {
                device.map().close();
              }
            } catch (DeviceOfflineException e) {
              // The device is gone.
            }
          });
      assertEquals(List.of(), wrong, "round " + round);
      assertEquals(!removed.get(), Files.exists(device.file()), "round " + round);
      if (!removed.get()) {
        assertNull(told.get(), "told of a removal that did not happen");
      }
      assertTrue(Access.faults(window, 0), "a window outlived device and close");
      window.close();
      killed += removed.get() ? 1 : 0;
    }
    assertTrue(killed > 0, "no kill ever won");
  }

  @Test
  void poisonDuringARemovalIsEitherWholeOrRefused() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      Window window = device.map();
      AtomicBoolean poisoned = new AtomicBoolean();
      race(
          () -> {
            try {
              device.faults().poison(2L * PAGE, 1);
              poisoned.set(true);
            } catch (DeviceOfflineException e) {
              // The removal came first.
            }
          },
          () -> device.faults().remove());
      assertTrue(Access.faults(window, 0));
      window.close();
      device.faults().reinsert();
      assertEquals(
          poisoned.get() ? List.of(new BadRange(2L * PAGE, PAGE)) : List.of(),
          device.badBlocks(),
          "round " + round);
      try (Window fresh = device.map()) {
        assertEquals(poisoned.get(), Access.faults(fresh, 2L * PAGE));
        assertFalse(Access.faults(fresh, 3L * PAGE));
        device.clearPoison(2L * PAGE, PAGE);
        device.dropBadBlocks(2L * PAGE, PAGE);
        assertEquals(List.of(), device.badBlocks());
        assertEquals(0, Access.load(fresh, 2L * PAGE));
      }
    }
  }

  @Test
  void eventsFromWithinNotificationsEndInAWorkingDevice() throws Exception {
    List<FaultKind> told = new CopyOnWriteArrayList<>();
    AtomicInteger budget = new AtomicInteger();
    device.hold((_, fault) -> {
      told.add(fault.kind());
      if (budget.getAndDecrement() <= 0) {
        return;
      }
      try {
        switch (fault.kind()) {
          case POISON -> device.faults().remove();
          case REMOVED -> device.faults().reinsert();
          case RETURNED -> device.faults().poison(PAGE, 1);
          default -> {}
        }
      } catch (DeviceOfflineException | IllegalStateException e) {
        // The other thread was faster.
      }
    });
    for (int round = 0; round < ROUNDS / 2; round++) {
      budget.set(6);
      Part events =
          () -> {
            try {
              device.faults().poison(2L * PAGE, 1);
              device.faults().remove();
              device.faults().reinsert();
            } catch (DeviceOfflineException | IllegalStateException e) {
              // The other thread was faster.
            }
          };
      race(events, events);
      budget.set(0);
      if (device.state() == DeviceState.DEAD) {
        device.faults().reinsert();
      }
      assertEquals(DeviceState.LIVE, device.state());
      assertTrue(Files.exists(device.file()));
      try (Window window = device.map()) {
        for (long offset = 0; offset < CAPACITY; offset += PAGE) {
          assertEquals(listed(offset), Access.faults(window, offset), "page at " + offset);
        }
      }
      device.clearPoison(0, CAPACITY);
      device.dropBadBlocks(0, CAPACITY);
      assertEquals(List.of(), device.badBlocks());
    }
    assertTrue(told.containsAll(List.of(FaultKind.POISON, FaultKind.REMOVED, FaultKind.RETURNED)));
  }

  private boolean listed(long offset) {
    return device.badBlocks().stream().anyMatch(range -> range.overlaps(offset, PAGE));
  }

  /** A device's descriptor number belongs to another file as soon as the device is closed. */
  @Test
  void accessDuringCloseNeverReachesAnotherFile() throws Exception {
    byte[] foreign = new byte[DeviceLabel.SIZE + (int) CAPACITY];
    Arrays.fill(foreign, (byte) 'x');
    Path bystander = Files.write(directory.resolve("bystander"), foreign);
    for (int round = 1; round <= ROUNDS; round++) {
      device.close();
      fresh(round);
      race(
          () -> {
            byte[] target = new byte[64];
            try {
              for (int i = 0; i < 10_000; i++) {
                device.read(0, target, 0, target.length);
                if (target[0] == 'x') {
                  throw new AssertionError("read another file");
                }
                device.faults().misdirectedWrite(0, target);
              }
            } catch (DeviceOfflineException e) {
              // The close came first.
            }
          },
          () -> {
            device.close();
            for (int i = 0; i < 20; i++) {
              try (var other = new java.io.RandomAccessFile(bystander.toFile(), "rw")) {
                assertEquals(foreign.length, other.length());
              }
            }
          });
    }
    assertEquals(-1, Arrays.mismatch(foreign, Files.readAllBytes(bystander)), "wrote another file");
  }

  @Test
  void readDuringPoisonNeverReturnsGarbage() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      AtomicBoolean done = new AtomicBoolean();
      race(
          () -> {
            byte[] target = new byte[64];
            while (!done.get()) {
              try {
                device.read(PAGE, target, 0, target.length);
              } catch (PoisonedRangeException e) {
                continue;
              }
              for (byte b : target) {
                assertEquals(0, b, "garbage read as if it were data");
              }
            }
          },
          () -> {
            device.faults().poison(PAGE, 1);
            done.set(true);
          });
      device.clearPoison(PAGE, 1);
      device.dropBadBlocks(PAGE, 1);
    }
  }

  @Test
  void flushesMapsAndKillsShareTheDeviceWithoutAFalseError(@TempDir Path disk) throws Exception {
    device.close();
    // On a disk, where an msync takes its time.
    device = EmulatedDevice.create(disk.resolve("file"), CAPACITY, PersistenceMode.FILE);
    for (int round = 0; round < ROUNDS / 4; round++) {
      Part flushing =
          () -> {
            try {
              for (int i = 0; i < 4; i++) {
                device.faults().misdirectedWrite(0, new byte[] {(byte) i});
                device.flush(0, CAPACITY);
              }
            } catch (DeviceOfflineException e) {
              // The kill came first.
            }
          };
      Part mapping =
          () -> {
            try {
              for (int i = 0; i < 40; i++) {
                device.map().close();
              }
            } catch (DeviceOfflineException e) {
              // The kill came first.
            }
          };
      race(flushing, mapping, () -> device.faults().remove());
      device.faults().reinsert();
    }
  }
}
