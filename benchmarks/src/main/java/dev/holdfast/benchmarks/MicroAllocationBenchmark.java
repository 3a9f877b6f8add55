package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What a get and a put from and to memory off the heap allocate; run it with the profiler gc. */
@SuppressWarnings("NullAway.Init") // JMH calls the set-up before anything else
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class MicroAllocationBenchmark {
  private static final int ENTRIES = 1 << 16;

  /** How many legs. */
  @Param({"mirror", "single"})
  public String mode;

  private final byte[] bytes = new byte[Entries.VALUE_LENGTH];
  private final Arena arena = Arena.ofShared();
  private final MemorySegment key = arena.allocate(KeyKind.STRING.length());
  private final MemorySegment value = arena.allocate(Entries.VALUE_LENGTH);
  private Place place;
  private Store store;
  private int index;

  /** Fills a store. */
  @Setup(Level.Trial)
  public void fill() {
    place = Place.create(null, PersistenceMode.PROCESS, 64L << 20);
    var builder = Store.builder(place.directory().resolve("store"));
    store = (mode.equals("single") ? builder.single() : builder.mirror()).open();
    for (int i = 0; i < ENTRIES; i++) {
      put();
    }
  }

  /** Removes it. */
  @TearDown(Level.Trial)
  public void remove() {
    store.close();
    place.close();
    arena.close();
  }

  private void next() {
    index = (index + 1) & (ENTRIES - 1);
    Entries.key(KeyKind.STRING, Entries.scatteredId(index), bytes, 0);
    MemorySegment.copy(bytes, 0, key, ValueLayout.JAVA_BYTE, 0, KeyKind.STRING.length());
  }

  /** A get of an entry that is there. */
  @Benchmark
  public long get() {
    next();
    long length = store.get(key, value);
    if (length != Entries.VALUE_LENGTH) {
      throw new IllegalStateException("get: was " + length);
    }
    return length;
  }

  /** A put over an entry that is there. */
  @Benchmark
  public void put() {
    next();
    store.put(key, value);
  }
}
