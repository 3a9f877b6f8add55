package dev.holdfast.benchmarks.contender;

import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;

/**
 * How a store is opened.
 *
 * @param directory an empty directory of its own, or one that holds the store already
 * @param keys what its keys look like
 * @param entries how many entries it is to hold at most
 * @param persistence PROCESS: what is acknowledged survives the end of the process; FILE: that of
 *     the machine too
 * @param killed the process that had it open was killed
 */
public record ContenderSettings(
    Path directory, KeyKind keys, int entries, PersistenceMode persistence, boolean killed) {
  /** The bytes of all keys and values. */
  public long payload() {
    return (long) entries * (keys.length() + Entries.VALUE_LENGTH);
  }

  boolean flushes() {
    return persistence != PersistenceMode.PROCESS;
  }
}
