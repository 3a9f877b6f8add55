package dev.holdfast.tree;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.DramRegion;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.LongUnaryOperator;

/**
 * Leads from the hash of a key straight to its record: an extendible hash of 8-byte slots in DRAM.
 *
 * <h2>Layout</h2>
 *
 * A <em>directory</em> of words, indexed by the high bits of the hash, leads to <em>segments</em>
 * of {@value #SEGMENT_BYTES} bytes. The first line of a segment is its header, the others are
 * buckets of eight slots, one cache line each: a lookup costs one miss. A slot is
 *
 * <pre>
 *   63            46 45       38 37                                  0
 *  +----------------+-----------+-------------------------------------+
 *  | hash, 18 bits  | check, 8  | address of the record, in units   |
 *  +----------------+-----------+-------------------------------------+
 * </pre>
 *
 * 0 is a slot that was never used, address 0 with another bit set one whose record was removed. The
 * hash bits are the low four of the number of the bucket that the key belongs to, so that a slot
 * which was displaced still says whose it is, and fourteen more from the high end of the hash, from
 * the segment's <em>window</em> on. The check bits are hashed from the sequence of the record: they
 * tell a record from an older one at the same place.
 *
 * <p>A segment that is full is split by the next bit of the hash, which its slots hold; nobody
 * waits but the writers of that segment. When a window is nearly used up, the split reads the keys
 * of that one segment again and moves its window on: once in {@value #WINDOW_STEP} splits.
 *
 * <h2>Rules</h2>
 *
 * <ol>
 *   <li>A slot is a hint. Who follows it verifies key, check bits and the record's own checksum;
 *       two keys may look alike here, and slots of other keys are seen.
 *   <li>All slots of a key are changed by one thread at a time: who holds the lock of its leaf.
 *   <li>Readers take no lock and store nothing. A segment that was replaced stays as it was until
 *       {@link #reclaim}, which waits until nobody can be in it: a reader that is late sees what
 *       was true when it came. A lookup that found nothing counts only if {@link #isCurrent} says
 *       so afterwards.
 * </ol>
 *
 * <p><b>Threads:</b> any, under rule 2. <b>Source:</b> R. Fagin et al., Extendible Hashing, ACM
 * TODS 4(3), 1979; buckets of a cache line and displacement as in M. Nam et al., CCEH, FAST 2019.
 */
final class PointIndex {
  /** No slot. */
  static final long NONE = -1;

  static final int ADDRESS_BITS = 38;
  static final int CHECK_BITS = 8;

  static final int SEGMENT_BYTES = 1 << 14;
  private static final int LINE = 64;
  private static final int BUCKETS = SEGMENT_BYTES / LINE;
  private static final int BUCKET_MASK = BUCKETS - 1;

  /** The bucket number comes from the low end of the hash, the directory from the high end. */
  private static final int HOME_BITS = 4;

  private static final int WINDOW_BITS = 14;
  private static final int WINDOW_STEP = 6;

  private static final int SLOTS = LINE / Long.BYTES;

  private static final int HOME_MASK = (1 << HOME_BITS) - 1;

  /**
   * How many buckets are searched for a key: as many as its home bits can tell apart, also where
   * the numbers of the buckets begin anew at 1.
   */
  private static final int REACH = (1 << HOME_BITS) - 1;

  private static final long ADDRESS_MASK = (1L << ADDRESS_BITS) - 1;
  private static final int HASH_SHIFT = ADDRESS_BITS + CHECK_BITS;
  private static final long REMOVED = 1L << ADDRESS_BITS;

  private static final int LOCK_AT = 0;
  private static final int DEPTH_AT = 8;
  private static final int RETIRED_AT = 16;

  /** Slots that were ever used, and so end no search. */
  private static final int USED_AT = 24;

  private static final int LIVE_AT = 32;

  /** The bit of the lock's word that says so; the word is counted up at each change. */
  private static final int LOCKED = 1;

  /** More used slots than this are split: fuller ones have long ways. */
  private static final int FULL = (BUCKETS - 1) * 8 * 9 / 10;

  /** A directory entry is the offset of a segment, which ends in zeros, and its window. */
  private static final long WINDOW_MASK = 63;

  private static final int LARGEST_DEPTH = 40;
  private static final int FINGERPRINT_COUNT_SHIFT = 58;
  private static final int FINGERPRINT_HOME_SHIFT = 54;
  private static final long PARK_NANOS = 1_000;

