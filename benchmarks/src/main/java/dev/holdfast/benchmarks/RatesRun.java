package dev.holdfast.benchmarks;

import dev.holdfast.Lease;
import dev.holdfast.ScrubReport;
import dev.holdfast.Store;
import dev.holdfast.StoreStats;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Measures how fast a store is copied and verified, first with nobody else there, then under loads.
 *
 * <p><b>Threads:</b> one.
 */
final class RatesRun {
  /** Faster than any memory: the copy takes what it gets. */
  static final long UNTHROTTLED = 1L << 40;

  private static final Duration WARM_UP = Duration.ofMillis(300);
  private static final Duration CONTROL = Duration.ofMillis(500);

  /** So many random entries for each region that hardly one has none. */
  private static final int WRITES_A_REGION = 4;

  private static final int BATCHES = 21;
  private static final int BATCH = 10_000;

  private final Store store;
  private final Dataset data;
  private final FailoverSettings settings;
  private final Consumer<String> progress;
  private final SplittableRandom random;
  private final int legs;
  private final byte[] key = new byte[Dataset.KEY_LENGTH];
  private final MemorySegment keySegment = MemorySegment.ofArray(key);
  private final MemorySegment value = MemorySegment.ofArray(new byte[Dataset.MAX_VALUE_LENGTH]);
  private long failed;
  private long wrong;
  private @Nullable String firstProblem;

  /** What operations came to beside the last copy under a load. */
  private @Nullable Foreground besideResilver;

  /**
   * @param store open, whole, over emulated devices, that copies at {@link #UNTHROTTLED}, and
   *     holding {@code data}
   */
  RatesRun(Store store, Dataset data, FailoverSettings settings, Consumer<String> progress) {
    this.store = store;
    this.data = data;
    this.settings = settings;
    this.progress = progress;
    this.random = new SplittableRandom(settings.seed());
    this.legs = store.devices().size();
  }

  /** With nobody else there. */
  StoreRates alone() throws InterruptedException {
    // The first of each meets code that is not compiled, and pages that nobody has mapped.
    long _ = scrub();
    OptionalLong scrub = OptionalLong.of(scrub());
    OptionalLong resilver = OptionalLong.empty();
    if (legs > 1) {
      long _ = resilver(null);
      resilver = OptionalLong.of(resilver(null));
    }
    StoreRates rates =
        new StoreRates(
            resilver,
            OptionalLong.empty(),
            scrub,
            OptionalLong.empty(),
            OptionalLong.of(nanos(this::getAll)),
            OptionalLong.of(nanos(this::leaseAll)),
            null,
            null,
            null,
            failed,
            wrong,
            firstProblem);
    progress.accept(
        "with nobody else there: resilver %s, scrub %s, get %s, lease %s"
            .formatted(
                FailoverReport.rate(rates.resilver()),
                FailoverReport.rate(rates.scrub()),
                FailoverReport.nanos(rates.get()),
                FailoverReport.nanos(rates.lease())));
    return rates;
  }

  /** Adds what is measured under a load, and what went wrong until now. */
  StoreRates underLoad(StoreRates alone, LoadMix mix) throws InterruptedException {
    besideResilver = null;
    OptionalLong resilver = legs > 1 ? OptionalLong.of(resilver(mix)) : OptionalLong.empty();
    Foreground control;
    Foreground besideScrub;
    long[] scrub = new long[1];
    try (Load load = start(mix)) {
      load.run(WARM_UP);
      control = beside(load, () -> load.run(CONTROL));
      besideScrub = beside(load, () -> scrub[0] = scrub());
      count(load);
    }
    StoreRates rates =
        new StoreRates(
            alone.resilver(),
            resilver,
            alone.scrub(),
            OptionalLong.of(scrub[0]),
            alone.get(),
            alone.lease(),
            control,
            besideResilver,
            besideScrub,
            failed,
            wrong,
            firstProblem);
    progress.accept(
        "under load %s: resilver %s, scrub %s; operations %s, beside resilver %s, beside scrub %s"
            .formatted(
                mix.name(),
                FailoverReport.rate(rates.resilverUnderLoad()),
                FailoverReport.rate(rates.scrubUnderLoad()),
                control,
                besideResilver == null ? "-" : besideResilver,
                besideScrub));
    return rates;
  }

  /** What operations come to while something else is done. */
  private static Foreground beside(Load load, Runnable what) {
    MeasuredWindow window = load.open();
    what.run();
    long nanos = System.nanoTime() - window.openedAt();
    load.close(window, Duration.ZERO);
    return Foreground.of(window, nanos);
  }

  private Load start(LoadMix mix) {
    return Load.start(store, data, mix.readers(), mix.writers(), settings.seed());
  }

  private void count(Load load) {
    failed += load.failed();
    wrong += load.wrong() + load.lost().size();
    problem(load.firstProblem());
    if (!load.lost().isEmpty()) {
      problem(
          "entry " + load.lost().keySet().iterator().next() + ": lost while rates were measured");
    }
  }

  private void problem(@Nullable String text) {
    if (firstProblem == null) {
      firstProblem = text;
    }
  }

  private long scrub() {
    ScrubReport report = store.scrub();
    if (report.allFaults() > 0) {
      wrong += report.allFaults();
      problem("a scrub found " + report.faults());
    }
    return Math.round(report.bytesRead() / (Math.max(1, report.duration().toNanos()) / 1e9));
  }

  /** Takes a leg out, lets it miss something everywhere, and puts it back. */
  private long resilver(@Nullable LoadMix mix) throws InterruptedException {
    int leg = legs - 1;
    FaultInjector faults = Strike.device(store, leg).faults();
    faults.remove();
    writeEverywhere();
    if (mix == null) {
      faults.reinsert();
      store.online(leg);
      FailoverRun.awaitWhole(store, Load::parkUntil);
    } else {
      try (Load load = start(mix)) {
        load.run(WARM_UP);
        faults.reinsert();
        besideResilver = beside(load, () -> store.online(leg));
        FailoverRun.awaitWhole(
            store, until -> load.run(Duration.ofNanos(until - System.nanoTime())));
        count(load);
      }
    }
    StoreStats.Resilver copy = store.stats().resilver();
    if (copy == null || copy.leg() != leg) {
      throw new IllegalStateException("expected a copy to leg " + leg + ", was " + copy);
    }
    return copy.bytesPerSecond();
  }

  private void writeEverywhere() {
    long regions = Strike.device(store, 0).capacity() / VolumeLayout.REGION_SIZE;
    for (long i = 0; i < regions * WRITES_A_REGION; i++) {
      FailoverRun.put(store, data, random.nextInt(data.entries()), keySegment, value);
    }
  }

  /** What one operation takes: the median of batches, of which the first few are cold. */
  private static long nanos(Runnable batch) {
    long[] nanos = new long[BATCHES];
    for (int i = 0; i < BATCHES; i++) {
      long begun = System.nanoTime();
      batch.run();
      nanos[i] = (System.nanoTime() - begun) / BATCH;
    }
    return Samples.of(Arrays.stream(nanos)).median();
  }

  private void getAll() {
    for (int i = 0; i < BATCH; i++) {
      data.key(random.nextInt(data.entries()), key);
      long _ = store.get(keySegment, value);
    }
  }

  private void leaseAll() {
    for (int i = 0; i < BATCH; i++) {
      data.key(random.nextInt(data.entries()), key);
      try (Lease lease = store.lease(key)) {
        if (lease == null) {
          throw new IllegalStateException("expected a lease of an entry that was written");
        }
      }
    }
  }
}
