package dev.holdfast.async;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The ring on its own: what it stores is a list. */
@Timeout(30)
final class WriteRingTest {
  private static final int PLACES = 8;
  private static final int BYTES = 1 << 10;

  private final List<Integer> stored = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger commits = new AtomicInteger();
  private @Nullable WriteRing made;

  @AfterEach
  void endTheRing() {
    if (made != null) {
      made.end();
    }
  }

  private WriteRing ring(int places, RingWait wait, @Nullable Runnable commit) {
    WriteRing ring = new WriteRing("ring", new WriteRing.Settings(places, BYTES, wait), commit);
    made = ring;
    return ring;
  }

  private WriteRing ring() {
    return ring(PLACES, RingWait.PARK, commits::incrementAndGet);
  }

  private WriteRing.Write<Integer> write(int number) {
    return () -> {
      stored.add(number);
      return number;
    };
  }

  /** A write that has begun, and does not end before it is told to. */
  private static final class HeldWrite implements WriteRing.Write<Integer>, AutoCloseable {
    final CountDownLatch begun = new CountDownLatch(1);
    final CountDownLatch end = new CountDownLatch(1);

    @Override
    public Integer store() {
      begun.countDown();
      awaitQuietly(end);
      return -1;
    }

    CompletableFuture<Integer> submitTo(WriteRing ring) {
      CompletableFuture<Integer> future = ring.submit(this, 1);
      awaitQuietly(begun);
      return future;
    }

    @Override
    public void close() {
      end.countDown();
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static Throwable failureOf(Future<?> future) {
    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> future.get(20, TimeUnit.SECONDS));
    return Objects.requireNonNull(failed.getCause());
  }

  // ---------------------------------------------------------------- order, and how far it came

