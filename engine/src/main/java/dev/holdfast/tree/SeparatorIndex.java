package dev.holdfast.tree;

import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.DramRegion;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Leads from a key to the leaf in whose range it lies: a copy-on-write B+tree in DRAM, from the
 * separators of the leaves, which are their lower bounds, to their numbers. The order is that of
 * unsigned bytes; a separator is there once.
 *
 * <h2>Layout</h2>
 *
 * A node is a page of {@value #NODE_BYTES} bytes: a header of one line and three arrays.
 *
 * <pre>
 *   0     length of the common prefix, 32 bits | level, 16 | entries, 16
 *   8     the first {@value #INLINE_BYTES} bytes of the common prefix
 *   64    8 bytes of each separator behind the common prefix, as a number, its sign bit turned
 *   1408  where each separator lies: offset, 48 bits | length in bytes, 16
 *   2752  the child of each entry; at level 0 the leaf
 * </pre>
 *
 * Separators lie beside the nodes, each once, as words with the first byte highest and zeros behind
 * the last; inner nodes refer to those of the leaves. The separator of an entry is always the least
 * one below it. A search that came to a node knows that its key is not less than that of the first
 * entry: so the common prefix is that of the others, and the empty separator costs nothing.
 *
 * <h2>Rules</h2>
 *
 * <ol>
 *   <li>A node that can be reached is not changed, but for the child of an entry, in one store.
 *       Every change is published by one such store, or by that of the root: at the lowest node
 *       whose separators stay as they are.
 *   <li>Readers take no lock and store nothing. What was replaced stays as it was until {@link
 *       #reclaim}, which waits until nobody can be in it.
 *   <li>The range of a node that can be reached never loses a key: whoever came to it with a key
 *       finds there the leaf of that key, at some moment since it came. What needs two ways down is
 *       done anew if changes happened meanwhile.
 * </ol>
 *
 * <p><b>Threads:</b> any; one writer at a time, by a lock. <b>Source:</b> R. Bayer, K. Unterauer,
 * Prefix B-trees, ACM TODS 2(1), 1977; the words of prefix as in G. Graefe, P. Larson, B-tree
 * indexes and CPU caches, ICDE 2001.
 */
final class SeparatorIndex {
  /** No leaf. */
  static final int NO_LEAF = -1;

  static final int LONGEST = 4096;
  static final int NODE_BYTES = 4096;
  static final int CAPACITY = 168;

  private static final int PREFIX_AT = 64;
  private static final int REF_AT = PREFIX_AT + CAPACITY * Long.BYTES;
  private static final int CHILD_AT = REF_AT + CAPACITY * Long.BYTES;
  private static final int INLINE_AT = 8;
  private static final int INLINE_BYTES = 56;
  private static final int INLINE_WORDS = INLINE_BYTES / Long.BYTES;

  private static final long NONE = -1;
  private static final int LENGTH_BITS = 16;
  private static final int LENGTH_MASK = (1 << LENGTH_BITS) - 1;

  /** In the place of a length: what was retired is a node. */
  private static final int NODE = LENGTH_MASK;

  /** Separators get their places out of so many bytes at a time. */
  private static final int CHUNK_BYTES = 32 << 10;

  private static final int MOST_LEVELS = 48;

  /** So many nodes are kept back from inserts: a remove needs new ones before it frees any. */
  private static final int RESERVED_NODES = 16;

  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final DramRegion memory;
  private final MemoryBudget budget;
  private final int capacity;

  private volatile long root = NONE;

  /** Counted behind each change: see {@link #higher}. */
  private final AtomicLong changes = new AtomicLong();

  // All that follows is the writer's, under its lock.
  private final ReentrantLock changing = new ReentrantLock();
  private final long[] path = new long[MOST_LEVELS];
  private final int[] taken = new int[MOST_LEVELS];
  private final Entries entries = new Entries();
  private final long[] builtRefs = new long[4];
  private final long[] built = new long[4];
  private long allocated;
  private long chunk;
  private long chunkEnd;
  private int size;

  /** Whether the change that is under way may not use what is kept back. */
  private boolean inserts;

  /** Taken for the change that is under way; given back if it fails. */
  private final Places fresh = new Places();

  /** What the change that is under way replaces. */
  private final Places replaced = new Places();

  /** Replaced, and perhaps still read by somebody. */
  private Places retired = new Places();

  private long retiredBytes;
  private final Places freeNodes = new Places();
  private final Places[] freeBlocks = new Places[sizeClass(LONGEST) + 1];

  /**
   * @param memory where the index lies, all of it
   * @param budget is told of what the index takes
   */
  SeparatorIndex(DramRegion memory, MemoryBudget budget) {
    this(memory, budget, CAPACITY);
  }

  /**
   * @param capacity entries of a node, 4 to {@value #CAPACITY}: fewer make a higher tree
   */
  SeparatorIndex(DramRegion memory, MemoryBudget budget, int capacity) {
    if (capacity < 4 || capacity > CAPACITY) {
      throw new IllegalArgumentException(
          "entries of a node: expected 4 to " + CAPACITY + ", was " + capacity);
    }
    this.memory = memory;
    this.budget = budget;
    this.capacity = capacity;
    for (int i = 0; i < freeBlocks.length; i++) {
      freeBlocks[i] = new Places();
    }
  }

  // ---------------------------------------------------------------- reading

  /**
   * The leaf of the greatest separator that is not greater than a key.
   *
   * @return {@link #NO_LEAF} if there is none: never, once the empty separator is in
   */
  int floor(byte[] key, int offset, int length) {
    long entry = floorEntry(key, offset, length);
    return entry == NONE ? NO_LEAF : (int) memory.getLongAcquire(entry + CHILD_AT);
  }

  /**
   * Changes with each change. Who holds the lock of a leaf under which its range of keys is
   * changed, and finds the version that it saw before it found the leaf, has the right one still.
   */
  long version() {
    return changes.get();
  }

  /** The leaf of the least separator that is greater than a key, or {@link #NO_LEAF}. */
  int higher(byte[] key, int offset, int length) {
    while (true) {
      // One change beside the two ways down is seen or is not; of two, only the later one might be.
      long version = changes.get();
      long entry = higherEntry(key, offset, length);
      int leaf = entry == NONE ? NO_LEAF : (int) memory.getLongAcquire(entry + CHILD_AT);
      if (changes.get() == version) {
        return leaf;
      }
    }
  }

  /** The leaf of the greatest separator that is less than a key, or {@link #NO_LEAF}. */
  int lower(byte[] key) {
    while (true) {
      long version = changes.get();
      long entry = lowerEntry(key);
      int leaf = entry == NONE ? NO_LEAF : (int) memory.getLongAcquire(entry + CHILD_AT);
      if (changes.get() == version) {
        return leaf;
      }
    }
  }

  /** The leaf of the least separator, or {@link #NO_LEAF}. */
  int first() {
    long node = root;
    return node == NONE ? NO_LEAF : (int) memory.getLongAcquire(leftmost(node) + CHILD_AT);
  }

  /** The leaf of the greatest separator, or {@link #NO_LEAF}. */
  int last() {
    long node = root;
    return node == NONE ? NO_LEAF : (int) memory.getLongAcquire(rightmost(node) + CHILD_AT);
  }

  /**
   * The greatest separator that is not greater than a key.
   *
   * @throws IllegalStateException if there is none
   */
  byte[] floorSeparator(byte[] key) {
    long entry = floorEntry(key, 0, key.length);
    if (entry == NONE) {
      throw new IllegalStateException(
          "separators: expected one up to " + Keys.printable(key) + ", was none");
    }
    return bytesOf(memory.getLong(entry + REF_AT));
  }

  /** The least separator that is greater than a key; null if there is none. */
  byte @Nullable [] higherSeparator(byte[] key) {
    while (true) {
      long version = changes.get();
      long entry = higherEntry(key, 0, key.length);
      byte[] separator = entry == NONE ? null : bytesOf(memory.getLong(entry + REF_AT));
      if (changes.get() == version) {
        return separator;
      }
    }
  }

  /** The greatest separator that is less than a key; null if there is none. */
  byte @Nullable [] lowerSeparator(byte[] key) {
    while (true) {
      long version = changes.get();
      long entry = lowerEntry(key);
      byte[] separator = entry == NONE ? null : bytesOf(memory.getLong(entry + REF_AT));
      if (changes.get() == version) {
        return separator;
      }
    }
  }

  /** Where the arrays of a node of level 0 have the entry: plus their offset in the node. */
  private long floorEntry(byte[] key, int offset, int length) {
    long node = root;
    if (node == NONE) {
      return NONE;
    }
    int way = 0;
    while (true) {
      long head = memory.getLong(node);
      int index = search(node, head, key, offset, length);
      way |= index;
      long entry = node + (long) index * Long.BYTES;
      if (level(head) == 0) {
        boolean below = way == 0 && compare(key, offset, length, refOf(entry), 0) < 0;
        return below ? NONE : entry;
      }
      node = memory.getLongAcquire(entry + CHILD_AT);
    }
  }

  private long higherEntry(byte[] key, int offset, int length) {
    long node = root;
    if (node == NONE) {
      return NONE;
    }
    long next = NONE;
    int way = 0;
    while (true) {
      long head = memory.getLong(node);
      int index = search(node, head, key, offset, length);
      way |= index;
      long entry = node + (long) index * Long.BYTES;
      boolean ends = level(head) == 0;
      if (ends && way == 0 && compare(key, offset, length, refOf(entry), 0) < 0) {
        return entry;
      }
      if (index + 1 < count(head)) {
        next = entry + Long.BYTES;
        if (ends) {
          return next;
        }
      }
      if (ends) {
        return next == NONE ? NONE : leftmost(memory.getLongAcquire(next + CHILD_AT));
      }
      node = memory.getLongAcquire(entry + CHILD_AT);
    }
  }

  private long lowerEntry(byte[] key) {
    long node = root;
    if (node == NONE) {
      return NONE;
    }
    long before = NONE;
    int way = 0;
    while (true) {
      long head = memory.getLong(node);
      int index = search(node, head, key, 0, key.length);
      way |= index;
      long entry = node + (long) index * Long.BYTES;
      if (level(head) == 0) {
        int order = compare(key, 0, key.length, refOf(entry), 0);
        if (order > 0) {
          return entry;
        }
        if (order < 0 || way == 0) {
          return NONE;
        }
        return index > 0 ? entry - Long.BYTES : rightmost(memory.getLongAcquire(before + CHILD_AT));
      }
      if (index > 0) {
        before = entry - Long.BYTES;
      }
      node = memory.getLongAcquire(entry + CHILD_AT);
    }
  }

  private long leftmost(long from) {
    long node = from;
    while (level(memory.getLong(node)) > 0) {
      node = memory.getLongAcquire(node + CHILD_AT);
    }
    return node;
  }

  private long rightmost(long from) {
    long node = from;
    while (true) {
      long head = memory.getLong(node);
      long entry = node + (count(head) - 1L) * Long.BYTES;
      if (level(head) == 0) {
        return entry;
      }
      node = memory.getLongAcquire(entry + CHILD_AT);
    }
  }

  // ---------------------------------------------------------------- inside a node

  private static int count(long head) {
    return (int) head & 0xffff;
  }

  private static int level(long head) {
    return (int) (head >>> 16) & 0xffff;
  }

  private static int common(long head) {
    return (int) (head >>> 32);
  }

  private long refOf(long entry) {
    return memory.getLong(entry + REF_AT);
  }

  /** The last entry whose separator is not greater than a key; the first one if there is none. */
  private int search(long node, long head, byte[] key, int offset, int length) {
    int common = common(head);
    if (common > 0) {
      int order = compareCommon(node, common, key, offset, length);
      if (order != 0) {
        return order < 0 ? 0 : count(head) - 1;
      }
    }
    long wanted = word(key, offset + common, offset + length) ^ Long.MIN_VALUE;
    long prefixes = node + PREFIX_AT;
    int base = 0;
    for (int span = count(head); span > 1; ) {
      int half = span >>> 1;
      long prefix = memory.getLong(prefixes + (long) (base + half) * Long.BYTES);
      base = prefix <= wanted ? base + half : base;
      span -= half;
    }
    if (base == 0 || memory.getLong(prefixes + (long) base * Long.BYTES) != wanted) {
      return base;
    }
    return searchAlike(node, common, wanted, base, key, offset, length);
  }

  /** As {@link #search}, where {@code last} is the last separator that has the key's word. */
  private int searchAlike(
      long node, int common, long wanted, int last, byte[] key, int offset, int length) {
    int behind = common + Long.BYTES;
    if (compare(key, offset, length, refOf(node + (long) last * Long.BYTES), behind) >= 0) {
      return last;
    }
    int low = 0;
    int high = last;
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      long entry = node + (long) middle * Long.BYTES;
      if (memory.getLong(entry + PREFIX_AT) < wanted
          || compare(key, offset, length, refOf(entry), behind) >= 0) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Whether a key is less than all that begins with the common prefix, begins so, or greater. */
  private int compareCommon(long node, int common, byte[] key, int offset, int length) {
    int end = offset + length;
    long ref = common > INLINE_BYTES ? refOf(node + Long.BYTES) : 0;
    for (int at = 0; at < common; at += Long.BYTES) {
      long expected =
          at < INLINE_BYTES
              ? memory.getLong(node + INLINE_AT + at)
              : memory.getLong((ref >>> LENGTH_BITS) + at);
      long mask = common - at >= Long.BYTES ? -1 : -1L << (Long.SIZE - (common - at) * Byte.SIZE);
      int order = Long.compareUnsigned(word(key, offset + at, end) & mask, expected & mask);
      if (order != 0) {
        return order;
      }
    }
    // A shorter key ends where they have zeros: the words behind are alike then, and lengths count.
    return 0;
  }

  /**
   * Compares a key with a separator.
   *
   * @param alike how many bytes are known to be alike, with zeros behind what is shorter
   */
  private int compare(byte[] key, int offset, int length, long ref, int alike) {
    int other = (int) ref & LENGTH_MASK;
    int shorter = Math.min(length, other);
    long place = ref >>> LENGTH_BITS;
    for (int at = alike & -Long.BYTES; at < shorter; at += Long.BYTES) {
      long mine = word(key, offset + at, offset + length);
      int order = Long.compareUnsigned(mine, memory.getLong(place + at));
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(length, other);
  }

  /** Eight bytes as a number, the first highest; zeros from {@code end} on. */
  private static long word(byte[] bytes, int at, int end) {
    int rest = end - at;
    if (rest >= Long.BYTES) {
      return (long) WORD.get(bytes, at);
    }
    if (rest <= 0) {
      return 0;
    }
    int cut = (Long.BYTES - rest) * Byte.SIZE;
    if (end >= Long.BYTES) {
      return (long) WORD.get(bytes, end - Long.BYTES) << cut;
    }
    if (at + Long.BYTES <= bytes.length) {
      return (long) WORD.get(bytes, at) >>> cut << cut;
    }
    long word = 0;
    for (int i = at; i < end; i++) {
      word = word << Byte.SIZE | (bytes[i] & 0xff);
    }
    return word << cut;
  }

  /** Eight bytes of a separator as a number, as {@link #word}. */
  private long wordOf(long ref, int at) {
    int length = (int) ref & LENGTH_MASK;
    if (at >= length) {
      return 0;
    }
    long place = (ref >>> LENGTH_BITS) + (at & -Long.BYTES);
    int shift = (at & (Long.BYTES - 1)) * Byte.SIZE;
    long word = memory.getLong(place) << shift;
    if (shift > 0 && (at | (Long.BYTES - 1)) + 1 < length) {
      word |= memory.getLong(place + Long.BYTES) >>> (Long.SIZE - shift);
    }
    return word;
  }

  private byte[] bytesOf(long ref) {
    byte[] bytes = new byte[(int) ref & LENGTH_MASK];
    for (int at = 0; at < bytes.length; at += Long.BYTES) {
      long word = wordOf(ref, at);
      if (bytes.length - at >= Long.BYTES) {
        WORD.set(bytes, at, word);
      } else {
        for (int i = at; i < bytes.length; i++) {
          bytes[i] = (byte) (word >>> (Long.SIZE - (i - at + 1) * Byte.SIZE));
        }
      }
    }
    return bytes;
  }

  private int commonPrefix(long ref, long other) {
    int shorter = Math.min((int) ref & LENGTH_MASK, (int) other & LENGTH_MASK);
    for (int at = 0; at < shorter; at += Long.BYTES) {
      long differs = wordOf(ref, at) ^ wordOf(other, at);
      if (differs != 0) {
        return Math.min(shorter, at + Long.numberOfLeadingZeros(differs) / Byte.SIZE);
      }
    }
    return shorter;
  }

  // ---------------------------------------------------------------- writing

  /**
   * Adds a separator.
   *
   * @throws IllegalStateException if it is there
   * @throws OutOfSpaceException if there is no memory for it; nothing was changed
   */
  void insert(byte[] separator, int leaf) {
    check(separator);
    changing.lock();
    try {
      begin(true);
      boolean done = false;
      try {
        insertAt(descend(separator), separator, leaf);
        done = true;
      } finally {
        if (!done) {
          giveBack(fresh);
        }
      }
      size++;
    } finally {
      changing.unlock();
    }
  }

  private void insertAt(int levels, byte[] separator, int leaf) {
    int position = 0;
    boolean append = true;
    entries.count = 0;
    if (levels > 0) {
      long node = path[levels - 1];
      int order = compareWithTaken(levels, separator);
      if (order == 0) {
        throw new IllegalStateException(
            "separator " + Keys.printable(separator) + ": expected a new one, was there");
      }
      position = order < 0 ? 0 : taken[levels - 1] + 1;
      append = order > 0;
      for (int depth = 0; append && depth < levels; depth++) {
        append = taken[depth] == count(memory.getLong(path[depth])) - 1;
      }
      entries.add(node);
    }
    entries.insert(position, store(separator), leaf);
    publish(levels, append, false);
  }

  /**
   * Removes a separator: the range of the one before it grows.
   *
   * @throws IllegalStateException if it is not there
   * @throws OutOfSpaceException if there is no memory for the change; nothing was changed
   */
  void remove(byte[] separator) {
    check(separator);
    changing.lock();
    try {
      begin(false);
      int levels = locate(separator);
      long node = path[levels - 1];
      int index = taken[levels - 1];
      replaced.add(refOf(node + (long) index * Long.BYTES));
      entries.count = 0;
      entries.add(node);
      entries.remove(index);
      boolean done = false;
      try {
        publish(levels, false, true);
        done = true;
      } finally {
        if (!done) {
          giveBack(fresh);
        }
      }
      size--;
    } finally {
      changing.unlock();
    }
  }

  /**
   * Lets a separator lead to another leaf.
   *
   * @throws IllegalStateException if it is not there
   */
  void replace(byte[] separator, int leaf) {
    check(separator);
    changing.lock();
    try {
      int levels = locate(separator);
      long entry = path[levels - 1] + (long) taken[levels - 1] * Long.BYTES;
      memory.setLongRelease(entry + CHILD_AT, leaf);
      changes.incrementAndGet();
    } finally {
      changing.unlock();
    }
  }

  /**
   * Fills an index that is empty.
   *
   * @param count how many separators there are
   * @param separators the separators, ascending
   * @param leaves their leaves
   */
  void load(int count, IntFunction<byte[]> separators, IntUnaryOperator leaves) {
    changing.lock();
    try {
      if (root != NONE) {
        throw new IllegalStateException("separators: expected none before a load, was " + size);
      }
      begin(true);
      boolean done = false;
      try {
        loadLevels(count, separators, leaves);
        done = true;
      } finally {
        if (!done) {
          giveBack(fresh);
        }
      }
      size = count;
      changes.incrementAndGet();
    } finally {
      changing.unlock();
    }
  }

  private void loadLevels(int count, IntFunction<byte[]> separators, IntUnaryOperator leaves) {
    long[] refs = new long[count];
    long[] children = new long[count];
    byte[] before = {};
    for (int i = 0; i < count; i++) {
      byte[] separator = separators.apply(i);
      check(separator);
      if (i > 0 && Arrays.compareUnsigned(before, separator) >= 0) {
        throw new IllegalArgumentException(
            "separator " + i + ": expected a greater one than " + Keys.printable(before));
      }
      before = separator;
      refs[i] = store(separator);
      children[i] = leaves.applyAsInt(i);
    }
    int each = Math.max(2, capacity * 7 / 8);
    int width = count;
    for (int level = 0; level == 0 ? width > 0 : width > 1; level++) {
      int nodes = Math.ceilDiv(width, each);
      for (int n = 0; n < nodes; n++) {
        int from = (int) ((long) width * n / nodes);
        int to = (int) ((long) width * (n + 1) / nodes);
        entries.count = 0;
        for (int i = from; i < to; i++) {
          entries.insert(entries.count, refs[i], children[i]);
        }
        // Behind what was read already.
        refs[n] = refs[from];
        children[n] = build(0, entries.count, level);
      }
      width = nodes;
    }
    if (width == 1) {
      root = children[0];
    }
  }

  private void begin(boolean insert) {
    fresh.clear();
    replaced.clear();
    inserts = insert;
  }

  private static void check(byte[] separator) {
    if (separator.length > LONGEST) {
      throw new IllegalArgumentException(
          "separator: expected up to " + LONGEST + " bytes, was " + separator.length);
    }
  }

  /** Notes the way to the floor of a key; how many nodes it has. */
  private int descend(byte[] key) {
    long node = root;
    int levels = 0;
    boolean ends = node == NONE;
    while (!ends) {
      long head = memory.getLong(node);
      path[levels] = node;
      taken[levels] = search(node, head, key, 0, key.length);
      node = memory.getLong(node + (long) taken[levels] * Long.BYTES + CHILD_AT);
      levels++;
      ends = level(head) == 0;
    }
    return levels;
  }

  private int compareWithTaken(int levels, byte[] key) {
    long entry = path[levels - 1] + (long) taken[levels - 1] * Long.BYTES;
    return compare(key, 0, key.length, refOf(entry), 0);
  }

  private int locate(byte[] separator) {
    int levels = descend(separator);
    if (levels == 0 || compareWithTaken(levels, separator) != 0) {
      throw new IllegalStateException(
          "separator " + Keys.printable(separator) + ": expected it to be there, was not");
    }
    return levels;
  }

  /**
   * Puts new nodes in the place of the last one of the way, and of those above it whose separators
   * change, and publishes them all at once.
   *
   * @param levels nodes of the way; {@link #entries} are to be in the last one
   * @param append whether the new entry is the last one of all
   * @param shrank whether an entry went
   */
  private void publish(int levels, boolean append, boolean shrank) {
    for (int depth = levels - 1; depth > 0; depth--) {
      long node = path[depth];
      int level = level(memory.getLong(node));
      replaced.add(node << LENGTH_BITS | NODE);
      long parent = path[depth - 1];
      int from = taken[depth - 1];
      int to = from + 1;
      if (shrank && entries.count > 0) {
        if (to < count(memory.getLong(parent)) && mergesWith(childOf(parent, to))) {
          entries.add(replacedChild(parent, to));
          to++;
        }
        if (from > 0 && mergesWith(childOf(parent, from - 1))) {
          from--;
          entries.addBefore(replacedChild(parent, from));
        }
      }
      int nodes = buildAll(level, append);
      long place = parent + (long) from * Long.BYTES;
      if (nodes == 1 && to - from == 1 && builtRefs[0] == refOf(place)) {
        memory.setLongRelease(place + CHILD_AT, built[0]);
        changed();
        return;
      }
      entries.count = 0;
      entries.add(parent);
      entries.replace(from, to, builtRefs, built, nodes);
    }
    publishRoot(levels, append);
  }

  private void publishRoot(int levels, boolean append) {
    int level = 0;
    if (levels > 0) {
      level = level(memory.getLong(path[0]));
      replaced.add(path[0] << LENGTH_BITS | NODE);
    }
    long top = NONE;
    if (level > 0 && entries.count == 1) {
      top = entries.children[0];
      long head = memory.getLong(top);
      while (level(head) > 0 && count(head) == 1) {
        replaced.add(top << LENGTH_BITS | NODE);
        top = memory.getLong(top + CHILD_AT);
        head = memory.getLong(top);
      }
    } else {
      int nodes = buildAll(level, append);
      while (nodes > 1) {
        level++;
        entries.count = 0;
        entries.replace(0, 0, builtRefs, built, nodes);
        nodes = buildAll(level, append);
      }
      if (nodes == 1) {
        top = built[0];
      }
    }
    root = top;
    changed();
  }

  /** Behind the store that published a change. */
  private void changed() {
    changes.incrementAndGet();
    for (int i = 0; i < replaced.count; i++) {
      long place = replaced.places[i];
      retired.add(place);
      retiredBytes += bytesAt(place);
    }
  }

  private long childOf(long node, int index) {
    return memory.getLong(node + (long) index * Long.BYTES + CHILD_AT);
  }

  private long replacedChild(long node, int index) {
    long child = childOf(node, index);
    replaced.add(child << LENGTH_BITS | NODE);
    return child;
  }

  /** Half a node at most, so that what was merged is not soon split again. */
  private boolean mergesWith(long neighbour) {
    return entries.count + count(memory.getLong(neighbour)) <= capacity / 2;
  }

  /** Writes the entries to no, one or two new nodes; how many. */
  private int buildAll(int level, boolean append) {
    int count = entries.count;
    int nodes = count == 0 ? 0 : count <= capacity ? 1 : 2;
    // Ascending separators leave full nodes behind.
    int first = nodes < 2 ? count : append ? count - 1 : count / 2;
    for (int n = 0; n < nodes; n++) {
      int from = n == 0 ? 0 : first;
      builtRefs[n] = entries.refs[from];
      built[n] = build(from, n == 0 ? first : count, level);
    }
    return nodes;
  }

  private long build(int from, int to, int level) {
    long node = newNode();
    int count = to - from;
    int common =
        count == 1
            ? 0
            : count == 2
                ? (int) entries.refs[from + 1] & LENGTH_MASK
                : commonPrefix(entries.refs[from + 1], entries.refs[to - 1]);
    memory.setLong(node, (long) common << 32 | (long) level << 16 | count);
    for (int i = 0; i < INLINE_WORDS; i++) {
      long word = count == 1 ? 0 : wordOf(entries.refs[from + 1], i * Long.BYTES);
      memory.setLong(node + INLINE_AT + (long) i * Long.BYTES, word);
    }
    for (int i = 0; i < count; i++) {
      long entry = node + (long) i * Long.BYTES;
      int source = from + i;
      long ref = entries.refs[source];
      long prefix =
          entries.commons[source] == common
              ? entries.prefixes[source]
              : wordOf(ref, common) ^ Long.MIN_VALUE;
      memory.setLong(entry + PREFIX_AT, prefix);
      memory.setLong(entry + REF_AT, ref);
      memory.setLong(entry + CHILD_AT, entries.children[source]);
    }
    return node;
  }

  // ---------------------------------------------------------------- memory

  private long store(byte[] separator) {
    if (separator.length == 0) {
      return 0;
    }
    long place = newBlock(separator.length);
    for (int at = 0; at < separator.length; at += Long.BYTES) {
      memory.setLong(place + at, word(separator, at, separator.length));
    }
    return place << LENGTH_BITS | separator.length;
  }

  /**
   * The size of the place of a separator: multiples of 16 bytes to 128, then four to each power.
   */
  private static int sizeClass(int length) {
    if (length <= 128) {
      return (length - 1) / 16;
    }
    int power = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(length - 1);
    return 8 + (power - 7) * 4 + ((length - 1) >>> (power - 2)) - 4;
  }

  private static int classBytes(int sizeClass) {
    if (sizeClass < 8) {
      return (sizeClass + 1) * 16;
    }
    int power = 7 + (sizeClass - 8) / 4;
    return (1 << power) + ((sizeClass - 8) % 4 + 1) * (1 << (power - 2));
  }

  private long newBlock(int length) {
    int sizeClass = sizeClass(length);
    long place;
    if (freeBlocks[sizeClass].count > 0) {
      place = freeBlocks[sizeClass].pop();
    } else {
      int bytes = classBytes(sizeClass);
      if (chunkEnd - chunk < bytes) {
        requireRest(CHUNK_BYTES);
        long next = allocate(CHUNK_BYTES);
        freeRestOfChunk();
        chunk = next;
        chunkEnd = next + CHUNK_BYTES;
      }
      place = chunk;
      chunk += bytes;
    }
    fresh.add(place << LENGTH_BITS | length);
    return place;
  }

  private void freeRestOfChunk() {
    for (int sizeClass = freeBlocks.length - 1; sizeClass >= 0; sizeClass--) {
      int bytes = classBytes(sizeClass);
      while (chunkEnd - chunk >= bytes) {
        freeBlocks[sizeClass].add(chunk);
        chunk += bytes;
      }
    }
  }

  private long newNode() {
    requireRest(NODE_BYTES);
    boolean isUsedAgain = freeNodes.count > 0;
    long node = isUsedAgain ? freeNodes.pop() : allocate(NODE_BYTES);
    if (isUsedAgain) {
      budget.take(NODE_BYTES);
    }
    fresh.add(node << LENGTH_BITS | NODE);
    return node;
  }

  /** Whether what is kept back is left behind so many bytes. */
  private void requireRest(int bytes) {
    long rest = memory.size() - allocated + (long) freeNodes.count * NODE_BYTES - bytes;
    if (rest < (inserts ? (long) RESERVED_NODES * NODE_BYTES : 0)) {
      throw full(bytes);
    }
  }

  private OutOfSpaceException full(int bytes) {
    long rest = memory.size() - allocated + (long) freeNodes.count * NODE_BYTES;
    return new OutOfSpaceException(
        "separators: expected "
            + bytes
            + " more bytes of memory, was "
            + rest
            + ", of which some are kept for removes");
  }

  private long allocate(int bytes) {
    if (bytes > memory.size() - allocated) {
      throw full(bytes);
    }
    long offset = allocated;
    allocated += bytes;
    budget.take(bytes);
    return offset;
  }

  private void giveBack(Places places) {
    for (int i = 0; i < places.count; i++) {
      long place = places.places[i];
      int length = (int) place & LENGTH_MASK;
      if (length == NODE) {
        freeNodes.add(place >>> LENGTH_BITS);
        budget.take(-NODE_BYTES);
      } else if (length > 0) {
        freeBlocks[sizeClass(length)].add(place >>> LENGTH_BITS);
      }
    }
  }

  private static int bytesAt(long place) {
    int length = (int) place & LENGTH_MASK;
    return length == NODE ? NODE_BYTES : length == 0 ? 0 : classBytes(sizeClass(length));
  }

  /**
   * Makes what was replaced usable again.
   *
   * @param grace waits until every lookup that is under way has ended; false if one did not
   */
  void reclaim(BooleanSupplier grace) {
    Places old;
    changing.lock();
    try {
      old = retired;
      retired = new Places();
    } finally {
      changing.unlock();
    }
    boolean over = old.count > 0 && grace.getAsBoolean();
    changing.lock();
    try {
      for (int i = 0; i < old.count; i++) {
        if (over) {
          retiredBytes -= bytesAt(old.places[i]);
        } else {
          retired.add(old.places[i]);
        }
      }
      if (over) {
        giveBack(old);
      }
    } finally {
      changing.unlock();
    }
  }

  /** The bytes that wait for {@link #reclaim}: a change adds one node or a few. */
  long retiredBytes() {
    changing.lock();
    try {
      return retiredBytes;
    } finally {
      changing.unlock();
    }
  }

  /** The bytes of those that the index takes which changes can use. */
  long freeBytes() {
    changing.lock();
    try {
      long free = chunkEnd - chunk + (long) freeNodes.count * NODE_BYTES;
      for (int i = 0; i < freeBlocks.length; i++) {
        free += (long) freeBlocks[i].count * classBytes(i);
      }
      return free;
    } finally {
      changing.unlock();
    }
  }

  /** The bytes of memory that the index takes, those that are free again included. */
  long bytes() {
    changing.lock();
    try {
      return allocated;
    } finally {
      changing.unlock();
    }
  }

  /** How many separators there are. */
  int size() {
    changing.lock();
    try {
      return size;
    } finally {
      changing.unlock();
    }
  }

  /** The entries of new nodes, put together. */
  private final class Entries {
    /** Those of a node, and of what takes the place of one of them; merged ones are fewer. */
    private static final int MOST = CAPACITY + 2;

    final long[] refs = new long[MOST];
    final long[] children = new long[MOST];

    /** The words of prefix, and behind how many bytes each begins: -1 if it is not known. */
    final long[] prefixes = new long[MOST];

    final int[] commons = new int[MOST];
    int count;

    void add(long node) {
      copy(node, count);
    }

    void addBefore(long node) {
      shift(0, count(memory.getLong(node)));
      copy(node, 0);
    }

    private void copy(long node, int at) {
      long head = memory.getLong(node);
      int added = count(head);
      for (int i = 0; i < added; i++) {
        long entry = node + (long) i * Long.BYTES;
        refs[at + i] = refOf(entry);
        children[at + i] = memory.getLong(entry + CHILD_AT);
        prefixes[at + i] = memory.getLong(entry + PREFIX_AT);
        commons[at + i] = common(head);
      }
      count = Math.max(count, at + added);
    }

    /** Moves what lies from an index on. */
    private void shift(int from, int by) {
      System.arraycopy(refs, from, refs, from + by, count - from);
      System.arraycopy(children, from, children, from + by, count - from);
      System.arraycopy(prefixes, from, prefixes, from + by, count - from);
      System.arraycopy(commons, from, commons, from + by, count - from);
      count += by;
    }

    void insert(int at, long ref, long child) {
      shift(at, 1);
      set(at, ref, child);
    }

    void remove(int at) {
      shift(at + 1, -1);
    }

    void replace(int from, int to, long[] newRefs, long[] newChildren, int n) {
      shift(to, n - (to - from));
      for (int i = 0; i < n; i++) {
        set(from + i, newRefs[i], newChildren[i]);
      }
    }

    private void set(int at, long ref, long child) {
      refs[at] = ref;
      children[at] = child;
      commons[at] = -1;
    }
  }

  /** Places in memory, a stack. */
  private static final class Places {
    long[] places = new long[16];
    int count;

    void add(long place) {
      if (count == places.length) {
        places = Arrays.copyOf(places, 2 * count);
      }
      places[count++] = place;
    }

    long pop() {
      return places[--count];
    }

    void clear() {
      count = 0;
    }
  }

  /** The leaves, in the order of their keys; for when nothing changes. */
  java.util.List<Integer> leaves() {
    java.util.List<Integer> leaves = new java.util.ArrayList<>();
    byte[] separator = {};
    while (size() > 0 && separator != null) {
      leaves.add(floor(separator, 0, separator.length));
      separator = higherSeparator(separator);
    }
    return leaves;
  }
}
