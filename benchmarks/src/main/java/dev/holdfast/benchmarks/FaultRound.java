package dev.holdfast.benchmarks;

import java.util.OptionalLong;

/**
 * One fault and what came of it. Times of steps are nanoseconds after the fault was raised, empty
 * where the store never told of the step, or where the fault does not bring it about.
 *
 * @param leg the leg that was hit
 * @param caught when the first operation or probe caught the fault
 * @param readSwitch when reads went to the survivor
 * @param markDurable when the stale mark was durable
 * @param writeSwitch when writes went to the survivor alone
 * @param firstGoodRead when the first read ended that began after the fault was caught and got what
 *     it should; of a page that was hit, a read of an entry on it. Empty also without readers
 * @param firstGoodWrite the same of a write; empty also without writers
 * @param fault the window in which the fault struck
 * @param control the window before it, as long, in the same run, without a fault
 * @param raisingNanos how long the emulated device took to make every page fault and tell its
 *     holder; a real one does so at once
 * @param wholeNanos how long the leg took to be back in use, its whole copy included; of a page,
 *     from the fault to its repair
 * @param resilver how fast the leg was copied to under the load, in bytes a second; empty if it was
 *     not
 */
record FaultRound(
    int leg,
    OptionalLong caught,
    OptionalLong readSwitch,
    OptionalLong markDurable,
    OptionalLong writeSwitch,
    OptionalLong firstGoodRead,
    OptionalLong firstGoodWrite,
    WindowFigures fault,
    WindowFigures control,
    long raisingNanos,
    long wholeNanos,
    OptionalLong resilver) {

  /**
   * How long reads took to switch once the fault was caught, or told; empty if they never did. What
   * comes before is the emulated device's: its pages fault one after another.
   */
  OptionalLong readSwitchAfterCaught() {
    return afterCaught(readSwitch);
  }

  /** How long writes took to switch once the fault was caught, or told; empty if they never did. */
  OptionalLong writeSwitchAfterCaught() {
    return afterCaught(writeSwitch);
  }

  private OptionalLong afterCaught(OptionalLong step) {
    return caught.isPresent() && step.isPresent()
        ? OptionalLong.of(step.getAsLong() - caught.getAsLong())
        : OptionalLong.empty();
  }

  /** How much longer the longest operation took than in the control window; may be negative. */
  long stallMinusControlNanos() {
    return fault.longestNanos() - control.longestNanos();
  }

  /**
   * The operations of one window.
   *
   * @param operations how many there were
   * @param longestNanos the longest
   * @param p999Nanos 99.9 % took no longer, corrected for coordinated omission
   */
  record WindowFigures(long operations, long longestNanos, long p999Nanos) {
    static WindowFigures of(MeasuredWindow window) {
      return new WindowFigures(
          window.count(), window.longestNanos(), window.operations().getValueAtPercentile(99.9));
    }
  }
}
