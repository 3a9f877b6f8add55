package dev.holdfast.tree;

import dev.holdfast.pmem.Gateway;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import java.util.Arrays;

/**
 * Finds the record of a key: slot, record, and nothing else on the way.
 *
 * <p><b>Threads:</b> any; it takes no lock and stores nothing that others read.
 */
final class RecordReader {
  /** The record is in the scratch. */
  static final int FOUND = 0;

  static final int ABSENT = 1;

  /** The index changed meanwhile. */
  static final int AGAIN = 2;

  /** What a slot leads to is not the record it should be: stale by now, or damaged. */
  static final int UNSURE = 3;

  private static final int OTHER = 4;

  private static final int UNKNOWN = -1;

  /** More is not copied before a record said that it is so long. */
  private static final int MOST_GUESSED = 512;

  /** Of these flags a leaf has just the first one, if all its records are the newest. */
  private static final int NOT_THE_NEWEST =
      Leaves.BUILT | Leaves.OVERWRITTEN | Leaves.UNLED | Leaves.PARTIAL | Leaves.IN_DOUBT;

  private final Parts parts;

  RecordReader(Parts parts) {
    this.parts = parts;
  }

  /** Looks for the key of the scratch. */
  int find(Scratch s, LegSet set) {
    return find(s, set, false, false);
  }

  /**
   * Looks for the key of the scratch.
   *
   * @param hard whether to put records together from the pages of several legs, or from pages that
   *     are under repair
   */
  int find(Scratch s, LegSet set, boolean hard) {
    return find(s, set, hard, false);
  }

  /**
   * Looks for the key of the scratch.
   *
   * @param toWrite whether its leaf is going to be written: what that needs is loaded beside the
   *     record, not behind it
   */
  int find(Scratch s, LegSet set, boolean hard, boolean toWrite) {
    PointIndex points = parts.points;
    long hash = s.hash;
    long version = points.version(hash);
    s.version = version;
    for (long at = points.find(hash); at != PointIndex.NONE; at = points.after(hash, at)) {
      long slot = points.slotAt(at);
      long address = PointIndex.addressOf(slot);
      if (address == 0) {
        continue;
      }
      s.slot = slot;
      s.slotAt = at;
      s.offset = RecordLayout.offsetOf(address);
      if (toWrite) {
        int leaf = parts.pages.leaf(s.offset >>> PageMap.PAGE_SHIFT);
        if (leaf >= 0) {
          parts.touchTail(set, leaf);
        }
      }
      int outcome = read(s, set, hard);
      if (outcome == FOUND) {
        return FOUND;
      }
      if (outcome == UNSURE) {
        return points.slotAt(at) == slot && points.isCurrent(hash, version) ? UNSURE : AGAIN;
      }
    }
    return points.isCurrent(hash, version) ? ABSENT : AGAIN;
  }

  /**
   * Looks at the record behind the one that was found last. Who asks in the order of the keys, as
   * they were written, needs no slot: of a leaf of which nothing was overwritten since it was
   * written, every record is the newest of its key.
   *
   * @return whether it is that of the scratch's key; if not, nothing is known
   */
  boolean isNext(Scratch s, LegSet set) {
    Leaves leaves = parts.leaves;
    long offset = s.foundEnd;
    long generation = parts.pages.generation(offset >>> PageMap.PAGE_SHIFT);
    int leaf = parts.pages.leaf(offset >>> PageMap.PAGE_SHIFT);
    if (generation == 0 || leaf < 0) {
      return false;
    }
    long version = leaves.version(leaf);
    if ((version & 1) != 0 || offset + Long.BYTES > parts.offset(leaf) + leaves.tail(leaf)) {
      return false;
    }
    int size = copy(parts.volume, set, 0, offset, s);
    int place = RecordLayout.place(parts.secret, offset, generation);
    if (size < 0
        || !isValid(s, size, place, offset, generation)
        || !keyEquals(s)
        || RecordLayout.isOld(s.record, 0)
        || RecordLayout.type(s.record, 0) == RecordLayout.TOMBSTONE) {
      return false;
    }
    // Behind the copy: whoever overwrites or removes says so before anybody sees it.
    boolean isNewest =
        (leaves.flags(leaf) & NOT_THE_NEWEST) == Leaves.BUILT
            && leaves.generation(leaf) == generation
            && leaves.version(leaf) == version
            && parts.hidden == null;
    if (isNewest) {
      s.offset = offset;
      parts.volume.countRead(set, 0, s.place);
      s.reads++;
    }
    return isNewest;
  }

  /** Notes what was found for {@link #isNext}. */
  static void found(Scratch s) {
    s.inOrder = s.offset == s.foundEnd ? s.inOrder + 1 : 0;
    s.foundEnd = s.offset + s.recordSize;
  }

