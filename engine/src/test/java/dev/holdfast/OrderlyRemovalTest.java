package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.RemovalRefusedException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Devices that ask before they go: the last good copy stays, and no operation fails by either. */
final class OrderlyRemovalTest {
  private static final int KEYS = 500;
  private static final Duration GRACE = Duration.ofSeconds(10);

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private static String assertRefused(Store store, int leg) {
    RemovalRefusedException refused =
        assertThrows(
            RemovalRefusedException.class, () -> leg(store, leg).faults().removeOrderly(GRACE));
    assertEquals(DeviceState.LIVE, leg(store, leg).state());
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains("leg " + leg + " ("), message);
    return message;
  }

  @Test
  void aSingleLegIsKeptAndServes() {
    ConcurrentLinkedQueue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    try (Store store = builder().single().listener(events::add).open()) {
      fill(store, 0, KEYS);
      String message = assertRefused(store, 0);
      assertTrue(message.contains("last copy") && message.contains("attach"), message);
      assertHolds(store, 0, KEYS);
      store.put(key(KEYS), value(KEYS));
      assertEquals(StoreState.ONLINE, store.health().state());
      await()
          .until(() ->
              events.stream()
                  .anyMatch(e ->
                      e.kind() == HealthEvent.Kind.REMOVAL_REFUSED
                          && e.leg() == 0
                          && e.detail().equals(message)));
      // Who does not ask is not refused.
      leg(store, 0).faults().remove();
      assertThrows(DeviceOfflineException.class, () -> store.get(key(1)));
    }
  }

  @Test
  void aLegThatNobodyUsesIsLetGo() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      store.offline(1);
      leg(store, 1).faults().removeOrderly(GRACE);
      assertEquals(DeviceState.DEAD, leg(store, 1).state());
      assertRefused(store, 0);
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void aPolicyMayKeepALegThatAnotherOneCovers() {
    FailurePolicy standard = FailurePolicy.standard();
    AtomicBoolean keeps = new AtomicBoolean(true);
    FailurePolicy keeping =
        (topology, subject, kind) ->
            kind == FaultKind.PRE_REMOVE && keeps.get()
                ? new Verdict.RefuseRemoval()
                : standard.decide(topology, subject, kind);
    try (Store store = builder().policy(keeping).open()) {
      fill(store, 0, KEYS);
      String message = assertRefused(store, 1);
      assertTrue(message.contains("policy"), message);
      assertEquals(StoreState.ONLINE, store.health().state());
      keeps.set(false);
      leg(store, 1).faults().removeOrderly(GRACE);
      assertEquals(LegState.OFFLINE, state(store, 1));
    }
  }

  /** No policy may give up the last good copy in order. */
  @Test
  void noPolicyLetsTheLastCopyGo() {
    try (Store store = builder().single().policy((_, _, _) -> new Verdict.Watch()).open()) {
      fill(store, 0, KEYS);
      assertRefused(store, 0);
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void theOtherLegIsNoCopyWhileItIsCopiedTo() throws Exception {
    try (Store store = builder().initialCapacity(16 << 20).resilverRate(1 << 20).open();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().remove();
      for (int i = 0; i < 300; i++) {
        store.put(key(KEYS + i), new byte[20_000]);
      }
      SteadyLoad load = new SteadyLoad(store, KEYS, pool, stop);
      load.awaitOperations(500);
      leg(store, 1).faults().reinsert();
      await().until(() -> state(store, 1) == LegState.RESILVERING);
      String message = assertRefused(store, 0);
      assertEquals(LegState.RESILVERING, state(store, 1), "too fast for this test");
      assertTrue(message.contains("leg 1 is RESILVERING"), message);
      load.awaitOperations(500);
      await()
          .atMost(Duration.ofSeconds(60))
          .until(() -> store.health().state() == StoreState.ONLINE);
      leg(store, 0).faults().removeOrderly(GRACE);
      load.awaitOperations(500);
      load.end();
      assertEquals(DeviceState.DEAD, leg(store, 0).state());
      assertHolds(store, 0, KEYS);
    }
  }

  /** It was there when the policy was asked: what counts is what is when the leg would go. */
  @Test
  void theOtherLegIsLostWhileThePolicyDecides() throws Exception {
    FailurePolicy standard = FailurePolicy.standard();
    AtomicReference<@Nullable Store> opened = new AtomicReference<>();
    FailurePolicy late =
        (topology, subject, kind) -> {
          Store store = opened.get();
          if (kind == FaultKind.PRE_REMOVE && store != null) {
            leg(store, 1).faults().remove();
          }
          return standard.decide(topology, subject, kind);
        };
    try (Store store = builder().policy(late).open();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, KEYS);
      SteadyLoad load = new SteadyLoad(store, KEYS, pool, stop);
      load.awaitOperations(500);
      opened.set(store);
      assertRefused(store, 0);
      opened.set(null);
      load.awaitOperations(500);
      assertEquals(LegState.REMOVED, state(store, 1));
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      leg(store, 0).faults().removeOrderly(GRACE);
      load.awaitOperations(500);
      load.end();
      assertHolds(store, 0, KEYS);
    }
  }

  /**
   * Once it is out, it lacks what is written: it cannot serve, but it is not pulled out as well.
   */
  @Test
  void theOtherLegIsLostWhileOperationsLeave() throws Exception {
    try (Store store =
        builder().initialCapacity(32 << 20).persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().flushLatency(Duration.ofMinutes(1));
      // Its flush is part of the operation, which began before anybody asked.
      long flushes = leg(store, 1).faults().flushes();
      Thread put = Thread.ofPlatform().daemon().start(() -> putQuietly(store, new byte[3_000_000]));
      await().until(() -> leg(store, 1).faults().flushes() > flushes);
      leg(store, 1).faults().flushLatency(Duration.ZERO); // Of the flushes to come.
      AtomicReference<@Nullable Throwable> answer = new AtomicReference<>();
      Thread asking =
          Thread.ofPlatform()
              .daemon()
              .start(() -> {
                try {
                  leg(store, 0).faults().removeOrderly(Duration.ofMinutes(1));
                } catch (Throwable e) {
                  answer.set(e);
                }
              });
      await().until(() -> state(store, 0) == LegState.OFFLINE);
      leg(store, 1).faults().remove();
      put.interrupt();
      asking.join();
      put.join();
      assertTrue(answer.get() instanceof RemovalRefusedException, "was " + answer.get());
      assertEquals(DeviceState.LIVE, leg(store, 0).state());
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      assertHolds(store, 0, KEYS);
    }
  }

  private static void putQuietly(Store store, byte[] large) {
    try {
      store.put(key(KEYS), large);
    } catch (DeviceOfflineException e) {
      // Both legs are out of use for a moment.
    }
  }

  @Test
  void ofTwoThatAskAtOnceOneStays() throws Exception {
    try (Store store = builder().open();
        ExecutorService pool = Executors.newFixedThreadPool(6);
        StopFlag stop = new StopFlag()) {
      fill(store, 0, KEYS);
      SteadyLoad load = new SteadyLoad(store, KEYS, pool, stop);
      for (int round = 0; round < 8; round++) {
        load.awaitOperations(200);
        CountDownLatch both = new CountDownLatch(2);
        List<Future<Boolean>> gone = new ArrayList<>();
        for (int leg = 0; leg < 2; leg++) {
          int asking = leg;
          gone.add(
              pool.submit(() -> {
                both.countDown();
                both.await();
                try {
                  leg(store, asking).faults().removeOrderly(GRACE);
                  return true;
                } catch (RemovalRefusedException e) {
                  return false;
                }
              }));
        }
        boolean first = gone.get(0).get();
        boolean second = gone.get(1).get();
        assertTrue(first ^ second, "gone: " + first + ", " + second);
        load.awaitOperations(200);
        leg(store, first ? 0 : 1).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      load.end();
      assertHolds(store, 0, KEYS);
      assertEquals(0, store.stats().faultsCaught());
    }
  }

  @SuppressWarnings("try") // closing by hand is what is tested
  @Test
  void aCloseMeanwhileLosesNothing() throws Exception {
    for (int round = 0; round < 10; round++) {
      int leg = round % 2;
      Path file;
      try (Store store = builder().open();
          ExecutorService pool = Executors.newFixedThreadPool(2);
          StopFlag stop = new StopFlag()) {
        awaitState(store, StoreState.ONLINE);
        fill(store, 0, KEYS);
        file = leg(store, leg).file();
        AtomicInteger acknowledged = new AtomicInteger(KEYS - 1);
        Future<?> load =
            pool.submit(() -> {
              try {
                for (int i = KEYS; !stop.get(); i++) {
                  store.put(key(i), value(i));
                  acknowledged.set(i);
                }
              } catch (StoreClosedException e) {
                // What it was waiting for.
              }
            });
        await().until(() -> acknowledged.get() > KEYS);
        Future<?> removal =
            pool.submit(() -> {
              try {
                leg(store, leg).faults().removeOrderly(GRACE);
              } catch (IllegalStateException e) {
                // The store is closed, and with it the device.
              }
            });
        if (round % 3 > 0) {
          await().until(() -> leg(store, leg).state() != DeviceState.LIVE);
        }
        store.close();
        removal.get();
        load.get();
        Path other = leg(store, 1 - leg).file();
        assertTrue(Files.exists(other), "both legs are gone");
        try (Store again = builder().open()) {
          // Alone, if the other is away.
          assertHolds(again, 0, acknowledged.get() + 1);
        }
      }
      Path away = file.resolveSibling(file.getFileName() + ".removed");
      if (Files.exists(away)) {
        assertFalse(Files.exists(file));
        dev.holdfast.pmem.FaultInjector.reinsert(file);
      }
    }
  }
}
