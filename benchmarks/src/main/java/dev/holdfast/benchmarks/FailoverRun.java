package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.benchmarks.FaultRound.WindowFigures;
import dev.holdfast.error.DataLostException;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PmemDevice;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Strikes the leg that serves reads while readers and writers work back to back, puts it back,
 * waits until the store is whole again, and does so many times.
 *
 * <p>Every fault has a control: a window of the same run, as long, just before, in which nothing is
 * struck. Scheduling, garbage collection and page faults stall operations in both; the difference
 * is what the fault costs.
 *
 * <p><b>Threads:</b> one.
 */
final class FailoverRun {
  /** How long a step of a failover is waited for. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final Duration RETURN_PATIENCE = Duration.ofMinutes(5);
  private static final Duration SERVING_SAMPLE = Duration.ofMillis(20);
  private static final int SERVING_READS = 64;

  /** Values that begin before the page or end behind it are lost as a whole. */
  private static final long MOST_BYTES_ON_A_PAGE =
      FaultInjector.pageSize() + 2L * Dataset.MAX_VALUE_LENGTH;

  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

  private final Store store;
  private final Dataset data;
  private final FailoverSettings settings;
  private final Consumer<String> progress;
  private final SwitchTimes steps = new SwitchTimes();
  private final SplittableRandom random;

  /** The entries that may be lost, by the pages that were hit. */
  private final Set<Integer> hit = new HashSet<>();

  /**
   * @param store open, whole, over emulated devices, and holding {@code data} (see {@link #fill})
   */
  FailoverRun(Store store, Dataset data, FailoverSettings settings, Consumer<String> progress) {
    this.store = store;
    this.data = data;
    this.settings = settings;
    this.progress = progress;
    this.random = new SplittableRandom(settings.seed());
  }

  /** Puts the first version of every entry. */
  static void fill(Store store, Dataset data) {
    MemorySegment key = MemorySegment.ofArray(new byte[Dataset.KEY_LENGTH]);
    MemorySegment value = MemorySegment.ofArray(new byte[Dataset.MAX_VALUE_LENGTH]);
    for (int i = 0; i < data.entries(); i++) {
      put(store, data, i, key, value);
    }
  }

  /**
   * Puts the next version of an entry.
   *
   * @param key as long as a key, on the heap
   * @param value as long as the longest value, on the heap
   */
  static void put(Store store, Dataset data, int index, MemorySegment key, MemorySegment value) {
    long version = data.begin(index);
    data.key(index, array(key));
    store.put(key, value.asSlice(0, data.value(index, version, array(value))));
    data.acknowledge(index, version);
  }

  private static byte[] array(MemorySegment segment) {
    return (byte[]) segment.heapBase().orElseThrow();
  }

  /**
   * Runs all rounds.
   *
   * @param rates what was measured on the same store before
   * @throws IllegalStateException if the store does not become whole again after a fault
   */
  FailoverResult run(FailoverCell cell, String fileSystem, StoreRates rates)
      throws InterruptedException {
    List<FaultRound> rounds = new ArrayList<>();
    store.addListener(steps);
    int faults = cell.fault().atMost(settings.faults());
    long begun = System.nanoTime();
    LoadMix mix = cell.load();
    Load load = Load.start(store, data, mix.readers(), mix.writers(), settings.seed());
    try (load) {
      load.run(settings.warmUp());
      for (int i = 1; i <= faults; i++) {
        FaultRound round = round(cell, load);
        rounds.add(round);
        progress.accept(
            "fault %d/%d: %s; stall %s, control %s, whole again after %d ms"
                .formatted(
                    i,
                    faults,
                    steps(cell, round),
                    Figures.micros(round.fault().longestNanos()),
                    Figures.micros(round.control().longestNanos()),
                    TimeUnit.NANOSECONDS.toMillis(round.wholeNanos())));
      }
    } finally {
      store.removeListener(steps);
    }
    long loadNanos = System.nanoTime() - begun;
    progress.accept("looking at every entry");
    Map<Integer, Integer> lost = new HashMap<>(load.lost());
    long wrong = load.wrong() + countWrong(lost);
    Objection objection = objectTo(cell, faults, lost);
    heal(lost.keySet());
    return new FailoverResult(
        cell,
        data.entries(),
        fileSystem,
        List.copyOf(rounds),
        load.operations(),
        loadNanos,
        load.failed() + rates.failed(),
        wrong + objection.count() + rates.wrong(),
        lost.size(),
        first(load.firstProblem(), first(objection.first(), rates.firstProblem())),
        rates);
  }

