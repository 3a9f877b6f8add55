package dev.holdfast.tree;

import dev.holdfast.pmem.DramRegion;

/**
 * What each page of the volume holds, in DRAM: the generation of its leaf, and the leaf. A get
 * loads the generation beside the record that it checks with it.
 *
 * <p>A page that was given back keeps its entry until it is used again: who still reads the old
 * record there needs the generation that it was written in.
 *
 * <p><b>Threads:</b> any; a page is written by who holds it from the allocator.
 */
final class PageMap implements AutoCloseable {
  static final int PAGE_SHIFT = 12;
  static final int PAGE = 1 << PAGE_SHIFT;

  /** Generations are sequences, and so positive; a page of a blob leads to its extent instead. */
  private static final long BLOB = Long.MIN_VALUE;

  private static final int NOBODY = -1;

  /** What is kept of a page. */
  static final int BYTES_OF_PAGE = Long.BYTES + Integer.BYTES;

  private final DramRegion generations;
  private final DramRegion owners;

  PageMap(long pages, boolean hugePages) {
    generations = new DramRegion(pages * Long.BYTES, hugePages);
    owners = new DramRegion(pages * Integer.BYTES, hugePages);
  }

  /** The generation of the leaf that a page is of; 0 for any other page. */
  long generation(long page) {
    long value = generations.getLongOpaque(page * Long.BYTES);
    return value > 0 ? value : 0;
  }

  /** The leaf that a page is of, or whose record leads to the extent that begins at the page. */
  int leaf(long page) {
    return owners.getIntAcquire(page * Integer.BYTES) - 1;
  }

  /** The first page of the extent that a page is of; -1 if it is of none. */
  long extent(long page) {
    long value = generations.getLongOpaque(page * Long.BYTES);
    return value < 0 ? value & ~BLOB : NOBODY;
  }

  void setLeaf(long page, int pages, int leaf, long generation) {
    for (long p = page; p < page + pages; p++) {
      generations.setLong(p * Long.BYTES, generation);
      owners.setIntRelease(p * Integer.BYTES, leaf + 1);
    }
  }

  void setExtent(long page, int pages, int leaf) {
    for (long p = page; p < page + pages; p++) {
      generations.setLong(p * Long.BYTES, BLOB | page);
    }
    moveExtent(page, leaf);
  }

  /** The record that leads to an extent is in another leaf now. */
  void moveExtent(long page, int leaf) {
    owners.setIntRelease(page * Integer.BYTES, leaf + 1);
  }

  void clear(long page, int pages) {
    for (long p = page; p < page + pages; p++) {
      generations.setLong(p * Long.BYTES, 0);
      owners.setIntRelease(p * Integer.BYTES, 0);
    }
  }

  @Override
  public void close() {
    generations.close();
    owners.close();
  }
}
