package dev.holdfast.crash;

import dev.holdfast.pmem.CrashLog;
import java.util.List;

/**
 * What was done to a store while a recorder watched, and which contents a power cut at each point
 * may leave. {@link Recording} makes it.
 *
 * @param name what it is, for people
 * @param setup how the store was opened
 * @param log what was recorded
 * @param states the contents before the first operation, after it, after the next
 * @param marks by operation: where it began and ended
 * @param from the first point of interest
 * @param to the last one
 * @param whole whether every leg is there all the time
 * @param alone whether each state is looked at without its first leg
 */
record Story(
    String name,
    Setup setup,
    CrashLog log,
    List<Contents> states,
    List<Mark> marks,
    int from,
    int to,
    boolean whole,
    boolean alone) {
  /**
   * Where an operation began and ended, by {@link dev.holdfast.pmem.CrashRecorder#position}.
   *
   * @param began -1 if it had begun before
   */
  record Mark(int began, int ended) {}

  /** The operations that were acknowledged before a point. */
  int acknowledged(int point) {
    int count = 0;
    while (count < marks.size() && marks.get(count).ended <= point) {
      count++;
    }
    return count;
  }

  /** The operations that had begun before a point, also those that left no trace. */
  int begun(int point) {
    int count = acknowledged(point);
    while (count < marks.size() && marks.get(count).began < point) {
      count++;
    }
    return count;
  }
}
