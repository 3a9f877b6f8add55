package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Gets in the order of the keys, which look at the next record first: never an older value. */
final class InOrderGetsTest {
  private static final int KEYS = 3_000;
  private static final int BATCH = 20;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  /** The last version of each key whose write was acknowledged; odd ones were removed. */
  private final AtomicLongArray acknowledged = new AtomicLongArray(KEYS);

  /** The same of writes that began. */
  private final AtomicLongArray attempted = new AtomicLongArray(KEYS);

  /** The newest version of each key that a reader saw, in whatever order it reads. */
  private final AtomicLongArray seen = new AtomicLongArray(KEYS);

  private final AtomicBoolean stop = new AtomicBoolean();
  private final AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();

  private static byte[] key(int i) {
    return ByteBuffer.allocate(4).putInt(i).array();
  }

  private static byte[] value(long version) {
    return ByteBuffer.allocate(40).putLong(32, version).array();
  }

  private static long version(byte @Nullable [] value) {
    return value == null ? -1 : ByteBuffer.wrap(value).getLong(32);
  }

  private Thread until(Runnable body) {
    return Thread.ofPlatform()
        .start(() -> {
          try {
            while (!stop.get()) {
              body.run();
            }
          } catch (Throwable e) {
            failed.compareAndSet(null, e);
            stop.set(true);
          }
        });
  }

  /** Values only get newer, also against what another way to read has shown already. */
  @Test
  void neverShowWhatIsOlder() throws InterruptedException {
    AtomicLong gets = new AtomicLong();
    AtomicInteger compactions = new AtomicInteger();
    try (Store store = Store.builder(directory.resolve("s")).open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(0));
      }
      List<Thread> threads = new ArrayList<>();
      Random random = new Random(1);
      threads.add(until(() -> change(store, random)));
      threads.add(
          until(() -> {
            // Leaves of which nothing was overwritten since they were written.
            var _ = store.compact();
            compactions.incrementAndGet();
          }));
      threads.add(
          until(() -> {
            for (int i = 0; i < KEYS && !stop.get(); i++) {
              look(store, i);
              gets.incrementAndGet();
            }
          }));
      Random other = new Random(2);
      threads.add(until(() -> look(store, other.nextInt(KEYS))));
      while (!stop.get() && (gets.get() < 300_000 || compactions.get() < 20)) {
        Thread.sleep(5);
      }
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
    }
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
  }

  private void change(Store store, Random random) {
    if (random.nextInt(8) == 0) {
      int from = random.nextInt(KEYS - BATCH);
      WriteBatch batch = new WriteBatch();
      long[] next = new long[BATCH];
      for (int i = 0; i < BATCH; i++) {
        next[i] = (acknowledged.get(from + i) / 2 + 1) * 2;
        attempted.set(from + i, next[i]);
        batch.put(key(from + i), value(next[i]));
      }
      store.write(batch);
      for (int i = 0; i < BATCH; i++) {
        acknowledged.set(from + i, next[i]);
      }
      return;
    }
    int i = random.nextInt(KEYS);
    long now = acknowledged.get(i);
    if (random.nextInt(4) == 0) {
      attempted.set(i, now | 1);
      boolean _ = store.remove(key(i));
      acknowledged.set(i, now | 1);
    } else {
      long next = (now / 2 + 1) * 2;
      attempted.set(i, next);
      store.put(key(i), value(next));
      // Another reader may have seen it before it was acknowledged.
      assertEquals(next, version(store.get(key(i))));
      acknowledged.set(i, next);
    }
  }

  private void look(Store store, int i) {
    long shown = seen.get(i);
    long least = acknowledged.get(i);
    long found = version(store.get(key(i)));
    if (found < 0) {
      long most = attempted.get(i);
      assertTrue((least & 1) == 1 || most > least, () -> "key " + i + ": absent since " + least);
      return;
    }
    assertTrue(found >= least, () -> "key " + i + ": version " + found + " behind " + least);
    assertTrue(found >= shown, () -> "key " + i + ": version " + found + " behind " + shown);
    seen.accumulateAndGet(i, found, Math::max);
  }
}
