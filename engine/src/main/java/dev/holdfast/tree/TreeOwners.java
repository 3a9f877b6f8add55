package dev.holdfast.tree;

import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.Owner;
import dev.holdfast.rmap.OwnerSource;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Who owns a range: leaves, extents of large values, chunks of the leaf table; from the page map.
 *
 * <p><b>Threads:</b> any; it takes no lock.
 */
final class TreeOwners implements OwnerSource {
  private final Parts parts;
  private volatile boolean closed;

  TreeOwners(Parts parts) {
    this.parts = parts;
  }

  /** A leaf, or an extent of a large value that a record of the leaf leads to. */
  record Extent(long offset, long length, int leaf, long generation, boolean isBlob)
      implements OwnedExtent {
    @Override
    public Owner owner() {
      return new Owner.Tree(leaf, isBlob);
    }
  }

  private record TableChunk(long offset, long length) implements OwnedExtent {
    @Override
    public Owner owner() {
      return new Owner.Metadata("leaf table");
    }
  }

  /** Whether an extent still is what it was when it was shown. */
  boolean isLive(Extent extent) {
    if (extent.isBlob) {
      return parts.pages.leaf(extent.offset >>> PageMap.PAGE_SHIFT) == extent.leaf;
    }
    return parts.leaves.generation(extent.leaf) == extent.generation;
  }

  /** Shows nothing any more: the page map goes. */
  void close() {
    closed = true;
  }

  @Override
  public void visit(long offset, long length, Consumer<? super OwnedExtent> consumer) {
    List<OwnedExtent> found = new ArrayList<>();
    int entered = parts.volume.grace().enter();
    try {
      if (!closed) {
        find(offset, length, found::add);
      }
    } finally {
      parts.volume.grace().exit(entered);
    }
    found.forEach(consumer);
  }

  private void find(long offset, long length, Consumer<? super OwnedExtent> consumer) {
    long end = Math.min(offset + length, parts.volume.capacity());
    long page = Math.max(offset, VolumeLayout.RECORDS_OFFSET) >>> PageMap.PAGE_SHIFT;
    while (page << PageMap.PAGE_SHIFT < end) {
      long next = page + 1;
      long first = parts.pages.extent(page);
      int leaf = first >= 0 ? parts.pages.leaf(first) : parts.pages.leaf(page);
      if (first >= 0 && leaf >= 0) {
        next = endOfExtent(page, first);
        consumer.accept(
            new Extent(
                first << PageMap.PAGE_SHIFT,
                (next - first) << PageMap.PAGE_SHIFT,
                leaf,
                parts.leaves.generation(leaf),
                true));
      } else if (first < 0 && leaf >= 0 && holds(leaf, page)) {
        long begin = parts.leaves.page(leaf);
        int pages = parts.leaves.pages(leaf);
        next = Math.max(next, begin + pages);
        consumer.accept(
            new Extent(
                begin << PageMap.PAGE_SHIFT,
                (long) pages << PageMap.PAGE_SHIFT,
                leaf,
                parts.leaves.generation(leaf),
                false));
      } else if (parts.table.holds(page)) {
        consumer.accept(new TableChunk(page << PageMap.PAGE_SHIFT, PageMap.PAGE));
      }
      page = next;
    }
  }

  private long endOfExtent(long page, long first) {
    long most = parts.volume.capacity() >>> PageMap.PAGE_SHIFT;
    long end = page;
    while (end < most && parts.pages.extent(end) == first) {
      end++;
    }
    return end;
  }

  /** Whether a page is one of the leaf's: it may be one that the leaf had before. */
  private boolean holds(int leaf, long page) {
    long begin = parts.leaves.page(leaf);
    return parts.leaves.exists(leaf) && page >= begin && page < begin + parts.leaves.pages(leaf);
  }
}
