package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Makes what many operations stored durable at once, where that takes an msync.
 *
 * <p>An operation stores, marks the pages, shows what it stored, and takes a {@linkplain #ticket
 * ticket}: the number of the first round that certainly has its marks. With no lock held it {@link
 * #await awaits} that round. Whoever waits while no round is under way runs one for all: there is
 * no thread of its own, and the longer a round takes, the more the next one carries.
 *
 * <h2>A round</h2>
 *
 * <ol>
 *   <li>takes what gives pages back, the {@linkplain PendingSwitch switches} of the leaf table, and
 *       then the marks, in this order: pages of a switch were marked before it was queued, and what
 *       a page was given up for before that;
 *   <li>stores the rows of leaves that came of a split, pending;
 *   <li>writes all marked pages back, one msync a leg;
 *   <li>if there are switches: stores the slots, and writes those pages back;
 *   <li>releases the waiters;
 *   <li>tidies the rows: what was pending is so no more, former slots are zeroed. The round behind
 *       this one writes that back, and only then the old pages are given back.
 * </ol>
 *
 * Up to 4 the devices know the old pages, and have in them whatever was acknowledged; from then on
 * the new ones, which were whole before. A leaf with a switch on its way is not written anew
 * before: one slot of its row is always what the devices have for sure.
 *
 * <p>A leg that refuses is lost to the volume, and the pass starts over with those that are left:
 * what they have covers the waiters, or nobody is acknowledged. What a round that failed has taken
 * is put back: the next one has it.
 *
 * <p><b>Lock order:</b> leaves' locks, then {@code queueing}; a round holds no lock while it stores
 * and flushes. <b>Source:</b> group commit as in DeWitt et al., "Implementation Techniques for Main
 * Memory Database Systems", SIGMOD 1984; leader and followers as in LevelDB's writer queue.
 */
final class GroupCommit {
  /** Of an operation that waits for nothing. */
  static final long NOTHING = 0;

  /** How much is flushed at once when a store is opened, in bytes. */
  private static final long OPEN_PIECE = 64L << 20;

  private static final int UNEXPLAINED_LIMIT = 3;
  private static final long GRACE_NANOS = 5_000_000_000L;

  private final Volume volume;
  private final Durability durability;
  private final LeafTable table;
  private final PageAllocator allocator;

  private volatile Runnable beforeRaise = () -> {};
  private final ReentrantLock leading = new ReentrantLock();
  private final Condition over = leading.newCondition();

  /** Guarded by {@code leading}: whether somebody runs a round, or keeps others from it. */
  private boolean led;

  /** The last round that began, and the last one that did what it is for. Written by who leads. */
  private volatile long started;

  private volatile long completed;

  private final ReentrantLock queueing = new ReentrantLock();

  // Guarded by queueing.
  private List<PendingSwitch> queued = new ArrayList<>();
  private DirtyPages.Ranges givenUp = new DirtyPages.Ranges();
  private long heldPages;

  /** The leaves with a switch on its way, or not yet tidied. */
  private final ConcurrentHashMap<Integer, PendingSwitch> pending = new ConcurrentHashMap<>();

  /** The leaves whose rows say something since a round that may not be over: the round. */
  private final ConcurrentHashMap<Integer, Long> flags = new ConcurrentHashMap<>();

  // Of who leads.
  private final List<PendingSwitch> untidy = new ArrayList<>();
  private boolean everythingIsDue;

  private volatile boolean ended;

  GroupCommit(Volume volume, Durability durability, LeafTable table, PageAllocator allocator) {
    this.volume = volume;
    this.durability = durability;
    this.table = table;
    this.allocator = allocator;
  }

  // ---------------------------------------------------------------- what operations do

  /** What an operation awaits whose marks are set. */
  long ticket() {
    return durability.defers() ? started + 1 : NOTHING;
  }

  /**
   * What an operation awaits that stored nothing, but found something in a leaf; under the leaf's
   * lock.
   */
  long ticketFor(int leaf, long page, int pages) {
    if (!durability.defers()) {
      return NOTHING;
    }
    if (pending.containsKey(leaf) || durability.dirty().isMarked(page, pages)) {
      return started + 1;
    }
    // The marks may just have been taken: by this round, or by one that is over.
    long last = started;
    return last > completed ? last : NOTHING;
  }

  /** Whether a leaf has to wait for a round before it is written anew. */
  boolean isPending(int leaf) {
    return !pending.isEmpty() && pending.containsKey(leaf);
  }

  /**
   * Takes up a switch that memory is about to make. Its pages are stored on every leg and marked.
   */
  void queue(PendingSwitch change) {
    if (change.left != PendingSwitch.NOBODY) {
      pending.put(change.left, change);
    }
    if (change.right != PendingSwitch.NOBODY) {
      pending.put(change.right, change);
    }
    queueing.lock();
    try {
      queued.add(change);
      heldPages += change.oldPages + change.absorbedPages;
    } finally {
      queueing.unlock();
    }
  }

  /** Gives pages back: once nothing that may come back after a loss of power leads to them. */
  void retire(long page, int count) {
    if (!durability.defers()) {
      allocator.retire(page, count);
      return;
    }
    queueing.lock();
    try {
      givenUp.add(page, count);
      heldPages += count;
    } finally {
      queueing.unlock();
    }
  }

  /** The pages that wait for rounds before they can be given back. */
  long heldPages() {
    queueing.lock();
    try {
      return heldPages;
    } finally {
      queueing.unlock();
    }
  }

  /** The row of a leaf says something that must be durable before the leaf is appended to. */
  void flagged(int leaf) {
    if (durability.defers()) {
      flags.put(leaf, started + 1);
    }
  }

  /** Whether what the row of a leaf says is durable. */
  boolean isFlagged(int leaf) {
    Long ticket = flags.isEmpty() ? null : flags.get(leaf);
    if (ticket == null) {
      return true;
    }
    if (completed < ticket) {
      return false;
    }
    flags.remove(leaf, ticket);
    return true;
  }

  /**
   * Waits until a round is over. With no lock held, and no operation under way on this thread. An
   * interrupt does not end the wait; it is kept.
   *
   * @throws HoldfastException if no leg takes it, or the store was closed: then it is unknown
   *     whether what was stored will be there
   */
  void await(long ticket) {
    while (completed < ticket) {
      if (lead(ticket)) {
        try {
          round();
        } finally {
          pass();
        }
      }
    }
  }

  /** Makes everything durable that was shown before. */
  void commit() {
    await(ticket());
  }

  /** Runs rounds until no pages wait for one. */
  void commitHeld() {
    for (int round = 0; round < 3 && heldPages() > 0; round++) {
      commit();
    }
  }

  /** Becomes the one who runs a round; false if a round was over meanwhile that is enough. */
  private boolean lead(long ticket) {
    leading.lock();
    try {
      while (led) {
        over.awaitUninterruptibly();
        if (completed >= ticket) {
          return false;
        }
      }
      led = completed < ticket;
      return led;
    } finally {
      leading.unlock();
    }
  }

  private void pass() {
    leading.lock();
    try {
      led = false;
      over.signalAll();
    } finally {
      leading.unlock();
    }
  }

  private void release(long round) {
    leading.lock();
    try {
      completed = round;
      over.signalAll();
    } finally {
      leading.unlock();
    }
  }

  // ---------------------------------------------------------------- the order of stores

  /**
   * Prepares for an operation that is to be carried as far as a mode goes.
   *
   * @return whether it has to await its ticket
   * @throws IllegalArgumentException if the devices cannot carry it so far
   */
  boolean prepare(PersistenceMode mode) {
    if (mode == PersistenceMode.PROCESS) {
      return false;
    }
    if (durability.defers() && mode == PersistenceMode.FILE) {
      return true;
    }
    PersistenceMode most = volume.persistenceMode();
    if (!most.reaches(mode)) {
      if (mode == PersistenceMode.DAX) {
        throw new IllegalArgumentException(
            "persistence: expected PROCESS or FILE on devices that are not persistent memory, was"
                + " DAX");
      }
      raise();
    }
    return durability.defers();
  }

  /** Has something done before stores are ordered for more than the store was opened for. */
  void beforeRaise(Runnable body) {
    beforeRaise = body;
  }

  /**
   * Orders stores from now on so that a loss of power leaves whatever was committed, though the
   * store was opened for less.
   */
  private void raise() {
    beforeRaise.run();
    boolean _ = lead(Long.MAX_VALUE);
    try {
      if (!durability.defers()) {
        volume.configure(config -> config.withCommits(true));
        volume.raise(PersistenceMode.FILE);
        everythingIsDue = true;
        durability.defer();
      }
    } finally {
      pass();
    }
  }

  /**
   * Makes everything durable that was found when the store was opened; from then on commits are.
   */
  void opened(LegSet set, boolean unclean) {
    boolean defers = volume.persistenceMode() == PersistenceMode.FILE;
    if (defers || unclean) {
      // Found in the page cache, perhaps, after the death of a process: what it leads away from is
      // free now.
      long capacity = volume.capacity();
      // In pieces, none of which takes a busy medium so long that it counts as silent.
      for (long at = 0; at < capacity; at += OPEN_PIECE) {
        volume.flush("open", set, at, Math.min(OPEN_PIECE, capacity - at));
      }
      volume.requireCurrent(set);
    }
    // Whoever opens the store behind a crash has to know; what a crash left stays in doubt until it
    // was read.
    if (defers != volume.config().commits() && (defers || !unclean)) {
      volume.configure(config -> config.withCommits(defers));
    }
    if (defers) {
      durability.defer();
    }
  }

  /** Keeps rounds away while {@code body} runs. */
  void exclusively(Runnable body) {
    boolean _ = lead(Long.MAX_VALUE);
    try {
      if (durability.defers() && volume.readOnlyCause() == null) {
        round();
      }
      body.run();
    } finally {
      pass();
    }
  }

  /**
   * Ends in order, when no operation is under way: all switches are on the devices then.
   *
   * @return false if a round that is under way does not end in time
   */
  boolean finish(long timeoutNanos) {
    if (!durability.defers()) {
      return true;
    }
    if (!leadWithin(timeoutNanos)) {
      return false;
    }
    try {
      round();
      return true;
    } finally {
      pass();
    }
  }

  private boolean leadWithin(long timeoutNanos) {
    boolean interrupted = false;
    long deadline = System.nanoTime() + timeoutNanos;
    leading.lock();
    try {
      while (led) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        try {
          boolean _ = over.await(left, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      led = true;
      return true;
    } finally {
      leading.unlock();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Lets no further round begin to store. */
  void end() {
    ended = true;
  }

  // ---------------------------------------------------------------- a round

  /** What a round has taken. */
  private static final class Taken {
    List<PendingSwitch> switches = List.of();
    DirtyPages.Ranges givenUp = new DirtyPages.Ranges();
    final DirtyPages.Ranges ranges = new DirtyPages.Ranges();
  }

  private void round() {
    long number = started + 1;
    started = number;
    tidy();
    Taken taken = new Taken();
    queueing.lock();
    try {
      taken.switches = queued;
      taken.givenUp = givenUp;
      queued = new ArrayList<>();
      givenUp = new DirtyPages.Ranges();
    } finally {
      queueing.unlock();
    }
    durability.dirty().take(taken.ranges);
    CommitNotice notice = new CommitNotice();
    notice.begin();
    boolean done = false;
    try {
      untilUndisturbed(set -> makeDurable(set, taken));
      done = true;
    } finally {
      if (!done) {
        putBack(taken);
      }
      notice.end(volume.place(), taken.ranges, taken.switches.size(), done);
    }
    everythingIsDue = false;
    release(number);
    giveBack(taken.givenUp);
    untidy.addAll(taken.switches);
    tidyIfPossible();
  }

  private void putBack(Taken taken) {
    durability.dirty().putBack(taken.ranges);
    queueing.lock();
    try {
      queued.addAll(0, taken.switches);
      addAll(givenUp, taken.givenUp);
    } finally {
      queueing.unlock();
    }
  }

  private static void addAll(DirtyPages.Ranges to, DirtyPages.Ranges from) {
    for (int i = 0; i < from.count; i++) {
      to.add(
          from.bounds[2 * i] >>> PageMap.PAGE_SHIFT, from.bounds[2 * i + 1] >>> PageMap.PAGE_SHIFT);
    }
  }

  private void giveBack(DirtyPages.Ranges pages) {
    long given = 0;
    for (int i = 0; i < pages.count; i++) {
      int count = (int) (pages.bounds[2 * i + 1] >>> PageMap.PAGE_SHIFT);
      allocator.retire(pages.bounds[2 * i] >>> PageMap.PAGE_SHIFT, count);
      given += count;
    }
    queueing.lock();
    try {
      heldPages -= given;
    } finally {
      queueing.unlock();
    }
  }

  /** Steps 2 to 4, on the legs of one set. */
  private void makeDurable(LegSet set, Taken taken) {
    if (everythingIsDue) {
      if (!volume.grace().await(GRACE_NANOS)) {
        throw new HoldfastException(
            "commit: expected operations that stored in no order to end, did not", null);
      }
      taken.ranges.add(0, volume.capacity() >>> PageMap.PAGE_SHIFT);
    }
    boolean switches = !taken.switches.isEmpty();
    if (switches) {
      store(set, () -> taken.switches.forEach(change -> announce(set, change)));
      durability.dirty().take(taken.ranges);
    }
    volume.flush("commit", set, taken.ranges.bounds, taken.ranges.count);
    if (switches) {
      store(set, () -> taken.switches.forEach(change -> carryOut(set, change)));
      DirtyPages.Ranges rows = new DirtyPages.Ranges();
      durability.dirty().take(rows);
      addAll(taken.ranges, rows);
      volume.flush("commit of switches", set, rows.bounds, rows.count);
    }
    volume.requireCurrent(set);
  }

  /** The row of a leaf that came of a split: it counts only once the left one is switched. */
  private void announce(LegSet set, PendingSwitch change) {
    byte[] separator = change.separator;
    LeafTable.Slot slot = change.rightSlot;
    LeafTable.Slot left = change.leftSlot;
    if (separator != null && slot != null && left != null) {
      table.writeNew(
          "pending row",
          set,
          change.right,
          separator,
          change.neighbour,
          left.generation(),
          slot.with(slot.flags() | LeafTable.PENDING));
    }
  }

  private void carryOut(LegSet set, PendingSwitch change) {
    byte[] separator = change.separator;
    LeafTable.Slot right = change.rightSlot;
    LeafTable.Slot left = change.leftSlot;
    if (left != null) {
      table.writeSlot("switch", set, change.left, change.leftIndex, left);
    } else if (separator != null && right != null) {
      table.writeNew("neighbour's row", set, change.right, separator, change.neighbour, 0, right);
    }
  }

  // ---------------------------------------------------------------- behind a round

  private void tidyIfPossible() {
    try {
      tidy();
    } catch (HoldfastException e) {
      // Those who waited have what they waited for. The next round tells whoever awaits it.
    }
  }

  private void tidy() {
    if (untidy.isEmpty()) {
      return;
    }
    untilUndisturbed(set -> store(set, () -> untidy.forEach(change -> tidy(set, change))));
    for (PendingSwitch change : untidy) {
      // Marked before: the round that takes these pages has the marks.
      queueing.lock();
      try {
        if (change.oldPages > 0) {
          givenUp.add(change.oldPage, change.oldPages);
        }
        if (change.absorbedPages > 0) {
          givenUp.add(change.absorbedPage, change.absorbedPages);
        }
      } finally {
        queueing.unlock();
      }
      if (change.absorbed != PendingSwitch.NOBODY) {
        table.release(change.absorbed, change.absorbedSeparatorLength);
      }
      pending.remove(change.left, change);
      pending.remove(change.right, change);
    }
    untidy.clear();
  }

  private void tidy(LegSet set, PendingSwitch change) {
    LeafTable.Slot right = change.rightSlot;
    LeafTable.Slot left = change.leftSlot;
    if (left == null) {
      return;
    }
    if (right != null) {
      table.writeSlot("row no longer pending", set, change.right, 1, right);
      table.clearFormerSlot(set, change.right, 0);
    }
    if (change.absorbed != PendingSwitch.NOBODY) {
      table.clear(set, change.absorbed, LeafTable.unitsFor(change.absorbedSeparatorLength));
    }
    table.clearFormerSlot(set, change.left, 1 - change.leftIndex);
  }

  // ---------------------------------------------------------------- faults

  /** A pass over the legs of one set. */
  @FunctionalInterface
  private interface Pass {
    void run(LegSet set);
  }

  /** Runs a pass until no fault disturbs it. */
  private void untilUndisturbed(Pass pass) {
    int unexplained = 0;
    while (true) {
      DeviceFault fault;
      try {
        requireNotEnded();
        pass.run(volume.writableLegs());
        return;
      } catch (DeviceFault e) {
        fault = e;
      } catch (LegSetChanged e) {
        continue; // Start over with the set that is in force now.
      }
      if (!volume.recover(fault) && ++unexplained >= UNEXPLAINED_LIMIT) {
        throw new HoldfastException("a memory fault that no leg explains", fault);
      }
    }
  }

  /** Stores as an operation does; it flushes outside of that. */
  private void store(LegSet set, Runnable stores) {
    int entered = volume.grace().enter();
    try {
      requireNotEnded();
      volume.requireCurrent(set);
      stores.run();
      volume.requireCurrent(set);
    } finally {
      volume.grace().exit(entered);
    }
  }

  private void requireNotEnded() {
    if (ended) {
      throw new StoreClosedException("the store was closed before the commit");
    }
  }
}
