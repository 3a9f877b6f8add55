package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.LegSet;
import java.io.IOException;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Puts a large value whose bytes come but once: a chunk at a time, from the heap to extents that
 * nobody is led to before the last one.
 *
 * <p>An attempt that met the loss of a leg cannot start over from the source. It need not: each
 * chunk is stored by an operation of its own, which starts over from memory. What was stored before
 * is on every leg that was written then; a leg that comes to be written later has it copied, with
 * all that it lacks. Only bad pages can take something away that no record names yet. So where the
 * leg set is not the one any more that every chunk was stored by, the value is read again before
 * the record of the key leads there.
 *
 * <p>Between chunks no operation is under way, and nothing of the tree is held but the extents: a
 * source may take its time.
 *
 * <p><b>Threads:</b> one.
 */
final class StreamedPut {
  private static final int CHUNK = BlobSpace.CHUNK;

  private final Tree tree;
  private final Parts parts;
  private final BlobSpace blobs;
  private final long length;
  private final CRC32C crc = new CRC32C();
  private final byte[] chunk;

  /** The checksums of the chunks that are stored. */
  private final int[] sums;

  private int stored;

  /** Null before there are any, and once somebody else has them. */
  private @Nullable BlobExtents extents;

  /**
   * The set by which the first chunk was stored, or all of the value was read. A set that was left
   * is in force never again: as long as this one is, all chunks were stored by it.
   */
  private @Nullable LegSet whole;

  /** The set by whose legs it was carried as far as the persistence mode goes. */
  private @Nullable LegSet sealed;

  StreamedPut(Tree tree, Parts parts, BlobSpace blobs, long length) {
    this.tree = tree;
    this.parts = parts;
    this.blobs = blobs;
    this.length = length;
    this.chunk = new byte[(int) Math.min(CHUNK, BlobSpace.wholePages(length))];
    this.sums = new int[(int) Math.ceilDiv(length, CHUNK)];
  }

  /**
   * Stores the value, and has a put lead to it.
   *
   * @param put puts what the scratch is given, see {@link #giveTo}; called once
   * @throws IOException what the source throws; the former value stays
   */
  void run(ValueSource source, PersistenceMode mode, Put put) throws IOException {
    try {
      allocate();
      while (stored < sums.length) {
        int n = (int) Math.min(CHUNK, length - (long) stored * CHUNK);
        source.read(chunk, n);
        crc.update(chunk, 0, n);
        sums[stored] = sum(chunk, n);
        store(n);
        stored++;
      }
      BlobExtents all = taken();
      all.checksum = blobs.checksum(all, crc);
      put.run(this, mode);
    } finally {
      BlobExtents unused = extents;
      if (unused != null) {
        blobs.giveBack(unused);
      }
    }
  }

  /** Leads to a value that is stored. */
  @FunctionalInterface
  interface Put {
    void run(StreamedPut value, PersistenceMode mode);
  }

  private BlobExtents taken() {
    BlobExtents present = extents;
    if (present == null) {
      throw new IllegalStateException("the extents of the value were handed over");
    }
    return present;
  }

  long length() {
    return length;
  }

  /** Hands the extents over: what becomes of them is decided by who has the scratch. */
  void giveTo(Scratch s) {
    s.streamed = this;
    s.extents = taken();
    extents = null;
  }

  /** Whether the value is whole, and durable, on the legs of a set. */
  boolean isSealed(LegSet set) {
    return set == sealed;
  }

  private static int sum(byte[] bytes, int length) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, 0, length);
    return (int) sum.getValue();
  }

  // ---------------------------------------------------------------- chunks

  private boolean change(Tree.Attempt attempt) {
    Scratch s = tree.takeScratch();
    try {
      return tree.change(s, attempt);
    } finally {
      tree.giveScratch(s);
    }
  }

  private void allocate() {
    boolean _ = change((_, s) -> tryAllocate(s));
  }

  private long tryAllocate(Scratch s) {
    LegSet set = parts.volume.writableLegs();
    BlobExtents fresh = blobs.allocate(length, false);
    if (fresh == null) {
      s.needed = Math.ceilDiv(length, PageMap.PAGE) + 1;
      return Tree.GROW;
    }
    if (!blobs.isStorable(set, fresh)) {
      quarantine(fresh);
      return Tree.AGAIN;
    }
    extents = fresh;
    return Tree.YES;
  }

  private void quarantine(BlobExtents bad) {
    for (int i = 0; i < bad.count; i++) {
      parts.allocator.quarantine(bad.page[i], bad.pages[i]);
    }
  }

  private void store(int n) {
    while (!change((_, _) -> tryStore(taken(), stored, n))) {
      move();
    }
  }

  /** Stores what is in the chunk; {@link Tree#NO} where some page is on no leg. */
  private long tryStore(BlobExtents to, int number, int n) {
    LegSet set = parts.volume.writableLegs();
    if (!blobs.isStorable(set, to)) {
      return Tree.NO;
    }
    if (number == 0) {
      whole = set;
    }
    blobs.storePart(set, to, (long) number * CHUNK, chunk, n);
    parts.volume.requireCurrent(set);
    return Tree.YES;
  }

  /** Copies what is stored to other extents: pages of these are on no leg any more. */
  private void move() {
    BlobExtents old = taken();
    byte[] next = chunk.clone();
    extents = null;
    try {
      allocate();
      for (int i = 0; i < stored; i++) {
        int number = i;
        int n = (int) Math.min(CHUNK, length - (long) i * CHUNK);
        if (!change((_, _) -> tryLoad(old, number, n))) {
          throw lost();
        }
        if (!change((_, _) -> tryStore(taken(), number, n))) {
          throw lost(); // The next one has bad pages, too: that is no accident any more.
        }
      }
    } finally {
      System.arraycopy(next, 0, chunk, 0, chunk.length);
      quarantine(old);
    }
  }

  /** Loads a stored chunk from a leg that has it right. */
  private long tryLoad(BlobExtents from, int number, int n) {
    LegSet set = tree.readableLegs();
    for (int reader = 0; reader < set.readers(); reader++) {
      if (blobs.loadPart(set, reader, from, (long) number * CHUNK, chunk, n)
          && sum(chunk, n) == sums[number]) {
        return Tree.YES;
      }
    }
    return Tree.NO;
  }

  private static HoldfastException lost() {
    return new HoldfastException(
        "put: pages of the value were lost before all of it was there, and its source gives it but"
            + " once: the former value stays",
        null);
  }

  // ---------------------------------------------------------------- the end

  /** Has the value whole and durable on the legs that are in force. */
  void seal(Scratch s) {
    if (!tree.change(s, (_, scratch) -> trySeal(scratch))) {
      throw lost();
    }
  }

  private long trySeal(Scratch s) {
    LegSet set = parts.volume.writableLegs();
    BlobExtents all = s.extents;
    if (all == null || (whole != set && !isWhole(set, all))) {
      return Tree.NO;
    }
    blobs.flush(set, all);
    parts.volume.requireCurrent(set);
    whole = set;
    sealed = set;
    return Tree.YES;
  }

  /** Whether the value can be read; what of it is wrong on a leg is told. */
  private boolean isWhole(LegSet set, BlobExtents all) {
    boolean whole = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (blobs.isRight(set, reader, all, chunk)) {
        whole = true;
      } else {
        parts.damage.damaged(set.legOf(reader), all.page[0] * PageMap.PAGE, all.length);
      }
    }
    return whole || blobs.assemble(set, all, null);
  }
}
