package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
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
  private LoadMix load = new LoadMix("mixed", 2, 1);
  private Duration window = Duration.ofMillis(30);

  @BeforeEach
  void open(@TempDir Path directory) {
    scripted = new ScriptedStore(directory);
  }

  @AfterEach
  void close() {
    scripted.close();
  }

  private FailoverSettings settings(int faults) {
    return new FailoverSettings(
        faults, Duration.ofMillis(20), Duration.ofMillis(1), window, Duration.ofMillis(10), 1);
  }

  private FailoverResult run(int faults) throws InterruptedException {
    return run(FailoverFault.REMOVE, FailoverTopology.MIRROR, faults);
  }

  private FailoverResult run(FailoverFault fault, FailoverTopology topology, int faults)
      throws InterruptedException {
    FailoverRun.fill(scripted.store(), data);
    return runFilled(fault, topology, faults);
  }

  private FailoverResult runFilled(FailoverFault fault, FailoverTopology topology, int faults)
      throws InterruptedException {
    var cell = new FailoverCell(fault, topology, SIZE, load, PersistenceMode.PROCESS);
    return new FailoverRun(scripted.store(), data, settings(faults), progress::add)
        .run(cell, Results.MEMORY, StoreRates.NONE);
  }

  private byte[] key(int entry) {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    data.key(entry, key);
    return key;
  }

  private static boolean isOf(int entry, byte @Nullable [] value) {
    return value != null && ByteBuffer.wrap(value).getLong() == entry;
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
  void theFirstGoodOperationsAreThoseThatBeganOnceTheFaultWasCaught() throws InterruptedException {
    // From the removal to the caught fault every read and write succeeds: none of them counts.
    // Behind it there is time for one of each on the busiest machine.
    window = Duration.ofMillis(500);
    scripted.onRemoval = () -> Load.parkUntil(System.nanoTime() + STALL_NANOS / 8);
    FaultRound round = run(1).rounds().getFirst();
    long caught = round.caught().orElseThrow();
    assertTrue(caught >= STALL_NANOS / 8, "" + round);
    assertTrue(round.firstGoodRead().orElseThrow() > caught, "" + round);
    assertTrue(round.firstGoodWrite().orElseThrow() > caught, "" + round);
  }

  @Test
  void operationsThatFailOrAreWrongAreNoGoodOnes() throws InterruptedException {
    AtomicLong until = new AtomicLong();
    AtomicBoolean striking = new AtomicBoolean();
    AtomicBoolean wrong = new AtomicBoolean();
    AtomicBoolean refused = new AtomicBoolean();
    // It strikes until both have been hit: on a busy machine the writer may not run in any fixed
    // time.
    BooleanSupplier strikes =
        () ->
            striking.get()
                && !(wrong.get() && refused.get() && System.nanoTime() - until.get() >= 0);
    scripted.onRemoval =
        () -> {
          until.set(System.nanoTime() + STALL_NANOS / 8);
          striking.set(true);
        };
    scripted.onRead =
        value -> {
          if (!strikes.getAsBoolean()) {
            return value;
          }
          wrong.set(true);
          return new byte[20];
        };
    scripted.beforePut =
        () -> {
          if (strikes.getAsBoolean()) {
            refused.set(true);
            throw new IllegalStateException("refused");
          }
        };
    FailoverResult result = run(1);
    FaultRound round = result.rounds().getFirst();
    assertTrue(result.wrong() > 0 && result.failed() > 0, "" + result);
    assertTrue(round.firstGoodRead().orElse(Long.MAX_VALUE) > STALL_NANOS / 8, "" + round);
    assertTrue(round.firstGoodWrite().orElse(Long.MAX_VALUE) > STALL_NANOS / 8, "" + round);
  }

  @Test
  void poisonHitsAPageThatHoldsEntriesAndTheyAreTriedAtOnce() throws InterruptedException {
    int entry = data.entries() / 2;
    scripted.owners = List.of(key(entry));
    AtomicBoolean struck = new AtomicBoolean();
    AtomicLong others = new AtomicLong();
    AtomicLong othersBeforeIt = new AtomicLong(-1);
    scripted.onRemoval = () -> struck.set(true);
    scripted.onRead =
        value -> {
          if (struck.get() && Thread.currentThread().getName().equals("reader-0")) {
            if (isOf(entry, value)) {
              othersBeforeIt.compareAndSet(-1, others.get());
            } else {
              others.incrementAndGet();
            }
          }
          return value;
        };
    FailoverResult result = run(FailoverFault.POISON, FailoverTopology.MIRROR, 1);
    FaultRound round = result.rounds().getFirst();
    assertEquals(List.of(), scripted.removed());
    // One read may have been under way.
    assertTrue(othersBeforeIt.get() >= 0 && othersBeforeIt.get() <= 1, "" + othersBeforeIt);
    // It is not tried for ever: the load is the same as before.
    assertTrue(others.get() > 10, "" + others);
    assertTrue(round.firstGoodRead().isPresent() && round.firstGoodWrite().isPresent(), "" + round);
    assertTrue(round.readSwitch().isEmpty() && round.resilver().isEmpty(), "" + round);
    assertEquals(0, result.failed() + result.wrong() + result.lost());
  }

  @Test
  void aStoreIsNotPoisonedSoOftenThatItGivesTheLegUp() throws InterruptedException {
    scripted.owners = List.of(key(0));
    assertEquals(9, run(FailoverFault.POISON, FailoverTopology.MIRROR, 20).rounds().size());
  }

  /** Says that an entry is lost from the fault on. */
  private FailoverResult losing(int entry, FailoverTopology topology) throws InterruptedException {
    return losing(value -> isOf(entry, value), topology);
  }

  private FailoverResult losing(Predicate<byte @Nullable []> which, FailoverTopology topology)
      throws InterruptedException {
    AtomicBoolean struck = new AtomicBoolean();
    scripted.onRemoval = () -> struck.set(true);
    scripted.onRead =
        value -> {
          if (struck.get() && which.test(value)) {
            throw new DataLostException("lost");
          }
          return value;
        };
    return run(FailoverFault.POISON, topology, 1);
  }

  @Test
  void whatWasOnTheOnlyCopyOfThePageIsLostAndNotWrong() throws InterruptedException {
    scripted.owners = List.of(key(3), key(5));
    FailoverResult result = losing(3, FailoverTopology.SINGLE);
    assertEquals(1, result.lost());
    assertEquals(0, result.wrong() + result.failed());
  }

  @Test
  void whatIsSaidToBeLostAndWasNotHitIsWrong() throws InterruptedException {
    load = new LoadMix("read", 2, 0);
    scripted.owners = List.of(key(5));
    FailoverResult result = losing(3, FailoverTopology.SINGLE);
    assertEquals(1, result.lost());
    assertEquals(1, result.wrong());
    assertEquals("entry 3: lost, and was not hit", result.firstProblem());
  }

  @Test
  void besideWritersMoreThanAPageHoldsIsWrongWhoeverItIs() throws InterruptedException {
    scripted.owners = List.of(key(5));
    FailoverResult result = losing(value -> value != null, FailoverTopology.SINGLE);
    assertEquals(data.entries(), result.lost());
    assertEquals(1, result.wrong());
    assertTrue(String.valueOf(result.firstProblem()).contains("at most 8,192 bytes"));
  }

  @Test
  void whatIsLostWithAnotherLegThereIsToldAsTheFirstProblem() throws InterruptedException {
    scripted.owners = List.of(key(3));
    FailoverResult result = losing(3, FailoverTopology.MIRROR);
    assertEquals(1, result.lost());
    assertEquals("entry 3: lost", result.firstProblem());
  }

  @Test
  void aLoadWithoutReadersStrikesTheLegThatServesThemToo() throws InterruptedException {
    load = new LoadMix("write", 0, 2);
    FaultRound round = run(1).rounds().getFirst();
    assertEquals(List.of(ScriptedStore.SERVING), scripted.removed());
    assertTrue(round.firstGoodRead().isEmpty() && round.firstGoodWrite().isPresent(), "" + round);
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
    FailoverResult result = runFilled(FailoverFault.REMOVE, FailoverTopology.MIRROR, 1);
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
    FailoverResult result = runFilled(FailoverFault.REMOVE, FailoverTopology.MIRROR, 1);
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
