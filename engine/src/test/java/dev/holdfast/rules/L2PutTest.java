package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.assertHoldsOnly;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.ObservedStores;
import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.SwitchObserver;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** L2: on every leg of the write set, in one clean pass, or nothing was stored. */
final class L2PutTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  @Test
  void everyAcknowledgedPutIsOnEveryLeg() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("everyAcknowledgedPutIsOnEveryLeg: -Dseed=" + seed);
    Path place = directory.resolve("s");
    Ledger ledger = new Ledger(seed);
    try (Store store = Entries.open(place)) {
      List<Thread> writers = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        int writer = i;
        writers.add(
            Thread.ofPlatform()
                .start(() -> {
                  for (int n = 0; n < 500; n++) {
                    Workload.op(seed, writer, n).run(store);
                  }
                }));
      }
      for (Thread writer : writers) {
        writer.join();
      }
      for (int writer = 0; writer < 3; writer++) {
        for (int n = 0; n < 500; n++) {
          ledger.begin(writer, n);
          ledger.acknowledge(writer, n);
        }
      }
      for (StoreExtent extent : store.owners(1 << 20, 1L << 40)) {
        if (extent.key() == null) {
          continue; // leaf table
        }
        byte[][] bytes = new byte[2][Math.toIntExact(extent.length())];
        for (int leg = 0; leg < 2; leg++) {
          device(store, leg).read(extent.offset(), bytes[leg], 0, bytes[leg].length);
        }
        assertArrayEquals(bytes[0], bytes[1]);
      }
      for (int leg = 0; leg < 2; leg++) {
        Path alone = CrashImage.of(place, directory.resolve("without-" + leg));
        CrashImage.remove(alone, leg);
        try (Store other = Store.open(alone)) {
          ledger.copy().settle(other);
        }
      }
    }
  }

  /**
   * A put that already stored everything, and waits for it to be durable, finds that a leg was lost
   * meanwhile, whose mark is not durable yet: it may not be acknowledged before that.
   */
  @Test
  void putIsAcknowledgedBehindTheMarkOfALegThatWasLostMeanwhile() throws Exception {
    CountDownLatch switching = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    SwitchObserver observer =
        (step, leg) -> {
          if (step == SwitchObserver.Step.READ_SWITCHED) {
            switching.countDown();
            try {
              goOn.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          }
        };
    try (Store store =
        ObservedStores.observing(
                Store.builder(directory.resolve("s"))
                    .initialCapacity(2 << 20)
                    .persistence(PersistenceMode.FILE),
                observer)
            .open()) {
      put(store, 0, 10);
      device(store, 1).faults().flushLatency(Duration.ofMillis(300));
      Thread writer = Thread.ofPlatform().start(() -> store.put(key(10), value(10)));
      // Everything is stored and past its barrier; the second leg is being flushed.
      await().until(() -> writer.getState() == Thread.State.TIMED_WAITING);
      Thread remover = Thread.ofPlatform().start(() -> device(store, 0).faults().remove());
      try {
        switching.await();
        // The commit started over, met the dead leg, and waits for the switch to end.
        await()
            .pollInterval(Duration.ofMillis(1))
            .until(() ->
                writer.getState() == Thread.State.WAITING
                    || writer.getState() == Thread.State.TERMINATED);
        assertEquals(Thread.State.WAITING, writer.getState(), "acknowledged before the mark");
        assertHolds(store, 0, 10);
      } finally {
        goOn.countDown();
      }
      writer.join();
      remover.join();
      device(store, 1).faults().flushLatency(Duration.ZERO);
      assertHoldsOnly(store, 0, 11);
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertHoldsOnly(store, 0, 11);
    }
  }

  @Test
  void putThatStartsOverTakesOnePlaceOnly() {
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 10);
      long free = store.stats().freeBytes();
      device(store, 0).faults().notifyNever();
      device(store, 0).faults().remove();
      store.put(key(10), value(10)); // meets the dead leg on its first pass
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertEquals(free, store.stats().freeBytes());
      assertHoldsOnly(store, 0, 11);
    }
  }

  @Test
  void putThatMeetsTwoDeadLegsAtOnceIsNotAcknowledged() {
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 10);
      for (int leg = 0; leg < 2; leg++) {
        device(store, leg).faults().notifyNever();
        device(store, leg).faults().remove();
      }
      // One pending error stands for both.
      DeviceOfflineException e =
          org.junit.jupiter.api.Assertions.assertThrows(
              DeviceOfflineException.class, () -> store.put(key(10), value(10)));
      assertTrue(String.valueOf(e.getMessage()).contains("leg 1"), e.getMessage());
      assertEquals(10, store.stats().entries());
      assertEquals(StoreState.FAILED, store.health().state());
      device(store, 0).faults().reinsert();
      device(store, 1).faults().reinsert();
      store.online(0);
      store.online(1);
      assertHoldsOnly(store, 0, 10);
      assertNull(store.get(key(10)));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  /** Both legs die under two writers; what was acknowledged is there when they are back. */
  @RepeatedTest(10)
  void nothingIsAcknowledgedOnceBothLegsAreDead() throws Exception {
    AtomicBoolean dead = new AtomicBoolean();
    AtomicReference<String> wrong = new AtomicReference<>();
    int[] acknowledged = new int[2];
    try (Store store = Entries.open(directory.resolve("s"))) {
      List<Thread> writers = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        int writer = i;
        writers.add(
            Thread.ofPlatform()
                .start(() -> {
                  for (int n = 0; ; n++) {
                    boolean beganDead = dead.get();
                    try {
                      store.put(("w" + writer + "-" + n).getBytes(US_ASCII), value(n));
                    } catch (DeviceOfflineException e) {
                      return;
                    } catch (RuntimeException | Error e) {
                      wrong.set(e.toString());
                      return;
                    }
                    if (beganDead) {
                      wrong.set("acknowledged with both legs dead");
                      return;
                    }
                    acknowledged[writer] = n + 1;
                  }
                }));
      }
      LockSupport.parkNanos(5_000_000);
      for (int leg = 0; leg < 2; leg++) {
        device(store, leg).faults().notifyNever();
      }
      device(store, 1).faults().remove();
      device(store, 0).faults().remove();
      dead.set(true);
      for (Thread writer : writers) {
        writer.join();
      }
      assertNull(wrong.get());
      device(store, 0).faults().reinsert();
      device(store, 1).faults().reinsert();
      // Which of them missed nothing is in their superblocks; the other is copied to.
      for (int leg = 0; leg < 2; leg++) {
        try {
          store.online(leg);
        } catch (DeviceOfflineException e) {
          assertNotNull(e.getMessage());
        }
      }
      store.online(0);
      assertEquals(StoreState.ONLINE, store.health().state());
      for (int writer = 0; writer < 2; writer++) {
        for (int n = 0; n < acknowledged[writer]; n++) {
          byte[] key = ("w" + writer + "-" + n).getBytes(US_ASCII);
          assertArrayEquals(value(n), store.get(key), "writer " + writer + " put " + n);
        }
      }
    }
  }
}