  private final DramRegion memory;
  private final MemoryBudget budget;
  private final LongUnaryOperator hashOfRecord;
  private final ReentrantLock growing = new ReentrantLock();
  private volatile Directory directory;
  private long allocated;

  /** Replaced, and perhaps still read by somebody. */
  private List<Long> retired = new ArrayList<>();

  private final Deque<Long> free = new ArrayDeque<>();

  /** A power of two of entries in the region. */
  private record Directory(long offset, int depth) {
    long entry(long hash) {
      return offset + (depth == 0 ? 0 : hash >>> (Long.SIZE - depth)) * Long.BYTES;
    }

    long entries() {
      return 1L << depth;
    }
  }

  /**
   * @param memory where the index lies, all of it, zero
   * @param budget is told of what the index takes
   * @param entries how many entries there will be soon, or 0
   * @param hashOfRecord reads the record at an address again, and hashes its key; {@link #NONE}
   *     where it cannot be read any more
   */
  PointIndex(DramRegion memory, MemoryBudget budget, long entries, LongUnaryOperator hashOfRecord) {
    this.memory = memory;
    this.budget = budget;
    this.hashOfRecord = hashOfRecord;
    int depth = 0;
    while (depth < LARGEST_DEPTH && (1L << depth) * FULL * 3 / 4 < entries) {
      depth++;
    }
    Directory first = new Directory(allocate((1L << depth) * Long.BYTES), depth);
    for (long i = 0; i < first.entries(); i++) {
      long segment = newSegment(depth);
      memory.setLong(first.offset + i * Long.BYTES, segment | windowOf(depth));
    }
    this.directory = first;
  }

  // ---------------------------------------------------------------- slots

  static long addressOf(long slot) {
    return slot & ADDRESS_MASK;
  }

  static int checkOf(long slot) {
    return (int) (slot >>> ADDRESS_BITS) & ((1 << CHECK_BITS) - 1);
  }

  private static long slot(long hash, int bucket, int window, int check, long address) {
    if (address <= 0 || address > ADDRESS_MASK) {
      throw new IllegalArgumentException(
          "record address: expected 1 to " + ADDRESS_MASK + " units, was " + address);
    }
    return hashBits(hash, bucket, window) << HASH_SHIFT
        | (long) (check & ((1 << CHECK_BITS) - 1)) << ADDRESS_BITS
        | address;
  }

  private static long hashBits(long hash, int bucket, int window) {
    long home = bucket & HOME_MASK;
    return home << WINDOW_BITS | (hash << window) >>> (Long.SIZE - WINDOW_BITS);
  }

  /** The window of a segment of some depth: it moves on in steps, so that it seldom does. */
  private static int windowOf(int depth) {
    return depth / WINDOW_STEP * WINDOW_STEP;
  }

  /** The bucket that a key belongs to; 0 is the header. */
  private static int homeOf(long hash) {
    return 1 + (int) ((hash & 0x7fffffff) % (BUCKETS - 1));
  }

  /**
   * Where in a bucket the search for a key begins: most keys are found there at once, and no branch
   * is guessed wrong.
   */
  private static int ownOf(long hashBits) {
    return (int) hashBits & (SLOTS - 1);
  }

  private static int next(int bucket) {
    return bucket == BUCKET_MASK ? 1 : bucket + 1;
  }

  // ---------------------------------------------------------------- reading

  /**
   * The first slot that may be that of a key.
   *
   * @return where it is, for {@link #slotAt} and {@link #after}; {@link #NONE} if there is none
   */
  long find(long hash) {
    long entry = memory.getLongAcquire(directory.entry(hash));
    int home = homeOf(hash);
    return search(entry, hash, home, home, 0, 0);
  }

  /** Loads the line that a key's search begins with; for who is about to search for many. */
  long prefetch(long hash) {
    long segment = memory.getLongAcquire(directory.entry(hash)) & -SEGMENT_BYTES;
    return memory.getLong(segment + (long) homeOf(hash) * LINE);
  }

