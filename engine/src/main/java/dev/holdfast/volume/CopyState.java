package dev.holdfast.volume;

/**
 * How far a leg has been copied to.
 *
 * @param leg its index
 * @param whole whether everything is copied, not only what the leg missed
 * @param bytesDone bytes that were copied and read back
 * @param bytesTotal bytes that are to be copied in all, as was known when it began
 * @param nanos how long it has taken, or took
 * @param running whether it goes on
 */
public record CopyState(
    int leg, boolean whole, long bytesDone, long bytesTotal, long nanos, boolean running) {
  private static final double NANOS = 1e9;

  /** How fast it is, or was, in bytes a second. */
  public long bytesPerSecond() {
    return nanos > 0 ? (long) (bytesDone / (nanos / NANOS)) : 0;
  }

  /**
   * How long it will take yet at this rate, in milliseconds; 0 for one that does not run.
   *
   * @param unknown what to answer for one that runs and has copied nothing yet
   */
  public long remainingMillis(long unknown) {
    if (!running) {
      return 0;
    }
    long rate = bytesPerSecond();
    return rate > 0 ? (bytesTotal - bytesDone) * 1000 / rate : unknown;
  }
}
