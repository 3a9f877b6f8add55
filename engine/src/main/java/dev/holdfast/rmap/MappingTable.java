package dev.holdfast.rmap;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * A hash table of pins, with a few slots in every bucket and a chain of segments behind those that
 * overflow. It exists once a stripe: threads spread over the stripes so that those who pin the same
 * region do not fight for one cache line, and a lookup goes through all of them.
 *
 * <p><b>Threads:</b> any.
 */
final class MappingTable {
  /** The slots of a bucket, in one stripe, before it overflows. */
  static final int WAYS = 4;

  /** Where the chain of an overflowing bucket stops to double. */
  private static final int MAX_SEGMENT = 1 << 14;

  private final SlotDirectory directory;
  private final int stripes;
  private final int buckets;
  private final int hashShift;
  private final int stripeShift;
  private final SlotSegment base;
  private final AtomicReferenceArray<@Nullable SlotSegment> overflow;
  private final AtomicLong overflowSlots = new AtomicLong();

  /**
   * @param stripes a power of two
   * @param buckets in one stripe; a power of two, at least 2
   */
  MappingTable(SlotDirectory directory, int stripes, int buckets) {
    this.directory = directory;
    this.stripes = stripes;
    this.buckets = buckets;
    this.hashShift = Long.SIZE - Integer.numberOfTrailingZeros(buckets);
    this.stripeShift = Integer.SIZE - Integer.numberOfTrailingZeros(stripes);
    this.base = directory.newSegment(stripes * buckets * WAYS);
    this.overflow = new AtomicReferenceArray<>(stripes * buckets);
  }

  int buckets() {
    return buckets;
  }

  /** Whether so much has overflowed that the chains are no longer short. */
  boolean isCrowded() {
    return overflowSlots.get() >= base.slots();
  }

  /**
   * Fills a slot of the bucket itself.
   *
   * @param spread any number, the same for the same thread
   */
  long claim(long hash, int spread, long offset, long length, MappingHandle handle) {
    int bucketSlot = bucket(hash, stripe(spread)) * WAYS;
    // Threads of one stripe start at different slots; a thread always at the same, which is warm.
    int start = spread;
    for (int way = 0; way < WAYS; way++) {
      int slot = bucketSlot + ((start + way) & (WAYS - 1));
      long token = base.claim(slot, offset, length, handle);
      if (token != SlotSegment.NONE) {
        return token;
      }
    }
    return SlotSegment.NONE;
  }

  /** Fills a slot of the chain behind the bucket, if it has a free one that is found quickly. */
  long claimOverflow(long hash, int spread, long offset, long length, MappingHandle handle) {
    SlotSegment segment = overflow.get(bucket(hash, stripe(spread)));
    while (segment != null) {
      long token = segment.claimAny(offset, length, handle);
      if (token != SlotSegment.NONE) {
        return token;
      }
      segment = segment.next();
    }
    return SlotSegment.NONE;
  }

  /** Makes the chain behind the bucket longer, and fills a slot of what is new. */
  long extendOverflow(long hash, int spread, long offset, long length, MappingHandle handle) {
    int bucket = bucket(hash, stripe(spread));
    int slots = SlotDirectory.GRANULE;
    for (SlotSegment s = overflow.get(bucket); s != null; s = s.next()) {
      slots = Math.min(MAX_SEGMENT, 2 * s.slots());
    }
    SlotSegment fresh = directory.newSegment(slots);
    // Before anybody else can reach it, so that this cannot fail.
    long token = fresh.claimAny(offset, length, handle);
    SlotSegment head = overflow.compareAndExchange(bucket, null, fresh);
    if (head != null) {
      head.append(fresh);
    }
    overflowSlots.addAndGet(slots);
    return token;
  }

  /** Goes through one bucket in all stripes. */
  void visitBucket(long hash, MappingQuery query, MappingVisitor visitor) {
    for (int stripe = 0; stripe < stripes; stripe++) {
      int bucket = bucket(hash, stripe);
      base.visit(bucket * WAYS, WAYS, query, visitor);
      visitChain(bucket, query, visitor);
    }
  }

  /** Goes through everything. */
  void visitAll(MappingQuery query, MappingVisitor visitor) {
    base.visit(0, base.slots(), query, visitor);
    for (int bucket = 0; bucket < stripes * buckets; bucket++) {
      visitChain(bucket, query, visitor);
    }
  }

  private void visitChain(int bucket, MappingQuery query, MappingVisitor visitor) {
    for (SlotSegment s = overflow.get(bucket); s != null; s = s.next()) {
      s.visit(0, s.slots(), query, visitor);
    }
  }

  /** By the high bits: there numbers in a row, as threads have them, lie far apart. */
  private int stripe(int spread) {
    return (int) (Integer.toUnsignedLong(spread) >>> stripeShift);
  }

  private int bucket(long hash, int stripe) {
    return stripe * buckets + (int) (hash >>> hashShift);
  }
}
