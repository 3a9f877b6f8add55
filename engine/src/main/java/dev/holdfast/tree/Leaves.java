package dev.holdfast.tree;

import dev.holdfast.pmem.DramRegion;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The descriptors of the leaves, in DRAM: where each lies and how full it is; and their locks.
 *
 * <p>A leaf is known by its number, which is that of its row in the leaf table. Its descriptor
 * takes one cache line. Whoever changes one holds its lock; whoever reads one without takes what it
 * read for true only if the {@link #version} is the same afterwards.
 *
 * <p>A row takes two units or more, so the number behind that of a leaf is nobody's: its line has
 * the begin of the leaf's separator, beside the version and the generation of that number, which
 * say that there is no such leaf.
 *
 * <p><b>Threads:</b> any.
 */
final class Leaves implements AutoCloseable {
  private static final int LINE = 64;
  private static final int VERSION_AT = 0;
  private static final int GENERATION_AT = 8;
  private static final int PAGE_AT = 16;
  private static final int PAGES_AT = 20;
  private static final int TAIL_AT = 24;
  private static final int LIVE_BYTES_AT = 28;
  private static final int LIVE_AT = 32;
  private static final int DURABLE_TAIL_AT = 36;
  private static final int FLAGS_AT = 40;
  private static final int LAST_AT = 44;
  private static final int TABLE_COUNT_AT = 48;
  private static final int RESERVED_AT = 52;
  private static final int SEEN_AT = 56;
  private static final int SEEN_WHEN_AT = 60;
  private static final int PREFIX_AT = LINE + PAGE_AT;

  /** Its records have their slots. */
  static final int BUILT = 1;

  /** What was appended came in the order of the keys, and nothing was overwritten. */
  static final int ASCENDING = 2;

  /** A switch of its row failed half-way: a leg may show the new pages. */
  static final int IN_DOUBT = 4;

  /** The second slot of its row is the current one. */
  static final int SECOND_SLOT = 8;

  /** Records of it may lead to extents: the leaf table says so. */
  static final int BLOBS = 16;

  /** Some of its records have their slots: building it did not come to its end. */
  static final int PARTIAL = 32;

  /** The leaf table says how many records it has, as long as nothing is appended. */
  static final int SETTLED = 64;

  /** It has records that no slot leads to, and which no longer count. */
  static final int UNLED = 128;

  /** Since it was written something of it was overwritten or removed. */
  static final int OVERWRITTEN = 256;

  /** So much of a separator is kept. */
  static final int PREFIX_BYTES = LINE - PAGE_AT;

  /** All its records have the short form: it is as full as it was made. */
  static final int PACKED = 512;

  private static final int STRIPES = 1024;

  private final DramRegion lines;
  private final MemoryBudget budget;

  private volatile int used;

  private final ReentrantLock[] locks = new ReentrantLock[STRIPES];

  Leaves(long most, MemoryBudget budget) {
    this.budget = budget;
    lines = new DramRegion(most * LINE, true);
    for (int i = 0; i < STRIPES; i++) {
      locks[i] = new ReentrantLock();
    }
  }

  ReentrantLock lock(int leaf) {
    return locks[stripe(leaf)];
  }

  private static int stripe(int leaf) {
    return (leaf * 0x9E3779B1) >>> 22;
  }

  /** Takes the locks of two leaves: always in the same order, whichever they are. */
  void lockBoth(int a, int b) {
    locks[Math.min(stripe(a), stripe(b))].lock();
    locks[Math.max(stripe(a), stripe(b))].lock();
  }

  void unlockBoth(int a, int b) {
    lock(a).unlock();
    lock(b).unlock();
  }

  private static long at(int leaf, int field) {
    return (long) leaf * LINE + field;
  }

  /** Whether there is such a leaf. */
  boolean exists(int leaf) {
    return generation(leaf) != 0;
  }

  /**
   * Changes whenever the leaf gets other pages or another range of keys; odd while that is under
   * way. See {@link LeafCopy} for how to read with it.
   */
  long version(int leaf) {
    return lines.getLongAcquire(at(leaf, VERSION_AT));
  }

  /** Begins a change that takes more than one store: who reads meanwhile does so anew. */
  void changing(int leaf) {
    lines.setLongVolatile(at(leaf, VERSION_AT), version(leaf) | 1);
  }

  /** Ends a change. */
  void changed(int leaf) {
    lines.setLongVolatile(at(leaf, VERSION_AT), (version(leaf) | 1) + 1);
  }

  long generation(int leaf) {
    return lines.getLongAcquire(at(leaf, GENERATION_AT));
  }

  /** The number of the first page. */
  long page(int leaf) {
    return lines.getIntAcquire(at(leaf, PAGE_AT)) & 0xffffffffL;
  }

  int pages(int leaf) {
    return lines.getIntAcquire(at(leaf, PAGES_AT));
  }

  /** Where the next record goes, in bytes from the begin of the leaf. */
  int tail(int leaf) {
    return lines.getIntAcquire(at(leaf, TAIL_AT));
  }

  /** Everything below this was durable when the tail was last written to the leaf table. */
  int durableTail(int leaf) {
    return lines.getIntAcquire(at(leaf, DURABLE_TAIL_AT));
  }

  int liveBytes(int leaf) {
    return lines.getIntAcquire(at(leaf, LIVE_BYTES_AT));
  }

  int live(int leaf) {
    return lines.getIntAcquire(at(leaf, LIVE_AT));
  }

  /** Where the record lies that was appended last; 0 if there is none. */
  int last(int leaf) {
    return lines.getIntAcquire(at(leaf, LAST_AT));
  }

  boolean is(int leaf, int flag) {
    return (lines.getIntAcquire(at(leaf, FLAGS_AT)) & flag) != 0;
  }

  int flags(int leaf) {
    return lines.getIntAcquire(at(leaf, FLAGS_AT));
  }

  void set(int leaf, int flag, boolean on) {
    int flags = lines.getInt(at(leaf, FLAGS_AT));
    lines.setIntRelease(at(leaf, FLAGS_AT), on ? flags | flag : flags & ~flag);
  }

  /** Gives a leaf its pages; everything about what they hold follows. */
  void place(int leaf, long page, int pages, long generation) {
    if (leaf + 1 >= used) {
      use(leaf + 2);
    }
    lines.setIntRelease(at(leaf, PAGE_AT), (int) page);
    lines.setIntRelease(at(leaf, PAGES_AT), pages);
    lines.setLongRelease(at(leaf, GENERATION_AT), generation);
  }

  /** Says with what the range of a leaf begins, which is the same as long as there is the leaf. */
  void prefix(int leaf, byte[] separator) {
    byte[] line = Arrays.copyOf(separator, PREFIX_BYTES);
    for (int i = 0; i < line.length; i += Long.BYTES) {
      lines.setLong(at(leaf, PREFIX_AT + i), RecordLayout.getLong(line, i));
    }
  }

  /**
   * Copies the first bytes of the separator of a leaf; behind it, zeros.
   *
   * @param into has room for whole words
   * @param length up to {@link #PREFIX_BYTES}
   */
  void prefix(int leaf, byte[] into, int length) {
    for (int i = 0; i < length; i += Long.BYTES) {
      RecordLayout.putLong(into, i, lines.getLong(at(leaf, PREFIX_AT + i)));
    }
  }

  /** Behind the last leaf that there ever was. */
  int used() {
    return used;
  }

  private synchronized void use(int upTo) {
    if (upTo > used) {
      budget.take((long) (upTo - used) * LINE);
      used = upTo;
    }
  }

  void tail(int leaf, int tail) {
    lines.setIntRelease(at(leaf, TAIL_AT), tail);
  }

  void durableTail(int leaf, int tail) {
    lines.setIntRelease(at(leaf, DURABLE_TAIL_AT), tail);
  }

  void live(int leaf, int count, int bytes) {
    lines.setIntRelease(at(leaf, LIVE_AT), count);
    lines.setIntRelease(at(leaf, LIVE_BYTES_AT), bytes);
  }

  void last(int leaf, int offset) {
    lines.setIntRelease(at(leaf, LAST_AT), offset);
  }

  /**
   * The bytes behind the tail that belong to a batch: until it is over nobody else appends there,
   * and the leaf is not written anew, split or merged.
   */
  int reserved(int leaf) {
    return lines.getInt(at(leaf, RESERVED_AT));
  }

  void reserved(int leaf, int bytes) {
    lines.setIntRelease(at(leaf, RESERVED_AT), bytes);
  }

  int tableCount(int leaf) {
    return lines.getIntAcquire(at(leaf, TABLE_COUNT_AT));
  }

  /** The number of live records that the leaf table says. */
  void tableCount(int leaf, int count) {
    lines.setIntRelease(at(leaf, TABLE_COUNT_AT), count);
  }

  /**
   * What a leaf was when {@link ColdPacking} looked at it; nobody else asks. Written under its
   * lock, while there is the leaf: else the line may have the begin of another one's separator.
   */
  int seen(int leaf) {
    return lines.getInt(at(leaf, SEEN_AT));
  }

  /** At which look it was first so. */
  int seenAt(int leaf) {
    return lines.getInt(at(leaf, SEEN_WHEN_AT));
  }

  void seen(int leaf, int what, int when) {
    lines.setIntRelease(at(leaf, SEEN_AT), what);
    lines.setIntRelease(at(leaf, SEEN_WHEN_AT), when);
  }

  void drop(int leaf) {
    lines.setIntRelease(at(leaf, FLAGS_AT), 0);
    lines.setLongRelease(at(leaf, GENERATION_AT), 0);
    prefix(leaf, new byte[0]); // The number behind it may be a leaf's next.
    changed(leaf);
  }

  @Override
  public void close() {
    lines.close();
  }
}
