package dev.holdfast.volume;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

@SuppressWarnings("ThreadPriorityCheck") // yields to be preempted in the middle, not to wait
final class GracePeriodTest {
  private static final long LONG_ENOUGH = 20_000_000_000L;
  private static final long SHORT = 2_000_000L;

  @Test
  void waitEndsOnlyWhenWhoEnteredBeforeHasLeft() {
    GracePeriod grace = new GracePeriod();
    assertTrue(grace.await(SHORT), "nobody is inside");
    int entered = grace.enter();
    assertFalse(grace.await(SHORT));
    assertFalse(grace.await(SHORT), "whichever phase it entered in");
    assertFalse(grace.await(SHORT));
    grace.exit(entered);
    assertTrue(grace.await(LONG_ENOUGH));
  }

  @Test
  void whoEntersLaterIsNotWaitedForTwice() {
    GracePeriod grace = new GracePeriod();
    int first = grace.enter();
    grace.exit(first);
    assertTrue(grace.await(LONG_ENOUGH));
    int second = grace.enter();
    assertFalse(grace.await(SHORT));
    grace.exit(second);
    assertTrue(grace.await(LONG_ENOUGH));
  }

  /** Another who waits holds what is needed to wait. */
  @Test
  void waitEndsInItsTimeWhileAnotherWaitsLonger() throws Exception {
    GracePeriod grace = new GracePeriod();
    int entered = grace.enter();
    Thread longer = Thread.ofPlatform().start(() -> assertTrue(grace.await(LONG_ENOUGH)));
    await()
        .until(() ->
            Stream.of(longer.getStackTrace()).anyMatch(f -> f.getMethodName().equals("drained")));
    long start = System.nanoTime();
    assertFalse(grace.await(SHORT));
    assertTrue(System.nanoTime() - start < LONG_ENOUGH / 4);
    grace.exit(entered);
    longer.join();
    assertTrue(grace.await(LONG_ENOUGH));
  }

  @Test
  void anInterruptNeitherShortensAWaitNorIsLost() throws Exception {
    GracePeriod grace = new GracePeriod();
    int entered = grace.enter();
    AtomicInteger ended = new AtomicInteger();
    List<Thread> waiters = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      waiters.add(
          Thread.ofPlatform()
              .start(() -> {
                Thread.currentThread().interrupt();
                if (grace.await(LONG_ENOUGH) && Thread.interrupted()) {
                  ended.incrementAndGet();
                }
              }));
    }
    // One is at the counters, the other at the lock.
    for (Thread waiter : waiters) {
      await().until(() -> waiter.getState() == Thread.State.TIMED_WAITING);
      waiter.interrupt();
    }
    assertEquals(0, ended.get());
    grace.exit(entered);
    for (Thread waiter : waiters) {
      waiter.join();
    }
    assertEquals(2, ended.get());
  }

  /**
   * A slot is handed to readers, replaced, and used anew after a grace period: no reader may still
   * be in it. Threads come and go so that all stripes are used.
   */
  @Test
  void nobodyIsFoundInsideWhatWasReplacedBeforeAGracePeriod() throws Exception {
    GracePeriod grace = new GracePeriod();
    AtomicIntegerArray users = new AtomicIntegerArray(2);
    AtomicLong current = new AtomicLong();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong operations = new AtomicLong();
    List<Thread> readers = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      readers.add(
          (i % 2 == 0 ? Thread.ofPlatform() : Thread.ofVirtual())
              .start(() -> {
                while (!stop.get()) {
                  int slot = grace.enter();
                  int use = (int) current.get();
                  users.incrementAndGet(use);
                  if ((operations.incrementAndGet() & 63) == 0) {
                    LockSupport.parkNanos(1); // inside, for longer than usual
                  }
                  users.decrementAndGet(use);
                  grace.exit(slot);
                }
              }));
    }
    int inside = 0;
    for (int round = 0; round < 2_000; round++) {
      int old = (int) current.get();
      current.set(1 - old);
      assertTrue(grace.await(LONG_ENOUGH));
      inside += users.get(old);
    }
    stop.set(true);
    for (Thread reader : readers) {
      reader.join();
    }
    assertEquals(0, inside);
    assertTrue(operations.get() > 2_000, "readers were running");
  }
}
