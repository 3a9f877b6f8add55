package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * Puts large values into the BULK volume, and gets them from there, outside of operations: that
 * volume has devices of its own, and who waits for one of them holds up nobody here.
 *
 * <p>A value there is written once and never changes. So who found its place in a record may read
 * it at leisure: either it is the value that the record had, or it is gone because the key has
 * another one by now, which a second look at the record tells.
 *
 * <p><b>Threads:</b> any.
 */
final class BulkValues {
  private final Parts parts;

  BulkValues(Parts parts) {
    this.parts = parts;
  }

  /** Whether a value of a key goes to the BULK volume. */
  boolean takes(long keyLength, long length) {
    return length > RecordLayout.INLINE_LIMIT
        && parts.bulk != null
        && Scratch.KEY_PREFIX + keyLength <= BlobExtents.LONGEST_BULK_KEY;
  }

  BlobExtents store(int map, byte[] key, byte[] value, PersistenceMode mode) {
    BlobExtents extents = place(map, key, value.length);
    carry(extents, (bulk, place) -> bulk.store(place, value, mode));
    return extents;
  }

  BlobExtents store(int map, byte[] key, MemorySegment value, PersistenceMode mode) {
    BlobExtents extents = place(map, key, value.byteSize());
    carry(extents, (bulk, place) -> bulk.store(place, value, mode));
    return extents;
  }

  BlobExtents store(int map, byte[] key, ValueSource source, long length, PersistenceMode mode)
      throws IOException {
    BlobExtents extents = place(map, key, length);
    carry(extents, (bulk, place) -> bulk.store(place, source, length, mode));
    return extents;
  }

  private static BlobExtents place(int map, byte[] key, long length) {
    Scratch.requireKey(key.length);
    byte[] full = new byte[Scratch.KEY_PREFIX + key.length + BulkSpace.NUMBER];
    full[0] = (byte) map;
    System.arraycopy(key, 0, full, Scratch.KEY_PREFIX, key.length);
    // Nobody else knows it, so it need not follow anything: no value of the key had it before.
    long number = ThreadLocalRandom.current().nextLong();
    return BlobExtents.inBulk(length, full, 0, Scratch.KEY_PREFIX + key.length, number);
  }

  /** Stores a value somewhere. */
  @FunctionalInterface
  private interface Storing<E extends Exception> {
    void at(BulkSpace bulk, byte[] place) throws E;
  }

  private <E extends Exception> void carry(BlobExtents extents, Storing<E> storing) throws E {
    byte[] place = extents.bulk;
    boolean done = false;
    try {
      storing.at(bulk(), Objects.requireNonNull(place));
      done = true;
    } finally {
      if (!done) {
        drop(extents); // It may be there all the same.
      }
    }
  }

  /** Nobody will be led to it. */
  void drop(BlobExtents extents) {
    byte[] place = extents.bulk;
    BulkSpace bulk = parts.bulk;
    if (place != null && bulk != null) {
      if (bulk.settled(place)) {
        bulk.remove(place);
      }
    }
  }

  /** A record leads to the value now, or never will. */
  void settled(BlobExtents extents) {
    byte[] place = extents.bulk;
    BulkSpace bulk = parts.bulk;
    if (place != null && bulk != null) {
      boolean _ = bulk.settled(place);
    }
  }

  private BulkSpace bulk() {
    BulkSpace bulk = parts.bulk;
    if (bulk == null) {
      throw new DeviceOfflineException(
          "BULK: the value lies in a volume that the store was opened without: its files belong"
              + " into bulk(…)");
    }
    return bulk;
  }

  /**
   * Gets the value that the last attempt came to, as an operation delivers one.
   *
   * @return its length; {@link Tree#ABSENT} if it is not there any more
   * @throws DataLostException if it is lost
   */
  long load(Scratch s) {
    BlobExtents extents = found(s);
    byte[] place = Objects.requireNonNull(extents.bulk);
    MemorySegment into = s.into;
    long length;
    if (into == null) {
      byte[] value = bulk().load(place, extents.length);
      s.result = value;
      length = value == null ? Tree.ABSENT : value.length;
    } else {
      length = bulk().load(place, extents.length, into);
    }
    // What has the place and another length was put there by somebody else.
    return length == extents.length ? length : Tree.ABSENT;
  }

  /** Leases it; null if it is not there any more. */
  @Nullable TreeLease lease(Scratch s) {
    return bulk().lease(Objects.requireNonNull(found(s).bulk));
  }

  /**
   * Compares it with the value that is expected; the next attempt uses that if it comes there.
   *
   * @return whether it is there
   */
  boolean compare(Scratch s) {
    BlobExtents extents = found(s);
    byte[] value = bulk().load(Objects.requireNonNull(extents.bulk), extents.length);
    s.compared = value == null ? null : extents;
    s.comparedEqual = value != null && Arrays.equals(value, s.expected);
    return value != null;
  }

  private static BlobExtents found(Scratch s) {
    BlobExtents extents = s.inBulk;
    if (extents == null) {
      throw new IllegalStateException("expected a value in the BULK volume, was none");
    }
    return extents;
  }

  /**
   * Runs what reads the value that an attempt came to. One that is not there, or lost, may be a
   * former one: only who comes to the same one a second time knows.
   *
   * @param former the one that was not there before; null if there was none
   * @return whether it was there
   * @throws DataLostException if it was not there twice
   */
  static boolean isThere(Scratch s, @Nullable BlobExtents former, Reading reading) {
    boolean again = former != null && found(s).isSame(former);
    try {
      if (reading.read()) {
        return true;
      }
    } catch (DataLostException e) {
      if (again) {
        throw Tree.lost(s.userKey());
      }
      return false;
    }
    if (again) {
      throw Tree.lost(s.userKey());
    }
    return false;
  }

  /** Reads a value; whether it was there. */
  @FunctionalInterface
  interface Reading {
    boolean read();
  }
}