  /** The slot behind one that was not that of the key. */
  long after(long hash, long found) {
    // The entry is that of the segment found: another one may stand in the directory by now.
    long segment = found & -SEGMENT_BYTES;
    int depth = (int) memory.getLong(segment + DEPTH_AT);
    int home = homeOf(hash);
    int bucket = (int) (found / LINE) & BUCKET_MASK;
    int steps = bucket >= home ? bucket - home : bucket - home + BUCKETS - 1;
    int index = (int) (found % LINE) / Long.BYTES;
    int own = ownOf(hashBits(hash, home, windowOf(depth)));
    int tried = (index - own) & (SLOTS - 1);
    return search(segment | windowOf(depth), hash, home, bucket, steps, tried + 1);
  }

  private long search(long entry, long hash, int home, int from, int stepsBefore, int triedBefore) {
    long segment = entry & -SEGMENT_BYTES;
    long wanted = hashBits(hash, home, (int) (entry & WINDOW_MASK));
    int own = ownOf(wanted);
    int bucket = from;
    int tried = triedBefore;
    for (int steps = stepsBefore; steps < REACH; steps++) {
      long line = segment + (long) bucket * LINE;
      for (; tried < SLOTS; tried++) {
        long at = line + (long) ((own + tried) & (SLOTS - 1)) * Long.BYTES;
        long slot = memory.getLongOpaque(at);
        if (slot == 0) {
          return NONE;
        }
        if (slot >>> HASH_SHIFT == wanted && (slot & ADDRESS_MASK) != 0) {
          return at;
        }
      }
      tried = 0;
      bucket = next(bucket);
    }
    return NONE;
  }

  /** The slot at a place that {@link #find} or {@link #after} returned. */
  long slotAt(long found) {
    return memory.getLongAcquire(found);
  }

  /** What {@link #isCurrent} is told: taken before a lookup. */
  long version(long hash) {
    return memory.getLongAcquire(directory.entry(hash));
  }

  /** Whether lookups of a hash since {@link #version} saw the segment in force. */
  boolean isCurrent(long hash, long version) {
    return memory.getLongAcquire(directory.entry(hash)) == version;
  }

  // ---------------------------------------------------------------- writing

  /** Adds a slot. */
  void insert(long hash, long address, int check) {
    while (true) {
      long entry = lock(hash);
      long segment = entry & -SEGMENT_BYTES;
      boolean added = false;
      try {
        added = add(segment, hash, windowOf(depth(segment)), check, address);
      } finally {
        unlock(segment);
      }
      if (added) {
        return;
      }
      split(hash, segment);
    }
  }

  /**
   * Changes the slot that leads to a record, so that it leads to another one of the same key.
   *
   * @return false if no slot leads there
   */
  boolean move(long hash, long from, long to, int check) {
    long segment = memory.getLongAcquire(directory.entry(hash)) & -SEGMENT_BYTES;
    long version = memory.getLongAcquire(segment + LOCK_AT);
    boolean stored = false;
    if ((version & LOCKED) == 0 && memory.getLong(segment + RETIRED_AT) == 0) {
      int window = windowOf(depth(segment));
      long at = locate(segment, hash, window, from);
      if (at != NONE) {
        long next = slot(hash, homeOf(hash), window, check, to);
        // It is the full fence, too, that the second look at the version needs.
        stored = memory.compareAndSetLong(at, memory.getLong(at), next);
        if (stored && memory.getLongAcquire(segment + LOCK_AT) == version) {
          return true;
        }
      }
    }
    return moveLocked(hash, from, to, check, stored);
  }

  /** Where somebody had the segment meanwhile, and may have copied the slot before it changed. */
  private boolean moveLocked(long hash, long from, long to, int check, boolean stored) {
    long segment = lock(hash) & -SEGMENT_BYTES;
    try {
      int window = windowOf(depth(segment));
      long at = locate(segment, hash, window, from);
      if (at == NONE) {
        return stored && locate(segment, hash, window, to) != NONE;
      }
      memory.setLongRelease(at, slot(hash, homeOf(hash), window, check, to));
      return true;
    } finally {
      unlock(segment);
    }
  }

  /**
   * Removes the slot that leads to a record.
   *
   * @return false if no slot leads there
   */
  boolean remove(long hash, long address) {
    long segment = lock(hash) & -SEGMENT_BYTES;
    try {
      long at = locate(segment, hash, windowOf(depth(segment)), address);
      if (at == NONE) {
        return false;
      }
      memory.setLongRelease(at, REMOVED);
      memory.setLong(segment + LIVE_AT, memory.getLong(segment + LIVE_AT) - 1);
      return true;
    } finally {
      unlock(segment);
    }
  }

