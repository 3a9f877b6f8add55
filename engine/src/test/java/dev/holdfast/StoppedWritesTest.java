package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.SwitchObserver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Writes that were stopped stay stopped, whatever returns, and nothing slips through before. */
final class StoppedWritesTest {
  private static final int KEYS = 50;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder store() {
    return Store.builder(path()).initialCapacity(4 << 20);
  }

  private static boolean isServed(Store store) {
    try {
      return store.get(key(1)) != null;
    } catch (DeviceOfflineException e) {
      return false;
    }
  }

  @Test
  void nothingIsAcknowledgedBetweenTheSwitchAndTheStop() throws Exception {
    AtomicReference<Store> opened = new AtomicReference<>();
    AtomicReference<Object> outcome = new AtomicReference<>("no put");
    SwitchObserver putsInBetween =
        (step, leg) -> {
          Store store = opened.get();
          if (step == SwitchObserver.Step.WRITE_SWITCHED && store != null) {
            Thread putter =
                Thread.ofPlatform()
                    .start(() -> {
                      try {
                        store.put(key(7), value(8));
                        outcome.set("acknowledged");
                      } catch (HoldfastException e) {
                        outcome.set(e.getClass());
                      }
                    });
            try {
              putter.join(2_000);
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          }
        };
    try (Store store = store().observer(putsInBetween).open()) {
      fill(store, 0, KEYS);
      opened.set(store);
      BrokenWitness _ = BrokenWitness.of(path());
      leg(store, 1).faults().notifyNever();
      leg(store, 1).faults().remove();
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(1), value(2)));
      assertEquals(ReadOnlyStoreException.class, outcome.get());
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void legThatReturnsServesAndTakesNoWrites() throws Exception {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      BrokenWitness _ = BrokenWitness.of(path());
      leg(store, 1).faults().remove();
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(7), value(8)));
      leg(store, 0).faults().remove();
      leg(store, 0).faults().reinsert();
      await().until(() -> isServed(store));
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(7), value(8)));
      assertThrows(ReadOnlyStoreException.class, () -> store.remove(key(7)));
      assertHolds(store, 0, KEYS);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void storeThatIsOpenReadOnlyChangesNothingWhenItsLegsReturn(boolean mirrored) throws Exception {
    StoreBuilder builder = mirrored ? store() : store().single();
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
    }
    byte[] before = Files.readAllBytes(path().resolve("leg-0.pmem"));
    byte[] witness = Files.readAllBytes(path().resolve("witness"));
    try (Store store = Store.builder(path()).readOnly().open()) {
      for (int leg = mirrored ? 1 : 0; leg >= 0; leg--) {
        leg(store, leg).faults().remove();
      }
      for (int leg = 0; leg < store.devices().size(); leg++) {
        leg(store, leg).faults().reinsert();
      }
      await().until(() -> isServed(store));
      assertThrows(ReadOnlyStoreException.class, () -> store.remove(key(7)));
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(7), value(8)));
      assertHolds(store, 0, KEYS);
    }
    assertArrayEquals(before, Files.readAllBytes(path().resolve("leg-0.pmem")));
    assertArrayEquals(witness, Files.readAllBytes(path().resolve("witness")));
  }

  @Test
  void storeThatGaveUpByItsPolicyServesNothingAnyMore() {
    FailurePolicy standard = FailurePolicy.standard();
    FailurePolicy givesUp =
        (topology, subject, kind) ->
            kind == FaultKind.POISON
                ? new Verdict.Fail()
                : standard.decide(topology, subject, kind);
    try (Store store = store().single().policy(givesUp).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(recordOf(store, key(30)).offset(), 1);
      awaitState(store, StoreState.FAILED);
      assertThrows(DeviceOfflineException.class, () -> store.online(0));
      assertEquals(StoreState.FAILED, store.health().state());
      assertThrows(HoldfastException.class, () -> store.get(key(0)));
      assertThrows(HoldfastException.class, () -> store.put(key(0), value(1)));
    }
  }

  /** The last copy is not given up because it cannot be written: it can be read. */
  @ParameterizedTest
  @ValueSource(ints = {10, 20 << 20})
  void refusedFlushOfTheLastLegLeavesReads(int valueLength) {
    try (Store store = store().single().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().failFlushes(1);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(KEYS), new byte[valueLength]));
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertHolds(store, 0, KEYS);
    }
  }

  @Test
  void refusedFlushOfTheOnlyLegThatHoldsEverythingLeavesReads() {
    try (Store store = store().persistence(PersistenceMode.FILE).open()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().remove();
      fill(store, 0, 1);
      leg(store, 1).faults().flushLatency(Duration.ofMillis(300));
      leg(store, 1).faults().reinsert();
      await().until(() -> store.health().legs().get(1).state() == LegState.RESILVERING);
      leg(store, 0).faults().failFlushes(1);
      assertThrows(ReadOnlyStoreException.class, () -> store.put(key(KEYS), value(KEYS)));
      leg(store, 1).faults().flushLatency(Duration.ZERO);
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertHolds(store, 0, KEYS);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void legThatReturnsIsFoundThoughNobodyTells(boolean orderly) {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      if (orderly) {
        leg(store, 1).faults().removeOrderly(Duration.ofSeconds(2));
      } else {
        leg(store, 1).faults().remove();
      }
      fill(store, 0, 1);
      leg(store, 1).faults().notifyNever();
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
    }
  }
}