  private int read(Scratch s, LegSet set, boolean hard) {
    Volume volume = parts.volume;
    long offset = s.offset;
    long generation = parts.pages.generation(offset >>> PageMap.PAGE_SHIFT);
    if (generation == 0) {
      return UNSURE;
    }
    int place = RecordLayout.place(parts.secret, offset, generation);
    int mismatched = -1;
    for (int reader = 0; reader < set.readers(); reader++) {
      int size = copy(volume, set, reader, offset, s);
      if (size < 0) {
        continue;
      }
      if (isWhole(s, size, place, generation)) {
        if (mismatched >= 0) {
          parts.damage.damaged(mismatched, offset, size);
        }
        volume.countRead(set, reader, s.place);
        s.reads++;
        return keyEquals(s) ? FOUND : OTHER;
      }
      mismatched = set.legOf(reader);
    }
    if (hard && assemble(volume, set, offset, s.record) && isWhole(s, UNKNOWN, place, generation)) {
      return keyEquals(s) ? FOUND : OTHER;
    }
    return UNSURE;
  }

  private boolean isWhole(Scratch s, int size, int place, long generation) {
    return isValid(s, size, place, s.offset, generation)
        && RecordLayout.check(RecordLayout.sequence(s.record, 0)) == PointIndex.checkOf(s.slot);
  }

  /**
   * Whether a record was copied that belongs to its place, whatever slot leads there; it has its
   * ordinary form then.
   *
   * @param size how many bytes were copied
   */
  private boolean isValid(Scratch s, int size, int place, long offset, long generation) {
    byte[] record = s.record;
    if (PackedLayout.isPacked(record, 0)) {
      int leaf = parts.pages.leaf(offset >>> PageMap.PAGE_SHIFT);
      if (leaf < 0 || !PackedLayout.isPlausible(record, 0, RecordLayout.MAX_RECORD)) {
        return false;
      }
      s.recordSize = PackedLayout.size(record, 0);
      // Where the leaf is another one by now, the checksum is not right.
      parts.leaves.prefix(leaf, s.common, PackedLayout.prefix(record, 0));
      PackedLayout.unpack(record, 0, record, 0, s.common, generation);
    } else if (RecordLayout.isPlausible(record, 0, RecordLayout.MAX_RECORD)) {
      s.recordSize = RecordLayout.size(record, 0);
    } else {
      return false;
    }
    return (size == UNKNOWN || s.recordSize == size)
        && RecordLayout.isIntact(record, 0, s.crc, place);
  }

  private static boolean keyEquals(Scratch s) {
    int length = RecordLayout.keyLength(s.record, 0);
    return length == s.keyLength
        && Arrays.equals(
            s.record, RecordLayout.HEADER, RecordLayout.HEADER + length, s.key, 0, s.keyLength);
  }

  /**
   * Copies what may be a record; how many bytes, or -1 if the leg cannot serve it.
   *
   * <p>How long a record is, its first word says, and to wait for that before the rest is loaded
   * would be a miss behind a miss. So as much is copied at once as the last record had, within the
   * page, and only what is missing then follows. The first word of a short form may be in two
   * pages.
   */
  private static int copy(Volume volume, LegSet set, int reader, long offset, Scratch s) {
    byte[] target = s.record;
    int inPage = PageMap.PAGE - (int) (offset & (PageMap.PAGE - 1));
    int guess = Math.max(Long.BYTES, Math.min(s.recordGuess, inPage));
    if (!set.canRead(reader, offset, guess)) {
      return -1;
    }
    int size = guess;
    try {
      volume.load(set, reader, offset, target, 0, guess);
      // Garbage, if the page is gone: so it is bounded, and not believed before the barrier.
      size = RecordLayout.sizeBy(RecordLayout.getLong(target, 0));
      if (size > guess) {
        size = (int) Math.min(Math.min(size, RecordLayout.MAX_RECORD), volume.capacity() - offset);
        s.recordGuess = Math.min(RecordLayout.round(size), MOST_GUESSED);
        if (!set.canRead(reader, offset, size)) {
          return -1;
        }
        volume.load(set, reader, offset, target, 0, size);
      }
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, offset, size, e);
    }
    return size;
  }

  /** Puts together what may be a record from the pages of several legs. */
  static boolean assemble(Volume volume, LegSet set, long offset, byte[] target) {
    if (!volume.assembleAny(set, offset, target, 0, Long.BYTES)) {
      return false;
    }
    int size =
        Math.min(RecordLayout.sizeBy(RecordLayout.getLong(target, 0)), RecordLayout.MAX_RECORD);
    return offset + size <= volume.capacity() && volume.assembleAny(set, offset, target, 0, size);
  }
}
