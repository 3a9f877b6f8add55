package dev.holdfast.tree;

import dev.holdfast.error.StoreClosedException;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Large values, in extents of whole pages that the record of the key names.
 *
 * <p><b>Threads:</b> any; an extent is written by who took it from the allocator, before anybody is
 * led to it.
 */
final class BlobSpace {
  static final int CHUNK = 256 << 10;

  /** No flush takes a busy medium so long that it counts as silent. */
  private static final long FLUSHED_AT_ONCE = 64L << 20;

  private final Parts parts;

  BlobSpace(Parts parts) {
    this.parts = parts;
  }

  /** Takes extents for a value; null if there is no room. */
  @Nullable BlobExtents allocate(long length, boolean overwrites) {
    BlobExtents extents = new BlobExtents(length);
    long left = Math.ceilDiv(length, PageMap.PAGE);
    // Where room is short, values take what is too short for leaves.
    long piece =
        parts.allocator.isShort() ? Math.ceilDiv(left, RecordLayout.MAX_EXTENTS / 2) : left;
    while (left > 0) {
      long wanted = Math.min(left, piece);
      long page = parts.allocator.allocateLow((int) wanted, overwrites);
      if (page >= 0) {
        extents.add(page, (int) wanted);
        left -= wanted;
      } else if (wanted == 1 || extents.count == RecordLayout.MAX_EXTENTS) {
        giveBack(extents);
        return null;
      } else {
        piece = (wanted + 1) / 2; // in smaller pieces
      }
      if (extents.count == RecordLayout.MAX_EXTENTS && left > 0) {
        giveBack(extents);
        return null;
      }
    }
    return extents;
  }

  /** Gives extents back that nobody was led to. */
  void giveBack(BlobExtents extents) {
    byte[] place = extents.bulk;
    BulkSpace bulk = parts.bulk;
    if (place != null && bulk != null) {
      boolean _ = bulk.settled(place);
    }
    removeFromBulk(extents);
    for (int i = 0; i < extents.count; i++) {
      parts.allocator.free(extents.page[i], extents.pages[i]);
    }
  }

  private void removeFromBulk(BlobExtents extents) {
    byte[] place = extents.bulk;
    BulkSpace bulk = parts.bulk;
    if (place != null && bulk != null) {
      bulk.remove(place);
    }
  }

  /** Gives extents back once nobody can read them any more. */
  void retire(BlobExtents extents) {
    removeFromBulk(extents);
    for (int i = 0; i < extents.count; i++) {
      parts.pages.moveExtent(extents.page[i], -1);
      parts.commits.retire(extents.page[i], extents.pages[i]);
    }
  }

  /** Says whose the extents are. */
  void own(BlobExtents extents, int leaf) {
    for (int i = 0; i < extents.count; i++) {
      parts.pages.setExtent(extents.page[i], extents.pages[i], leaf);
    }
  }

