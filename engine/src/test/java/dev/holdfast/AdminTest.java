package dev.holdfast;

import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.HealthListener;
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

/** Health, figures and close answer in bounded time, whatever else hangs. */
final class AdminTest {
  private static final Duration LIMIT = Duration.ofSeconds(1);

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
