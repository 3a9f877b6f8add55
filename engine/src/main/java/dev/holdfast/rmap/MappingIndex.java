package dev.holdfast.rmap;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The live mappings of a volume: a hash of slots by size class and region.
 *
 * <p><b>Threads:</b> any.
 */
final class MappingIndex {
  /*
   * 1. A pin lies in one slot of one table, under its size class and the region it begins in. It stays
   *    there until it is dropped; nothing is ever moved, so a lookup cannot miss what moves past it.
   * 2. The first table is small, so that pinning stays within the nearest cache as long as few pins
   *    live at once, which is what a store does nearly always. A pin takes the last table that has
   *    room in its bucket: that is the largest, and where the many that made it grow are not in the
   *    way. Then it takes the chain behind the last table's bucket.
   * 3. When the chains of the last table hold as many slots as its buckets, a table with eight times
   *    the buckets is added behind it. So there are O(log m) tables for m pins at once, and a bucket
   *    holds a constant number of pins of other regions, expected, whatever m is.
   * 4. Tables, segments and their numbers are never given back: a late reader and a stale token always
   *    find a slot, and its generation tells them that it is not the one they mean.
   * 5. usedClasses has the bit of a class before the first pin of that class is published.
   */
  private static final int FIRST_BUCKETS = 64;
  private static final int GROWTH = 8;
  private static final int MAX_TABLES = 5;
  private static final int MAX_STRIPES = 64;

  private final SlotDirectory directory = new SlotDirectory();
  private final int stripes;

  /** The last of the tables, never ahead of them. */
  private volatile MappingTable latest;

  private final AtomicInteger usedClasses = new AtomicInteger();
  private final AtomicBoolean growing = new AtomicBoolean();
  private volatile MappingTable[] tables;

  /**
   * @param stripes a power of two
   * @param buckets of the first table, in one stripe; a power of two, at least 2
   */
  MappingIndex(int stripes, int buckets) {
    this.stripes = stripes;
    this.latest = new MappingTable(directory, stripes, buckets);
    this.tables = new MappingTable[] {latest};
  }

  static MappingIndex forThisMachine() {
    int processors = Runtime.getRuntime().availableProcessors();
    // Four for each processor: two busy threads that share one pay for each other's cache lines.
    int stripes = Integer.highestOneBit(8 * processors - 1);
    return new MappingIndex(Math.min(MAX_STRIPES, stripes), FIRST_BUCKETS);
  }

  long pin(long offset, long length, MappingHandle handle) {
    int sizeClass = SizeClass.of(length);
    int bit = 1 << sizeClass;
    if ((usedClasses.getOpaque() & bit) == 0) {
      usedClasses.getAndUpdate(used -> used | bit);
    }
    long hash = SizeClass.hash(sizeClass, SizeClass.region(sizeClass, offset));
    int spread = spread();
    long token = latest.claim(hash, spread, offset, length, handle);
    return token != SlotSegment.NONE ? token : pinFurther(hash, spread, offset, length, handle);
  }

  boolean unpin(long token) {
    var segment = directory.find((int) token & ((1 << SlotSegment.NUMBER_BITS) - 1));
    return segment != null && segment.release(token);
  }

  void visit(long offset, long length, MappingVisitor visitor) {
    if (length == 0) {
      return;
    }
    // What the caller stored before (the device is dead) comes before everything read here: see
    // pin.
    VarHandle.fullFence();
    long end = offset + length;
    int used = usedClasses.get();
    long buckets = bucketsOf(used, offset, end);
    for (MappingTable table : tables) {
      if (buckets >= table.buckets()) {
        table.visitAll(new MappingQuery(offset, end, MappingQuery.ANY, 0), visitor);
      } else {
        visitRegions(table, used, offset, end, visitor);
      }
    }
  }

  /** How many tables there are. */
  int tableCount() {
    return tables.length;
  }

  /** How many slots there are in all, free ones included. */
  int slotCount() {
    return directory.slots();
  }

  private static void visitRegions(
      MappingTable table, int used, long offset, long end, MappingVisitor visitor) {
    for (int rest = used; rest != 0; rest &= rest - 1) {
      int sizeClass = Integer.numberOfTrailingZeros(rest);
      long last = SizeClass.region(sizeClass, end - 1);
      for (long r = SizeClass.firstRegion(sizeClass, offset); r <= last; r++) {
        MappingQuery query = new MappingQuery(offset, end, sizeClass, r);
        table.visitBucket(SizeClass.hash(sizeClass, r), query, visitor);
      }
    }
  }

  private static long bucketsOf(int used, long offset, long end) {
    long buckets = 0;
    for (int rest = used; rest != 0; rest &= rest - 1) {
      int sizeClass = Integer.numberOfTrailingZeros(rest);
      buckets +=
          SizeClass.region(sizeClass, end - 1) - SizeClass.firstRegion(sizeClass, offset) + 1;
    }
    return buckets;
  }

  private long pinFurther(long hash, int spread, long offset, long length, MappingHandle handle) {
    while (true) {
      MappingTable[] all = tables;
      for (int i = all.length - 1; i >= 0; i--) {
        long token = all[i].claim(hash, spread, offset, length, handle);
        if (token != SlotSegment.NONE) {
          return token;
        }
      }
      MappingTable last = all[all.length - 1];
      long token = last.claimOverflow(hash, spread, offset, length, handle);
      if (token != SlotSegment.NONE) {
        return token;
      }
      if (!last.isCrowded() || all.length == MAX_TABLES || !grow(all)) {
        return last.extendOverflow(hash, spread, offset, length, handle);
      }
    }
  }

  /** Adds a table; false if another thread is about to, for which nobody waits. */
  private boolean grow(MappingTable[] seen) {
    if (!growing.compareAndSet(false, true)) {
      return false;
    }
    try {
      if (tables.length == seen.length) {
        List<MappingTable> more = new ArrayList<>(List.of(seen));
        more.add(new MappingTable(directory, stripes, more.getLast().buckets() * GROWTH));
        // Lookups go through it before anybody pins there.
        tables = more.toArray(MappingTable[]::new);
        latest = more.getLast();
      }
      return true;
    } finally {
      growing.set(false);
    }
  }

  private static int spread() {
    long mixed = Thread.currentThread().threadId() * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32);
  }
}
