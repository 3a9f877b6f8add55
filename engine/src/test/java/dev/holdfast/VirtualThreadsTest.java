package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import dev.holdfast.rules.FastPlace;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Ten thousand virtual threads that put and get at the same time. */
final class VirtualThreadsTest {
  private static final int THREADS = 10_000;
  private static final int ROUNDS = 8;
  private static final int SHARED = 64;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private static byte[] own(int thread) {
    return ByteBuffer.allocate(6).putShort((short) (thread * 40503)).putInt(thread).array();
  }

  private static byte[] shared(int thread) {
    return new byte[] {'c', (byte) (thread % SHARED)};
  }

  private static byte[] value(int thread, int round) {
    byte[] value = new byte[8 + (thread + round) % 120];
    ByteBuffer.wrap(value).putInt(thread).putInt(round);
    return value;
  }

  /** Begins all at once; returns when each has ended. */
  private static void run(IntConsumer body) throws InterruptedException {
    AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();
    CountDownLatch begin = new CountDownLatch(1);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < THREADS; t++) {
      int thread = t;
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try {
                  begin.await();
                  body.accept(thread);
                } catch (Throwable e) {
                  failed.compareAndSet(null, e);
                }
              }));
    }
    begin.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
  }

  @Test
  @Timeout(120)
  void tenThousandPutAndGet() throws Exception {
    try (Store store = Store.builder(directory.resolve("s")).open()) {
      for (int i = 0; i < SHARED; i++) {
        store.put(shared(i), ByteBuffer.allocate(4).putInt(0).array());
      }
      run(thread -> {
        for (int round = 0; round < ROUNDS; round++) {
          store.put(own(thread), value(thread, round));
          assertArrayEquals(value(thread, round), store.get(own(thread)));
          if (round % 4 == 3) {
            LockSupport.parkNanos(1);
          }
        }
        count(store, shared(thread));
      });
      assertEquals(THREADS + SHARED, store.stats().entries());
      assertAll(store);
    }
    try (Store store = Store.open(directory.resolve("s"))) {
      assertEquals(THREADS + SHARED, store.stats().entries());
      assertAll(store);
    }
  }

  /** Adds one to a number that many others add to. */
  private static void count(Store store, byte[] key) {
    while (true) {
      byte[] old = store.get(key);
      if (old == null) {
        throw new AssertionError("absent");
      }
      byte[] next = ByteBuffer.allocate(4).putInt(ByteBuffer.wrap(old).getInt() + 1).array();
      if (store.replace(key, old, next)) {
        return;
      }
    }
  }

  private static void assertAll(Store store) {
    for (int thread = 0; thread < THREADS; thread++) {
      assertArrayEquals(value(thread, ROUNDS - 1), store.get(own(thread)));
    }
    for (int i = 0; i < SHARED; i++) {
      byte[] count = store.get(shared(i));
      int expected = THREADS / SHARED + (i < THREADS % SHARED ? 1 : 0);
      assertArrayEquals(ByteBuffer.allocate(4).putInt(expected).array(), count, "an update lost");
    }
  }

  /** A leg is pulled out in the middle of it: nobody notices. */
  @Test
  @Timeout(120)
  void tenThousandLoseALeg() throws Exception {
    try (Store store = Store.builder(directory.resolve("s")).open()) {
      run(thread -> {
        for (int round = 0; round < ROUNDS; round++) {
          store.put(own(thread), value(thread, round));
          if (thread == THREADS / 2 && round == 2) {
            TestStores.leg(store, 0).faults().notifyNever();
            TestStores.leg(store, 0).faults().remove();
          }
          assertArrayEquals(value(thread, round), store.get(own(thread)));
        }
      });
      for (int thread = 0; thread < THREADS; thread++) {
        assertArrayEquals(value(thread, ROUNDS - 1), store.get(own(thread)));
      }
      assertEquals(List.of(), store.health().lost());
    }
  }
}
