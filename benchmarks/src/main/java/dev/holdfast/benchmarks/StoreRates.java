package dev.holdfast.benchmarks;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * How fast a store is copied and verified, with nobody else there and under a load, and what a
 * lease costs. Rates are bytes a second; empty is not measured, or not there to measure.
 *
 * @param resilver a leg that returned is copied to
 * @param resilverUnderLoad the same while operations go on
 * @param scrub everything is read and verified, of all legs together
 * @param scrubUnderLoad the same while operations go on
 * @param get nanoseconds of a get of a random entry, on one thread
 * @param lease nanoseconds of a lease of a random entry that is taken and closed
 * @param control what operations come to with nothing else going on; null if it is not measured
 * @param besideResilver the same while a leg is copied to as fast as it can be
 * @param besideScrub the same while everything is verified
 * @param failed operations that failed meanwhile
 * @param wrong what readers or a scrub found wrong meanwhile, and what was said to be lost
 * @param firstProblem the first of both, for people; null if there was none
 */
record StoreRates(
    OptionalLong resilver,
    OptionalLong resilverUnderLoad,
    OptionalLong scrub,
    OptionalLong scrubUnderLoad,
    OptionalLong get,
    OptionalLong lease,
    @Nullable Foreground control,
    @Nullable Foreground besideResilver,
    @Nullable Foreground besideScrub,
    long failed,
    long wrong,
    @Nullable String firstProblem) {
  /** Nothing was measured. */
  static final StoreRates NONE =
      new StoreRates(
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          null,
          null,
          null,
          0,
          0,
          null);
}
