package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.health.HealthEvent;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * T4: a get follows a slot to its record and looks at the slot again; the index grows without a
 * pause; damage is declared only behind a second look under the leaf's lock.
 */
final class T4PointIndexTest {
  @TempDir(factory = FastPlace.class)
  Path directory;

  private final Events events = new Events();

  private Store open() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20).listener(events).open();
  }

  /** What threads do until they are told to stop, or one fails. */
  private static final class Threads {
    final AtomicBoolean stop = new AtomicBoolean();
    final AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();
    final AtomicLong rounds = new AtomicLong();
    private final List<Thread> all = new ArrayList<>();

    void run(Runnable body) {
      all.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  while (!stop.get()) {
                    body.run();
                    rounds.incrementAndGet();
                  }
                } catch (Throwable e) {
                  failed.compareAndSet(null, e);
                  stop.set(true);
                }
              }));
    }

    void more(long count) {
      long until = rounds.get() + count;
      while (rounds.get() < until && !stop.get()) {
        LockSupport.parkNanos(100_000);
      }
    }

    void end() throws InterruptedException {
      stop.set(true);
      for (Thread thread : all) {
        thread.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
    }
  }

  private static byte[] number(int i) {
    return ByteBuffer.allocate(6).putShort((short) (i * 40503)).putInt(i).array();
  }

  /** The hash gets many times as many slots while two threads read what was there before. */
  @Test
  void indexGrowsUnderReaders() throws Exception {
    int known = 500;
    int more = 60_000;
    try (Store store = open()) {
      for (int i = 0; i < known; i++) {
        store.put(number(i), value(i));
      }
      Threads readers = new Threads();
      for (int r = 0; r < 2; r++) {
        Random random = new Random(r);
        readers.run(() -> {
          int i = random.nextInt(known);
          assertArrayEquals(value(i), store.get(number(i)), "entry " + i);
          assertNull(store.get(number(more + random.nextInt(1_000))));
        });
      }
      for (int i = known; i < more; i++) {
        store.put(number(i), number(i));
      }
      for (int i = known; i < more; i += 2) {
        assertTrue(store.remove(number(i)));
      }
      readers.end();
      assertTrue(readers.rounds.get() > 100);
      for (int i = known; i < more; i++) {
        assertArrayEquals((i - known) % 2 == 0 ? null : number(i), store.get(number(i)));
      }
      assertEquals(known + (more - known) / 2, store.stats().entries());
    }
  }

  /** Slots move all the time; who followed one that was moved since does not take it for damage. */
  @Test
  void readersOfWhatIsMovedDeclareNoDamage() throws Exception {
    try (Store store = open()) {
      put(store, 0, 40);
      Threads threads = new Threads();
      for (int t = 0; t < 2; t++) {
        Random random = new Random(t);
        int mine = t * 20;
        threads.run(() -> {
          int i = mine + random.nextInt(20);
          store.put(key(i), new byte[1_000]);
          store.put(key(i), value(i));
        });
        threads.run(() -> {
          byte[] value = store.get(key(random.nextInt(40)));
          assertTrue(value != null, "absent");
          assertTrue(store.containsKey(key(random.nextInt(40))), "absent");
        });
      }
      threads.more(20_000);
      threads.end();
      for (HealthEvent.Kind kind : HealthEvent.Kind.values()) {
        assertTrue(
            !events.contains(kind, 0) && !events.contains(kind, 1), "nothing to tell, was " + kind);
      }
      assertEquals(0, store.stats().faultsCaught());
      assertTrue(store.health().lost().isEmpty());
    }
  }

  /** A look takes no lock: it misses what a writer moves in the same moment. */
  private static StoreExtent extentWhileItMoves(Store store, byte[] key) {
    return Awaitility.await()
        .atMost(Duration.ofSeconds(20))
        .ignoreException(NoSuchElementException.class)
        .until(() -> Entries.extent(store, key), Objects::nonNull);
  }

  /** A record that is damaged on one leg, under writers that move it and readers that find it. */
  @Test
  void damageIsFoundAndMendedUnderWriters() throws Exception {
    try (Store store = open()) {
      put(store, 0, 40);
      Threads threads = new Threads();
      for (int t = 0; t < 2; t++) {
        Random random = new Random(t);
        threads.run(() -> {
          int i = 20 + random.nextInt(20);
          store.put(key(i), value(i));
        });
        threads.run(() -> {
          int i = random.nextInt(40);
          assertArrayEquals(value(i), store.get(key(i)), "entry " + i);
        });
      }
      for (int flip = 0; flip < 20; flip++) {
        StoreExtent record = extentWhileItMoves(store, key(flip));
        device(store, 0).faults().flipBit(record.offset() + flip % 16, flip % 8);
        threads.more(500);
      }
      threads.end();
      Awaitility.await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> {
            for (int i = 0; i < 40; i++) {
              assertArrayEquals(value(i), store.get(key(i)), "entry " + i);
            }
            return isSameOnBothLegs(store);
          });
      device(store, 1).faults().remove();
      for (int i = 0; i < 40; i++) {
        assertArrayEquals(value(i), store.get(key(i)), "entry " + i);
      }
      assertTrue(store.health().lost().isEmpty());
    }
  }

  private static boolean isSameOnBothLegs(Store store) {
    for (int i = 0; i < 40; i++) {
      StoreExtent record = Entries.extent(store, key(i));
      byte[] one = new byte[(int) record.length()];
      byte[] other = new byte[one.length];
      device(store, 0).read(record.offset(), one, 0, one.length);
      device(store, 1).read(record.offset(), other, 0, one.length);
      if (!Arrays.equals(one, other)) {
        return false;
      }
    }
    return true;
  }
}
