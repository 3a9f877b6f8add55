package dev.holdfast.examples.plugpull;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The figures of a run.
 *
 * @param entries entries of the input
 * @param bytes bytes of their values
 * @param acknowledged entries with an acknowledged write
 * @param lost acknowledged entries that were not there when they were read
 * @param wrong entries that were there and not what was written
 * @param failed operations that threw what they must not, or took over a second
 * @param faultsCaught faults that accesses met or the store was told of, and survived; of a kill,
 *     the death of the process
 * @param longestStallMicros the longest operation that ended after the fault was raised
 * @param controlStallMicros the longest operation before it, warm-up left out
 * @param readSwitchMicros from the first fault caught or told to reading elsewhere; null if that
 *     never happened
 * @param writeSwitchMicros from the first fault caught or told to writing elsewhere; null if that
 *     never happened
 * @param deviceReads records read from each leg
 * @param state of the store when the import had ended
 */
record Result(
    int entries,
    long bytes,
    int acknowledged,
    int lost,
    int wrong,
    long failed,
    long faultsCaught,
    long longestStallMicros,
    long controlStallMicros,
    @Nullable Long readSwitchMicros,
    @Nullable Long writeSwitchMicros,
    List<LegReads> deviceReads,
    String state) {
  /** Records read from one leg, before and after the fault. */
  record LegReads(int leg, long before, long after) {}

  /** One line. */
  String toJson() {
    StringBuilder json = new StringBuilder("{\"example\":\"plug-pull\"");
    number(json, "entries", entries);
    number(json, "bytes", bytes);
    number(json, "acknowledged", acknowledged);
    number(json, "lost", lost);
    number(json, "wrong", wrong);
    number(json, "failed", failed);
    number(json, "faultsCaught", faultsCaught);
    number(json, "longestStallMicros", longestStallMicros);
    number(json, "controlStallMicros", controlStallMicros);
    number(json, "readSwitchMicros", readSwitchMicros);
    number(json, "writeSwitchMicros", writeSwitchMicros);
    json.append(",\"deviceReads\":{");
    for (int i = 0; i < deviceReads.size(); i++) {
      LegReads reads = deviceReads.get(i);
      json.append(i == 0 ? "" : ",").append('"').append(reads.leg()).append("\":{\"before\":");
      json.append(reads.before()).append(",\"after\":").append(reads.after()).append('}');
    }
    return json.append("},\"state\":\"").append(state).append("\"}").toString();
  }

  private static void number(StringBuilder json, String name, @Nullable Number value) {
    json.append(",\"").append(name).append("\":").append(value);
  }
}
