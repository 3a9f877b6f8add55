package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.state;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A medium that does not answer: its leg is expelled in time, and operations go on. */
final class SilentMediumTest {
  private static final int KEYS = 200;
  private static final Duration EXPELLED = Duration.ofMillis(300);
  private static final Duration FOR_EVER = Duration.ofMinutes(10);

  @TempDir Path directory;

  private StoreBuilder builder() {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(8 << 20)
        .persistence(PersistenceMode.FILE)
        .expelAfter(EXPELLED);
  }

  /** Long before it is expelled; at 10 incidents it is given up. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aFlushThatTakesLongIsToldAsSlow(boolean comesBack) {
    ConcurrentLinkedQueue<FaultKind> asked = new ConcurrentLinkedQueue<>();
    FailurePolicy policy =
        (topology, subject, fault) -> {
          asked.add(fault);
          return FailurePolicy.standard().decide(topology, subject, fault);
        };
    Duration latency = comesBack ? Duration.ofMillis(700) : FOR_EVER;
    try (Store store =
        builder()
            .expelAfter(Duration.ofSeconds(2))
            .heartbeat(Duration.ZERO)
            .policy(policy)
            .open()) {
      fill(store, 0, 10);
      assertEquals(List.of(), List.copyOf(asked));
      leg(store, 1).faults().flushLatency(latency);
      store.put(key(10), value(10));
      leg(store, 1).faults().flushLatency(Duration.ZERO);
      await().until(() -> asked.contains(FaultKind.SLOW));
      assertEquals(comesBack ? LegState.ONLINE : LegState.FAULTED, state(store, 1));
      assertArrayEquals(value(10), store.get(key(10)));
    }
  }

  /** What a put waits for: its commit, or the write-back of its own large value, or the growth. */
  @ParameterizedTest
  @CsvSource({"0, 100", "1, 100", "0, 50000", "1, 50000", "0, 9000000", "1, 9000000"})
  void putsAreAcknowledgedAgainAndDurableOnTheOtherLeg(int hung, int length) throws Exception {
    ConcurrentLinkedQueue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    Path survivor = directory.resolve("crash");
    int threads = 4;
    try (Store store = builder().listener(events::add).open();
        ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      fill(store, 0, KEYS);
      leg(store, hung).faults().flushLatency(FOR_EVER);
      List<Future<?>> puts = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int thread = t;
        puts.add(
            pool.submit(() -> {
              int key = KEYS + thread;
              store.put(key(key), value(key, length));
              return null;
            }));
      }
      for (Future<?> put : puts) {
        put.get();
      }
      assertEquals(LegState.FAULTED, state(store, hung));
      assertEquals(StoreState.DEGRADED, store.health().state());
      await()
          .until(() ->
              events.stream()
                  .anyMatch(e ->
                      e.leg() == hung
                          && (e.detail().contains("has not answered")
                              || e.detail().contains("superblock cannot be written"))));
      for (int t = 0; t < threads; t++) {
        assertArrayEquals(value(KEYS + t, length), store.get(key(KEYS + t)));
      }
      // Not the hung one again: each of these is at once.
      fill(store, 0, 20);
      TestStores.crashImage(directory.resolve("s"), survivor);
    }
    Files.delete(survivor.resolve("leg-" + hung + ".pmem"));
    try (Store alone = Store.builder(survivor).open()) {
      assertHolds(alone, 0, KEYS);
      for (int t = 0; t < threads; t++) {
        assertArrayEquals(value(KEYS + t, length), alone.get(key(KEYS + t)));
      }
    }
  }

  @Test
  void batchesGoOnToo() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().flushLatency(FOR_EVER);
      WriteBatch batch = new WriteBatch();
      batch.put(key(1), value(2)).put(key(KEYS), value(3));
      store.write(batch);
      assertEquals(LegState.FAULTED, state(store, 0));
      assertArrayEquals(value(2), store.get(key(1)));
    }
  }

  /** It was expelled for its silence, which is over: it gets what it missed when somebody asks. */
  @Test
  void theLegComesBackWhenItAnswers() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().flushLatency(FOR_EVER);
      fill(store, 0, KEYS + 1);
      assertEquals(LegState.FAULTED, state(store, 1));
      leg(store, 1).faults().flushLatency(Duration.ZERO);
      store.online(1);
      assertEquals(StoreState.ONLINE, store.health().state());
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS + 1);
    }
  }

  /** Its device would be told that it is no leg any more, and does not listen. */
  @Test
  void theLegCanBeDetachedWhileItIsSilent() {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      leg(store, 1).faults().flushLatency(FOR_EVER);
      fill(store, 0, KEYS + 1);
      store.detach(1);
      assertEquals(LegState.DETACHED, state(store, 1));
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(1, store.attach(directory.resolve("fresh.pmem")));
      leg(store, 0).faults().remove();
      assertHolds(store, 0, KEYS + 1);
    }
  }

  /** Who asks for a leg that does not answer is told in time, and it stays out. */
  @Test
  void theLegCannotBeBroughtBackWhileItIsSilent() {
    try (Store store = builder().expelAfter(Duration.ofSeconds(3)).open()) {
      fill(store, 0, KEYS);
      store.offline(1);
      leg(store, 1).faults().flushLatency(FOR_EVER);
      long began = System.nanoTime();
      assertThrows(HoldfastException.class, () -> store.online(1));
      assertTrue(System.nanoTime() - began < Duration.ofMillis(2_500).toNanos());
      await().atMost(Duration.ofSeconds(30)).until(() -> state(store, 1) != LegState.RESILVERING);
      fill(store, 0, KEYS + 1);
      assertHolds(store, 0, KEYS + 1);
    }
  }

  @Test
  void aLegThatIsOnlySlowIsKept() {
    try (Store store = builder().expelAfter(Duration.ofMinutes(1)).open()) {
      leg(store, 1).faults().flushLatency(Duration.ofMillis(400));
      fill(store, 0, 3);
      leg(store, 1).faults().flushLatency(Duration.ZERO);
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  /** There is nobody else to go on with: that it answers late costs time, and nothing else. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theLastCopyIsWaitedFor(boolean mirrored) {
    StoreBuilder builder = mirrored ? builder() : builder().single();
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
      if (mirrored) {
        leg(store, 1).faults().remove();
        fill(store, 0, 1);
      }
      leg(store, 0).faults().flushLatency(EXPELLED.multipliedBy(5));
      long began = System.nanoTime();
      store.put(key(KEYS), value(KEYS));
      assertTrue(System.nanoTime() - began >= EXPELLED.multipliedBy(5).toNanos());
      leg(store, 0).faults().flushLatency(Duration.ZERO);
      assertEquals(mirrored ? StoreState.DEGRADED : StoreState.ONLINE, store.health().state());
      assertHolds(store, 0, KEYS + 1);
    }
  }

  @Test
  void aHeartbeatThatHangsExpelsItsLegInTheSameTime() {
    try (Store store =
        builder().persistence(PersistenceMode.PROCESS).heartbeat(Duration.ofMillis(10)).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().hangHeartbeats();
      try {
        awaitState(store, StoreState.DEGRADED);
        assertEquals(LegState.FAULTED, state(store, 0));
        fill(store, 0, KEYS + 1);
        assertHolds(store, 0, KEYS + 1);
      } finally {
        leg(store, 0).faults().resumeHeartbeats();
      }
    }
  }

  @Test
  void theTimeHasALowerLimit() {
    assertThrows(IllegalArgumentException.class, () -> builder().expelAfter(Duration.ofMillis(9)));
  }
}
