package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.benchmarks.FaultRound.WindowFigures;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Pulls out the leg that serves reads while readers and a writer work back to back, puts it back,
 * waits until the store is whole again, and does so many times.
 *
 * <p>Every fault has a control: a window of the same run, as long, just before, in which nothing is
 * pulled out. Scheduling, garbage collection and page faults stall operations in both; the
 * difference is what the fault costs.
 *
 * <p><b>Threads:</b> one.
 */
final class FailoverRun {
  /** How long a step of a failover is waited for. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final Duration RETURN_PATIENCE = Duration.ofMinutes(5);
  private static final Duration SERVING_SAMPLE = Duration.ofMillis(20);

  private final Store store;
  private final Dataset data;
  private final FailoverSettings settings;
  private final Consumer<String> progress;
  private final SwitchTimes steps = new SwitchTimes();

  /**
   * @param store open, whole, mirrored over emulated devices, and holding {@code data} (see {@link
   *     #fill})
   */
  FailoverRun(Store store, Dataset data, FailoverSettings settings, Consumer<String> progress) {
    this.store = store;
    this.data = data;
    this.settings = settings;
    this.progress = progress;
  }

  /** Puts the first version of every entry. */
  static void fill(Store store, Dataset data) {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    for (int i = 0; i < data.entries(); i++) {
      long version = data.begin(i);
      data.key(i, key);
      store.put(keySegment, valueSegment.asSlice(0, data.value(i, version, value)));
      data.acknowledge(i, version);
    }
  }

  /**
   * Runs all rounds.
   *
   * @throws IllegalStateException if the store does not become whole again after a fault
   */
  FailoverResult run(ByteSize size, PersistenceMode persistence, String fileSystem)
      throws InterruptedException {
    List<FaultRound> rounds = new ArrayList<>();
    store.addListener(steps);
    long begun = System.nanoTime();
    Load load = Load.start(store, data, settings.readers(), settings.writers(), settings.seed());
    try (load) {
      load.run(settings.warmUp());
      for (int i = 1; i <= settings.faults(); i++) {
        FaultRound round = round(load);
        rounds.add(round);
        progress.accept(
            "fault %d/%d: caught %s after it was raised, then read switch %s, write switch %s; stall %s, control %s, back after %d ms"
                .formatted(
                    i,
                    settings.faults(),
                    SwitchTimes.describe(round.caught()),
                    SwitchTimes.describe(round.readSwitchAfterCaught()),
                    SwitchTimes.describe(round.writeSwitchAfterCaught()),
                    Figures.micros(round.fault().longestNanos()),
                    Figures.micros(round.control().longestNanos()),
                    TimeUnit.NANOSECONDS.toMillis(round.returnNanos())));
      }
    } finally {
      store.removeListener(steps);
    }
    long loadNanos = System.nanoTime() - begun;
    progress.accept("looking at every entry");
    long wrongAtTheEnd = countWrong();
    return new FailoverResult(
        size,
        data.entries(),
        persistence,
        fileSystem,
        List.copyOf(rounds),
        load.operations(),
        loadNanos,
        load.failed(),
        load.wrong() + wrongAtTheEnd,
        load.firstProblem());
  }

  private FaultRound round(Load load) throws InterruptedException {
    load.run(settings.settle());
    int leg = servingLeg(load);
    FaultInjector faults = device(leg).faults();

    MeasuredWindow control = load.open();
    load.close(control, settings.window());

    MeasuredWindow window = load.open();
    Load.parkUntil(window.openedAt() + settings.lead().toNanos());
    steps.arm(leg);
    long raisedAt = System.nanoTime();
    faults.remove();
    long removalNanos = System.nanoTime() - raisedAt;
    load.close(window, settings.window());

    OptionalLong readSwitch = steps.await(Kind.READ_SWITCHED, raisedAt, PATIENCE);
    OptionalLong writeSwitch = steps.await(Kind.WRITE_SWITCHED, raisedAt, PATIENCE);
    OptionalLong caught = steps.await(Kind.FAULT_CAUGHT, raisedAt, Duration.ZERO);
    OptionalLong markDurable = steps.await(Kind.MARK_DURABLE, raisedAt, Duration.ZERO);

    long returnedAt = System.nanoTime();
    faults.reinsert();
    store.online(leg);
    awaitWhole(load);
    return new FaultRound(
        leg,
        caught,
        readSwitch,
        markDurable,
        writeSwitch,
        WindowFigures.of(window),
        WindowFigures.of(control),
        removalNanos,
        System.nanoTime() - returnedAt);
  }

  /**
   * The leg that most reads of a moment came from.
   *
   * @throws IllegalStateException if nothing is read at all
   */
  private int servingLeg(Load load) {
    List<StoreStats.Leg> before = store.stats().legs();
    long begun = System.nanoTime();
    while (System.nanoTime() - begun < PATIENCE.toNanos()) {
      load.run(SERVING_SAMPLE);
      List<StoreStats.Leg> after = store.stats().legs();
      int serving = -1;
      long most = 0;
      for (int i = 0; i < after.size(); i++) {
        long reads = after.get(i).reads() - before.get(i).reads();
        if (reads > most) {
          most = reads;
          serving = after.get(i).index();
        }
      }
      if (serving >= 0) {
        return serving;
      }
    }
    throw new IllegalStateException(
        "expected reads from a leg, was none in " + PATIENCE.toSeconds() + " s");
  }

  private EmulatedDevice device(int leg) {
    if (store.devices().get(leg) instanceof EmulatedDevice device) {
      return device;
    }
    throw new IllegalStateException("leg " + leg + ": expected an emulated device, was another");
  }

  private void awaitWhole(Load load) {
    long begun = System.nanoTime();
    StoreHealth health = store.health();
    while (health.state() != StoreState.ONLINE) {
      if (System.nanoTime() - begun > RETURN_PATIENCE.toNanos()) {
        throw new IllegalStateException(
            "expected the store ONLINE "
                + RETURN_PATIENCE.toSeconds()
                + " s after its leg returned, was "
                + health);
      }
      load.run(Duration.ofMillis(1));
      health = store.health();
    }
  }

  private long countWrong() {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    long wrong = 0;
    for (int i = 0; i < data.entries(); i++) {
      data.key(i, key);
      long lowest = data.lowest(i);
      if (!data.isRight(i, value, store.get(keySegment, valueSegment), lowest)) {
        wrong++;
      }
    }
    return wrong;
  }
}