  @ParameterizedTest
  @EnumSource(RingWait.class)
  void writesOfAThreadAreStoredInItsOrder(RingWait wait) throws Exception {
    WriteRing ring = ring(PLACES, wait, commits::incrementAndGet);
    int threads = 4;
    int each = 1_000;
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<Future<?>> callers = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int from = t * each;
        Callable<?> calls =
            () -> {
              List<CompletableFuture<Integer>> futures = new ArrayList<>();
              for (int i = from; i < from + each; i++) {
                futures.add(ring.submit(write(i), 10));
              }
              for (int i = 0; i < each; i++) {
                assertEquals(from + i, futures.get(i).get(20, TimeUnit.SECONDS));
              }
              return null;
            };
        callers.add(pool.submit(calls));
      }
      for (Future<?> caller : callers) {
        caller.get();
      }
    }
    assertEquals(threads * each, stored.size());
    int[] last = new int[threads];
    for (int number : stored) {
      int thread = number / each;
      assertEquals(last[thread], number % each, "of thread " + thread);
      last[thread]++;
    }
  }

  @Test
  void nothingIsCompletedBeforeItsCommit() throws Exception {
    CountDownLatch committing = new CountDownLatch(1);
    CountDownLatch durable = new CountDownLatch(1);
    WriteRing ring =
        ring(
            PLACES,
            RingWait.PARK,
            () -> {
              committing.countDown();
              awaitQuietly(durable);
            });
    CompletableFuture<Integer> future = ring.submit(write(1), 1);
    assertTrue(committing.await(20, TimeUnit.SECONDS), "no commit");
    assertEquals(List.of(1), stored);
    assertFalse(future.isDone(), "acknowledged before it was durable");
    durable.countDown();
    assertEquals(1, future.get());
  }

  @Test
  void whatIsFoundAtOnceHasOneCommit() throws Exception {
    WriteRing ring = ring();
    List<CompletableFuture<Integer>> futures = new ArrayList<>();
    try (HeldWrite held = new HeldWrite()) {
      futures.add(held.submitTo(ring));
      for (int i = 1; i < PLACES; i++) {
        futures.add(ring.submit(write(i), 1));
      }
    }
    for (CompletableFuture<Integer> future : futures) {
      future.get();
    }
    assertTrue(commits.get() <= 2, commits + " commits");
  }

  // ---------------------------------------------------------------- failures

  @Test
  void aWriteThatFailsFailsAlone() throws Exception {
    WriteRing ring = ring();
    CompletableFuture<Integer> before;
    CompletableFuture<Integer> failing;
    CompletableFuture<Integer> behind;
    try (HeldWrite held = new HeldWrite()) {
      var _ = held.submitTo(ring);
      before = ring.submit(write(1), 1);
      failing =
          ring.submit(
              () -> {
                throw new OutOfSpaceException("no room");
              },
              1);
      behind = ring.submit(write(2), 1);
    }
    assertInstanceOf(OutOfSpaceException.class, failureOf(failing));
    assertEquals(1, before.get());
    assertEquals(2, behind.get());
    assertEquals(List.of(1, 2), stored);
  }

  @Test
  void whatACommitWasForFailsWithItAndTheNextDoesNot() throws Exception {
    AtomicInteger number = new AtomicInteger();
    WriteRing ring =
        ring(
            PLACES,
            RingWait.PARK,
            () -> {
              if (number.getAndIncrement() == 0) {
                throw new HoldfastException("refused", null);
              }
            });
    assertInstanceOf(HoldfastException.class, failureOf(ring.submit(write(1), 1)));
    assertEquals(2, ring.submit(write(2), 1).get());
  }

  @Test
  void anErrorEndsNeitherTheThreadNorItsNeighbours() throws Exception {
    WriteRing ring = ring();
    CompletableFuture<Integer> failing =
        ring.submit(
            () -> {
              throw new StackOverflowError("planted");
            },
            1);
    assertInstanceOf(StackOverflowError.class, failureOf(failing));
    assertEquals(2, ring.submit(write(2), 1).get());
  }

  // ---------------------------------------------------------------- actions of users

  @Test
  void anActionThatBlocksOrThrowsKeepsNobody() throws Exception {
    WriteRing ring = ring();
    CountDownLatch never = new CountDownLatch(1);
    List<CompletableFuture<Integer>> futures = new ArrayList<>();
    CompletableFuture<Void> waits;
    try (HeldWrite held = new HeldWrite()) {
      CompletableFuture<Integer> first = held.submitTo(ring);
      // One waits for a neighbour of its own commit, one for nobody, one throws.
      CompletableFuture<Integer> last = new CompletableFuture<>();
      waits = first.thenRun(last::join);
      var _ = ring.submit(write(0), 1).thenRun(() -> awaitQuietly(never));
      var _ =
          ring.submit(write(1), 1)
              .thenRun(() -> {
                throw new IllegalStateException("planted");
              });
      CompletableFuture<Integer> neighbour = ring.submit(write(2), 1);
      var _ = neighbour.thenAccept(last::complete);
      futures.add(neighbour);
    }
    for (int i = 0; i < 10 * PLACES; i++) {
      futures.add(ring.submit(write(3 + i), 1));
    }
    for (CompletableFuture<Integer> future : futures) {
      future.get(20, TimeUnit.SECONDS);
    }
    waits.get(20, TimeUnit.SECONDS);
    never.countDown();
  }

  @Test
  void anActionMayWriteThoughThereIsNoRoom() throws Exception {
    WriteRing ring = ring(2, RingWait.PARK, commits::incrementAndGet);
    List<CompletableFuture<Integer>> chains = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      int number = i;
      chains.add(
          ring.submit(write(number), 1)
              .thenCompose(_ -> ring.submit(write(1_000 + number), 1))
              .thenCompose(_ -> ring.submit(write(2_000 + number), 1)));
    }
    for (CompletableFuture<Integer> chain : chains) {
      chain.get(20, TimeUnit.SECONDS);
    }
    assertEquals(150, stored.size());
  }

  // ---------------------------------------------------------------- bounds

  @Test
  void aFullRingLetsItsCallersWait() throws Exception {
    WriteRing ring = ring();
    Thread caller;
    List<Object> answers = Collections.synchronizedList(new ArrayList<>());
    try (HeldWrite held = new HeldWrite()) {
      var _ = held.submitTo(ring);
      for (int i = 1; i < PLACES; i++) {
        assertTrue(ring.trySubmit(write(i), 1).isPresent());
      }
      assertEquals(Optional.empty(), ring.trySubmit(write(-2), 1));
      caller = Thread.ofPlatform().start(() -> answers.add(ring.submit(write(100), 1).join()));
      // Asleep, in no loop of short sleeps.
      await().until(() -> caller.getState() == Thread.State.WAITING);
      caller.interrupt();
      assertEquals(List.of(), answers);
    }
    caller.join();
    assertEquals(List.<Object>of(100), answers);
    assertFalse(stored.contains(-2));
  }

  @Test
  void whatWaitsIsBoundedByItsBytesToo() throws Exception {
    WriteRing ring = ring();
    CompletableFuture<Integer> large;
    try (HeldWrite held = new HeldWrite()) {
      var _ = held.submitTo(ring);
      assertTrue(ring.trySubmit(write(1), BYTES - 1).isPresent());
      assertEquals(Optional.empty(), ring.trySubmit(write(2), 1));
    }
    await().until(() -> ring.trySubmit(write(3), BYTES).isPresent());
    // Larger than all of it, and taken once it is alone.
    large = ring.submit(write(4), 1L << 40);
    assertEquals(4, large.get());
    assertEquals(5, ring.submit(write(5), BYTES).get());
  }

  @Test
  void withNothingToDoTheThreadSleeps() throws Exception {
    WriteRing ring = ring();
    ring.submit(write(1), 1).get();
    await()
        .until(() ->
            Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("ring-async"))
                .allMatch(thread -> thread.getState() == Thread.State.WAITING));
    ring.submit(write(2), 1).get();
  }

  // ---------------------------------------------------------------- the end

  @Test
  void anEndTellsEveryoneThoughTheThreadHangs() throws Exception {
    WriteRing ring = ring();
    AtomicInteger released = new AtomicInteger();
    class Counted implements WriteRing.Write<Integer> {
      @Override
      public Integer store() {
        throw new AssertionError("stored behind the end");
      }

      @Override
      public void release() {
        released.incrementAndGet();
      }
    }
    try (HeldWrite held = new HeldWrite()) {
      List<CompletableFuture<Integer>> futures = new ArrayList<>();
      futures.add(held.submitTo(ring));
      for (int i = 1; i < PLACES; i++) {
        futures.add(ring.submit(new Counted(), 1));
      }
      Queue<Object> answers = new ConcurrentLinkedQueue<>();
      List<Thread> callers = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        callers.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    answers.add(ring.submit(new Counted(), 1));
                  } catch (StoreClosedException e) {
                    answers.add("told");
                  }
                }));
      }
      await()
          .until(() -> callers.stream().allMatch(each -> each.getState() == Thread.State.WAITING));
      ring.end();
      for (CompletableFuture<Integer> future : futures) {
        assertInstanceOf(StoreClosedException.class, failureOf(future));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      assertEquals(List.of("told", "told", "told"), List.copyOf(answers));
      assertThrows(StoreClosedException.class, () -> ring.submit(write(1), 1));
      assertThrows(StoreClosedException.class, () -> ring.trySubmit(write(1), 1));
      assertEquals(PLACES - 1, released.get());
    }
    ring.join();
    assertEquals(PLACES - 1, released.get(), "let go of twice");
    assertEquals(List.of(), stored);
  }

  @Test
  void aDrainCompletesWhatWasTakenAndTakesNothingMore() throws Exception {
    WriteRing ring = ring();
    List<CompletableFuture<Integer>> futures = new ArrayList<>();
    Thread draining;
    try (HeldWrite held = new HeldWrite()) {
      futures.add(held.submitTo(ring));
      for (int i = 1; i < PLACES; i++) {
        futures.add(ring.submit(write(i), 1));
      }
      draining =
          Thread.ofPlatform()
              .start(() -> {
                ring.drain(Long.MAX_VALUE / 2, () -> false);
                ring.end();
              });
      await().until(() -> isClosed(ring));
    }
    draining.join();
    for (CompletableFuture<Integer> future : futures) {
      future.get(20, TimeUnit.SECONDS);
    }
  }

  private static boolean isClosed(WriteRing ring) {
    try {
      var _ = ring.trySubmit(() -> 0, 1);
      return false;
    } catch (StoreClosedException e) {
      return true;
    }
  }

  @Test
  void aDrainGivesUpWhereThereIsNothingToWaitFor() {
    WriteRing ring = ring();
    try (HeldWrite held = new HeldWrite()) {
      CompletableFuture<Integer> future = held.submitTo(ring);
      ring.drain(Long.MAX_VALUE / 2, () -> true);
      ring.drain(1, () -> false);
      assertFalse(future.isDone());
    }
  }

  /** With room for all, so that those who write are on their way into the ring at the end. */
  @Test
  void noFutureIsForgottenByAnEndUnderLoad() throws Exception {
    int threads = 2;
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = 0; round < 400; round++) {
        WriteRing ring = ring(BYTES, RingWait.PARK, commits::incrementAndGet);
        List<Future<List<CompletableFuture<Integer>>>> callers = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
          callers.add(pool.submit(() -> futuresUntilTheEnd(ring)));
        }
        while (stored.size() < round % 40) {
          Thread.onSpinWait();
        }
        ring.end();
        for (Future<List<CompletableFuture<Integer>>> caller : callers) {
          for (CompletableFuture<Integer> future : caller.get()) {
            try {
              future.get(20, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
              assertInstanceOf(StoreClosedException.class, e.getCause());
            } catch (TimeoutException e) {
              throw new AssertionError("forgotten in round " + round, e);
            }
          }
        }
        stored.clear();
      }
    }
  }

  private List<CompletableFuture<Integer>> futuresUntilTheEnd(WriteRing ring) {
    List<CompletableFuture<Integer>> futures = new ArrayList<>();
    while (true) {
      try {
        futures.add(ring.submit(write(1), 1));
      } catch (StoreClosedException e) {
        return futures;
      }
    }
  }
}