  /** Whether a slot of a hash leads to a record. */
  boolean leadsTo(long hash, long address) {
    for (long at = find(hash); at != NONE; at = after(hash, at)) {
      if (addressOf(slotAt(at)) == address) {
        return true;
      }
    }
    return false;
  }

  private long locate(long segment, long hash, int window, long address) {
    int home = homeOf(hash);
    long found = search(segment | window, hash, home, home, 0, 0);
    while (found != NONE && addressOf(memory.getLong(found)) != address) {
      found = after(hash, found);
    }
    return found;
  }

  private boolean add(long segment, long hash, int window, int check, long address) {
    int home = homeOf(hash);
    return addSlot(segment, home, slot(hash, home, window, check, address));
  }

  /** Under the segment's lock, or where nobody else sees it; false if there is no room near it. */
  private boolean addSlot(long segment, int home, long slot) {
    long used = memory.getLong(segment + USED_AT);
    int own = ownOf(slot >>> HASH_SHIFT);
    int bucket = home;
    for (int steps = 0; steps < REACH; steps++) {
      long line = segment + (long) bucket * LINE;
      for (int tried = 0; tried < SLOTS; tried++) {
        long at = line + (long) ((own + tried) & (SLOTS - 1)) * Long.BYTES;
        long present = memory.getLong(at);
        if (present == 0 && used >= FULL) {
          return false;
        }
        if ((present & ADDRESS_MASK) == 0) {
          memory.setLongRelease(at, slot);
          memory.setLong(segment + LIVE_AT, memory.getLong(segment + LIVE_AT) + 1);
          if (present == 0) {
            memory.setLong(segment + USED_AT, used + 1);
          }
          return true;
        }
      }
      bucket = next(bucket);
    }
    return false;
  }

  /** Locks the segment of a hash; returns its directory entry. */
  private long lock(long hash) {
    while (true) {
      long entry = memory.getLongAcquire(directory.entry(hash));
      long segment = entry & -SEGMENT_BYTES;
      for (int spin = 0; !tryLock(segment); spin++) {
        if (spin < 100) {
          Thread.onSpinWait();
        } else {
          // Its holder may wait for this very processor.
          LockSupport.parkNanos(PARK_NANOS);
        }
      }
      if (memory.getLong(segment + RETIRED_AT) == 0) {
        return entry;
      }
      unlock(segment);
    }
  }

  private boolean tryLock(long segment) {
    long word = memory.getLongOpaque(segment + LOCK_AT);
    return (word & LOCKED) == 0 && memory.compareAndSetLong(segment + LOCK_AT, word, word + 1);
  }

  private void unlock(long segment) {
    memory.setLongRelease(segment + LOCK_AT, memory.getLong(segment + LOCK_AT) + 1);
  }

  private int depth(long segment) {
    return (int) memory.getLong(segment + DEPTH_AT);
  }

  // ---------------------------------------------------------------- growth

  /**
   * Whether a slot for a hash can be added to its segment as it is now, as {@link #insert} looks.
   */
  boolean hasRoom(long hash) {
    long segment = memory.getLongAcquire(directory.entry(hash)) & -SEGMENT_BYTES;
    int home = homeOf(hash);
    int own = ownOf(hashBits(hash, home, windowOf(depth(segment))));
    int bucket = home;
    for (int steps = 0; steps < REACH; steps++) {
      for (int tried = 0; tried < SLOTS; tried++) {
        long at =
            segment + (long) bucket * LINE + (long) ((own + tried) & (SLOTS - 1)) * Long.BYTES;
        long present = memory.getLongOpaque(at);
        if ((present & ADDRESS_MASK) == 0) {
          return present != 0 || memory.getLongOpaque(segment + USED_AT) < FULL;
        }
      }
      bucket = next(bucket);
    }
    return false;
  }

  /** The bytes that wait for {@link #reclaim}. */
  long retiredBytes() {
    growing.lock();
    try {
      return (long) retired.size() * SEGMENT_BYTES;
    } finally {
      growing.unlock();
    }
  }

  /** Makes room in the segment of a hash, unless somebody did. */
  private void split(long hash, long seen) {
    growing.lock();
    try {
      long segment = lock(hash) & -SEGMENT_BYTES;
      try {
        if (segment == seen) {
          replace(hash, segment);
        }
      } finally {
        unlock(segment);
      }
    } finally {
      growing.unlock();
    }
  }

