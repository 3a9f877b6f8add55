package dev.holdfast.tree;

import static java.util.Objects.requireNonNull;

import dev.holdfast.health.ScrubFault;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * What a scrub has done so far.
 *
 * <p><b>Threads:</b> written by the one that scrubs, read by any.
 */
public final class ScrubTally {
  private final AtomicLongArray bytes;
  private final Map<ScrubFault, AtomicLong> faults = new EnumMap<>(ScrubFault.class);
  private final AtomicLong leavesDone = new AtomicLong();
  private final AtomicLong leaves = new AtomicLong();
  private final AtomicLong records = new AtomicLong();
  private final AtomicLong repaired = new AtomicLong();
  private final AtomicLong lostRanges = new AtomicLong();
  private final AtomicLong lostEntries = new AtomicLong();

  ScrubTally(int legs) {
    bytes = new AtomicLongArray(legs);
    for (ScrubFault fault : ScrubFault.values()) {
      faults.put(fault, new AtomicLong());
    }
  }

  void read(int leg, long n) {
    bytes.set(leg, bytes.getPlain(leg) + n);
  }

  void found(ScrubFault fault) {
    requireNonNull(faults.get(fault)).incrementAndGet();
  }

  void leaves(long done, long all) {
    leavesDone.set(done);
    leaves.set(Math.max(all, done));
  }

  void leafDone() {
    leaves(leavesDone.get() + 1, leaves.get());
  }

  void checked(long n) {
    records.set(records.getPlain() + n);
  }

  void repaired(long n) {
    repaired.addAndGet(n);
  }

  void lost(long ranges, long entries) {
    lostRanges.addAndGet(ranges);
    lostEntries.addAndGet(entries);
  }

  /** The bytes that were read of a leg. */
  public long bytes(int leg) {
    return bytes.get(leg);
  }

  /** The number of legs. */
  public int legs() {
    return bytes.length();
  }

  /** The bytes that were read of all legs. */
  public long bytes() {
    long sum = 0;
    for (int leg = 0; leg < bytes.length(); leg++) {
      sum += bytes.get(leg);
    }
    return sum;
  }

  /** The faults that were found, by kind; of each kind that was, more than none. */
  public Map<ScrubFault, Long> faults() {
    Map<ScrubFault, Long> found = new EnumMap<>(ScrubFault.class);
    faults.forEach((fault, count) -> {
      if (count.get() > 0) {
        found.put(fault, count.get());
      }
    });
    return found;
  }

  /** How many faults were found. */
  public long allFaults() {
    return faults.values().stream().mapToLong(AtomicLong::get).sum();
  }

  /** The leaves that were looked at, those of the pass before it was resumed included. */
  public long leavesDone() {
    return leavesDone.get();
  }

  /** The leaves that there were when it began; not fewer than are done. */
  public long leaves() {
    return leaves.get();
  }

  /** The records that were checked. */
  public long records() {
    return records.get();
  }

  /** The faults that are repaired. */
  public long repaired() {
    return repaired.get();
  }

  /** The ranges that no leg had right, and that were named as lost. */
  public long lostRanges() {
    return lostRanges.get();
  }

  /** The entries that were named as lost, as far as it is known how many they were. */
  public long lostEntries() {
    return lostEntries.get();
  }
}
