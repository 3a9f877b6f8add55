package dev.holdfast.tree;

import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.ReverseMap;

/**
 * Where a value lies that is leased, and the checksums of its pieces. A piece never lies on two
 * extents: extents are whole pages, and a value inside a record is one piece.
 *
 * <p><b>Threads:</b> the checksums are filled in by one thread before another one sees the value;
 * it does not change after that.
 */
final class LeasedValue {
  static final int CHUNK = PageMap.PAGE;
  private static final int CHUNK_SHIFT = PageMap.PAGE_SHIFT;

  final long length;

  /** The sequence of its record: a lower one is an older value. */
  final long sequence;

  /** Where its parts begin, in bytes of the volume. */
  private final long[] begin;

  /** The number of the first piece behind each part. */
  private final int[] endChunk;

  private final int[] sums;

  private LeasedValue(long length, long sequence, long[] begin, int[] endChunk) {
    this.length = length;
    this.sequence = sequence;
    this.begin = begin;
    this.endChunk = endChunk;
    this.sums = new int[(int) Math.ceilDiv(length, CHUNK)];
  }

  /** One that lies inside a record. */
  static LeasedValue inline(long offset, int length, long sequence) {
    return new LeasedValue(length, sequence, new long[] {offset}, new int[] {1});
  }

  /** One that lies in extents. */
  static LeasedValue large(BlobExtents extents, long sequence) {
    long[] begin = new long[extents.count];
    int[] end = new int[extents.count];
    long chunks = 0;
    for (int i = 0; i < extents.count; i++) {
      begin[i] = extents.page[i] * PageMap.PAGE;
      chunks += extents.pages[i];
      end[i] = (int) Math.min(chunks, Integer.MAX_VALUE);
    }
    return new LeasedValue(extents.length, sequence, begin, end);
  }

  int chunks() {
    return sums.length;
  }

  static int chunkOf(long offset) {
    return (int) (offset >>> CHUNK_SHIFT);
  }

  static long beginOf(int chunk) {
    return (long) chunk << CHUNK_SHIFT;
  }

  int lengthOf(int chunk) {
    return (int) Math.min(CHUNK, length - beginOf(chunk));
  }

  /** Where a piece lies, in bytes of the volume. */
  long offsetOf(int chunk) {
    int part = partOf(chunk);
    return begin[part] + beginOf(chunk - (part == 0 ? 0 : endChunk[part - 1]));
  }

  /** How many pieces lie behind each other from one on, which counts, too; at most so many. */
  int run(int chunk, int most) {
    return Math.min(Math.min(most, endChunk[partOf(chunk)] - chunk), sums.length - chunk);
  }

  private int partOf(int chunk) {
    int low = 0;
    int high = endChunk.length - 1;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (endChunk[middle] <= chunk) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Notes the checksum of a piece. */
  void sum(int chunk, int sum) {
    sums[chunk] = sum;
  }

  int sumOf(int chunk) {
    return sums[chunk];
  }

  /**
   * Pins all of it.
   *
   * @return the tokens
   */
  long[] pin(ReverseMap reverseMap, MappingHandle handle) {
    if (sums.length == 0) {
      return new long[0]; // Nothing is there to be touched.
    }
    long[] tokens = new long[partOf(sums.length - 1) + 1];
    int pinned = 0;
    int from = 0;
    try {
      for (; pinned < tokens.length; pinned++) {
        int to = Math.min(endChunk[pinned], sums.length);
        long bytes = Math.min(beginOf(to), length) - beginOf(from);
        tokens[pinned] = reverseMap.pin(begin[pinned], bytes, handle);
        from = to;
      }
      return tokens;
    } finally {
      for (int i = 0; pinned < tokens.length && i < pinned; i++) {
        boolean _ = reverseMap.unpin(tokens[i]);
      }
    }
  }
}