  private void replace(long hash, long segment) {
    int depth = depth(segment);
    // What is full of removed slots is only written anew.
    long live = memory.getLong(segment + LIVE_AT);
    boolean splits = live > FULL / 2 || memory.getLong(segment + USED_AT) - live < FULL / 4;
    if (splits && depth >= LARGEST_DEPTH) {
      throw new OutOfSpaceException(
          "index: expected keys that differ in " + LARGEST_DEPTH + " bits of their hash");
    }
    if (splits && depth == directory.depth) {
      deepen();
    }
    Directory now = directory;
    int newDepth = splits ? depth + 1 : depth;
    long low = newSegment(newDepth);
    long high = splits ? newSegment(newDepth) : low;
    distribute(segment, newDepth, low, high);
    memory.setLong(segment + RETIRED_AT, 1);
    // All entries whose first bits are the segment's: the upper half leads to high from now on.
    long each = now.entries() >>> depth;
    long first = depth == 0 ? 0 : (hash >>> (Long.SIZE - depth)) * each;
    int window = windowOf(newDepth);
    for (long i = 0; i < each; i++) {
      long to = (i < each / 2 ? low : high) | window;
      memory.setLongRelease(now.offset + (first + i) * Long.BYTES, to);
    }
    retired.add(segment);
  }

  private void distribute(long segment, int newDepth, long low, long high) {
    int depth = depth(segment);
    int window = windowOf(depth);
    boolean moves = windowOf(newDepth) != window;
    for (int bucket = 1; bucket < BUCKETS; bucket++) {
      for (int index = 0; index < SLOTS; index++) {
        long slot = memory.getLong(segment + (long) bucket * LINE + (long) index * Long.BYTES);
        if ((slot & ADDRESS_MASK) == 0) {
          continue;
        }
        long bit = slot >>> (HASH_SHIFT + WINDOW_BITS - 1 - (depth - window)) & 1;
        long to = bit == 0 ? low : high;
        boolean added =
            moves ? addAnew(to, newDepth, slot) : addSlot(to, homeOf(slot, bucket), slot);
        if (!added) {
          throw new IllegalStateException("index: expected half of a segment to fit into one");
        }
      }
    }
  }

  /** The bucket that a slot belongs to, by where it lies. */
  private static int homeOf(long slot, int bucket) {
    int home = (int) (slot >>> (HASH_SHIFT + WINDOW_BITS)) & HOME_MASK;
    int candidate = bucket;
    for (int steps = 0; steps < REACH; steps++) {
      if ((candidate & HOME_MASK) == home) {
        return candidate;
      }
      candidate = candidate == 1 ? BUCKET_MASK : candidate - 1;
    }
    throw new IllegalStateException("index: expected a slot near its bucket");
  }

  private boolean addAnew(long to, int depth, long slot) {
    long hash = hashOfRecord.applyAsLong(addressOf(slot));
    if (hash == NONE) {
      return true; // On no leg any more: its page is bad, and what was there is about to be named.
    }
    return add(to, hash, windowOf(depth), checkOf(slot), addressOf(slot));
  }

  /** Doubles the directory. Readers of the former one see what was true when they came. */
  private void deepen() {
    Directory old = directory;
    Directory deeper = new Directory(allocate(2 * old.entries() * Long.BYTES), old.depth + 1);
    for (long i = 0; i < old.entries(); i++) {
      long entry = memory.getLong(old.offset + i * Long.BYTES);
      memory.setLong(deeper.offset + 2 * i * Long.BYTES, entry);
      memory.setLong(deeper.offset + (2 * i + 1) * Long.BYTES, entry);
    }
    directory = deeper;
  }

  private long newSegment(int depth) {
    Long used = free.poll();
    if (used != null) {
      budget.take(SEGMENT_BYTES);
    }
    long segment = used == null ? allocate(SEGMENT_BYTES) : used;
    memory.setLong(segment + DEPTH_AT, depth);
    return segment;
  }

  /**
   * Makes what was replaced usable again.
   *
   * @param grace waits until every lookup that is under way has ended; false if one did not
   */
  void reclaim(BooleanSupplier grace) {
    List<Long> old;
    growing.lock();
    try {
      old = retired;
      retired = new ArrayList<>();
    } finally {
      growing.unlock();
    }
    boolean over = !old.isEmpty() && grace.getAsBoolean();
    growing.lock();
    try {
      if (over) {
        for (long segment : old) {
          memory.zero(segment, SEGMENT_BYTES);
          free.add(segment);
          budget.take(-SEGMENT_BYTES);
        }
      } else {
        retired.addAll(old);
      }
    } finally {
      growing.unlock();
    }
  }

