package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.keysIn;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.lostKeys;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.records;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bad ranges of many pages, which hold different things or have different copies. */
final class WideRangesTest {
  private static final int KEYS = 4_000;

  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private StoreBuilder store() {
    return Store.builder(path()).initialCapacity(4 << 20);
  }

  private void poisonWhileClosed(int leg, long offset, long length) {
    try (EmulatedDevice device =
        EmulatedDevice.open(path().resolve("leg-" + leg + ".pmem"), PersistenceMode.PROCESS)) {
      device.faults().poison(offset, length);
    }
  }

  /** What is done about superblocks is not done about records. */
  @Test
  void rangeFromTheSuperblocksToTheRecordsIsRepaired() {
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
    }
    long from = VolumeLayout.SUPERBLOCK_SIZE + 65_536;
    poisonWhileClosed(0, from, (2L << 20) - from);
    try (Store store = store().open()) {
      awaitRepaired(store);
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
      fill(store, 0, 10);
    }
  }

  /** All impact is known before writes stop, which they do once. */
  @Test
  void everyLossIsNamedBeforeWritesStopOnce() {
    FailurePolicy standard = FailurePolicy.standard();
    FailurePolicy stopping =
        (topology, subject, fault) ->
            fault == FaultKind.POISON
                ? new Verdict.ReadOnly()
                : standard.decide(topology, subject, fault);
    Queue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    try (Store store = store().single().policy(stopping).listener(events::add).open()) {
      fill(store, 0, KEYS);
      long first = recordOf(store, key(100)).offset() / PAGE * PAGE;
      long second = recordOf(store, key(3_000)).offset() / PAGE * PAGE;
      assertNotEquals(first, second);
      Set<byte[]> gone = keysIn(store, first, 2L * PAGE);
      gone.addAll(keysIn(store, second, 2L * PAGE));
      leg(store, 0).faults().notifyNever(); // So that the next look finds all of them at once.
      leg(store, 0).faults().poison(VolumeLayout.SUPERBLOCK_SIZE, PAGE);
      leg(store, 0).faults().poison(first, 2L * PAGE);
      leg(store, 0).faults().poison(second, 2L * PAGE);
      awaitState(store, StoreState.READ_ONLY);
      assertTrue(lostKeys(store, KEYS).containsAll(gone), "lost: " + store.health().lost());
      assertThrows(HoldfastException.class, () -> store.put(key(0), value(1)));
      await().until(() -> events.stream().anyMatch(WideRangesTest::isStop));
    }
    assertEquals(1, events.stream().filter(WideRangesTest::isStop).count(), events::toString);
  }

  private static boolean isStop(HealthEvent event) {
    return event.kind() == HealthEvent.Kind.STATE_CHANGED && event.detail().contains("READ_ONLY");
  }

  /** One page of the range has no copy, the others have: they are written to meanwhile. */
  @RepeatedTest(4)
  void writesToPagesThatHaveACopyReachTheLegUnderRepair() throws Exception {
    long from;
    try (Store store = store().open()) {
      fill(store, 0, KEYS);
      from = recordOf(store, key(100)).offset() / PAGE * PAGE;
    }
    poisonWhileClosed(0, from, 330L * PAGE);
    poisonWhileClosed(1, from, PAGE);
    Map<Integer, byte[]> last = new ConcurrentHashMap<>();
    try (Store store = store().open()) {
      AtomicBoolean stop = new AtomicBoolean();
      List<Thread> writers = new ArrayList<>();
      for (int w = 0; w < 3; w++) {
        int writer = w;
        Random random = new Random(w);
        writers.add(
            Thread.ofPlatform()
                .start(() -> {
                  while (!stop.get()) {
                    int i = writer + 3 * random.nextInt(KEYS / 3);
                    byte[] fresh = value(random.nextInt(), 300);
                    try {
                      store.put(key(i), fresh);
                      last.put(i, fresh);
                    } catch (HoldfastException e) {
                      last.remove(i);
                    }
                  }
                }));
      }
      awaitRepaired(store);
      await().until(() -> last.size() > 100);
      stop.set(true);
      for (Thread writer : writers) {
        writer.join();
      }
      Set<byte[]> lost = lostKeys(store, KEYS);
      leg(store, 1).faults().remove();
      last.forEach((i, written) -> {
        if (!lost.contains(key(i))) {
          assertArrayEquals(written, store.get(key(i)), "key " + i);
        }
      });
    }
  }

  /** The page dies on the leg that is copied from: its zeros on the other one are no copy. */
  @Test
  void pageThatDiesUnderACopyIsNamed() {
    Set<byte[]> onThePage;
    try (Store store = store().initialCapacity(8 << 20).open()) {
      // Or the leg that is copied to had it before, and that is found out in time.
      leg(store, 1).faults().remove();
      fill(store, 0, KEYS);
      leg(store, 1).faults().flushLatency(Duration.ofMillis(200));
      leg(store, 1).faults().reinsert();
      await().until(() -> store.health().legs().get(1).state() == LegState.RESILVERING);
      long page = recordOf(store, key(KEYS - 100)).offset() / PAGE * PAGE;
      onThePage = keysIn(store, page, PAGE);
      leg(store, 0).faults().poison(page, 1);
      leg(store, 1).faults().flushLatency(Duration.ZERO);
      awaitState(store, StoreState.ONLINE);
      awaitRepaired(store);
      assertEquals(onThePage, lostKeys(store, KEYS));
      crashImage(path(), directory.resolve("image"));
    }
    try (Store store = Store.open(directory.resolve("image"))) {
      assertEquals(onThePage, lostKeys(store, KEYS));
    }
  }

  /** More bad ranges than a superblock holds are said more coarsely, but not as one. */
  @Test
  void manyBadPagesCostWhatIsOnThemAlsoAfterACrash() {
    int records = 6_000;
    byte[] page = new byte[PAGE];
    List<StoreExtent> places;
    try (Store store = store().single().initialCapacity(32 << 20).open()) {
      for (int i = 0; i < records; i++) {
        store.put(key(i), page);
      }
      places = records(store).stream().filter(each -> each.what().equals("large value")).toList();
      assertEquals(records, places.size(), "a page a record");
    }
    try (EmulatedDevice device =
        EmulatedDevice.open(path().resolve("leg-0.pmem"), PersistenceMode.PROCESS)) {
      for (int i = 0; i < 2_800; i += 2) {
        device.faults().poison(places.get(i).offset(), PAGE);
      }
    }
    Path image = directory.resolve("image");
    int served;
    FailurePolicy standard = FailurePolicy.standard();
    // A page that is cleared while files are copied would be bad in none of them.
    FailurePolicy later =
        (topology, subject, fault) ->
            fault == FaultKind.POISON
                ? new Verdict.Watch()
                : standard.decide(topology, subject, fault);
    try (Store store = store().policy(later).open()) {
      crashImage(path(), image);
      served = served(store, records);
    }
    try (Store store = Store.open(image)) {
      assertEquals(served, served(store, records));
      assertEquals(records - 1_400, served);
    }
  }

  private static int served(Store store, int records) {
    int served = 0;
    for (int i = 0; i < records; i++) {
      try {
        served += store.get(key(i)) == null ? 0 : 1;
      } catch (DataLostException e) {
        // It was on one of the pages.
      }
    }
    return served;
  }
}
