package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Two threads put what the first keys of a store have, two read and check it, until they are told
 * to end; any error ends a thread, and fails the test.
 */
final class SteadyLoad {
  /** How many threads the pool needs. */
  static final int THREADS = 4;

  private final StopFlag stop;
  private final AtomicInteger operations = new AtomicInteger();
  private final List<Future<?>> threads = new ArrayList<>();

  SteadyLoad(Store store, int keys, ExecutorService pool, StopFlag stop) {
    this.stop = stop;
    for (int t = 0; t < THREADS; t++) {
      boolean writes = t < THREADS / 2;
      Callable<?> work =
          () -> {
            for (int i = 0; !stop.get(); i = (i + 1) % keys) {
              if (writes) {
                store.put(key(i), value(i));
              } else {
                assertArrayEquals(value(i), store.get(key(i)));
              }
              operations.incrementAndGet();
            }
            return null;
          };
      threads.add(pool.submit(work));
    }
  }

  void awaitOperations(int count) {
    int before = operations.get();
    await()
        .until(() -> {
          for (Future<?> thread : threads) {
            if (thread.isDone()) {
              thread.get(); // throws: it ends only by an error
            }
          }
          return operations.get() > before + count;
        });
  }

  void end() throws Exception {
    stop.set();
    for (Future<?> thread : threads) {
      thread.get();
    }
  }
}
