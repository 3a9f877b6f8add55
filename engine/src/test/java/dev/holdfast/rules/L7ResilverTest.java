package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.assertHoldsOnly;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreStats;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** L7: the mark, the write set, a grace period, the copy, its verification, the read set. */
final class L7ResilverTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private final AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();

  /** Whether returned legs wait until a test brings them back: a rescan would do it, too. */
  private volatile boolean byHand = true;

  /** A store whose leg 1 missed something and is back, silently, with slow flushes. */
  private Store withReturnedLeg(Duration flushLatency) {
    FailurePolicy standard = FailurePolicy.standard();
    Store store =
        Store.builder(directory.resolve("s"))
            .initialCapacity(2 << 20)
            .policy((topology, subject, fault) ->
                byHand && fault == FaultKind.RETURNED
                    ? new Verdict.Ignore()
                    : standard.decide(topology, subject, fault))
            .open();
    put(store, 0, 200);
    device(store, 1).faults().notifyNever();
    device(store, 1).faults().remove();
    put(store, 200, 300);
    // What the lost leg still has where something else lies now.
    for (int i = 0; i < 50; i++) {
      store.remove(key(i));
    }
    put(store, 300, 350);
    device(store, 1).faults().reinsert();
    device(store, 1).faults().flushLatency(flushLatency);
    return store;
  }

  private Thread online(Store store) {
    return Thread.ofPlatform()
        .start(() -> {
          try {
            store.online(1);
          } catch (Throwable e) {
            failed.set(e);
          }
        });
  }

  /** Beyond the marks and the grace period: regions are copied now. */
  private static void awaitCopying(Store store) {
    await()
        .pollInterval(Duration.ofMillis(1))
        .until(() -> {
          StoreStats.Resilver copy = store.stats().resilver();
          return copy != null && copy.running();
        });
  }

  @Test
  void legThatIsLostRightBehindItsCopyIsNotCalledBack() throws Exception {
    try (Store store = withReturnedLeg(Duration.ofMillis(200))) {
      Thread copying = online(store);
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> LegMarks.of(CrashImage.leg(directory.resolve("s"), 0), 1).equals("IN_SYNC"));
      // The witness is last, then it is read; what is left of its copy takes a slow flush.
      Path witness = directory.resolve("s").resolve("witness");
      byte[] before = Files.readAllBytes(witness);
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> !Arrays.equals(before, Files.readAllBytes(witness)));
      device(store, 1).faults().remove();
      put(store, 350, 360); // is noticed
      copying.join();
      assertEquals(LegState.REMOVED, store.health().legs().get(1).state());
      device(store, 1).faults().flushLatency(Duration.ZERO);
      device(store, 1).faults().reinsert();
      store.online(1);
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void writesDuringTheCopyAreOnBothLegsAndTheCopyIsNotRead() throws Exception {
    try (Store store = withReturnedLeg(Duration.ofMillis(80))) {
      long seed = Long.getLong("seed", System.nanoTime());
      System.out.println("writesDuringTheCopyAreOnBothLegs: -Dseed=" + seed);
      AtomicBoolean stop = new AtomicBoolean();
      long[] done = new long[3];
      List<Thread> writers = new ArrayList<>();
      for (int i = 0; i < done.length; i++) {
        int writer = i;
        writers.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    for (long n = 0; !stop.get(); n++) {
                      Workload.op(seed, writer, n).run(store);
                      done[writer] = n + 1;
                    }
                  } catch (Throwable e) {
                    failed.set(e);
                  }
                }));
      }
      // Small ones, so that no moment of the copy is without a store to the region of the records.
      Thread hammer =
          Thread.ofPlatform()
              .start(() -> {
                for (int n = 0; !stop.get(); n++) {
                  store.put(key(50 + n % 4), Entries.value(50 + n % 4));
                }
              });
      Thread copying = online(store);
      awaitCopying(store);
      long reads = store.stats().legs().get(1).reads();
      assertEquals("NOT_IN_SYNC", LegMarks.of(CrashImage.leg(directory.resolve("s"), 1), 1));
      assertEquals("NOT_IN_SYNC", LegMarks.of(CrashImage.leg(directory.resolve("s"), 0), 1));
      assertHolds(store, 50, 350);
      assertEquals(reads, store.stats().legs().get(1).reads());
      assertTrue(copying.isAlive(), "the copy was still under way");
      copying.join();
      stop.set(true);
      hammer.join();
      for (Thread writer : writers) {
        writer.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals("IN_SYNC", LegMarks.of(CrashImage.leg(directory.resolve("s"), 0), 1));

      Ledger ledger = new Ledger(seed);
      for (int i = 50; i < 350; i++) {
        ledger.record("key-" + i, Entries.value(i));
      }
      for (int writer = 0; writer < done.length; writer++) {
        for (long n = 0; n < done[writer]; n++) {
          ledger.begin(writer, n);
          ledger.acknowledge(writer, n);
        }
      }
      device(store, 0).faults().remove();
      ledger.settle(store);
    }
  }

  @Test
  void targetThatDiesMidCopyLeavesTheSourceServing() throws Exception {
    try (Store store = withReturnedLeg(Duration.ofMillis(100))) {
      Thread copying = online(store);
      awaitCopying(store);
      device(store, 1).faults().remove();
      copying.join();
      assertInstanceOf(HoldfastException.class, failed.get());
      put(store, 350, 360);
      assertHoldsOnly(store, 50, 360);
      assertEquals(StoreState.DEGRADED, store.health().state());
      // And it can be tried again.
      device(store, 1).faults().flushLatency(Duration.ZERO);
      device(store, 1).faults().reinsert();
      store.online(1);
      device(store, 0).faults().remove();
      assertHoldsOnly(store, 50, 360);
    }
  }

  @Test
  void sourceThatDiesMidCopyLeavesNobodyToServe() throws Exception {
    try (Store store = withReturnedLeg(Duration.ofMillis(100))) {
      Thread copying = online(store);
      awaitCopying(store);
      device(store, 0).faults().notifyNever();
      device(store, 0).faults().remove();
      copying.join();
      assertInstanceOf(DeviceOfflineException.class, failed.get());
      for (int i = 50; i < 350; i++) {
        byte[] key = key(i);
        org.junit.jupiter.api.Assertions.assertThrows(
            DeviceOfflineException.class, () -> store.get(key));
      }
      byHand = false;
      assertEquals(StoreState.FAILED, store.health().state());
      device(store, 1).faults().flushLatency(Duration.ZERO);
      // A half-copied leg is asked first, and does not serve.
      try {
        store.online(1);
      } catch (HoldfastException e) {
        assertTrue(String.valueOf(e.getMessage()).contains("leg"));
      }
      assertEquals(StoreState.FAILED, store.health().state());
      device(store, 0).faults().reinsert();
      store.online(0);
      assertHoldsOnly(store, 50, 350);
    }
  }

  @Test
  void copyThatDoesNotReadBackIsNotBelieved() throws Exception {
    try (Store store = withReturnedLeg(Duration.ofMillis(60))) {
      EmulatedDevice target = device(store, 1);
      Thread copying = online(store);
      awaitCopying(store);
      byte wrong = 1;
      while (copying.isAlive() && failed.get() == null) {
        // In one of the regions that are copied: between its store and its verification.
        target
            .faults()
            .misdirectedWrite(VolumeLayout.RECORDS_OFFSET + 100, new byte[] {wrong++, wrong});
        Thread.onSpinWait();
      }
      copying.join();
      assertTrue(String.valueOf(failed.get()).contains("does not read back"), () -> failed + "");
      assertFalse(store.health().legs().get(1).state() == LegState.ONLINE);
      assertHoldsOnly(store, 50, 350);
      failed.set(null);
      target.faults().flushLatency(Duration.ZERO);
      store.online(1);
      device(store, 0).faults().remove();
      assertHoldsOnly(store, 50, 350);
    }
  }

  /** A page that dies behind the copier is bad, whatever was there when the copy began. */
  @Test
  void pageThatIsPoisonedBehindTheCopierIsNotForgotten() throws Exception {
    Path image = directory.resolve("image");
    try (Store store = withReturnedLeg(Duration.ofMillis(150))) {
      EmulatedDevice target = device(store, 1);
      target.faults().failClears(1_000_000);
      Thread copying = online(store);
      awaitCopying(store);
      // The dirty map comes first, so the superblock in front of it is not copied again; and the
      // metadata page is behind the copier as soon as the records are copied.
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> copiesRecords(store, target) || !copying.isAlive());
      target.faults().poison(VolumeLayout.DIRTY_MAP_OFFSET + 8 * 4096, 1);
      copying.join();
      assertFalse(target.badBlocks().isEmpty(), "nobody rewrote that page");
      CrashImage.of(directory.resolve("s"), image);
    }
    try (Store store = Store.open(image)) {
      assertHoldsOnly(store, 50, 350);
      await().until(() -> device(store, 1).badBlocks().isEmpty());
    }
  }

  private static boolean copiesRecords(Store store, EmulatedDevice target) {
    byte[] there = new byte[48];
    byte[] wanted = new byte[48];
    long at = extent(store, key(349)).offset();
    target.read(at, there, 0, there.length);
    device(store, 0).read(at, wanted, 0, wanted.length);
    return java.util.Arrays.equals(there, wanted);
  }
}