  private static @Nullable String first(@Nullable String one, @Nullable String other) {
    return one != null ? one : other;
  }

  /**
   * What is wrong about what is said to be lost.
   *
   * @param count in how many ways
   * @param first the first of them, for people; null if there is none
   */
  private record Objection(long count, @Nullable String first) {}

  private Objection objectTo(FailoverCell cell, int faults, Map<Integer, Integer> lost) {
    if (lost.isEmpty()) {
      return new Objection(0, null);
    }
    if (cell.topology().isMirrored()) {
      // There is no excuse for it, and a bar of its own.
      return new Objection(0, "entry " + lost.keySet().iterator().next() + ": lost");
    }
    if (cell.load().writers() == 0) {
      List<Integer> others = lost.keySet().stream().filter(index -> !hit.contains(index)).toList();
      return others.isEmpty()
          ? new Objection(0, null)
          : new Objection(others.size(), "entry " + others.getFirst() + ": lost, and was not hit");
    }
    // Records come to a page and leave it until the moment at which it faults, unseen.
    long bytes = lost.values().stream().mapToLong(Integer::longValue).sum();
    long most = faults * MOST_BYTES_ON_A_PAGE;
    return bytes <= most
        ? new Objection(0, null)
        : new Objection(
            1,
            "expected at most %,d bytes lost, which the pages held, was %,d"
                .formatted(most, bytes));
  }

  private static String steps(FailoverCell cell, FaultRound round) {
    String caught = "caught %s after it was raised".formatted(SwitchTimes.describe(round.caught()));
    return cell.fault().takesTheLeg()
        ? "%s, then read switch %s, write switch %s"
            .formatted(
                caught,
                SwitchTimes.describe(round.readSwitchAfterCaught()),
                SwitchTimes.describe(round.writeSwitchAfterCaught()))
        : caught;
  }

  private FaultRound round(FailoverCell cell, Load load) throws InterruptedException {
    load.run(settings.settle());
    int leg = cell.topology().isMirrored() ? servingLeg(cell.load(), load) : 0;

    MeasuredWindow control = load.open();
    load.close(control, settings.window());

    MeasuredWindow window = load.open();
    Load.parkUntil(window.openedAt() + settings.lead().toNanos());
    Strike strike = Strike.prepare(cell.fault(), store, data, leg, random);
    Aim aim = strike.aim();
    steps.arm(leg);
    load.aim(aim);
    long raisedAt = System.nanoTime();
    strike.raise();
    aim.strike();
    long raisingNanos = System.nanoTime() - raisedAt;
    load.close(window, settings.window());
    hit.addAll(strike.hit());

    OptionalLong last = steps.await(cell.fault().lastStep(), raisedAt, PATIENCE);
    OptionalLong caught = step(Kind.FAULT_CAUGHT, raisedAt);
    long since = raisedAt + caught.orElse(0);
    OptionalLong goodRead = after(load.firstGood(Load.Kind.READ, aim, since), raisedAt);
    OptionalLong goodWrite = after(load.firstGood(Load.Kind.WRITE, aim, since), raisedAt);
    OptionalLong readSwitch = step(Kind.READ_SWITCHED, raisedAt);
    OptionalLong markDurable = step(Kind.MARK_DURABLE, raisedAt);
    OptionalLong writeSwitch = step(Kind.WRITE_SWITCHED, raisedAt);

    long returnedAt = cell.fault().takesTheLeg() ? System.nanoTime() : raisedAt;
    strike.end(RETURN_PATIENCE);
    awaitWhole(store, until -> load.run(Duration.ofNanos(until - System.nanoTime())));
    long wholeNanos = System.nanoTime() - returnedAt;
    return new FaultRound(
        leg,
        caught,
        readSwitch,
        markDurable,
        writeSwitch,
        goodRead,
        goodWrite,
        WindowFigures.of(window),
        WindowFigures.of(control),
        raisingNanos,
        cell.fault().takesTheLeg() ? wholeNanos : last.orElse(wholeNanos),
        cell.fault().takesTheLeg() ? copyRate(leg) : OptionalLong.empty());
  }

