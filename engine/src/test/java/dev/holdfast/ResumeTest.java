package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Writes that were stopped are taken up again when what stopped them is gone, and not before. */
final class ResumeTest {
  private static final int KEYS = 300;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder builder() {
    return Store.builder(path()).initialCapacity(4 << 20);
  }

  private static String assertStays(Store store) {
    ReadOnlyStoreException still = assertThrows(ReadOnlyStoreException.class, store::resume);
    assertEquals(StoreState.READ_ONLY, store.health().state());
    assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(1)));
    assertHolds(store, 0, KEYS);
    return String.valueOf(still.getMessage());
  }

  @ParameterizedTest
  @EnumSource(value = PersistenceMode.class, names = "DAX", mode = EnumSource.Mode.EXCLUDE)
  void onceTheWitnessCanBeWritten(PersistenceMode mode) throws Exception {
    try (Store store = builder().persistence(mode).open()) {
      fill(store, 0, KEYS);
      store.resume(); // Harmless.
      BrokenWitness witness = BrokenWitness.of(path());
      leg(store, 1).faults().remove();
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(2)));
      assertTrue(assertStays(store).contains("witness"));
      witness.mend();
      assertEquals(StoreState.READ_ONLY, store.health().state(), "nobody asked");
      store.resume();
      assertEquals(StoreState.DEGRADED, store.health().state());
      fill(store, KEYS, 2 * KEYS);
      // The leg that was lost lacks them, and says so.
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      leg(store, 0).faults().remove();
      assertHolds(store, 0, 2 * KEYS);
      store.put(key(1), value(1));
    }
    Files.delete(path().resolve("leg-0.pmem.removed"));
    try (Store store = builder().open()) {
      assertHolds(store, 0, 2 * KEYS);
    }
  }

  /**
   * The kernel tells once of what it could not write, and says that all is well when asked again.
   */
  @Test
  void notAfterASuperblockWasRefused() throws Exception {
    try (Store store = builder().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
      BrokenWitness witness = BrokenWitness.of(path());
      leg(store, 1).faults().remove();
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(2)));
      witness.mend();
      leg(store, 0).faults().failFlush("superblock 0");
      assertTrue(assertStays(store).contains("refused a flush"));
      assertTrue(assertStays(store).contains("close"), "nor when asked again");
    }
  }

  /** A leg that went while writes were stopped was not marked then: it is now. */
  @Test
  void aLegThatWentMeanwhileDoesNotServeAlone() throws Exception {
    try (Store store = builder().legs(place(0), place(1), place(2)).open()) {
      stopLoseResumeAndWrite(store);
      leg(store, 0).faults().remove();
      leg(store, 1).faults().reinsert();
      assertThrows(DeviceOfflineException.class, () -> store.online(1));
      assertThrows(DeviceOfflineException.class, () -> store.get(key(1)));
      leg(store, 0).faults().reinsert();
      leg(store, 2).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      assertHolds(store, 0, KEYS + 10);
    }
  }

  /** It is known what it lacks: what was written since writes were taken up again. */
  @Test
  void aLegThatWentMeanwhileGetsWhatItMissed() throws Exception {
    try (Store store = builder().legs(place(0), place(1), place(2)).open()) {
      stopLoseResumeAndWrite(store);
      leg(store, 1).faults().reinsert();
      await().until(() -> TestStores.state(store, 1) == LegState.ONLINE);
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertFalse(copy.whole());
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS + 10);
    }
  }

  /** Leg 2 goes and writes stop, then leg 1 goes, and leg 0 takes writes up again. */
  private void stopLoseResumeAndWrite(Store store) throws Exception {
    fill(store, 0, KEYS);
    BrokenWitness witness = BrokenWitness.of(path());
    leg(store, 2).faults().remove();
    assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(2)));
    leg(store, 1).faults().remove();
    assertHolds(store, 0, KEYS);
    witness.mend();
    store.resume();
    fill(store, KEYS, KEYS + 10);
  }

  private Path place(int leg) {
    return directory.resolve("leg-" + leg + ".pmem");
  }

  /** What a superblock says memory knows. */
  @ParameterizedTest
  @CsvSource({
    "0, 1",
    "" + VolumeLayout.SUPERBLOCK_SIZE + ", 1",
    "0, " + VolumeLayout.DIRTY_MAP_OFFSET,
  })
  void withSuperblocksThatArePoisoned(long offset, long length) {
    try (Store store = builder().single().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(offset, length);
      awaitState(store, StoreState.READ_ONLY);
      store.resume();
      awaitState(store, StoreState.ONLINE);
      awaitRepaired(store);
      fill(store, KEYS, 2 * KEYS);
      assertHolds(store, 0, 2 * KEYS);
    }
    try (Store store = builder().open()) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, 2 * KEYS);
      assertTrue(store.health().lost().isEmpty());
    }
  }

  @Test
  void notWhileSuperblocksCannotBeCleared() {
    try (Store store = builder().single().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().failClears(1_000);
      leg(store, 0).faults().poison(0, VolumeLayout.DIRTY_MAP_OFFSET);
      awaitState(store, StoreState.READ_ONLY);
      assertTrue(assertStays(store).contains("clearing poison failed"));
      leg(store, 0).faults().failClears(0);
      store.resume();
      fill(store, KEYS, 2 * KEYS);
    }
    try (Store store = builder().open()) {
      assertHolds(store, 0, 2 * KEYS);
    }
  }

  @Test
  void notWithMetadataThatNoLegHas() {
    try (Store store = builder().single().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(VolumeLayout.DIRTY_MAP_OFFSET, 1);
      awaitState(store, StoreState.READ_ONLY);
      String message = assertStays(store);
      assertTrue(message.contains("offset=" + VolumeLayout.DIRTY_MAP_OFFSET), message);
    }
  }

  /** What of it came to the medium, only the medium knows. */
  @Test
  void notAfterTheLastCopyRefusedAFlush() {
    try (Store store = builder().single().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().failFlushes(1);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(KEYS), value(KEYS)));
      assertTrue(assertStays(store).contains("close and an open"));
    }
    try (Store store = builder().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
    }
  }

  @Test
  void notWhereItWasOpenedToReadAlone() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
    }
    try (Store store = builder().readOnly().open()) {
      assertTrue(assertStays(store).contains("close and an open"));
    }
  }

  @Test
  void afterAPolicyStoppedThem() {
    FailurePolicy standard = FailurePolicy.standard();
    AtomicBoolean stops = new AtomicBoolean(true);
    FailurePolicy cautious =
        (topology, subject, kind) ->
            kind == FaultKind.REMOVED && stops.get()
                ? new Verdict.ReadOnly()
                : standard.decide(topology, subject, kind);
    try (Store store = builder().policy(cautious).open()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().remove();
      awaitState(store, StoreState.READ_ONLY);
      store.resume();
      fill(store, KEYS, 2 * KEYS);
      stops.set(false);
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
      assertHolds(store, 0, 2 * KEYS);
    }
  }

  @Test
  void notWhereThePolicyGaveUpOrNoLegIsThere() {
    FailurePolicy standard = FailurePolicy.standard();
    FailurePolicy givesUp =
        (topology, subject, kind) ->
            kind == FaultKind.POISON
                ? new Verdict.Fail()
                : standard.decide(topology, subject, kind);
    try (Store store = builder().policy(givesUp).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(1 << 20, 1);
      awaitState(store, StoreState.FAILED);
      DeviceOfflineException refused = assertThrows(DeviceOfflineException.class, store::resume);
      assertTrue(String.valueOf(refused.getMessage()).contains("policy"), refused.getMessage());
    }
    try (Store store = Store.builder(directory.resolve("m")).initialCapacity(4 << 20).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().remove();
      leg(store, 1).faults().remove();
      assertThrows(DeviceOfflineException.class, store::resume);
    }
  }

  /** Writes are cut off wherever they are, and what was acknowledged stays, across it all. */
  @ParameterizedTest
  @EnumSource(value = PersistenceMode.class, names = "DAX", mode = EnumSource.Mode.EXCLUDE)
  void againAndAgainUnderLoad(PersistenceMode mode) throws Exception {
    int threads = 4;
    int each = 400;
    AtomicInteger[] acknowledged = new AtomicInteger[threads];
    try (Store store = builder().persistence(mode).open();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        StopFlag stop = new StopFlag()) {
      List<Future<?>> load = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int thread = t;
        AtomicInteger last = new AtomicInteger();
        acknowledged[t] = last;
        load.add(
            pool.submit(() -> {
              for (int i = 1; !stop.get(); ) {
                try {
                  // Rewrites, splits and large values, too.
                  int length = i % 50 == 0 ? 20_000 : 20 + i % 700;
                  store.put(key(each * thread + i % each), value(i, length));
                  last.set(i);
                  i++;
                } catch (ReadOnlyStoreException | DeviceOfflineException e) {
                  Thread.onSpinWait(); // Until writes are taken up again.
                }
              }
              return null;
            }));
      }
      for (int round = 0; round < 6; round++) {
        for (AtomicInteger one : acknowledged) {
          int before = one.get();
          await().until(() -> one.get() > before + 60);
        }
        BrokenWitness witness = BrokenWitness.of(path());
        leg(store, round % 2).faults().remove();
        awaitState(store, StoreState.READ_ONLY);
        witness.mend();
        resumeAsOftenAsNeeded(store);
        leg(store, round % 2).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
      }
      stop.set();
      for (Future<?> one : load) {
        one.get();
      }
      assertAcknowledged(store, acknowledged, each);
      assertTrue(store.health().lost().isEmpty());
    }
    try (Store store = builder().persistence(mode).open()) {
      assertAcknowledged(store, acknowledged, each);
      leg(store, 0).faults().remove();
      assertAcknowledged(store, acknowledged, each);
    }
  }

  private static void resumeAsOftenAsNeeded(Store store) {
    await()
        .until(() -> {
          try {
            store.resume();
            return true;
          } catch (HoldfastException e) {
            return false;
          }
        });
  }

  private static void assertAcknowledged(Store store, AtomicInteger[] acknowledged, int each) {
    for (int t = 0; t < acknowledged.length; t++) {
      int last = acknowledged[t].get();
      for (int i = Math.max(1, last - each + 2); i <= last; i++) {
        int length = i % 50 == 0 ? 20_000 : 20 + i % 700;
        assertArrayEquals(value(i, length), store.get(key(each * t + i % each)), "put " + i);
      }
    }
  }
}
