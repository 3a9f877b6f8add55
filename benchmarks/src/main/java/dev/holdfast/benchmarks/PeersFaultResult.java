package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.FaultContender;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What became of one store whose files were taken away.
 *
 * @param peer the store
 * @param truncated whether its files were truncated, too
 * @param death how its JVM died; null if it lived
 * @param acknowledgedAfter writes that began after the loss and were acknowledged
 * @param goneAfter those of them that are not there after a remount
 * @param goneBefore writes acknowledged before the loss that are not there after a remount
 * @param wrong reads that were answered wrongly or not at all
 * @param failedWrites writes that threw
 * @param failedReads reads that threw
 * @param firstError what was thrown first; null if nothing was
 * @param longestStallNanos the longest operation that ended, or was still under way, after the
 *     loss; says nothing of one whose JVM died
 * @param afterReturn how it is once the file system is mounted again
 */
record PeersFaultResult(
    FaultContender peer,
    boolean truncated,
    @Nullable String death,
    long acknowledgedAfter,
    long goneAfter,
    long goneBefore,
    long wrong,
    long failedWrites,
    long failedReads,
    @Nullable String firstError,
    long longestStallNanos,
    String afterReturn) {
  private static final double NANOS_PER_MILLI = 1e6;

  String fault() {
    return truncated ? "truncated, then shut down" : "shut down";
  }

  String alive() {
    String died = death;
    return died == null ? "alive" : died;
  }

  String stall() {
    return death == null ? "%,.1f".formatted(longestStallNanos / NANOS_PER_MILLI) : "–";
  }

  /** In the order of the table. */
  Map<String, @Nullable Object> json() {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("store", peer.title());
    json.put("fault", fault());
    json.put("jvm", alive());
    json.put("acknowledgedAfterLoss", acknowledgedAfter);
    json.put("goneAfterRemount", goneAfter);
    json.put("acknowledgedBeforeLossAndGone", goneBefore);
    json.put("wrongOrMissingAnswers", wrong);
    json.put("failedWrites", failedWrites);
    json.put("failedReads", failedReads);
    json.put("firstError", firstError);
    json.put("longestStallMillis", death == null ? longestStallNanos / NANOS_PER_MILLI : null);
    json.put("afterReturn", afterReturn);
    return json;
  }
}
