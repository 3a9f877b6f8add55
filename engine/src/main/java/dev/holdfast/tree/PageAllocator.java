package dev.holdfast.tree;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * Which pages of a volume are free: a bit for each, in DRAM. What it knows is rebuilt at open.
 *
 * <p>A run is searched from where the last one ended, so that what is written together lies
 * together and no search begins with what is known to be full. A few pages are kept back from new
 * entries, so that a store which is full for them can still be rewritten: a rewrite stores the new
 * run before it frees the old one.
 *
 * <p>A run that readers may still see is <em>retired</em>; one with bad pages is in
 * <em>quarantine</em>. Both are in use until {@link #reclaim} or {@link #releaseQuarantine}. A
 * retired run that somebody points into for as long as he likes is <em>pinned</em>, and is so until
 * a {@link #reclaim} finds that nobody does any more.
 *
 * <p><b>Units:</b> pages, numbered as in the volume. <b>Threads:</b> any; one small lock, inside
 * which nothing else is locked and no callback runs.
 */
final class PageAllocator {
  /** No run. */
  static final long NONE = -1;

  static final long MOST_PAGES = 1L << 28;
  static final int LONGEST_RUN = 1 << 18;

  /** The low bits of a run, which hold how many pages it has. */
  private static final int COUNT_BITS = 19;

  private static final int LEAST_RESERVE = 16;
  private static final int MOST_RESERVE = 1024;
  private static final int RESERVE_PART = 32;

  /**
   * Where nothing can be added more is kept back: leaves that are overwritten take more pages than
   * those that were filled in order, and have to find them.
   */
  private static final int MOST_LAST_RESERVE = 1 << 16;

  private static final int LAST_RESERVE_PART = 12;

  /** Whether a run of pages is so. */
  @FunctionalInterface
  interface LongIntPredicate {
    boolean test(long page, int count);
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final long first;

  /** Bit set: free. Beyond the end nothing is. */
  private long[] bits = {};

  private long end;

  /** Where the next search begins: a page. */
  private long hint;

  /** Written under the lock. */
  private final AtomicLong free = new AtomicLong();

  private Runs retired = new Runs();
  private Runs quarantined = new Runs();
  private final AtomicLong retiredPages = new AtomicLong();

  private Runs pinned = new Runs();
  private final AtomicLong pinnedPages = new AtomicLong();
  private volatile LongIntPredicate isPinned = (_, _) -> false;

  /** Whether a pin has ended since the pinned runs were last looked through. */
  private volatile boolean pinEnded;

  /** Unused, but not free: the device may have given their blocks back. */
  private final Runs hollow = new Runs();

  private final AtomicLong hollowPages = new AtomicLong();
  private volatile boolean mayGrow;

  /**
   * @param firstPage the first page that may be allocated
   */
  PageAllocator(long firstPage) {
    if (firstPage < 0 || firstPage > MOST_PAGES) {
      throw new IllegalArgumentException(
          "first page: expected 0 to " + MOST_PAGES + ", was " + firstPage);
    }
    this.first = firstPage;
    this.end = firstPage;
    this.hint = firstPage;
  }

  // ---------------------------------------------------------------- the volume

  /**
   * Takes in what the volume grew by: new pages are free.
   *
   * @param pages how many the volume has, those before the first one included; fewer than before
   *     change nothing
   * @return whether there are new ones
   */
  boolean growTo(long pages) {
    if (pages > MOST_PAGES) {
      throw new IllegalArgumentException("pages: expected up to " + MOST_PAGES + ", was " + pages);
    }
    lock.lock();
    try {
      if (pages <= end) {
        return false;
      }
      int words = (int) ((pages - first + Long.SIZE - 1) / Long.SIZE);
      if (words > bits.length) {
        bits = Arrays.copyOf(bits, words);
      }
      long from = end;
      end = pages;
      set((int) (from - first), (int) (pages - from));
      free.addAndGet(pages - from);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** How many pages the volume has, as far as this knows, those before the first one included. */
  long pages() {
    lock.lock();
    try {
      return end;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Notes during opening that a run is in use.
   *
   * @throws IllegalStateException if one of its pages is in use already
   */
  void markUsed(long page, int count) {
    lock.lock();
    try {
      int at = indexOf(page, count);
      if (runOfFree(at, count) < count) {
        throw new IllegalStateException(
            "pages " + named(page, count) + ": expected them to be free, were in use");
      }
      clear(at, count);
      free.addAndGet(-count);
    } finally {
      lock.unlock();
    }
  }

  /** Takes what of a run is free: whoever has it says that it is in use. */
  void claim(long page, int count) {
    lock.lock();
    try {
      int at = indexOf(page, count);
      for (int next = nextFree(at, at + count); next < at + count; ) {
        clear(next, 1);
        free.decrementAndGet();
        next = nextFree(next, at + count);
      }
    } finally {
      lock.unlock();
    }
  }

  // ---------------------------------------------------------------- allocating

  /** As {@link #allocate(int, boolean)}, for what is new: the reserve stays. */
  long allocate(int count) {
    return allocate(count, false);
  }

  /**
   * Takes a run.
   *
   * @param count pages, 1 to {@value #LONGEST_RUN}
   * @param mayUseReserve whether something of the like is freed soon
   * @return its first page, or {@link #NONE}
   */
  long allocate(int count, boolean mayUseReserve) {
    return allocate(count, mayUseReserve, false);
  }

  /**
   * Takes a run at the lowest place there is, so that what is free stays together for those who
   * need long runs.
   */
  long allocateLow(int count, boolean mayUseReserve) {
    return allocate(count, mayUseReserve, true);
  }

  /**
   * Takes a run that is as long as wanted, or what is left of a place that holds at least a few:
   * else such places stay unused as long as longer ones can be made.
   *
   * @param least pages, from 1
   * @param most pages, up to {@value #LONGEST_RUN}
   * @return what {@link #pageOf} and {@link #countOf} tell of, or {@link #NONE}
   */
  long allocateUpTo(int least, int most, boolean mayUseReserve) {
    if (least < 1 || most < least || most > LONGEST_RUN) {
      throw new IllegalArgumentException(
          "pages of a run: expected 1 to " + LONGEST_RUN + ", was " + least + " to " + most);
    }
    lock.lock();
    try {
      long room = free.get() - (mayUseReserve ? 0 : reserveNow());
      int size = (int) (end - first);
      int at = room < least ? -1 : isSnug() ? findSnug(least, size) : findNext(least, false, size);
      if (at < 0) {
        return NONE;
      }
      int count = runOfFree(at, (int) Math.min(most, room));
      clear(at, count);
      free.addAndGet(-count);
      hint = at + count == size ? first : first + at + count;
      return (first + at) << COUNT_BITS | count;
    } finally {
      lock.unlock();
    }
  }

  /** The first page of a run that {@link #allocateUpTo} returned. */
  static long pageOf(long run) {
    return run >>> COUNT_BITS;
  }

  /** How many pages a run has that {@link #allocateUpTo} returned. */
  static int countOf(long run) {
    return (int) run & ((1 << COUNT_BITS) - 1);
  }

  /** Where room is short, a long run is not broken for what fits into a short one. */
  private boolean isSnug() {
    return !mayGrow && free.get() < 2 * reserveNow();
  }

  private long allocate(int count, boolean mayUseReserve, boolean low) {
    if (count < 1 || count > LONGEST_RUN) {
      throw new IllegalArgumentException(
          "pages of a run: expected 1 to " + LONGEST_RUN + ", was " + count);
    }
    lock.lock();
    try {
      if (free.get() - count < (mayUseReserve ? 0 : reserveNow())) {
        return NONE;
      }
      int size = (int) (end - first);
      int at = isSnug() ? findSnug(count, size) : findNext(count, low, size);
      if (at < 0) {
        return NONE;
      }
      clear(at, count);
      free.addAndGet(-count);
      if (!low) {
        hint = at + count == size ? first : first + at + count;
      }
      return first + at;
    } finally {
      lock.unlock();
    }
  }

  private int findNext(int count, boolean low, int size) {
    int from = low ? 0 : (int) (hint - first);
    int at = find(count, from, size);
    if (at < 0 && from > 0) {
      // Those that begin before the hint, also if they end behind it.
      at = find(count, 0, (int) Math.min(size, (long) from + count - 1));
    }
    return at;
  }

  /** The begin of the shortest run that is long enough; -1 if there is none. */
  private int findSnug(int count, int size) {
    int best = -1;
    int shortest = Integer.MAX_VALUE;
    for (int at = nextFree(0, size); at < size && shortest > count; ) {
      int run = runOfFree(at, size - at);
      if (run >= count && run < shortest) {
        best = at;
        shortest = run;
      }
      at = nextFree(at + run, size);
    }
    return best;
  }

  /** The first run of free pages in a range of indexes; -1 if there is none. */
  private int find(int count, int from, int to) {
    return count <= Long.SIZE / 4 ? findShort(count, from, to) : findLong(count, from, to);
  }

  /** A word at a time: a bit of {@code runs} is set where enough free pages begin. */
  private int findShort(int count, int from, int to) {
    int word = from / Long.SIZE;
    long mask = -1L << from;
    for (; (long) word * Long.SIZE < to; word++) {
      long low = bits[word];
      if ((low & mask) != 0) {
        long high = word + 1 < bits.length ? bits[word + 1] : 0;
        long runs = low & mask;
        for (int i = 1; i < count && runs != 0; i++) {
          runs &= low >>> i | high << (Long.SIZE - i);
        }
        if (runs != 0) {
          int at = word * Long.SIZE + Long.numberOfTrailingZeros(runs);
          return at + count <= to ? at : -1;
        }
      }
      mask = -1;
    }
    return -1;
  }

  private int findLong(int count, int from, int to) {
    int at = nextFree(from, to);
    while (at < to && count <= to - at) {
      int run = runOfFree(at, count);
      if (run >= count) {
        return at;
      }
      at = nextFree(at + run, to);
    }
    return -1;
  }

  /** The first free page from an index on; {@code to} if there is none before it. */
  private int nextFree(int from, int to) {
    int word = from / Long.SIZE;
    long mask = -1L << from;
    for (; (long) word * Long.SIZE < to; word++) {
      long found = bits[word] & mask;
      if (found != 0) {
        return Math.min(to, word * Long.SIZE + Long.numberOfTrailingZeros(found));
      }
      mask = -1;
    }
    return to;
  }

  /** How many pages from an index on are free, at most so many. */
  private int runOfFree(int at, int most) {
    int run = 0;
    while (run < most) {
      int bit = (at + run) % Long.SIZE;
      int word = (at + run) / Long.SIZE;
      if (word >= bits.length) {
        return run;
      }
      int more = Math.min(Long.SIZE - bit, Long.numberOfTrailingZeros(~(bits[word] >>> bit)));
      run += more;
      if (more < Long.SIZE - bit) {
        return Math.min(run, most);
      }
    }
    return most;
  }

  private boolean allUsed(int at, int count) {
    return nextFree(at, at + count) == at + count;
  }

  // ---------------------------------------------------------------- giving back

  /**
   * Gives a run back that nobody can see.
   *
   * @throws IllegalStateException if one of its pages is free already
   */
  void free(long page, int count) {
    lock.lock();
    try {
      giveBack(page, count);
    } finally {
      lock.unlock();
    }
  }

  private void giveBack(long page, int count) {
    int at = indexOf(page, count);
    requireUsed(page, count, at);
    set(at, count);
    free.addAndGet(count);
  }

  private void requireUsed(long page, int count, int at) {
    if (!allUsed(at, count)) {
      throw new IllegalStateException(
          "pages " + named(page, count) + ": expected them to be in use, were freed twice");
    }
  }

  /** Gives a run back that readers may still see: it is free after {@link #reclaim}. */
  void retire(long page, int count) {
    lock.lock();
    try {
      requireUsed(page, count, indexOf(page, count));
      retired.add(page, count);
      retiredPages.addAndGet(count);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees what was retired, but for what is pinned.
   *
   * @param grace waits until every operation that is under way has ended; false if one did not
   * @return false if that did not happen: then nothing was freed
   */
  boolean reclaim(BooleanSupplier grace) {
    unpin();
    Runs old;
    lock.lock();
    try {
      old = retired;
      retired = new Runs();
    } finally {
      lock.unlock();
    }
    if (old.count == 0) {
      return true;
    }
    boolean over = false;
    Runs kept = new Runs();
    Runs unused = old;
    try {
      if (grace.getAsBoolean()) {
        // Not before: an operation that ended meanwhile may have pinned what it was in.
        Runs others = new Runs();
        part(old, kept, others);
        unused = others;
        over = true;
      }
    } finally {
      settle(unused, kept, over);
    }
    return over;
  }

  private void settle(Runs unused, Runs kept, boolean over) {
    lock.lock();
    try {
      if (over) {
        retiredPages.addAndGet(-unused.sum() - kept.sum());
        pinned.addAll(kept);
        pinnedPages.addAndGet(kept.sum());
        giveBack(unused);
      } else {
        retired.addAll(unused);
      }
    } finally {
      lock.unlock();
    }
  }

  private void part(Runs runs, Runs kept, Runs unused) {
    LongIntPredicate asked = isPinned;
    for (int i = 0; i < runs.count; i++) {
      Runs of = asked.test(runs.pages[i], runs.counts[i]) ? kept : unused;
      of.add(runs.pages[i], runs.counts[i]);
    }
  }

  // ---------------------------------------------------------------- pins

  /**
   * Says who knows what is pinned. He is asked with no lock held, behind the grace period that
   * frees a run.
   */
  void pinnedBy(LongIntPredicate pins) {
    isPinned = pins;
  }

  /** A pin has ended: the next {@link #reclaim} looks through what is pinned. Always true. */
  boolean pinEnded() {
    pinEnded = true;
    return true;
  }

  /** How many pages would be free but for who points into them. No lock. */
  long pinnedPages() {
    return pinnedPages.get();
  }

  /** How many pages a {@link #reclaim} may free. No lock. */
  long waitingPages() {
    return retiredPages.get() + (pinEnded ? pinnedPages.get() : 0);
  }

  /** Shows the pinned runs, with no lock held. */
  void forEachPinned(RunVisitor visitor) {
    Runs runs = new Runs();
    lock.lock();
    try {
      runs.addAll(pinned);
    } finally {
      lock.unlock();
    }
    for (int i = 0; i < runs.count; i++) {
      visitor.visit(runs.pages[i], runs.counts[i]);
    }
  }

  /** Makes retired what is pinned no more: its last reader may be about to end. */
  private void unpin() {
    if (!pinEnded) {
      return;
    }
    pinEnded = false; // Before the look: a pin that ends during it is looked for once more.
    Runs old;
    lock.lock();
    try {
      old = pinned;
      pinned = new Runs();
    } finally {
      lock.unlock();
    }
    Runs kept = new Runs();
    Runs ended = new Runs();
    boolean asked = false;
    try {
      part(old, kept, ended);
      asked = true;
    } finally {
      lock.lock();
      try {
        pinned.addAll(asked ? kept : old);
        if (asked) {
          retired.addAll(ended);
          retiredPages.addAndGet(ended.sum());
          pinnedPages.addAndGet(-ended.sum());
        }
      } finally {
        lock.unlock();
      }
    }
  }

  /** One run that was freed already keeps none of the others. */
  private void giveBack(Runs runs) {
    IllegalStateException twice = null;
    for (int i = 0; i < runs.count; i++) {
      try {
        giveBack(runs.pages[i], runs.counts[i]);
      } catch (IllegalStateException e) {
        twice = e;
      }
    }
    if (twice != null) {
      throw twice;
    }
  }

  // ---------------------------------------------------------------- bad pages

  /** Keeps a run from use, which its holder gives up because it has bad pages. */
  void quarantine(long page, int count) {
    lock.lock();
    try {
      requireUsed(page, count, indexOf(page, count));
      quarantined.add(page, count);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees those runs in quarantine that can be used again.
   *
   * @param usable whether all pages of a run are good
   */
  void releaseQuarantine(LongIntPredicate usable) {
    Runs old;
    lock.lock();
    try {
      old = quarantined;
      quarantined = new Runs();
    } finally {
      lock.unlock();
    }
    Runs good = new Runs();
    Runs bad = new Runs();
    int asked = 0;
    try {
      for (; asked < old.count; asked++) {
        boolean isGood = usable.test(old.pages[asked], old.counts[asked]);
        (isGood ? good : bad).add(old.pages[asked], old.counts[asked]);
      }
    } finally {
      // Those that the predicate did not answer for stay.
      for (; asked < old.count; asked++) {
        bad.add(old.pages[asked], old.counts[asked]);
      }
      release(good, bad);
    }
  }

  private void release(Runs good, Runs bad) {
    lock.lock();
    try {
      quarantined.addAll(bad);
      giveBack(good);
    } finally {
      lock.unlock();
    }
  }

  // ---------------------------------------------------------------- without blocks

  /** Is shown a run. */
  @FunctionalInterface
  interface RunVisitor {
    void visit(long page, int count);
  }

  /** Makes all free pages hollow: their blocks may have been given back. */
  void hollowAll() {
    while (hollow(0, LONGEST_RUN, (_, _) -> {})) {
      // Run by run.
    }
  }

  /**
   * Makes the highest run of free pages hollow: it is not handed out before {@link #fill}.
   *
   * @param keep so many pages stay free
   * @param most the longest run
   * @param visitor is shown the run, with no lock held, when it is nobody's any more
   * @return false if no more than {@code keep} are free
   */
  boolean hollow(long keep, int most, RunVisitor visitor) {
    long page;
    int count;
    lock.lock();
    try {
      long spare = free.get() - keep;
      int size = (int) (end - first);
      int last = spare <= 0 ? -1 : lastFree(size);
      if (last < 0) {
        return false;
      }
      int longest = (int) Math.min(most, spare);
      count = 1;
      while (count < longest && last - count >= 0 && isFree(last - count)) {
        count++;
      }
      int at = last - count + 1;
      clear(at, count);
      free.addAndGet(-count);
      page = first + at;
    } finally {
      lock.unlock();
    }
    try {
      visitor.visit(page, count);
    } finally {
      filled(page, count, false);
    }
    return true;
  }

  private boolean isFree(int at) {
    return (bits[at / Long.SIZE] >>> at % Long.SIZE & 1) != 0;
  }

  private int lastFree(int size) {
    for (int word = (size - 1) / Long.SIZE; word >= 0; word--) {
      if (bits[word] != 0) {
        return word * Long.SIZE + Long.SIZE - 1 - Long.numberOfLeadingZeros(bits[word]);
      }
    }
    return -1;
  }

  /**
   * Makes hollow pages free again.
   *
   * @param pages how many are wanted; there may be fewer
   * @param reserve takes blocks for a run again, with no lock held; where it throws, the run stays
   *     hollow
   * @return how many pages were made free
   */
  long fill(long pages, RunVisitor reserve) {
    long filled = 0;
    while (filled < pages) {
      long page;
      int count;
      lock.lock();
      try {
        if (hollow.count == 0) {
          return filled;
        }
        int index = hollow.count - 1;
        count = (int) Math.min(hollow.counts[index], pages - filled);
        page = hollow.pages[index];
        hollow.pages[index] += count;
        hollow.counts[index] -= count;
        if (hollow.counts[index] == 0) {
          hollow.count--;
        }
        hollowPages.addAndGet(-count);
      } finally {
        lock.unlock();
      }
      boolean done = false;
      try {
        reserve.visit(page, count);
        done = true;
      } finally {
        filled(page, count, done);
      }
      filled += count;
    }
    return filled;
  }

  private void filled(long page, int count, boolean done) {
    lock.lock();
    try {
      if (done) {
        giveBack(page, count);
      } else {
        hollow.add(page, count);
        hollowPages.addAndGet(count);
      }
    } finally {
      lock.unlock();
    }
  }

  /** How many pages are unused and may have no blocks. No lock. */
  long hollowPages() {
    return hollowPages.get();
  }

  // ---------------------------------------------------------------- how much

  /** How many pages are free, those of the reserve included. No lock. */
  long freePages() {
    return free.get();
  }

  /** How many pages wait for {@link #reclaim}. No lock. */
  long retiredPages() {
    return retiredPages.get();
  }

  /** How many pages are kept back from what is new. */
  long reserve() {
    lock.lock();
    try {
      return reserveNow();
    } finally {
      lock.unlock();
    }
  }

  private long reserveNow() {
    return mayGrow
        ? Math.clamp((end - first) / RESERVE_PART, LEAST_RESERVE, MOST_RESERVE)
        : Math.clamp((end - first) / LAST_RESERVE_PART, LEAST_RESERVE, MOST_LAST_RESERVE);
  }

  /** The pages of the longest free run; looks at all of them. */
  long largestRun() {
    lock.lock();
    try {
      int size = (int) (end - first);
      int largest = 0;
      for (int at = nextFree(0, size); at < size; ) {
        int run = runOfFree(at, size - at);
        largest = Math.max(largest, run);
        at = nextFree(at + run, size);
      }
      return largest;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Says whether the volume may still grow: while it may, nobody saves room at the cost of time.
   */
  void mayGrow(boolean may) {
    mayGrow = may;
  }

  /** Whether so little is left, and no more to come, that leaves are packed. */
  boolean isShort() {
    return !mayGrow && freePages() < 2 * reserve();
  }

  /** The bytes of memory that the map of the pages takes. */
  long bytes() {
    lock.lock();
    try {
      return (long) bits.length * Long.BYTES;
    } finally {
      lock.unlock();
    }
  }

  // ---------------------------------------------------------------- bits

  private int indexOf(long page, int count) {
    if (count < 1 || page < first || page > end - count) {
      throw new IllegalArgumentException(
          "pages " + named(page, count) + ": expected some of [" + first + ", " + end + ")");
    }
    return (int) (page - first);
  }

  private static String named(long page, int count) {
    return "[" + page + ", +" + count + ")";
  }

  private void set(int at, int count) {
    int done = 0;
    while (done < count) {
      int bit = (at + done) % Long.SIZE;
      int here = Math.min(Long.SIZE - bit, count - done);
      bits[(at + done) / Long.SIZE] |= -1L >>> (Long.SIZE - here) << bit;
      done += here;
    }
  }

  private void clear(int at, int count) {
    int done = 0;
    while (done < count) {
      int bit = (at + done) % Long.SIZE;
      int here = Math.min(Long.SIZE - bit, count - done);
      bits[(at + done) / Long.SIZE] &= ~(-1L >>> (Long.SIZE - here) << bit);
      done += here;
    }
  }

  /** A list of runs. */
  private static final class Runs {
    long[] pages = new long[8];
    int[] counts = new int[8];
    int count;

    void add(long page, int pagesOfRun) {
      if (count == pages.length) {
        pages = Arrays.copyOf(pages, 2 * count);
        counts = Arrays.copyOf(counts, 2 * count);
      }
      pages[count] = page;
      counts[count] = pagesOfRun;
      count++;
    }

    void addAll(Runs runs) {
      for (int i = 0; i < runs.count; i++) {
        add(runs.pages[i], runs.counts[i]);
      }
    }

    long sum() {
      long sum = 0;
      for (int i = 0; i < count; i++) {
        sum += counts[i];
      }
      return sum;
    }
  }
}