  boolean isStorable(LegSet set, BlobExtents extents) {
    for (int i = 0; i < extents.count; i++) {
      if (!parts.volume.isStorable(
          set, extents.page[i] * PageMap.PAGE, (long) extents.pages[i] * PageMap.PAGE)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Stores the value of a scratch on every leg of the set, and zeros behind it to the end of its
   * last page: what was there before belongs to another key.
   */
  void store(LegSet set, BlobExtents extents, Scratch s) {
    byte[] chunk = new byte[(int) Math.min(CHUNK, wholePages(extents.length))];
    CRC32C crc = new CRC32C();
    long from = 0;
    for (int i = 0; i < extents.count; i++) {
      long at = extents.page[i] * PageMap.PAGE;
      long begin = at;
      long end = at + (long) extents.pages[i] * PageMap.PAGE;
      while (at < end && from < extents.length) {
        int n = (int) Math.min(Math.min(chunk.length, end - at), extents.length - from);
        s.copyValue(from, chunk, 0, n);
        crc.update(chunk, 0, n);
        int whole = (int) wholePages(n);
        Arrays.fill(chunk, n, whole, (byte) 0);
        parts.volume.storeChecked(set, at, chunk, 0, whole);
        at += n;
        from += n;
      }
      // Not left to the group commit: where the record that leads here gets to the medium first,
      // the
      // value before it would be gone.
      parts.volume.flush("blob", set, begin, end - begin);
    }
    extents.checksum = checksum(extents, crc);
  }

  /**
   * Stores a part of a value, and zeros behind it to the end of its last page; flushes nothing.
   *
   * @param from where in the value it begins, at the begin of a page
   * @param bytes the part, with room for whole pages
   * @param n its length
   */
  void storePart(LegSet set, BlobExtents extents, long from, byte[] bytes, int n) {
    int whole = (int) wholePages(n);
    Arrays.fill(bytes, n, whole, (byte) 0);
    forEachRun(
        extents,
        from,
        whole,
        (offset, at, length) -> {
          parts.volume.storeChecked(set, offset, bytes, at, length);
          return true;
        });
  }

  /** Loads a part of a value from one leg; whether the leg may serve it. */
  boolean loadPart(LegSet set, int reader, BlobExtents extents, long from, byte[] bytes, int n) {
    return forEachRun(
        extents,
        from,
        n,
        (offset, at, length) -> parts.volume.loadChecked(set, reader, offset, bytes, at, length));
  }

  /** A part of a value that lies in one extent; false ends the walk. */
  @FunctionalInterface
  private interface Run {
    boolean at(long offset, int at, int length);
  }

  private static boolean forEachRun(BlobExtents extents, long from, int length, Run run) {
    long begin = 0;
    int done = 0;
    for (int i = 0; i < extents.count && done < length; i++) {
      long bytes = (long) extents.pages[i] * PageMap.PAGE;
      long skip = from + done - begin;
      if (skip < bytes) {
        int n = (int) Math.min(length - done, bytes - skip);
        if (!run.at(extents.page[i] * PageMap.PAGE + skip, done, n)) {
          return false;
        }
        done += n;
      }
      begin += bytes;
    }
    return done == length;
  }

  /** Carries a value as far as the persistence mode goes, see {@link #store} for why. */
  void flush(LegSet set, BlobExtents extents) {
    for (int i = 0; i < extents.count; i++) {
      long end = (extents.page[i] + extents.pages[i]) * PageMap.PAGE;
      for (long at = extents.page[i] * PageMap.PAGE; at < end; at += FLUSHED_AT_ONCE) {
        parts.volume.flush("blob", set, at, Math.min(FLUSHED_AT_ONCE, end - at));
      }
    }
  }

  /** The checksum of a value at its place. */
  int checksum(BlobExtents extents, CRC32C crc) {
    return (int) crc.getValue() ^ place(extents);
  }

  static long wholePages(long bytes) {
    return Math.ceilDiv(bytes, PageMap.PAGE) * (long) PageMap.PAGE;
  }

  /** Whether the checksum of all bytes of a value is the one that its record has. */
  boolean isRight(BlobExtents extents, CRC32C crc) {
    return checksum(extents, crc) == extents.checksum;
  }

  /** Combined with a checksum, so that a value does not pass at another place. */
  private int place(BlobExtents extents) {
    long first = extents.count == 0 ? 0 : extents.page[0];
    return RecordLayout.place(parts.secret, first * PageMap.PAGE, -1 - extents.length);
  }

  /**
   * Copies a value from one leg to memory.
   *
   * @return whether it was right
   */
  boolean load(LegSet set, int reader, BlobExtents extents, MemorySegment into) {
    return load(
        extents,
        into,
        (offset, target, n) -> parts.volume.loadChecked(set, reader, offset, target, 0, n));
  }

  /**
   * Whether a value is right on one leg; ends with an exception when the volume is closed.
   *
   * @param chunk to work in, {@value #CHUNK} bytes
   */
  boolean isRight(LegSet set, int reader, BlobExtents extents, byte[] chunk) {
    return load(
        extents,
        null,
        chunk,
        (offset, target, n) -> {
          if (parts.volume.isStopping()) {
            throw new StoreClosedException("the store is closed");
          }
          return parts.volume.loadChecked(set, reader, offset, target, 0, n);
        });
  }

  /** Copies a value to memory, piece by piece from wherever it can be reached. */
  boolean assemble(LegSet set, BlobExtents extents, @Nullable MemorySegment into) {
    return load(
        extents, into, (offset, target, n) -> parts.volume.assembleAny(set, offset, target, 0, n));
  }

  /** Copies a range; false if it cannot. */
  @FunctionalInterface
  private interface Loader {
    boolean load(long offset, byte[] target, int length);
  }

  private boolean load(BlobExtents extents, @Nullable MemorySegment into, Loader loader) {
    byte[] chunk = new byte[(int) Math.min(CHUNK, Math.max(1, extents.length))];
    return load(extents, into, chunk, loader);
  }

  private boolean load(
      BlobExtents extents, @Nullable MemorySegment into, byte[] chunk, Loader loader) {
    CRC32C crc = new CRC32C();
    long from = 0;
    for (int i = 0; i < extents.count; i++) {
      long at = extents.page[i] * PageMap.PAGE;
      long end = at + (long) extents.pages[i] * PageMap.PAGE;
      while (at < end && from < extents.length) {
        int n = (int) Math.min(Math.min(chunk.length, end - at), extents.length - from);
        if (!loader.load(at, chunk, n)) {
          return false;
        }
        crc.update(chunk, 0, n);
        if (into != null) {
          Scratch.copyOut(chunk, 0, n, into, from);
        }
        at += n;
        from += n;
      }
    }
    return from == extents.length && isRight(extents, crc);
  }

  /**
   * After a crash: what was written since its regions were clean may have got to one leg and not to
   * another. Rewrites the value where it is wrong, if it is right somewhere.
   */
  void reconcile(LegSet set, BlobExtents extents) {
    if (set.readers() < 2 || !isDirty(extents)) {
      return;
    }
    for (int reader = 0; reader < set.readers(); reader++) {
      boolean _ = repair(set, extents, set.legOf(reader));
    }
  }

  private boolean isDirty(BlobExtents extents) {
    for (int i = 0; i < extents.count; i++) {
      long last = extents.page[i] + extents.pages[i] - 1;
      for (long page = extents.page[i]; page <= last; page = nextRegion(page)) {
        if (parts.volume.isDirty(page * PageMap.PAGE)) {
          return true;
        }
      }
    }
    return false;
  }

  private static long nextRegion(long page) {
    long pages = VolumeLayout.REGION_SIZE / PageMap.PAGE;
    return (page / pages + 1) * pages;
  }

  /**
   * Rewrites a value on a leg where it is wrong, from one where it is right.
   *
   * @return whether it was wrong and is right now
   */
  boolean repair(LegSet set, BlobExtents extents, int leg) {
    int good = -1;
    boolean bad = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      int from = reader;
      boolean right =
          load(
              extents,
              null,
              (offset, target, n) -> parts.volume.loadChecked(set, from, offset, target, 0, n));
      if (set.legOf(reader) == leg) {
        bad = !right;
      } else if (right) {
        good = reader;
      }
    }
    if (!bad || good < 0) {
      return false;
    }
    int from = good;
    return load(
        extents,
        null,
        (offset, target, n) -> {
          boolean loaded = parts.volume.loadChecked(set, from, offset, target, 0, n);
          if (loaded) {
            parts.volume.storeToLeg("blob repair", set, leg, offset, target, 0, n);
          }
          return loaded;
        });
  }
}
