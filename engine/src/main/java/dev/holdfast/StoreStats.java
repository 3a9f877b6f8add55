package dev.holdfast;

import dev.holdfast.health.LegState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.CopyState;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Figures of a store at one moment; each is right, together they need not be of the same instant.
 *
 * @param entries the number of entries, of all maps together, with one for each map that has a
 *     name, or that was dropped and is being cleared, and with what has expired and was not yet
 *     swept
 * @param entriesExact whether that is certain. After an open that found the store not closed in
 *     order it is not, until all leaves were read, which happens in the background: until then
 *     {@code entries} counts what was known to be there when it was last written down, and may be
 *     too low or too high
 * @param capacityBytes the bytes of a leg that can hold records
 * @param freeBytes how many of them are free
 * @param space what those that are not free hold
 * @param operations what was asked of it since it was opened
 * @param persistenceMode how far an acknowledged write has come
 * @param epoch counts the changes of the leg set
 * @param faultsCaught memory faults that operations met and survived
 * @param eventsLost health events that found the ring full
 * @param memory memory off the heap
 * @param snapshots the open snapshots
 * @param resilver the copy to a leg that runs, or ran last; null if none did since the store was
 *     opened
 * @param scrub the reading and verifying of everything
 * @param cache the CACHE volume; null if the store has none
 * @param legs the legs, by index
 */
public record StoreStats(
    long entries,
    boolean entriesExact,
    long capacityBytes,
    long freeBytes,
    Space space,
    Operations operations,
    PersistenceMode persistenceMode,
    long epoch,
    long faultsCaught,
    long eventsLost,
    Memory memory,
    Snapshots snapshots,
    @Nullable Resilver resilver,
    Scrub scrub,
    @Nullable Cache cache,
    List<Leg> legs) {
  /**
   * The CACHE volume, see {@link StoreBuilder#cache}.
   *
   * @param inUse whether values are read from there; if not, all come from the BULK volume
   * @param problem why it is not, for people; null where it is
   * @param hits how many values it had that were asked for, since the store was opened
   * @param misses how many it had not
   * @param evictions how many copies were driven out by others
   * @param entries how many copies there are
   * @param bytes what they take, in whole pages
   */
  public record Cache(
      boolean inUse,
      @Nullable String problem,
      long hits,
      long misses,
      long evictions,
      long entries,
      long bytes) {
    /** {@return which part of what was asked for it had; 0 before anything was} */
    public double hitRate() {
      return hits == 0 ? 0 : (double) hits / (hits + misses);
    }
  }

  /**
   * What the bytes of a leg hold that are not free.
   *
   * @param leafBytes the leaves, which hold records: keys, values up to about 1.5 KiB, the room for
   *     more, and what was overwritten and is not yet compacted, or kept for snapshots
   * @param otherBytes large values in whole pages, the leaf table, and pages that snapshots and
   *     leases keep
   * @param recordBytes the newest records in {@code leavesRead}, as they are stored: each has up to
   *     24 bytes beside key and value, less in the short form of leaves that were packed, and leads
   *     to a large value instead of having it
   * @param leavesRead the bytes of those leaves that were read since the store was opened: all,
   *     soon after an open
   */
  public record Space(long leafBytes, long otherBytes, long recordBytes, long leavesRead) {
    /** {@return the bytes that are not free} */
    public long usedBytes() {
      return leafBytes + otherBytes;
    }

    /**
     * {@return how many bytes leaves take for each byte of a record that counts, of those that were
     * read; 1 where there is none} A mirror has all of it on each leg.
     */
    public double amplification() {
      return recordBytes == 0 ? 1 : (double) leavesRead / recordBytes;
    }
  }

  /**
   * What was asked of a store since it was opened, in all its maps together. What it does itself to
   * keep maps, as to sweep what expired, counts, too.
   *
   * @param gets single reads, of snapshots, too
   * @param recordsRead the records that those read from a leg
   * @param puts single writes; conditional ones whether they wrote or not, updates with every
   *     attempt
   * @param removes single removals, likewise
   * @param batches batches that were written, those of transactions and asynchronous writes with
   *     them
   * @param batchOperations the operations in them
   * @param leavesScanned the leaves that were copied for cursors and scans
   */
  public record Operations(
      long gets,
      long recordsRead,
      long puts,
      long removes,
      long batches,
      long batchOperations,
      long leavesScanned) {
    /**
     * {@return how many records were read from a leg for each get; 0 without one} One for a key
     * that is there, none for one that is not, as the hash says both; more where two keys look
     * alike, or a leg had to be asked again.
     */
    public double readAmplification() {
      return gets == 0 ? 0 : (double) recordsRead / gets;
    }
  }

  /**
   * What is kept off the heap beside the devices, and is made anew from them at each open.
   *
   * @param usedBytes what the indexes and descriptors take
   * @param budgetBytes what they may take, see {@link StoreBuilder#memoryBudget}
   */
  public record Memory(long usedBytes, long budgetBytes) {}

  /**
   * The snapshots.
   *
   * @param open how many are open
   * @param oldestAge how long ago the oldest of them was taken; zero if none is open
   * @param bytesHeld what a leg keeps for them alone, as far as it has been written anew since
   * @param gaveWay how many were ended, since the store was opened, because they kept too much
   */
  public record Snapshots(int open, Duration oldestAge, long bytesHeld, long gaveWay) {}

  /**
   * A copy to a leg that came back.
   *
   * @param leg its index
   * @param running whether it goes on
   * @param whole whether everything is copied, not only what the leg missed
   * @param bytesDone bytes that were copied and read back
   * @param bytesTotal bytes to copy, as was known when it began
   * @param elapsed how long it takes, or took
   */
  public record Resilver(
      int leg, boolean running, boolean whole, long bytesDone, long bytesTotal, Duration elapsed) {
    /** {@return how fast it is, or was} */
    public long bytesPerSecond() {
      return state().bytesPerSecond();
    }

    /** {@return how long it will take yet at this rate; zero for one that does not run} */
    public Duration remaining() {
      return Duration.ofMillis(state().remainingMillis(0));
    }

    private CopyState state() {
      return new CopyState(leg, whole, bytesDone, bytesTotal, elapsed.toNanos(), running);
    }
  }

  /**
   * The reading and verifying of everything.
   *
   * @param running how far it is; null while none is under way. Of two, the one that a user asked
   *     for
   * @param last what the last one found that ended since the store was opened; null if none did
   * @param completed when one came to its end last, also before the store was opened; null if it is
   *     not known
   */
  public record Scrub(
      @Nullable ScrubProgress running, @Nullable ScrubReport last, @Nullable Instant completed) {
    /** Of a store that was never scrubbed. */
    public static final Scrub NONE = new Scrub(null, null, null);
  }

  /**
   * One leg.
   *
   * @param index its place in the volume
   * @param device the UUID of its device
   * @param name where its device lies
   * @param state its state
   * @param reads records read from it
   * @param faultsCaught memory faults that accesses to it met
   * @param badRanges how many ranges of it cannot be read, see {@link Store#badRanges}
   */
  public record Leg(
      int index,
      UUID device,
      String name,
      LegState state,
      long reads,
      long faultsCaught,
      int badRanges) {}
}
