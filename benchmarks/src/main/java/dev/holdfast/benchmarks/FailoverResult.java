package dev.holdfast.benchmarks;

import dev.holdfast.pmem.PersistenceMode;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a failover run found.
 *
 * @param size how much data there was
 * @param entries in how many entries
 * @param persistence how far acknowledged writes came
 * @param fileSystem what the device files lay on
 * @param rounds the faults, in order
 * @param operations of all workers, from the beginning of the load to its end
 * @param loadNanos how long the load ran
 * @param failed operations that threw or took over a second
 * @param wrong reads that returned what they may not, those of the last look at every entry
 *     included
 * @param firstProblem what went wrong first; null if nothing did
 */
record FailoverResult(
    ByteSize size,
    int entries,
    PersistenceMode persistence,
    String fileSystem,
    List<FaultRound> rounds,
    long operations,
    long loadNanos,
    long failed,
    long wrong,
    @Nullable String firstProblem) {

  /** Of a figure that every round has. */
  Samples samples(ToLongFunction<FaultRound> figure) {
    return Samples.of(rounds.stream().mapToLong(figure));
  }

  /** Of a step; empty if a fault never came to it: a median of the others would be a lie. */
  Optional<Samples> steps(Function<FaultRound, OptionalLong> step) {
    if (rounds.stream().map(step).anyMatch(OptionalLong::isEmpty)) {
      return Optional.empty();
    }
    return Optional.of(samples(round -> step.apply(round).getAsLong()));
  }

  long operationsPerSecond() {
    return Math.round(operations / (loadNanos / 1e9));
  }

  /** What to call it in tables and charts. */
  String title() {
    return size + " " + persistence + " on " + fileSystem;
  }
}
