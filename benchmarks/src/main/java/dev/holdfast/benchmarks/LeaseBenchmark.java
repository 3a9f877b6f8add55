package dev.holdfast.benchmarks;

import dev.holdfast.Lease;
import dev.holdfast.Store;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What a lease costs to take and to close, and what its accesses cost. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class LeaseBenchmark {
  private static final int ENTRIES = 10_000;
  private static final int SMALL = 100;
  private static final int LARGE = 16 << 20;
  private static final int PART = 64 << 10;
  private static final byte[] LARGE_KEY = {1};

  /** A mirrored store of small values and a large one. */
  @SuppressWarnings("NullAway.Init") // JMH calls the set-up before anything else
  @State(Scope.Benchmark)
  public static class Leased {
    private Place place;
    private Store store;
    private Lease large;

    /** Fills a store. */
    @Setup(Level.Trial)
    public void fill() {
      place = Place.create(null, PersistenceMode.PROCESS, 128L << 20);
      store = Store.builder(place.directory().resolve("store")).open();
      for (int i = 0; i < ENTRIES; i++) {
        store.put(key(i), new byte[SMALL]);
      }
      store.put(LARGE_KEY, new byte[LARGE]);
      large = Objects.requireNonNull(store.lease(LARGE_KEY));
    }

    /** Removes it. */
    @TearDown(Level.Trial)
    public void remove() {
      large.close();
      store.close();
      place.close();
    }
  }

  /** One thread's way through keys and offsets. */
  @State(Scope.Thread)
  public static class Walk {
    private final SplittableRandom random = new SplittableRandom(1);
    private final byte[] part = new byte[PART];
    private final byte[][] keys = new byte[ENTRIES][];

    /** Makes the keys, so that nothing is made later. */
    @Setup(Level.Trial)
    public void fill() {
      for (int i = 0; i < ENTRIES; i++) {
        keys[i] = key(i);
      }
    }

    byte[] next() {
      return keys[random.nextInt(ENTRIES)];
    }
  }

  private static byte[] key(int number) {
    return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
  }

  /** A get of a small value: what taking a lease on it is to be compared with. */
  @Benchmark
  public byte[] get(Leased leased, Walk walk) {
    return Objects.requireNonNull(leased.store.get(walk.next()));
  }

  /** Takes a lease on a small value, and closes it. */
  @Benchmark
  public long openAndClose(Leased leased, Walk walk) {
    try (Lease lease = Objects.requireNonNull(leased.store.lease(walk.next()))) {
      return lease.length();
    }
  }

  /** Eight bytes of a piece that is at hand. */
  @Benchmark
  public long getLongNearby(Leased leased, Walk walk) {
    return leased.large.getLong(walk.random.nextInt(500));
  }

  /** Eight bytes anywhere in 16 MiB. */
  @Benchmark
  public long getLongAnywhere(Leased leased, Walk walk) {
    return leased.large.getLong(walk.random.nextInt(LARGE - Long.BYTES));
  }

  /** 64 KiB from anywhere in 16 MiB. */
  @Benchmark
  public byte[] copyPart(Leased leased, Walk walk) {
    leased.large.copyTo(walk.random.nextInt(LARGE - PART), walk.part, 0, PART);
    return walk.part;
  }
}
