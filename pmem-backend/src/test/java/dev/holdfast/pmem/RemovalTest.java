package dev.holdfast.pmem;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.RemovalRefusedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pulling a device out, and putting it back. */
class RemovalTest {
  private static final int PAGE = FaultInjector.pageSize();
  private static final long CAPACITY = 16L * PAGE;
  private static final Fault REMOVED = Fault.ofDevice(FaultKind.REMOVED, CAPACITY);
  private static final Fault RETURNED = Fault.ofDevice(FaultKind.RETURNED, CAPACITY);
  private static final Fault PRE_REMOVE = Fault.ofDevice(FaultKind.PRE_REMOVE, CAPACITY);

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private final List<Fault> told = new CopyOnWriteArrayList<>();
  private EmulatedDevice device;
  private Window window;

  @BeforeEach
  void open() {
    device = EmulatedDevice.create(directory.resolve("device"), CAPACITY, PersistenceMode.PROCESS);
    window = device.map();
  }

  @AfterEach
  void close() {
    window.close();
    device.close();
  }

  /** Every way to the device, and whether it is open; empty once the device is gone. */
  private List<String> waysIn(Window... windows) {
    List<String> open = new ArrayList<>();
    for (Window each : windows) {
      for (long offset = 0; offset < CAPACITY; offset += PAGE) {
        if (!Access.faults(each, offset)) {
          open.add("window at " + offset);
        }
      }
    }
    var calls =
        new Object[][] {
          {"map", (Runnable) () -> device.map().close()},
          {"read", (Runnable) () -> device.read(0, new byte[8], 0, 8)},
          {"flush", (Runnable) () -> device.flush(0, 8)},
          {"grow", (Runnable) () -> device.grow(2 * CAPACITY)},
          {"clear", (Runnable) () -> device.clearPoison(0, 8)},
          {"drop", (Runnable) () -> device.dropBadBlocks(0, 8)},
          {"poison", (Runnable) () -> device.faults().poison(0, 8)},
          {
            "open",
            (Runnable) () -> EmulatedDevice.open(device.file(), PersistenceMode.PROCESS).close()
          },
        };
    for (Object[] call : calls) {
      try {
        ((Runnable) call[1]).run();
        open.add((String) call[0]);
      } catch (DeviceOfflineException expected) {
        // This way is closed.
      }
    }
    return open;
  }

  @Test
  void statePagesAndFileAreGoneBeforeTheHolderIsTold() {
    Window second = device.map();
    Access.store(window, 0, 1);
    List<String> openWhenTold = new ArrayList<>();
    device.hold((source, fault) -> {
      openWhenTold.addAll(waysIn(window, second));
      if (source.state() != DeviceState.DEAD || source.generation() != 2) {
        openWhenTold.add(source.state() + " in generation " + source.generation());
      }
      if (Files.exists(device.file())) {
        openWhenTold.add("the file");
      }
      told.add(fault);
    });
    device.faults().remove();
    assertEquals(List.of(REMOVED), told);
    assertEquals(List.of(), openWhenTold);
    second.close();
  }

  @Test
  void everyWayInIsClosedWithoutAHolderToo() {
    assertEquals(8 + (int) (CAPACITY / PAGE), waysIn(window).size(), "open while it lives");
    device.clearPoison(0, 8);
    device.dropBadBlocks(0, 8);
    device.faults().remove();
    assertEquals(List.of(), waysIn(window));
  }

