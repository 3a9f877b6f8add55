package dev.holdfast.benchmarks;

import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.Window;
import java.io.IOException;
import java.nio.file.Path;
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

/**
 * What the fault barrier costs on its own and behind accesses to memory that is in the cache, where
 * it shows most.
 */
@SuppressWarnings("NullAway.Init") // JMH calls the set-up before anything else
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 4, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(2)
public class BarrierBenchmark {
  private static final int SIZE = 16 << 10;
  private static final int STEP = 1 << 10;

  private final byte[] target = new byte[STEP];
  private Place place;
  private EmulatedDevice device;
  private Window window;
  private int at;

  /** Maps a small device and brings it into the cache. */
  @Setup(Level.Trial)
  public void map() throws IOException {
    place = Place.create(null, PersistenceMode.PROCESS, 1 << 20);
    Path file = place.directory().resolve("device.pmem");
    device = EmulatedDevice.create(file, SIZE, PersistenceMode.PROCESS);
    window = device.map();
    Gateway.fill(window, 0, SIZE, (byte) 1);
    Gateway.barrier();
  }

  /** Removes the device. */
  @TearDown(Level.Trial)
  public void unmap() {
    window.close();
    device.close();
    place.close();
  }

  private int next() {
    at = (at + STEP) & (SIZE - 1);
    return at;
  }

  /** The step to the next address, which all the others do too. */
  @Benchmark
  public int nothing() {
    return next();
  }

  /** The barrier alone. */
  @Benchmark
  public int barrier() {
    int next = next();
    Gateway.barrier();
    return next;
  }

  /** A load that nobody may believe. */
  @Benchmark
  public long getLong() {
    return Gateway.getLong(window, next());
  }

  /** A load that counts. */
  @Benchmark
  public long getLongAndBarrier() {
    long value = Gateway.getLong(window, next());
    Gateway.barrier();
    return value;
  }

  /** A copy of 1 KiB that nobody may believe. */
  @Benchmark
  public byte[] copyOut1K() {
    Gateway.copyOut(window, next(), target, 0, STEP);
    return target;
  }

  /** A copy of 1 KiB that counts. */
  @Benchmark
  public byte[] copyOut1KAndBarrier() {
    Gateway.copyOut(window, next(), target, 0, STEP);
    Gateway.barrier();
    return target;
  }
}
