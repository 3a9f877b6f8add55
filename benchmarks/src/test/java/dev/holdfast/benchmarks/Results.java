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
        OptionalLong.of(CAUGHT_NANOS + 5_000_000),
        OptionalLong.of(CAUGHT_NANOS + 6_000_000),
        new WindowFigures(1_000, stallNanos, stallNanos / 2),
        new WindowFigures(2_000, controlNanos, controlNanos / 2),
        8_000,
        9_000,
        OptionalLong.of(200_000_000));
  }

  static FailoverResult result(
      String size, PersistenceMode mode, String fileSystem, FaultRound... rounds) {
    return result(size, mode, fileSystem, 0, 0, rounds);
  }

  static FailoverCell cell(
      FailoverFault fault, FailoverTopology topology, String size, PersistenceMode mode) {
    return new FailoverCell(
        fault, topology, ByteSize.parse(size), new LoadMix("mixed", 2, 1), mode);
  }

  static FailoverResult result(
      String size,
      PersistenceMode mode,
      String fileSystem,
      long failed,
      long wrong,
      FaultRound... rounds) {
    return result(
        cell(FailoverFault.REMOVE, FailoverTopology.MIRROR, size, mode),
        fileSystem,
        failed,
        wrong,
        0,
        rounds);
  }

  static FailoverResult result(
      FailoverCell cell,
      String fileSystem,
      long failed,
      long wrong,
      long lost,
      FaultRound... rounds) {
    return new FailoverResult(
        cell,
        64,
        fileSystem,
        List.of(rounds),
        3_000_000,
        2_000_000_000,
        failed,
        wrong,
        lost,
        failed + wrong > 0 ? "entry 7: wrong" : null,
        new StoreRates(
            OptionalLong.of(800_000_000),
            OptionalLong.of(300_000_000),
            OptionalLong.of(2_500_000_000L),
            OptionalLong.empty(),
            OptionalLong.of(700),
            OptionalLong.of(1_700),
            new Foreground(1_000_000, 9_000),
            new Foreground(600_000, 30_000),
            null,
            0,
            0,
            null));
  }
}
