package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.FaultRound.WindowFigures;
import dev.holdfast.pmem.PersistenceMode;
import java.util.List;
import java.util.OptionalLong;

/** Made-up results. */
final class Results {
  static final String MEMORY = Place.MEMORY;

  /** When the fault was caught, after it was raised. */
  static final long CAUGHT_NANOS = 1_000;

  private Results() {}

  /** Of one fault; the read switch counts from the fault caught, negative for never. */
  static FaultRound round(long readSwitchNanos, long stallNanos, long controlNanos) {
    return new FaultRound(
        0,
        OptionalLong.of(CAUGHT_NANOS),
        readSwitchNanos < 0
            ? OptionalLong.empty()
            : OptionalLong.of(CAUGHT_NANOS + readSwitchNanos),
        OptionalLong.of(3_000),
        OptionalLong.of(CAUGHT_NANOS + 4_000_000),
        new WindowFigures(1_000, stallNanos, stallNanos / 2),
        new WindowFigures(2_000, controlNanos, controlNanos / 2),
        8_000,
        9_000);
  }

  static FailoverResult result(
      String size, PersistenceMode mode, String fileSystem, FaultRound... rounds) {
    return result(size, mode, fileSystem, 0, 0, rounds);
  }

  static FailoverResult result(
      String size,
      PersistenceMode mode,
      String fileSystem,
      long failed,
      long wrong,
      FaultRound... rounds) {
    return new FailoverResult(
        ByteSize.parse(size),
        64,
        mode,
        fileSystem,
        List.of(rounds),
        3_000_000,
        2_000_000_000,
        failed,
        wrong,
        failed + wrong > 0 ? "entry 7: wrong" : null);
  }
}
