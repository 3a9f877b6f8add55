package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.BrokenWitness;
import dev.holdfast.Store;
import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.OpenRefusedException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultInjector;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** L8: no interrupt closes the witness, and without a witness nothing more is acknowledged. */
final class L8WitnessTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  @Test
  void nothingIsAcknowledgedWhereTheWitnessCannotBeWritten() throws Exception {
    Path place = directory.resolve("s");
    BrokenWitness witness;
    try (Store store = Entries.open(place)) {
      put(store, 0, 100);
      witness = BrokenWitness.of(place);
      device(store, 1).faults().notifyNever();
      device(store, 1).faults().remove();
      for (int i = 100; i < 103; i++) {
        byte[] key = key(i);
        ReadOnlyStoreException e =
            assertThrows(ReadOnlyStoreException.class, () -> store.put(key, key));
        assertTrue(String.valueOf(e.getMessage()).contains("witness"), e.getMessage());
        assertTrue(e.getCause() instanceof DeviceIoException);
        assertNull(store.get(key));
      }
      assertThrows(ReadOnlyStoreException.class, () -> store.remove(key(1)));
      assertThrows(ReadOnlyStoreException.class, () -> store.replace(key(1), key(1)));
      assertThrows(ReadOnlyStoreException.class, () -> store.putIfAbsent(key(100), key(1)));
      assertEquals(StoreState.READ_ONLY, store.health().state());
      assertTrue(String.valueOf(store.health().reason()).contains("witness"));
      assertHolds(store, 0, 100);
    }
    // Nothing was acknowledged that the lost leg lacks, so whichever comes back alone may serve.
    witness.mend();
    FaultInjector.reinsert(CrashImage.leg(place, 1));
    CrashImage.remove(place, 0);
    try (Store store = Store.open(place)) {
      assertHolds(store, 0, 100);
    } catch (OpenRefusedException e) {
      assertTrue(String.valueOf(e.getMessage()).contains("openDegraded()"));
    }
  }

  /**
   * Overwrites and removes are under way when writes stop: each key has its old or its new value.
   */
  @RepeatedTest(20)
  void operationsThatWereUnderWayHappenedOrDidNot() throws Exception {
    Path place = directory.resolve("s");
    try (Store store = Entries.open(place)) {
      BrokenWitness _ = BrokenWitness.of(place);
      int writers = 4;
      int[] acknowledged = new int[writers];
      AtomicReference<Throwable> failed = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        int writer = i;
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    for (int n = 1; n < 200_000; n++) {
                      if (n % 4 == 0) {
                        boolean _ = store.remove(key(writer));
                      } else {
                        store.put(key(writer), value(n));
                      }
                      acknowledged[writer] = n;
                    }
                    failed.set(new AssertionError("writes were never stopped"));
                  } catch (ReadOnlyStoreException e) {
                    // Writes stopped.
                  } catch (Throwable e) {
                    failed.set(e);
                  }
                }));
      }
      while (acknowledged[0] < 50 && threads.get(0).isAlive()) {
        Thread.onSpinWait();
      }
      device(store, 1).faults().notifyNever();
      device(store, 1).faults().remove();
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
      for (int writer = 0; writer < writers; writer++) {
        int n = acknowledged[writer];
        byte[] old = n % 4 == 0 ? null : value(n);
        byte[] next = (n + 1) % 4 == 0 ? null : value(n + 1);
        byte[] actual = store.get(key(writer));
        assertTrue(
            Arrays.equals(actual, old) || Arrays.equals(actual, next),
            "writer " + writer + " " + n);
      }
      assertTrue(store.health().lost().isEmpty());
    }
  }

  @Test
  void stormOfInterruptsClosesNothing() throws Exception {
    Path place = directory.resolve("s");
    int writers = 2;
    int[] acknowledged = new int[writers];
    try (Store store = Entries.open(place)) {
      AtomicBoolean stop = new AtomicBoolean();
      AtomicReference<Throwable> failed = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        int writer = i;
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    for (int n = 1; !stop.get(); n++) {
                      byte[] key = ("w" + writer + "-" + n % 100).getBytes(US_ASCII);
                      store.put(key, value(n));
                      if (!Arrays.equals(value(n), store.get(key))) {
                        throw new AssertionError("wrong value");
                      }
                      acknowledged[writer] = n;
                    }
                  } catch (Throwable e) {
                    failed.set(e);
                  }
                }));
      }
      Thread storm =
          Thread.ofPlatform()
              .start(() -> {
                while (!stop.get()) {
                  threads.forEach(Thread::interrupt);
                  Thread.onSpinWait();
                }
              });
      try {
        // Each loss and return writes marks, the witness and whole legs, some of it by the writers.
        for (int round = 0; round < 6; round++) {
          int leg = round % 2;
          int from = acknowledged[0];
          device(store, leg).faults().notifyNever();
          device(store, leg).faults().remove();
          while (failed.get() == null
              && (store.health().state() != StoreState.DEGRADED || acknowledged[0] < from + 200)) {
            Thread.onSpinWait();
          }
          device(store, leg).faults().reinsert();
          store.online(leg);
        }
      } finally {
        stop.set(true);
      }
      storm.join();
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
      assertEquals(StoreState.ONLINE, store.health().state());
    }
    CrashImage.remove(place, 0);
    try (Store store = Store.open(place)) {
      for (int writer = 0; writer < writers; writer++) {
        for (int n = Math.max(1, acknowledged[writer] - 99); n <= acknowledged[writer]; n++) {
          byte[] key = ("w" + writer + "-" + n % 100).getBytes(US_ASCII);
          assertArrayEquals(value(n), Objects.requireNonNull(store.get(key)));
        }
      }
    }
  }
}
