package dev.holdfast.benchmarks;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a failover run found.
 *
 * @param cell what was measured
 * @param entries how many entries there were
 * @param fileSystem what the device files lay on
 * @param rounds the faults, in order
 * @param operations of all workers, from the beginning of the load to its end
 * @param loadNanos how long the load ran
 * @param failed operations that threw or took over a second, also while the rates were measured
 * @param wrong reads that returned what they may not, those of the last look at every entry
 *     included, what is said to be lost of one leg and was not hit, and what was wrong while the
 *     rates were measured
 * @param lost entries that are said to be lost
 * @param firstProblem what went wrong first; null if nothing did
 * @param rates how fast the same store, under the same load, is copied and verified
 */
record FailoverResult(
    FailoverCell cell,
    int entries,
    String fileSystem,
    List<FaultRound> rounds,
    long operations,
    long loadNanos,
    long failed,
    long wrong,
    long lost,
    @Nullable String firstProblem,
    StoreRates rates) {

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
    return cell.title() + " on " + fileSystem;
  }
}
