package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FailoverRunTest {
  private static final ByteSize SIZE = ByteSize.parse("64K");
  private static final long STALL_NANOS = TimeUnit.MILLISECONDS.toNanos(40);

  private final Dataset data = new Dataset(SIZE, 1);
  private final List<String> progress = new ArrayList<>();
  private ScriptedStore scripted;

  @BeforeEach
  void open(@TempDir Path directory) {
    scripted = new ScriptedStore(directory);
  }

  @AfterEach
  void close() {
    scripted.close();
  }

  private static FailoverSettings settings(int faults) {
    return new FailoverSettings(
        faults,
        2,
        1,
        Duration.ofMillis(20),
        Duration.ofMillis(1),
        Duration.ofMillis(30),
        Duration.ofMillis(10),
        1);
  }

  private FailoverResult run(int faults) throws InterruptedException {
    FailoverRun.fill(scripted.store(), data);
    return new FailoverRun(scripted.store(), data, settings(faults), progress::add)
        .run(SIZE, PersistenceMode.PROCESS, Results.MEMORY);
  }

  @Test
  void everyFaultStrikesTheLegThatServesReadsAndIsMeasuredBesideAControl()
      throws InterruptedException {
    FailoverResult result = run(3);
    assertEquals(
        List.of(ScriptedStore.SERVING, ScriptedStore.SERVING, ScriptedStore.SERVING),
        scripted.removed());
    assertEquals(3, result.rounds().size());
    for (FaultRound round : result.rounds()) {
      long caught = round.caught().orElseThrow();
      long read = round.readSwitch().orElseThrow();
      long mark = round.markDurable().orElseThrow();
      long write = round.writeSwitch().orElseThrow();
      assertTrue(0 <= caught && caught <= read && read <= mark && mark <= write, "" + round);
      assertTrue(round.fault().operations() > 0 && round.control().operations() > 0, "" + round);
      assertTrue(round.fault().longestNanos() > 0, "" + round);
    }
    assertEquals(0, result.failed());
    assertEquals(0, result.wrong());
    assertTrue(result.operations() > 100, result.operations() + " operations");
    assertTrue(progress.getFirst().startsWith("fault 1/3: caught "), progress.toString());
  }

  @Test
  void aStallAtTheFaultIsInTheFaultWindow() throws InterruptedException {
    Semaphore hang = new Semaphore(0);
    Semaphore hanging = new Semaphore(0);
    // The leg is not gone before a put hangs: however busy the machine is, it hangs in the window.
    scripted.onRemoval =
        () -> {
          hang.release();
          hanging.acquireUninterruptibly();
        };
    scripted.beforePut =
        () -> {
          if (hang.tryAcquire()) {
            hanging.release();
            Load.parkUntil(System.nanoTime() + STALL_NANOS);
          }
        };
    FailoverResult result = run(2);
    for (FaultRound round : result.rounds()) {
      assertTrue(round.fault().longestNanos() >= STALL_NANOS, "" + round);
    }
  }

  @Test
  void anOperationThatTakesOverASecondIsTooLong() {
    assertTrue(Load.isTooLong(1_000_000_001));
    assertEquals(false, Load.isTooLong(1_000_000_000));
  }

  @Test
  void aPutThatThrowsIsFailed() throws InterruptedException {
    FailoverRun.fill(scripted.store(), data);
    AtomicBoolean thrown = new AtomicBoolean();
    scripted.beforePut =
        () -> {
          if (!scripted.removed().isEmpty() && thrown.compareAndSet(false, true)) {
            throw new IllegalStateException("refused");
          }
        };
    FailoverResult result =
        new FailoverRun(scripted.store(), data, settings(1), progress::add)
            .run(SIZE, PersistenceMode.PROCESS, Results.MEMORY);
    assertEquals(1, result.failed());
    assertEquals(0, result.wrong());
    assertTrue(String.valueOf(result.firstProblem()).contains("refused"), result.firstProblem());
  }

  @Test
  void anInternalErrorThatEscapesIsFailed() throws InterruptedException {
    AtomicBoolean thrown = new AtomicBoolean();
    scripted.onRead =
        value -> {
          if (thrown.compareAndSet(false, true)) {
            throw new InternalError("a fault occurred in an unsafe memory access operation");
          }
          return value;
        };
    assertEquals(1, run(1).failed());
  }

  @Test
  void oneFlippedBitIsWrong() throws InterruptedException {
    AtomicBoolean flipped = new AtomicBoolean();
    scripted.onRead =
        value -> {
          if (value == null || !flipped.compareAndSet(false, true)) {
            return value;
          }
          byte[] changed = value.clone();
          changed[changed.length - 1] ^= 4;
          return changed;
        };
    FailoverResult result = run(1);
    assertEquals(1, result.wrong());
    assertEquals(0, result.failed());
  }

  @Test
  void aMissingEntryIsWrong() throws InterruptedException {
    AtomicBoolean hidden = new AtomicBoolean();
    scripted.onRead = value -> hidden.compareAndSet(false, true) ? null : value;
    assertEquals(1, run(1).wrong());
  }

  @Test
  void theLastLookFindsWhatNoReaderCameAcross() throws InterruptedException {
    AtomicBoolean hidden = new AtomicBoolean();
    scripted.onRead =
        value ->
            Thread.currentThread().getName().startsWith("reader-")
                    || !hidden.compareAndSet(false, true)
                ? value
                : null;
    assertEquals(1, run(1).wrong());
  }

  @Test
  void anAcknowledgedPutThatIsNotKeptIsWrong() throws InterruptedException {
    FailoverRun.fill(scripted.store(), data);
    scripted.keeping = false;
    FailoverResult result =
        new FailoverRun(scripted.store(), data, settings(1), progress::add)
            .run(SIZE, PersistenceMode.PROCESS, Results.MEMORY);
    assertTrue(result.wrong() > 0);
  }

  @Test
  void aWorkerThatDiesEndsTheRun() {
    scripted.onRead =
        value -> {
          throw new StackOverflowError();
        };
    var e = assertThrows(IllegalStateException.class, () -> run(1));
    assertTrue(String.valueOf(e.getMessage()).contains("StackOverflowError"), e.getMessage());
  }

  @Test
  void aWindowIsClosedOnceTheOperationsInItHaveEnded() throws InterruptedException {
    FailoverRun.fill(scripted.store(), data);
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    scripted.beforePut =
        () -> {
          inside.countDown();
          awaitUninterruptibly(release);
        };
    try (Load load = Load.start(scripted.store(), data, 1, 1, 1)) {
      awaitUninterruptibly(inside);
      MeasuredWindow window = load.open();
      Thread.ofPlatform()
          .start(() -> {
            Load.parkUntil(window.openedAt() + STALL_NANOS);
            release.countDown();
          });
      // Over long before the put returns.
      load.close(window, Duration.ofNanos(STALL_NANOS / 20));
      assertTrue(window.longestNanos() >= STALL_NANOS, window.longestNanos() + " ns");
    }
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