  private long allocate(long bytes) {
    long whole = Math.ceilDiv(bytes, SEGMENT_BYTES) * (long) SEGMENT_BYTES;
    if (whole > memory.size() - allocated) {
      throw new OutOfSpaceException(
          "index: expected " + whole + " more bytes of memory, was " + (memory.size() - allocated));
    }
    long offset = allocated;
    allocated += whole;
    budget.take(whole);
    return offset;
  }

  // ---------------------------------------------------------------- what leads to a range

  /** Is shown a slot. */
  @FunctionalInterface
  private interface SlotVisitor {
    void visit(long segment, long at, long slot, long fingerprint);
  }

  /**
   * What is known of the hashes of the keys whose records lie in a range: see {@link #matches}.
   * Looks at every slot there is.
   *
   * @param from the first address
   * @param to the first address behind the range
   */
  long[] fingerprints(long from, long to) {
    List<Long> found = new ArrayList<>();
    visit(from, to, (segment, at, slot, fingerprint) -> found.add(fingerprint));
    return found.stream().mapToLong(Long::longValue).toArray();
  }

  /** Removes the slots that lead to a range; how many there were. */
  int purge(long from, long to) {
    int[] purged = new int[1];
    visit(
        from,
        to,
        (segment, at, slot, fingerprint) -> {
          memory.setLongRelease(at, REMOVED);
          memory.setLong(segment + LIVE_AT, memory.getLong(segment + LIVE_AT) - 1);
          purged[0]++;
        });
    return purged[0];
  }

  private void visit(long from, long to, SlotVisitor visitor) {
    growing.lock();
    try {
      Directory now = directory;
      long before = -1;
      for (long i = 0; i < now.entries(); i++) {
        long segment = memory.getLong(now.offset + i * Long.BYTES) & -SEGMENT_BYTES;
        if (segment != before) {
          // One whose depth is smaller stands in the directory more than once, side by side.
          before = segment;
          visitSegment(
              segment, now.depth == 0 ? 0 : i << (Long.SIZE - now.depth), from, to, visitor);
        }
      }
    } finally {
      growing.unlock();
    }
  }

  private void visitSegment(long segment, long hash, long from, long to, SlotVisitor visitor) {
    long locked = lock(hash) & -SEGMENT_BYTES;
    try {
      int window = windowOf(depth(segment));
      for (int bucket = 1; bucket < BUCKETS; bucket++) {
        for (int index = 0; index < SLOTS; index++) {
          long at = segment + (long) bucket * LINE + (long) index * Long.BYTES;
          long slot = memory.getLong(at);
          long address = addressOf(slot);
          if (address != 0 && address >= from && address < to) {
            visitor.visit(segment, at, slot, fingerprint(hash, window, slot));
          }
        }
      }
    } finally {
      unlock(locked);
    }
  }

  /** The bits of a hash that a slot and its place tell: how many, the bucket's, the first ones. */
  private static long fingerprint(long hash, int window, long slot) {
    long bits = slot >>> HASH_SHIFT;
    long home = bits >>> WINDOW_BITS;
    long first = window == 0 ? 0 : hash >>> (Long.SIZE - window);
    long all = first << WINDOW_BITS | (bits & ((1L << WINDOW_BITS) - 1));
    return (long) (window + WINDOW_BITS) << FINGERPRINT_COUNT_SHIFT
        | home << FINGERPRINT_HOME_SHIFT
        | all;
  }

  /** Whether a hash has the bits of a fingerprint. */
  static boolean matches(long fingerprint, long hash) {
    int count = (int) (fingerprint >>> FINGERPRINT_COUNT_SHIFT);
    long home = fingerprint >>> FINGERPRINT_HOME_SHIFT & HOME_MASK;
    long all = fingerprint & ((1L << FINGERPRINT_HOME_SHIFT) - 1);
    return count > 0 && hash >>> (Long.SIZE - count) == all && (homeOf(hash) & HOME_MASK) == home;
  }

  /** The bytes of memory that the index takes, without segments that can be used again. */
  long bytes() {
    growing.lock();
    try {
      return allocated - (long) free.size() * SEGMENT_BYTES;
    } finally {
      growing.unlock();
    }
  }
}