  @Test
  void storesToARemovedDeviceAreNotAcknowledged() {
    device.faults().remove();
    assertThrows(InternalError.class, () -> Access.store(window, 8, 1));
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.copyIn(new byte[3 * PAGE], 0, window, 8, 3 * PAGE);
          Gateway.barrier();
        });
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.fill(window, 0, 2L * PAGE, (byte) 1);
          Gateway.barrier();
        });
    assertThrows(
        InternalError.class,
        () -> {
          Gateway.putLongRelease(window, 8, 1);
          Gateway.barrier();
        });
    InternalError fault =
        assertThrows(
            InternalError.class,
            () -> {
              Gateway.copyOut(window, 8, new byte[3 * PAGE], 0, 3 * PAGE);
              Gateway.barrier();
            });
    assertTrue(Gateway.isMemoryFault(fault), fault.getMessage());
    assertFalse(Gateway.isMemoryFault(new InternalError("something else")));
    assertFalse(Gateway.isMemoryFault(new InternalError()));
  }

  @Test
  void returnedDeviceHoldsItsBytesAndOldWindowsStayDead() {
    Access.store(window, 8, 42);
    device.hold((_, fault) -> told.add(fault));
    device.faults().remove();
    device.faults().reinsert();
    assertEquals(List.of(REMOVED, RETURNED), told);
    assertEquals(DeviceState.LIVE, device.state());
    assertEquals(3, device.generation());
    assertTrue(Access.faults(window, 8), "a window of the former life");
    try (Window fresh = device.map()) {
      assertEquals(3, fresh.generation());
      assertEquals(42, Access.load(fresh, 8));
      Access.store(fresh, 8, 43);
      device.faults().remove();
      assertTrue(Access.faults(fresh, 8));
      device.faults().reinsert();
    }
    try (Window fresh = device.map()) {
      assertEquals(43, Access.load(fresh, 8));
    }
  }

  @Test
  void removedDeviceIsBackForAnotherOpenerOnlyAfterItWasPutBack() {
    Access.store(window, 8, 42);
    Path file = device.file();
    device.faults().remove();
    device.close();
    assertThrows(
        DeviceOfflineException.class, () -> EmulatedDevice.open(file, PersistenceMode.PROCESS));
    FaultInjector.reinsert(file);
    try (EmulatedDevice again = EmulatedDevice.open(file, PersistenceMode.PROCESS);
        Window fresh = again.map()) {
      assertEquals(device.id(), again.id());
      assertEquals(42, Access.load(fresh, 8));
    }
    assertThrows(DeviceIoException.class, () -> FaultInjector.reinsert(file));
  }

  @Test
  void returnDoesNotOverwriteWhatTookThePlace() throws IOException {
    device.faults().remove();
    Files.writeString(device.file(), "mine");
    assertThrows(DeviceIoException.class, () -> device.faults().reinsert());
    assertThrows(DeviceIoException.class, () -> FaultInjector.reinsert(device.file()));
    assertEquals("mine", Files.readString(device.file()));
    assertEquals(DeviceState.DEAD, device.state());
    Files.delete(device.file());
    device.faults().reinsert();
    assertEquals(DeviceState.LIVE, device.state());
  }

  @Test
  void whatCannotHappenTwiceIsRefused() {
    assertThrows(IllegalStateException.class, () -> device.faults().reinsert());
    device.faults().remove();
    assertThrows(IllegalStateException.class, () -> device.faults().remove());
    assertThrows(IllegalStateException.class, () -> device.faults().removeOrderly(Duration.ZERO));
    device.faults().reinsert();
    assertThrows(IllegalStateException.class, () -> device.faults().reinsert());
  }

  @Test
  void holderIsToldOfADeviceThatDiedEvenIfItsFileCannotBeRenamed() throws IOException {
    device.hold((_, fault) -> told.add(fault));
    Files.delete(device.file());
    assertThrows(DeviceIoException.class, () -> device.faults().remove());
    assertEquals(List.of(REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
    assertTrue(Access.faults(window, 0));
  }

  @Test
  void badBlocksAreStillKnownWhileTheDeviceIsGone() {
    BadRange bad = device.faults().poison(PAGE, 1);
    device.faults().remove();
    assertEquals(List.of(bad), device.badBlocks());
    device.faults().reinsert();
    try (Window fresh = device.map()) {
      assertTrue(Access.faults(fresh, PAGE));
      assertFalse(Access.faults(fresh, 0));
      assertFalse(Access.faults(fresh, 2L * PAGE));
    }
  }

  @Test
  void orderlyRemovalLetsTheHolderReadAndWriteButNotMap() {
    List<String> seen = new CopyOnWriteArrayList<>();
    device.hold((source, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        seen.add(source.state().toString());
        Access.store(window, 8, 77);
        device.flush(8, 8);
        seen.add("load " + Access.load(window, 8));
        assertThrows(DeviceOfflineException.class, source::map);
        assertThrows(DeviceOfflineException.class, () -> source.grow(2 * CAPACITY));
        seen.add("no window");
      }
    });
    device.faults().removeOrderly(Duration.ofSeconds(30));
    assertEquals(List.of("DYING", "load 77", "no window"), seen);
    assertEquals(List.of(PRE_REMOVE, REMOVED), told);
    assertEquals(List.of(), waysIn(window));
    device.faults().reinsert();
    try (Window fresh = device.map()) {
      assertEquals(77, Access.load(fresh, 8));
    }
  }

  @Test
  void orderlyRemovalDoesNotWaitForAHolderThatHangs() {
    CountDownLatch hang = new CountDownLatch(1);
    device.hold((_, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        awaitUninterruptibly(hang);
      }
    });
    device.faults().removeOrderly(Duration.ofMillis(20));
    assertEquals(List.of(PRE_REMOVE, REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
    hang.countDown();
  }

  @Test
  void aHolderThatRefusesKeepsTheDeviceAndItsWindows() {
    device.hold((_, fault) -> {
      told.add(fault);
      throw new RemovalRefusedException("planted by the test: " + told.size(), null);
    });
    Access.store(window, 8, 77);
    long generation = device.generation();
    for (int i = 1; i <= 2; i++) {
      RemovalRefusedException refused =
          assertThrows(
              RemovalRefusedException.class,
              () -> device.faults().removeOrderly(Duration.ofSeconds(30)));
      assertEquals("planted by the test: " + i, refused.getMessage());
      assertEquals(DeviceState.LIVE, device.state());
      assertEquals(generation, device.generation());
      assertEquals(77, Access.load(window, 8));
      try (Window fresh = device.map()) {
        assertEquals(77, Access.load(fresh, 8));
      }
    }
    assertEquals(List.of(PRE_REMOVE, PRE_REMOVE), told);
    // Only who is asked can refuse.
    device.faults().remove();
    assertEquals(List.of(PRE_REMOVE, PRE_REMOVE, REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
  }

  @Test
  void aRefusalThatComesTooLateIsNone() {
    CountDownLatch hang = new CountDownLatch(1);
    device.hold((_, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        awaitUninterruptibly(hang);
        throw new RemovalRefusedException("planted by the test", null);
      }
    });
    device.faults().removeOrderly(Duration.ofMillis(20));
    assertEquals(DeviceState.DEAD, device.state());
    hang.countDown();
    device.faults().reinsert();
    assertEquals(DeviceState.LIVE, device.state());
  }

  @Test
  void aRefusalKeepsNoDeviceThatDiedMeanwhile() {
    device.hold((_, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        device.faults().remove();
        throw new RemovalRefusedException("planted by the test", null);
      }
    });
    device.faults().removeOrderly(Duration.ofSeconds(30));
    assertEquals(List.of(PRE_REMOVE, REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
  }

  /** The time is the holder's: who is interrupted does not pull the device out under it. */
  @Test
  void anInterruptDoesNotShortenTheTimeOfTheHolder() {
    device.hold((_, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        throw new RemovalRefusedException("planted by the test", null);
      }
    });
    Thread.currentThread().interrupt();
    assertThrows(
        RemovalRefusedException.class, () -> device.faults().removeOrderly(Duration.ofSeconds(30)));
    assertTrue(Thread.interrupted());
    assertEquals(DeviceState.LIVE, device.state());
  }

  @Test
  void surpriseInTheMiddleOfAnOrderlyRemovalEndsIt() {
    device.hold((_, fault) -> {
      told.add(fault);
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        device.faults().remove();
      }
    });
    device.faults().removeOrderly(Duration.ofSeconds(30));
    assertEquals(List.of(PRE_REMOVE, REMOVED), told);
    assertEquals(DeviceState.DEAD, device.state());
  }

  @Test
  void silencedInjectorTellsNobodyWhilePagesFault() {
    device.hold((_, fault) -> told.add(fault));
    device.faults().notifyNever();
    device.faults().poison(0, 1);
    device.faults().removeOrderly(Duration.ZERO);
    assertTrue(Access.faults(window, PAGE));
    device.faults().reinsert();
    assertEquals(List.of(), told);
    device.faults().notifyAfter(Duration.ZERO);
    device.faults().remove();
    assertEquals(List.of(REMOVED), told);
  }

  @Test
  void lateNotificationComesAfterItsDelayAndThePagesFaultBefore() {
    List<Long> toldAt = new CopyOnWriteArrayList<>();
    device.hold((_, _) -> toldAt.add(System.nanoTime()));
    device.faults().notifyAfter(Duration.ofMillis(50));
    long start = System.nanoTime();
    device.faults().remove();
    assertTrue(Access.faults(window, 0));
    await().until(() -> toldAt.size() == 1);
    assertTrue(toldAt.get(0) - start >= 50_000_000, "told too early");
    assertThrows(
        IllegalArgumentException.class,
        () -> device.faults().notifyAfter(Duration.ofMillis(50).negated()));
  }

  @Test
  void hangingHolderDelaysNoOtherDevicesNotification() {
    CountDownLatch hang = new CountDownLatch(1);
    int hanging = Runtime.getRuntime().availableProcessors() + 2;
    List<EmulatedDevice> others = new ArrayList<>();
    try {
      for (int i = 0; i < hanging; i++) {
        EmulatedDevice other =
            EmulatedDevice.create(
                directory.resolve("other" + i), CAPACITY, PersistenceMode.PROCESS);
        others.add(other);
        other.hold((_, _) -> awaitUninterruptibly(hang));
        other.faults().notifyAfter(Duration.ofMillis(1));
        other.faults().remove();
      }
      device.hold((_, fault) -> told.add(fault));
      device.faults().notifyAfter(Duration.ofMillis(2));
      device.faults().remove();
      await().until(() -> told.equals(List.of(REMOVED)));
    } finally {
      hang.countDown();
      others.forEach(EmulatedDevice::close);
    }
  }

  @Test
  void holderThatThrowsStopsNothing() {
    device.hold((_, fault) -> {
      told.add(fault);
      switch (told.size()) {
        case 1 -> throw new IllegalStateException("planted by the test");
        case 2 -> throw new AssertionError("planted by the test");
        default -> {
          // A holder that reads the dead device without a try of its own.
          Access.load(window, 0);
        }
      }
    });
    device.faults().remove();
    device.faults().reinsert();
    device.faults().remove();
    assertEquals(List.of(REMOVED, RETURNED, REMOVED), told);
    device.release((_, _) -> {});
  }

  @Test
  void deviceHasAtMostOneHolder() {
    DeviceHolder first = (_, fault) -> told.add(fault);
    DeviceHolder second = (_, _) -> {};
    device.hold(first);
    assertThrows(IllegalStateException.class, () -> device.hold(second));
    assertThrows(IllegalStateException.class, () -> device.hold(first));
    device.release(second);
    device.faults().poison(0, 1);
    assertEquals(1, told.size(), "released by another than its holder");
    device.release(first);
    device.release(first);
    device.faults().poison(0, 1);
    assertEquals(1, told.size(), "told after the release");
    device.hold(second);
    device.release(second);
  }

  @Test
  void releaseFromWithinANotificationDoesNotWaitForItself() {
    DeviceHolder[] holder = new DeviceHolder[1];
    long[] took = new long[1];
    holder[0] =
        (source, fault) -> {
          told.add(fault);
          long start = System.nanoTime();
          source.release(holder[0]);
          took[0] = System.nanoTime() - start;
        };
    device.hold(holder[0]);
    device.faults().poison(0, 1);
    device.faults().poison(0, 1);
    assertEquals(1, told.size());
    assertTrue(took[0] < 400_000_000, "waited for itself: " + took[0] + " ns");
  }

  @Test
  void releaseDoesNotWaitForeverForANotificationThatHangs() throws InterruptedException {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch hang = new CountDownLatch(1);
    DeviceHolder holder =
        (_, _) -> {
          inside.countDown();
          awaitUninterruptibly(hang);
        };
    device.hold(holder);
    Thread remover = Thread.ofPlatform().start(() -> device.faults().remove());
    inside.await();
    device.release(holder);
    assertTrue(remover.isAlive());
    hang.countDown();
    remover.join();
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