  private OptionalLong step(Kind kind, long raisedAt) throws InterruptedException {
    return steps.await(kind, raisedAt, Duration.ZERO);
  }

  private static OptionalLong after(OptionalLong moment, long raisedAt) {
    return moment.isPresent()
        ? OptionalLong.of(moment.getAsLong() - raisedAt)
        : OptionalLong.empty();
  }

  private OptionalLong copyRate(int leg) {
    StoreStats.Resilver copy = store.stats().resilver();
    return copy != null && copy.leg() == leg
        ? OptionalLong.of(copy.bytesPerSecond())
        : OptionalLong.empty();
  }

  /**
   * The leg that most reads of a moment came from.
   *
   * @throws IllegalStateException if nothing is read at all
   */
  private int servingLeg(LoadMix mix, Load load) {
    List<StoreStats.Leg> before = store.stats().legs();
    long begun = System.nanoTime();
    while (System.nanoTime() - begun < PATIENCE.toNanos()) {
      if (mix.readers() == 0) {
        readSome();
      }
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

  private void readSome() {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment value = MemorySegment.ofArray(new byte[Dataset.MAX_VALUE_LENGTH]);
    for (int i = 0; i < SERVING_READS; i++) {
      data.key(random.nextInt(data.entries()), key);
      long _ = store.get(keySegment, value);
    }
  }

  /**
   * Waits until every leg holds everything and no page is bad.
   *
   * @param pause waits until a moment of {@link System#nanoTime}
   * @throws IllegalStateException if that takes minutes
   */
  static void awaitWhole(Store store, LongConsumer pause) {
    long begun = System.nanoTime();
    while (true) {
      StoreHealth health = store.health();
      boolean bad = store.devices().stream().map(PmemDevice::badBlocks).anyMatch(b -> !b.isEmpty());
      if (health.state() == StoreState.ONLINE && !bad) {
        return;
      }
      if (System.nanoTime() - begun > RETURN_PATIENCE.toNanos()) {
        throw new IllegalStateException(
            "expected the store ONLINE "
                + RETURN_PATIENCE.toSeconds()
                + " s after a fault ended, was "
                + health
                + (bad ? ", with bad blocks" : ""));
      }
      pause.accept(System.nanoTime() + LOOK_NANOS);
    }
  }

  /** Looks at every entry; those that are said to be lost are added to {@code lost}. */
  private long countWrong(Map<Integer, Integer> lost) {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];
    MemorySegment keySegment = MemorySegment.ofArray(key);
    MemorySegment valueSegment = MemorySegment.ofArray(value);
    long wrong = 0;
    for (int i = 0; i < data.entries(); i++) {
      data.key(i, key);
      long lowest = data.lowest(i);
      try {
        if (!data.isRight(i, value, store.get(keySegment, valueSegment), lowest)) {
          wrong++;
        }
      } catch (DataLostException e) {
        lost.putIfAbsent(i, data.valueLength(i, lowest));
      }
    }
    return wrong;
  }

  /** Writes again what was lost, for those who measure on the same store next. */
  private void heal(Set<Integer> lost) {
    MemorySegment key = MemorySegment.ofArray(new byte[Dataset.KEY_LENGTH]);
    MemorySegment value = MemorySegment.ofArray(new byte[Dataset.MAX_VALUE_LENGTH]);
    for (int index : lost) {
      put(store, data, index, key, value);
    }
  }
}
