package dev.holdfast;

import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Health, figures and close answer in bounded time, whatever else hangs. */
final class AdminTest {
  private static final Duration LIMIT = Duration.ofSeconds(1);

  /** Of what is left behind after 0.6 s, on a machine that has other things to do. */
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  @TempDir Path directory;

  /** What stands in the way. */
  enum Trouble {
    NONE,
    HANGING_LISTENER,
    THROWING_LISTENER,
    HANGING_POLICY,
    THROWING_POLICY
  }

  @ParameterizedTest
  @EnumSource(Trouble.class)
  void adminCallsAreBoundedWithEveryDeviceGoneUnderLoad(Trouble trouble) throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    StoreBuilder builder = Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
    FailurePolicy standard = FailurePolicy.standard();
    HealthListener listener =
        switch (trouble) {
          case HANGING_LISTENER -> event -> hang(release);
          case THROWING_LISTENER ->
              event -> {
                throw new IllegalStateException("a listener that throws");
              };
          default -> event -> {};
        };
    builder.listener(listener);
    builder.policy(
        switch (trouble) {
          case HANGING_POLICY ->
              (topology, subject, fault) -> {
                hang(release);
                return standard.decide(topology, subject, fault);
              };
          case THROWING_POLICY ->
              (topology, subject, fault) -> {
                throw new IllegalStateException("a policy that throws");
              };
          default -> standard;
        });
    Store store = builder.open();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      fill(store, 0, 200);
      AtomicInteger failures = new AtomicInteger();
      List<Future<?>> load = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int thread = t;
        load.add(
            pool.submit(() -> {
              for (int i = 0; !Thread.currentThread().isInterrupted(); i = (i + 1) % 200) {
                try {
                  if (thread < 2) {
                    store.put(key(i), value(i));
                  } else {
                    store.get(key(i));
                  }
                } catch (HoldfastException e) {
                  failures.incrementAndGet();
                }
              }
              return null;
            }));
      }
      for (int page = 0; page < 40; page++) {
        leg(store, page % 2).faults().poison((1 << 20) + page * 8192L, 1);
      }
      leg(store, 0).faults().remove();
      leg(store, 1).faults().remove();
      await().until(() -> failures.get() > 100);
      for (int i = 0; i < 5; i++) {
        assertBounded("health", store::health);
        assertBounded("stats", store::stats);
      }
      assertRefusedInTime(store);
      assertBounded("close", store::close);
      assertBounded("health of the closed store", store::health);
      assertBounded("stats of the closed store", store::stats);
      assertBounded("second close", store::close);
      release.countDown();
      load.forEach(each -> each.cancel(true));
    } finally {
      store.close();
    }
  }

  /** What each thread of the load waits for is a medium; so is what most calls would do. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void adminCallsAreBoundedWithEveryDeviceHanging(boolean force) throws Exception {
    Store store =
        Store.builder(directory.resolve("s"))
            .initialCapacity(16 << 20)
            .persistence(PersistenceMode.FILE)
            .heartbeat(Duration.ofMillis(50))
            .open();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      fill(store, 0, 200);
      for (int leg = 0; leg < 2; leg++) {
        leg(store, leg).faults().flushLatency(Duration.ofMinutes(10));
        leg(store, leg).faults().hangHeartbeats();
      }
      long flushes = leg(store, 0).faults().flushes();
      List<Future<?>> load = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int thread = t;
        // A large value is written back within the operation.
        load.add(pool.submit(() -> store.put(key(thread), value(thread, 100 + thread * 3_000))));
      }
      await().until(() -> leg(store, 0).faults().flushes() > flushes);
      assertArrayEquals(value(100), store.get(key(100)), "reads go on");
      for (int i = 0; i < 3; i++) {
        assertBounded("health", store::health);
        assertBounded("stats", store::stats);
        assertBounded("badRanges", store::badRanges);
      }
      assertInTime("resume", store::resume);
      for (int leg = 0; leg < 2; leg++) {
        int index = leg;
        assertInTime("offline", () -> store.offline(index));
        assertInTime("online", () -> store.online(index));
        assertInTime("clearBadRange", () -> store.clearBadRange(index, 1 << 20, 4096));
        assertInTime("detach", () -> store.detach(index));
      }
      assertScrubCanBeCancelled(store);
      assertInTime("the end", force ? store::forceClose : store::close);
      for (Future<?> each : load) {
        Exception told = assertThrows(Exception.class, each::get);
        assertTrue(told.getCause() instanceof StoreClosedException, "was " + told.getCause());
      }
      assertBounded("health of the closed store", store::health);
      assertBounded("stats of the closed store", store::stats);
      assertBounded("second close", store::close);
      assertBounded("close by force", store::forceClose);
    } finally {
      for (int leg = 0; leg < 2; leg++) {
        leg(store, leg).faults().resumeHeartbeats();
      }
      store.close();
    }
    try (Store again = Store.builder(directory.resolve("s")).open()) {
      assertArrayEquals(value(100), again.get(key(100)));
    }
  }

  /** With every device gone no call waits for one. */
  private static void assertRefusedInTime(Store store) throws Exception {
    assertBounded("badRanges", store::badRanges);
    List<Runnable> calls =
        List.of(
            store::resume,
            () -> store.offline(0),
            () -> store.detach(1),
            () -> store.online(0),
            () -> store.clearBadRange(0, 1 << 20, 4096));
    for (int i = 0; i < calls.size(); i++) {
      assertInTime("call " + i, calls.get(i));
    }
    assertScrubCanBeCancelled(store);
  }

  private static void assertScrubCanBeCancelled(Store store) throws InterruptedException {
    Thread scrub =
        Thread.ofPlatform()
            .start(() -> {
              try {
                for (int i = 0; i < 1_000 && !Thread.currentThread().isInterrupted(); i++) {
                  ScrubReport _ = store.scrub();
                }
              } catch (HoldfastException e) {
                // No leg can be reached.
              }
            });
    Thread.sleep(200); // It is on its way, or waits for what another call keeps to itself.
    scrub.interrupt();
    assertTrue(scrub.join(PATIENCE), "the scrub does not end");
  }

  /** Done, or refused by a typed error. */
  private static void assertInTime(String what, Runnable call) {
    long start = System.nanoTime();
    try {
      call.run();
    } catch (HoldfastException | IllegalArgumentException | IllegalStateException e) {
      // In time.
    }
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(took.compareTo(PATIENCE) <= 0, what + " took " + took);
  }

  private static void hang(CountDownLatch release) {
    boolean interrupted = false;
    while (true) {
      try {
        release.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true; // One that cannot be interrupted either.
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void assertBounded(String what, Runnable call) {
    long start = System.nanoTime();
    call.run();
    Duration took = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(took.compareTo(LIMIT) <= 0, what + " took " + took);
  }
}
