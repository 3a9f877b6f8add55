package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FailoverTest {
  @TempDir Path directory;

  private static byte[] key(int i) {
    return ("key-" + i).getBytes(UTF_8);
  }

  private static byte[] value(int i) {
    return ("value-" + i + "-".repeat(i % 300)).getBytes(UTF_8);
  }

  private static EmulatedDevice leg(Store store, int leg) {
    return (EmulatedDevice) store.devices().get(leg);
  }

  @Test
  void aStoreServesOnWhenALegIsPulledOut() {
    try (Store store = Store.open(directory.resolve("s"))) {
      for (int i = 0; i < 1_000; i++) {
        store.put(key(i), value(i));
      }
      leg(store, 0).faults().notifyNever();
      leg(store, 0).faults().remove();
      for (int i = 0; i < 1_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
      for (int i = 1_000; i < 2_000; i++) {
        store.put(key(i), value(i));
      }
      assertEquals(StoreState.DEGRADED, store.health().state());
      assertTrue(store.stats().faultsCaught() > 0);
      assertEquals(LegState.REMOVED, store.health().legs().get(0).state());
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      for (int i = 0; i < 2_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
    }
  }

  @Test
  void aReturnedLegIsCopiedWholeAndServesAlone() {
    try (Store store = Store.open(directory.resolve("s"))) {
      for (int i = 0; i < 1_000; i++) {
        store.put(key(i), value(i));
      }
      leg(store, 0).faults().remove();
      for (int i = 1_000; i < 2_000; i++) {
        store.put(key(i), value(i));
      }
      leg(store, 0).faults().reinsert();
      store.online(0);
      assertEquals(StoreState.ONLINE, store.health().state());
      leg(store, 1).faults().remove();
      for (int i = 0; i < 2_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
    }
  }

  @Test
  void poisonOnOneLegIsRepairedInPlace() {
    try (Store store = Store.open(directory.resolve("s"))) {
      for (int i = 0; i < 1_000; i++) {
        store.put(key(i), value(i));
      }
      leg(store, 0).faults().notifyNever();
      var pages = leg(store, 0).faults().poison(1 << 20, 3 * 4096);
      for (int i = 0; i < 1_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
      await().until(() -> leg(store, 0).badBlocks().isEmpty());
      await().until(() -> store.health().state() == StoreState.ONLINE);
      assertTrue(pages.length() >= 3 * 4096);
      leg(store, 1).faults().remove();
      for (int i = 0; i < 1_000; i++) {
        assertArrayEquals(value(i), store.get(key(i)));
      }
    }
  }
}
