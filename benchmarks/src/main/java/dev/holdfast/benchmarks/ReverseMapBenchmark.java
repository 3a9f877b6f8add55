package dev.holdfast.benchmarks;

import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.Owner;
import dev.holdfast.rmap.ReverseMap;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
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
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * What it costs to make a live mapping known to the reverse map and to drop it again, and to ask
 * who is hit when a page is lost.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 4, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(2)
public class ReverseMapBenchmark {
  private static final int PAGE = 4096;
  private static final int RECORD = 1024;

  /** A store holds few mappings at once and many records: populations are of both. */
  private static final long BYTES_PER_MEMBER = 2048;

  private static final long SMALLEST_VOLUME = 16L << 20;

  /** A volume of records that are owned, and of as many live mappings elsewhere in it. */
  @State(Scope.Benchmark)
  public static class Volume {
    /** How many mappings are live, and how many extents are owned. */
    @Param({"16", "1000", "1000000"})
    public int population;

    private final ReverseMap map = new ReverseMap();
    private final AtomicLong threads = new AtomicLong();
    private long size;

    /** Fills the map. */
    @Setup(Level.Trial)
    public void fill() {
      size = Math.max(SMALLEST_VOLUME, population * BYTES_PER_MEMBER);
      SplittableRandom random = new SplittableRandom(1);
      long step = size / population;
      for (int i = 0; i < population; i++) {
        map.own(new Extent(i * step));
        map.pin(random.nextLong(size - RECORD), RECORD, new Reader());
      }
    }
  }

  /** One thread's way through the volume, in random order, without the cost of being random. */
  @State(Scope.Thread)
  public static class Walk {
    private static final int STEPS = 1 << 12;

    private final long[] offsets = new long[STEPS];
    private final MappingHandle handle = new Reader();
    private int step;

    /** Chooses the way. */
    @Setup(Level.Trial)
    public void choose(Volume volume) {
      SplittableRandom random = new SplittableRandom(volume.threads.incrementAndGet());
      for (int i = 0; i < STEPS; i++) {
        offsets[i] = random.nextLong(volume.size / PAGE) * PAGE;
      }
    }

    long next() {
      step = (step + 1) & (STEPS - 1);
      return offsets[step];
    }
  }

  private record Extent(long offset) implements OwnedExtent {
    private static final Owner OWNER = new Owner.Metadata("record");

    @Override
    public long length() {
      return RECORD;
    }

    @Override
    public Owner owner() {
      return OWNER;
    }
  }

  private static final class Reader implements MappingHandle {
    @Override
    public String describe() {
      return "reader";
    }

    @Override
    public void invalidated(long offset, long length) {
      throw new IllegalStateException("expected no invalidation");
    }
  }

  /** Registers a mapping and drops it. */
  @Benchmark
  public boolean registerAndDrop(Volume volume, Walk walk) {
    long token = volume.map.pin(walk.next(), RECORD, walk.handle);
    return volume.map.unpin(token);
  }

  /** Finds the live mappings of a page. */
  @Benchmark
  public void mappingsOfPage(Volume volume, Walk walk, Blackhole found) {
    volume.map.mappings(walk.next(), PAGE, (offset, length, handle) -> found.consume(handle));
  }

  /** Finds what lives in a page. */
  @Benchmark
  public void ownersOfPage(Volume volume, Walk walk, Blackhole found) {
    volume.map.owners(walk.next(), PAGE, found::consume);
  }
}
