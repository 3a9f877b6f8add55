package dev.holdfast.tree;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Which pages of the volume were stored to and not yet taken by who writes them back: a bit each,
 * in DRAM. Marking a page that is marked stores nothing.
 *
 * <p>Whoever stores to a page marks it afterwards; whoever takes the marks writes back afterwards:
 * so what is stored is written back by who takes the mark, or a mark is left for the next.
 *
 * <p><b>Threads:</b> any; one at a time takes.
 */
final class DirtyPages {
  private static final int SEGMENT_SHIFT = 16;
  private static final int SEGMENT = 1 << SEGMENT_SHIFT;

  private final AtomicReferenceArray<AtomicLongArray> segments =
      new AtomicReferenceArray<>((int) (PageAllocator.MOST_PAGES >>> SEGMENT_SHIFT));

  /** The segments that may have a mark. */
  private final AtomicLongArray marked = new AtomicLongArray(segments.length() / Long.SIZE);

  /** Ranges of bytes, ascending as they are taken, at most {@code count}. */
  static final class Ranges {
    long[] bounds = new long[16];
    int count;

    /** Adds whole pages; those behind the last ones become one range with them. */
    void add(long page, long pages) {
      long offset = page << PageMap.PAGE_SHIFT;
      long length = pages << PageMap.PAGE_SHIFT;
      if (count > 0 && bounds[2 * count - 2] + bounds[2 * count - 1] == offset) {
        bounds[2 * count - 1] += length;
        return;
      }
      if (2 * count == bounds.length) {
        bounds = Arrays.copyOf(bounds, 2 * bounds.length);
      }
      bounds[2 * count] = offset;
      bounds[2 * count + 1] = length;
      count++;
    }

    void clear() {
      count = 0;
    }
  }

  /** Marks the pages of a range that was stored to. */
  void mark(long offset, long length) {
    // What was stored must not come into sight after a mark that is read as set already.
    VarHandle.fullFence();
    long last = (offset + length - 1) >>> PageMap.PAGE_SHIFT;
    for (long page = offset >>> PageMap.PAGE_SHIFT; page <= last; page++) {
      AtomicLongArray segment = segment((int) (page >>> SEGMENT_SHIFT));
      int word = (int) (page & SEGMENT - 1) / Long.SIZE;
      long bit = 1L << page;
      if ((segment.get(word) & bit) == 0) {
        segment.getAndAccumulate(word, bit, (a, b) -> a | b);
      }
      markSegment((int) (page >>> SEGMENT_SHIFT));
    }
  }

  private void markSegment(int segment) {
    long bit = 1L << segment;
    if ((marked.get(segment / Long.SIZE) & bit) == 0) {
      marked.getAndAccumulate(segment / Long.SIZE, bit, (a, b) -> a | b);
    }
  }

  private AtomicLongArray segment(int index) {
    AtomicLongArray present = segments.get(index);
    if (present != null) {
      return present;
    }
    AtomicLongArray made = new AtomicLongArray(SEGMENT / Long.SIZE);
    return segments.compareAndSet(index, null, made) ? made : segments.get(index);
  }

  /** Whether one of some pages is marked. */
  boolean isMarked(long page, int pages) {
    for (long p = page; p < page + pages; p++) {
      AtomicLongArray segment = segments.get((int) (p >>> SEGMENT_SHIFT));
      if (segment != null && (segment.get((int) (p & SEGMENT - 1) / Long.SIZE) & 1L << p) != 0) {
        return true;
      }
    }
    return false;
  }

  /** Moves all marks to {@code ranges}. */
  void take(Ranges ranges) {
    for (int i = 0; i < marked.length(); i++) {
      if (marked.get(i) == 0) {
        continue;
      }
      // Before the segments are looked at: who marks a page in one from now on marks it again.
      for (long some = marked.getAndSet(i, 0); some != 0; some &= some - 1) {
        take(i * Long.SIZE + Long.numberOfTrailingZeros(some), ranges);
      }
    }
  }

  private void take(int index, Ranges ranges) {
    AtomicLongArray segment = segment(index);
    for (int word = 0; word < segment.length(); word++) {
      if (segment.get(word) == 0) {
        continue;
      }
      long first = ((long) index << SEGMENT_SHIFT) + (long) word * Long.SIZE;
      for (long bits = segment.getAndSet(word, 0); bits != 0; ) {
        int from = Long.numberOfTrailingZeros(bits);
        int run = Long.numberOfTrailingZeros(~(bits >>> from));
        ranges.add(first + from, Math.min(run, Long.SIZE - from));
        bits = from + run >= Long.SIZE ? 0 : bits >>> (from + run) << (from + run);
      }
    }
  }

  /** Marks again what was taken and not written back. */
  void putBack(Ranges ranges) {
    for (int i = 0; i < ranges.count; i++) {
      mark(ranges.bounds[2 * i], ranges.bounds[2 * i + 1]);
    }
  }
}
