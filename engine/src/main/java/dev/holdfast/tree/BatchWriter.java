package dev.holdfast.tree;

import dev.holdfast.error.BatchUnsettledException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.TimedLock;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Writes batches: all of one or nothing, whatever happens, and nobody sees a part of it.
 *
 * <h2>Steps</h2>
 *
 * <ol>
 *   <li>large values go to extents of their own;
 *   <li>the batch is made known: whoever wants to write one of its keys waits from now on;
 *   <li>leaf by leaf, under its lock, room for the records is made and reserved behind its tail:
 *       earlier writes of the keys are over by that, and nothing that follows can lack room;
 *   <li>where it was made from what was read, that is looked at again: see {@link ReadGuard};
 *   <li>the batch gets its sequence, and its records go to the log: the {@linkplain RedoLog slot}
 *       is the point from which on it counts;
 *   <li>readers are told to hide records of the batch; leaf by leaf they are appended;
 *   <li>readers are told to hide nothing: all of it shows at once;
 *   <li>the log is told that the batch is settled; then its keys can be written again.
 * </ol>
 *
 * A fault before 5 undoes 1 to 4, of which nobody saw anything. A fault behind it is waited out, or
 * the batch stays in the log, hidden, until it can be completed: when the device returns, or at the
 * next open. As no key of it can be written before it is settled, what is replayed never is older
 * than what is there.
 *
 * <p><b>Threads:</b> one batch at a time, the others wait. <b>Lock order:</b> {@code writing} comes
 * before the locks of leaves and of room.
 */
final class BatchWriter {
  /** So many new entries find the room that there is for one, mostly. */
  private static final int FEW_FRESH = 16;

  private static final System.Logger LOG = System.getLogger(BatchWriter.class.getName());

  /** So many bytes of one leaf are reserved at most: it is cut then, so that it has less. */
  private static final int MOST_OF_LEAF = LeafLayout.MAX_BYTES - 2 * RecordLayout.MAX_RECORD;

  /** For more bytes than this a leaf is cut where they will go. */
  private static final int MANY_BYTES = 16 << 10;

  /** What stays reserved once the records are there: what was before them is still looked at. */
  private static final int APPLIED = 1;

  private static final long WAIT_NANOS = 1_000;

  /** So long who compares the log waits for a batch: it is looked at in the next pass, too. */
  private static final long IDLE_NANOS = 200_000_000L;

  /** How long a batch under way may take to notice that the devices are read anew. */
  private static final long REOPEN_NANOS = 5_000_000_000L;

  private final Tree tree;
  private final Parts parts;
  private final Volume volume;
  private final RecordReader reader;
  private final BlobSpace blobs;
  private final LeafRewriter rewriter;
  private final RedoLog log;
  private final boolean isDax;
  private final ReentrantLock writing = new ReentrantLock();

  /** A batch that was interrupted behind its commit, or perhaps behind it; set under the lock. */
  private volatile @Nullable BatchRun stuck;

  /** Whether the log may have had a batch in another volume that is not there. */
  private boolean lacksLog;

  /** Whether it is no matter what cannot be read there. */
  private boolean isLenient;

  /** What an open found, until it is dealt with. */
  private RedoLog.@Nullable Found found;

  private volatile List<BatchAtRisk> atRisk = List.of();
  private volatile BatchObserver observer = BatchObserver.NONE;

  BatchWriter(Tree tree, Parts parts, RecordReader reader, BlobSpace blobs, LeafRewriter rewriter) {
    this.tree = tree;
    this.parts = parts;
    this.volume = parts.volume;
    this.reader = reader;
    this.blobs = blobs;
    this.rewriter = rewriter;
    this.log = new RedoLog(volume, parts.allocator);
    this.isDax = volume.persistenceMode() == PersistenceMode.DAX;
  }

  /** Batches of which the log may have lost what is needed to complete them. */
  List<BatchAtRisk> atRisk() {
    return atRisk;
  }

  /** Whether a batch may count that does not show, until it is completed or dropped. */
  boolean isInDoubt() {
    return stuck != null || !atRisk.isEmpty();
  }

  /**
   * Runs something while no batch is under way.
   *
   * @return false if one is for too long, or has to be completed first: nothing was run
   */
  boolean whileIdle(Runnable body) {
    if (!TimedLock.tryUntil(writing, System.nanoTime() + IDLE_NANOS)) {
      return false;
    }
    try {
      // One that was found and could not be replayed is under way, too.
      boolean isIdle = stuck == null && atRisk.isEmpty() && parts.batch == null;
      if (isIdle) {
        body.run();
      }
      return isIdle;
    } finally {
      writing.unlock();
    }
  }

  /** What is wrong in the log; only {@link #whileIdle}. */
  List<WrongPart> inspect(LegSet set, @Nullable ScrubTally tally) {
    return log.inspect(set, tally);
  }

  void observer(BatchObserver steps) {
    observer = steps;
  }

  // ---------------------------------------------------------------- writing

  /**
   * Writes a batch.
   *
   * @param mode how far to carry it at least
   * @param guard what has to be as it was read; null where nothing was
   */
  void write(BatchOps ops, PersistenceMode mode, @Nullable ReadGuard guard) {
    tree.requireOpen();
    LegSet _ = volume.writableLegs();
    int count = ops.arrange();
    boolean _ = parts.commits.prepare(mode); // Before there are values that this would wait for.
    // Not in turn: who waits for a device of the BULK volume holds up no other batch.
    List<BlobExtents> inBulk = new ArrayList<>();
    boolean handedOver = false;
    try {
      for (int i = 0; i < count; i++) {
        if (ops.isLarge(i)) {
          storeInBulk(ops, i, mode, inBulk);
        }
      }
      handedOver = write(ops, count, mode, guard, inBulk);
    } finally {
      if (!handedOver) {
        inBulk.forEach(tree.bulkValues()::drop);
      }
    }
  }

  /** Writes a batch in turn; the values in the BULK volume are its own then, whatever it throws. */
  private boolean write(
      BatchOps ops,
      int count,
      PersistenceMode mode,
      @Nullable ReadGuard guard,
      List<BlobExtents> inBulk) {
    writing.lock();
    Scratch s = tree.takeScratch();
    try {
      tree.requireOpen();
      LegSet _ = volume.writableLegs();
      if (stuck != null) {
        throw new ReadOnlyStoreException(
            "a batch that was interrupted has to be completed first: open the store again");
      }
      if (count > 0) {
        if (parts.budget.isTightWith(count)) {
          tree.reclaimMemory();
          requireMemory(ops, count);
        }
        log.raise(mode);
        BatchRun run = new BatchRun(ops, parts.secret, false, guard);
        run.large.addAll(inBulk);
        inBulk.clear();
        write(s, run);
        if (!run.replaced.isEmpty()) {
          tree.sweepVersions();
        }
      }
      return true;
    } finally {
      tree.giveScratch(s);
      writing.unlock();
    }
  }

  /** Refuses a batch whose new keys may make the indexes take too much memory. */
  private void requireMemory(BatchOps ops, int count) {
    AtomicInteger fresh = new AtomicInteger();
    AtomicInteger crowded = new AtomicInteger();
    unlessClosed(() -> {
      for (int i = 0; i < count; i++) {
        long hash = ops.hash(i, parts.secret);
        boolean removes = RecordLayout.type(ops.bytesOf(i), ops.at(i)) == RecordLayout.TOMBSTONE;
        // Before all leaves are read an absent slot says nothing, and the entries are counted.
        if (!removes && parts.allBuilt && parts.points.find(hash) == PointIndex.NONE) {
          fresh.incrementAndGet();
          crowded.addAndGet(parts.points.hasRoom(hash) ? 0 : 1);
        }
      }
    });
    // One slot that is free is enough for a few of them, not for many.
    if (crowded.get() > 0
        || (fresh.get() > 0 && !parts.budget.admits(parts.entries.sum() + fresh.get()))
        || (fresh.get() > FEW_FRESH && parts.budget.isTightWith(fresh.get()))) {
      throw parts.budget.exceeded();
    }
  }

  private void write(Scratch s, BatchRun run) {
    s.batch = run;
    try {
      storeLarge(s, run);
      observer.reached(BatchObserver.Step.VALUES_STORED);
      parts.batch = run.inFlight;
      reserve(s, run);
      observer.reached(BatchObserver.Step.RESERVED);
      check(run.guard);
      RedoLog.Entry entry = allocate(run);
      run.entry = entry;
      // First the least that it can be: who sees none takes his own snapshot before it is given.
      run.inFlight.sequence = parts.sequence.get();
      run.sequence = parts.nextSequence();
      run.inFlight.sequence = run.sequence;
      entry.sequence = run.sequence;
      run.ops.seal(run.sequence, s.crc);
      if (!run.large.isEmpty()) {
        tree.commit(); // The log leads to them.
      }
      if (!log.isAlone(entry) || !isLoggedAlone(s, run, entry)) {
        boolean _ = tree.change(s, LOG_IT);
      }
    } catch (RuntimeException | Error e) {
      throw abandoned(s, run, e);
    }
    complete(s, run);
  }

  /** Looks whether what a batch was made from still is so. */
  private void check(@Nullable ReadGuard guard) {
    if (guard == null) {
      return;
    }
    // Whoever was at one of the keys before it was held is over behind this.
    if (!volume.grace().await(Tree.GRACE_NANOS)) {
      throw new HoldfastException(
          "transaction: expected operations that were under way to end in "
              + Tree.GRACE_NANOS / 1_000_000
              + " ms, did not",
          null);
    }
    guard.check().run();
  }

  /**
   * Commits a batch in the other volume. If that is gone, the log moves to the leaves first: a slot
   * that it may have had never counts from then on. If it only has no room, the batch may have a
   * slot in both: they say the same.
   *
   * @return false if the batch has a place with the leaves now, and is to be committed there
   */
  private boolean isLoggedAlone(Scratch s, BatchRun run, RedoLog.Entry entry) {
    run.slotTouched = true;
    if (log.storeAlone(entry, run.ops)) {
      return true;
    }
    if (log.isOtherLost()) {
      boolean _ = tree.change(s, MOVE);
      run.slotTouched = false;
    }
    RedoLog.Entry other = allocateShared(run);
    other.sequence = run.sequence;
    run.entry = other;
    return false;
  }

  /** Takes back what was done before the commit; what to throw. */
  private RuntimeException abandoned(Scratch s, BatchRun run, Throwable cause) {
    if (run.slotTouched && !isVoid(s)) {
      stuck = run;
      return new BatchUnsettledException(
          BatchUnsettledException.Outcome.UNKNOWN,
          "batch "
              + run.sequence
              + " of "
              + run.count
              + " operations: interrupted while it was committed: "
              + cause.getMessage(),
          cause);
    }
    forget(run);
    if (cause instanceof Error error) {
      throw error;
    }
    return (RuntimeException) cause;
  }

  /** Makes sure that the slot never counts; whether that could be done. */
  private boolean isVoid(Scratch s) {
    try {
      return tree.change(s, SETTLE);
    } catch (RuntimeException e) {
      return false;
    }
  }

  /** Runs what touches memory that a close gives back, unless there was one. */
  private void unlessClosed(Runnable body) {
    int entered = volume.grace().enter();
    try {
      if (!tree.isClosed()) {
        body.run();
      }
    } finally {
      volume.grace().exit(entered);
    }
  }

  /** Gives back everything that a batch took which was not committed. */
  private void forget(BatchRun run) {
    unlessClosed(() -> unreserve(run));
    parts.batch = null;
    RedoLog.Entry entry = run.entry;
    if (entry != null) {
      log.free(entry);
    }
    run.large.forEach(blobs::giveBack);
    run.large.forEach(tree.bulkValues()::settled);
  }

  private void unreserve(BatchRun run) {
    for (int group = 0; group < run.groups; group++) {
      parts.leaves.reserved(run.leaves[group], 0);
    }
  }

  /** Does what was committed. */
  private void complete(Scratch s, BatchRun run) {
    run.committed = true;
    try {
      observer.reached(BatchObserver.Step.COMMITTED);
      parts.hidden = run.inFlight;
      while (run.appliedGroups < run.groups) {
        boolean _ = tree.change(s, APPLY);
        observer.reached(BatchObserver.Step.LEAF_APPLIED);
      }
      if (!run.healed.isEmpty()) {
        tree.heal(run);
      }
      parts.hidden = null;
      observer.reached(BatchObserver.Step.VISIBLE);
      tree.commit(); // What the log has goes out of it only once the leaves have it for sure.
      if (log.isOtherLost()) {
        // Before the batch is acknowledged: or the next open would miss a log that matters no more.
        boolean _ = tree.change(s, MOVE);
      }
      boolean _ = tree.change(s, SETTLE);
      observer.reached(BatchObserver.Step.SETTLED);
    } catch (RuntimeException | Error e) {
      stuck = run;
      run.kept = log.isApart() ? run.ops.copy() : null;
      if (!isWaitedOut(e)) {
        // Nothing may be written behind the back of what has to be completed first.
        volume.stopWrites(
            new HoldfastException("a batch cannot be completed: " + e.getMessage(), e));
      }
      throw new BatchUnsettledException(
          BatchUnsettledException.Outcome.COMMITTED,
          "batch "
              + run.sequence
              + " of "
              + run.count
              + " operations: committed, and interrupted before it was completed: "
              + e.getMessage(),
          e);
    }
    over(run);
  }

  private static boolean isWaitedOut(Throwable e) {
    return e instanceof DeviceOfflineException
        || e instanceof StoreClosedException
        || e instanceof ReadOnlyStoreException;
  }

  /** Lets others at the keys of a batch that is settled. */
  private void over(BatchRun run) {
    unlessClosed(() -> {
      unreserve(run);
      run.replaced.forEach(
          former -> parts.heldBlobs.retire(former.extents(), former.from(), run.sequence));
    });
    parts.batch = null;
    run.large.forEach(tree.bulkValues()::settled);
    RedoLog.Entry entry = run.entry;
    if (entry != null) {
      log.free(entry);
    }
  }

  // ---------------------------------------------------------------- before the commit

  private static final Tree.Attempt STORE_LARGE = (tree, s) -> tree.batches().tryStoreLarge(s);
  private static final Tree.Attempt RESERVE = (tree, s) -> tree.batches().tryReserve(s);
  private static final Tree.Attempt LOG_IT = (tree, s) -> tree.batches().tryLog(s);
  private static final Tree.Attempt APPLY = (tree, s) -> tree.batches().tryApply(s);
  private static final Tree.Attempt SETTLE = (tree, s) -> tree.batches().trySettle(s);
  private static final Tree.Attempt MOVE = (tree, s) -> tree.batches().tryMove();
  private static final Tree.Attempt BEGIN = (tree, s) -> tree.batches().tryBegin();

  private void storeLarge(Scratch s, BatchRun run) {
    for (int i = 0; i < run.count; i++) {
      if (!run.ops.isLarge(i) || isInBulk(run, i)) {
        continue;
      }
      s.valueArray = run.ops.largeValue(i);
      try {
        boolean _ = tree.change(s, STORE_LARGE);
        BlobExtents extents = Objects.requireNonNull(s.extents);
        run.large.add(extents);
        s.extents = null;
        run.ops.largeAt(i, extents);
      } finally {
        s.valueArray = null;
        BlobExtents unused = s.extents;
        if (unused != null) {
          blobs.giveBack(unused);
          s.extents = null;
        }
      }
    }
  }

  /** What a batch has in the BULK volume is that of the run which completes it. */
  private static void keepInBulk(BatchRun before, BatchRun run) {
    before.large.stream().filter(extents -> extents.bulk != null).forEach(run.large::add);
  }

  /** Stores a value to the BULK volume, if it goes there. */
  private void storeInBulk(BatchOps ops, int index, PersistenceMode mode, List<BlobExtents> into) {
    BulkValues bulk = tree.bulkValues();
    byte[] key = ops.key(index);
    byte[] value = ops.largeValue(index);
    if (bulk.takes(key.length - Scratch.KEY_PREFIX, value.length)) {
      byte[] user = Arrays.copyOfRange(key, Scratch.KEY_PREFIX, key.length);
      BlobExtents extents = bulk.store(Tree.mapOf(key), user, value, mode);
      into.add(extents);
      ops.largeAt(index, extents);
    }
  }

  private boolean isInBulk(BatchRun run, int index) {
    byte[] key = run.ops.key(index);
    int length = run.ops.largeValue(index).length;
    return tree.bulkValues().takes(key.length - Scratch.KEY_PREFIX, length);
  }

  private long tryStoreLarge(Scratch s) {
    LegSet set = volume.writableLegs();
    long outcome = tree.storeLarge(s, set, false);
    if (outcome == Tree.YES) {
      volume.requireCurrent(set);
    }
    return outcome;
  }

  private void reserve(Scratch s, BatchRun run) {
    while (run.reservedUpTo < run.count) {
      boolean _ = tree.change(s, RESERVE);
    }
  }

  /** Reserves room in one leaf. */
  private long tryReserve(Scratch s) {
    BatchRun run = batch(s);
    LegSet set = volume.writableLegs();
    BatchOps ops = run.ops;
    int from = run.reservedUpTo;
    byte[] in = ops.bytesOf(from);
    int keyAt = RecordLayout.keyAt(ops.at(from));
    int keyLength = RecordLayout.keyLength(in, ops.at(from));
    int leaf = parts.order.floor(in, keyAt, keyLength);
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!parts.leaves.exists(leaf) || parts.order.floor(in, keyAt, keyLength) != leaf) {
        return Tree.AGAIN;
      }
      if (!tree.prepare(s, set, leaf)) {
        return Tree.AGAIN;
      }
      byte[] high = from + 1 < run.count ? parts.order.higherSeparator(ops.key(from)) : null;
      int to = from;
      int bytes = 0;
      boolean cut = false;
      boolean hasLarge = false;
      while (to < run.count && (high == null || ops.compareKey(to, high) < 0)) {
        int size = ops.sizeOf(to);
        if (bytes + size > MOST_OF_LEAF) {
          cut = true;
          break;
        }
        bytes += size;
        hasLarge |= ops.isLarge(to);
        to++;
      }
      int tail = parts.leaves.tail(leaf);
      if (!cut && hasRoom(set, leaf, tail, bytes)) {
        if (hasLarge && !tree.markBlobs(set, leaf)) {
          return Tree.UNCOMMITTED;
        }
        parts.leaves.reserved(leaf, bytes);
        run.addGroup(leaf, to);
        return Tree.YES;
      }
      LeafRewriter.Order order = s.order.begin(bytes, tree.keepAbove());
      order.key = ops.key(from);
      order.keyLength = order.key.length;
      order.overwrites = run.replayed;
      int outcome =
          bytes > MANY_BYTES
              ? rewriter.rewriteFor(s, set, leaf, order, run, from, to, cut)
              : rewriter.rewrite(s, set, leaf, order);
      return tree.afterRewrite(s, leaf, outcome);
    } finally {
      lock.unlock();
    }
  }

  private boolean hasRoom(LegSet set, int leaf, int tail, int bytes) {
    return tail + bytes <= parts.leaves.pages(leaf) * PageMap.PAGE
        && volume.isStorable(set, parts.offset(leaf) + tail, bytes);
  }

  private RedoLog.Entry allocate(BatchRun run) {
    RedoLog.Entry entry = log.allocate(run.count, run.ops.recordBytes());
    return entry == null ? allocateShared(run) : entry;
  }

  private RedoLog.Entry allocateShared(BatchRun run) {
    long bytes = run.ops.recordBytes();
    while (true) {
      RedoLog.Entry entry = log.allocateShared(run.count, bytes);
      if (entry != null) {
        return entry;
      }
      tree.makeRoom(Math.ceilDiv(bytes, PageMap.PAGE));
    }
  }

  /** Writes the log. When this is through, the batch is committed. */
  private long tryLog(Scratch s) {
    BatchRun run = batch(s);
    RedoLog.Entry entry = Objects.requireNonNull(run.entry);
    LegSet set = volume.writableLegs();
    if (!log.isStorable(set, entry)) {
      log.free(entry); // Those with bad pages wait until they are good.
      RedoLog.Entry other = log.allocateShared(run.count, run.ops.recordBytes());
      if (other == null) {
        throw new OutOfSpaceException("expected room for the log of a batch, was none");
      }
      other.sequence = run.sequence;
      run.entry = other;
      return Tree.AGAIN;
    }
    log.storeRecords(set, entry, run.ops);
    log.choose(set, entry);
    run.slotTouched = true;
    log.commit(set, entry, run.ops);
    return Tree.YES;
  }

  private static BatchRun batch(Scratch s) {
    BatchRun run = s.batch;
    if (run == null) {
      throw new IllegalStateException("expected a batch, was none");
    }
    return run;
  }

  // ---------------------------------------------------------------- behind the commit

  /** Appends the records of one leaf, all at once. */
  private long tryApply(Scratch s) {
    BatchRun run = batch(s);
    LegSet set = volume.writableLegs();
    int group = run.appliedGroups;
    int leaf = run.leaves[group];
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!tree.prepare(s, set, leaf)) {
        return Tree.AGAIN;
      }
      prefetch(s, run, group);
      run.changes = 0;
      run.formers.clear();
      run.hasLarge = false;
      run.overwrites = parts.leaves.is(leaf, Leaves.OVERWRITTEN);
      int length = 0;
      byte[] bytes = run.buffer(parts.leaves.reserved(leaf));
      int tail = parts.leaves.tail(leaf);
      long base = parts.offset(leaf) + tail;
      long generation = parts.leaves.generation(leaf);
      for (int i = run.beginOf(group); i < run.ends[group]; i++) {
        long present = lookAt(s, set, run, i);
        if (present < Tree.NO) {
          return present;
        }
        if (!isToBeDone(s, run, i, present == Tree.YES)) {
          continue;
        }
        boolean is = present == Tree.YES;
        byte[] from = run.ops.bytesOf(i);
        int at = run.ops.at(i);
        int size = run.ops.sizeOf(i);
        int place = RecordLayout.place(parts.secret, base + length, generation);
        run.hasLarge |= run.ops.isLarge(i);
        run.overwrites |= is || RecordLayout.type(from, at) == RecordLayout.TOMBSTONE;
        System.arraycopy(from, at, bytes, length, size);
        if (run.overwrites) {
          RecordLayout.markAfterOverwrite(bytes, length);
          RecordLayout.seal(bytes, length, s.crc, place);
        } else {
          RecordLayout.move(bytes, length, 0, place);
        }
        run.change(i, is ? RecordLayout.address(s.offset) : 0, is ? s.recordSize : 0);
        if (is && RecordLayout.type(s.record, 0) == RecordLayout.BLOB) {
          BlobExtents former = extentsOf(s.record, 0);
          if (former != null) {
            run.formers.add(new BatchRun.Former(former, RecordLayout.sequence(s.record, 0)));
          }
        }
        length += size;
      }
      if (length > 0) {
        if (!hasRoom(set, leaf, tail, length)) {
          return moveOn(s, set, leaf);
        }
        if (run.hasLarge && !tree.markBlobs(set, leaf)) {
          return Tree.UNCOMMITTED;
        }
        store(set, run, base, bytes, length);
      }
      volume.requireCurrent(set);
      publish(run, leaf, tail, length);
      run.appliedGroups++;
      return Tree.YES;
    } finally {
      lock.unlock();
    }
  }

  /** Loads the slots of all keys of a leaf: all the misses, none of which waits for another. */
  private void prefetch(Scratch s, BatchRun run, int group) {
    long loaded = 0;
    for (int i = run.beginOf(group); i < run.ends[group]; i++) {
      loaded ^= parts.points.prefetch(run.hashes[i]);
    }
    s.loaded = loaded;
  }

  /** Stores the records that a leaf gets. */
  private void store(LegSet set, BatchRun run, long base, byte[] bytes, int length) {
    if (!isDax) {
      parts.durability.store("batch records", set, base, bytes, 0, length);
      return;
    }
    // Lines of several records come to the medium in any order: a whole record behind a torn one
    // would be taken for damage. So each is durable before the next.
    int at = 0;
    for (int i = 0; i < run.changes; i++) {
      int size = run.ops.sizeOf(run.indexes[i]);
      volume.storeDurably("batch records", set, base + at, bytes, at, size);
      at += size;
    }
    assert at == length;
  }

  /** The page behind the tail went bad: the leaf goes elsewhere, with the room for the batch. */
  private long moveOn(Scratch s, LegSet set, int leaf) {
    LeafRewriter.Order order = s.order.begin(parts.leaves.reserved(leaf), tree.keepAbove());
    return tree.afterRewrite(s, leaf, rewriter.rewrite(s, set, leaf, order));
  }

  /** Finds the record that the key of an operation has: YES, NO, or what has to be done first. */
  private long lookAt(Scratch s, LegSet set, BatchRun run, int index) {
    byte[] in = run.ops.bytesOf(index);
    int at = run.ops.at(index);
    s.keyLength = RecordLayout.keyLength(in, at);
    System.arraycopy(in, RecordLayout.keyAt(at), s.key, 0, s.keyLength);
    s.hash = run.hashes[index];
    int outcome = reader.find(s, set, s.hard);
    return outcome == RecordReader.FOUND
        ? Tree.YES
        : outcome == RecordReader.ABSENT ? Tree.NO : Tree.code(outcome);
  }

  private boolean isToBeDone(Scratch s, BatchRun run, int index, boolean present) {
    boolean removes =
        RecordLayout.type(run.ops.bytesOf(index), run.ops.at(index)) == RecordLayout.TOMBSTONE;
    Losses losses = tree.losses();
    boolean mayBeLost = !losses.isEmpty() && losses.mayHold(s.key, s.keyLength, s.hash);
    if (present && RecordLayout.sequence(s.record, 0) >= run.sequence) {
      return false;
    }
    if (mayBeLost
        && run.replayed
        && !present
        && losses.isNewer(s.key, s.keyLength, s.hash, run.sequence)) {
      return false; // Something newer than the batch may have been lost.
    }
    if (mayBeLost) {
      run.healed.add(index);
    }
    // The removal of what is not there needs no record, unless it may have been lost.
    return !removes || present || (mayBeLost && losses.unknown(s.key, s.keyLength) >= 0);
  }

  private void publish(BatchRun run, int leaf, int tail, int length) {
    PointIndex points = parts.points;
    Leaves leaves = parts.leaves;
    int check = RecordLayout.check(run.sequence);
    int live = leaves.live(leaf);
    int liveBytes = leaves.liveBytes(leaf);
    int added = 0;
    long at = parts.offset(leaf) + tail;
    for (int i = 0; i < run.changes; i++) {
      int index = run.indexes[i];
      byte[] in = run.ops.bytesOf(index);
      int record = run.ops.at(index);
      long hash = run.hashes[index];
      long address = RecordLayout.address(at);
      int size = run.ops.sizeOf(index);
      long old = run.olds[i];
      if (RecordLayout.type(in, record) == RecordLayout.TOMBSTONE) {
        if (old != 0) {
          points.remove(hash, old);
          added--;
        }
        liveBytes -= run.oldSizes[i];
      } else {
        if (old != 0) {
          points.move(hash, old, address, check);
        } else {
          points.insert(hash, address, check);
          added++;
        }
        liveBytes += size - run.oldSizes[i];
      }
      at += size;
      own(run, index, leaf);
    }
    parts.entries.add(added);
    leaves.live(leaf, live + added, liveBytes);
    leaves.tail(leaf, tail + length);
    leaves.set(leaf, Leaves.OVERWRITTEN, run.overwrites);
    leaves.set(leaf, Leaves.PACKED, leaves.is(leaf, Leaves.PACKED) && length == 0);
    leaves.reserved(leaf, APPLIED);
    run.replaced.addAll(run.formers);
  }

  private void own(BatchRun run, int index, int leaf) {
    if (!run.ops.isLarge(index)) {
      return;
    }
    BlobExtents extents = extentsOf(run.ops.bytesOf(index), run.ops.at(index));
    if (extents != null) {
      blobs.own(extents, leaf);
    }
  }

  private @Nullable BlobExtents extentsOf(byte[] bytes, int at) {
    return BlobExtents.of(bytes, at, volume.capacity() / PageMap.PAGE);
  }

  private long trySettle(Scratch s) {
    log.settle(volume.writableLegs(), batch(s).sequence);
    return Tree.YES;
  }

  private long tryMove() {
    log.moveHome();
    return Tree.YES;
  }

  private long tryBegin() {
    log.begin(volume.writableLegs(), parts.sequence.get() - 1);
    return Tree.YES;
  }

  /**
   * Waits until everybody sees the batch that is under way, if it has a sequence up to some; not
   * where it is hidden for good.
   */
  void awaitUpTo(long sequence) {
    InFlightBatch batch = parts.batch;
    while (batch != null
        && parts.batch == batch
        && batch.sequence <= sequence
        && volume.readOnlyCause() == null) {
      tree.requireServed();
      LockSupport.parkNanos(WAIT_NANOS);
    }
  }

  // ---------------------------------------------------------------- a log of its own

  /**
   * Says where the log lies beside the leaves, before it is opened.
   *
   * @param other the other volume; null if there is none
   * @param lacks whether there was one that is not there now, and may have had a batch
   * @param lenient whether it is no matter what cannot be read there
   */
  void logAt(@Nullable Volume other, boolean lacks, boolean lenient) {
    if (other != null) {
      log.goTo(other);
    }
    lacksLog = lacks;
    isLenient = lenient;
  }

  /** Has batches go to another volume from now on, which is empty; durably. */
  void beginAt(Volume other, UUID id) {
    writing.lock();
    try {
      volume.configure(config -> config.withLog(new VolumeConfig.LogLink(false, id)));
      log.goTo(other);
    } finally {
      writing.unlock();
    }
  }

  /**
   * Has batches go to the leaves alone from now on; durably.
   *
   * @return false if a batch is under way for too long, or has to be completed first: it, or who
   *     asks again, sees to it
   */
  boolean moveHome() {
    if (!TimedLock.tryUntil(writing, System.nanoTime() + IDLE_NANOS)) {
      return false;
    }
    Scratch s = tree.takeScratch();
    try {
      if (stuck != null || volume.readOnlyCause() != null) {
        return false;
      }
      if (log.isApart()) {
        boolean _ = tree.change(s, MOVE);
      }
      return true;
    } finally {
      tree.giveScratch(s);
      writing.unlock();
    }
  }

  /**
   * Whether nothing of a batch is in another volume that the leaves lack, once no batch can begin
   * any more.
   */
  boolean isSettled(long nanos) {
    if (volume.config().log() == null) {
      return true; // What is in the log here is found by any open.
    }
    if (!TimedLock.tryUntil(writing, System.nanoTime() + nanos)) {
      return false;
    }
    try {
      return stuck == null;
    } finally {
      writing.unlock();
    }
  }

  // ---------------------------------------------------------------- opening

  /**
   * Reads the log, and keeps what a batch in it needs from being used for anything else. Before
   * anything of the tree is read.
   */
  void open() {
    RedoLog.Found now = log.open(lacksLog, isLenient);
    found = now;
    RedoLog.Entry pending = now.pending;
    BatchOps records = now.records;
    if (pending == null || records == null) {
      return;
    }
    Set<Long> claimed = new HashSet<>();
    try {
      log.claim(pending);
      for (int i = 0; i < records.distinct(); i++) {
        if (records.isLarge(i)) {
          BlobExtents extents = extentsOf(records.bytesOf(i), records.at(i));
          if (extents == null) {
            throw new InvalidImageException(
                "log: expected batch " + pending.sequence + " to say where a value is, did not");
          }
          for (int j = 0; j < extents.count; j++) {
            parts.allocator.markUsed(extents.page[j], extents.pages[j]);
            claimed.add(extents.page[j]);
          }
        }
      }
    } catch (IllegalStateException | IllegalArgumentException e) {
      throw new InvalidImageException(
          "log: expected batch " + pending.sequence + " to have pages of its own, has not", e);
    }
    parts.claimed = claimed;
  }

  /** Completes the batch that the log has, and begins another generation of it. */
  void replay() {
    RedoLog.Found now = found;
    found = null;
    if (now == null) {
      return;
    }
    Scratch s = tree.takeScratch();
    try {
      RedoLog.Entry pending = now.pending;
      if (now.unreadable || (pending != null && now.records == null)) {
        giveUp(now);
      } else if (pending != null && now.records != null) {
        BatchRun run = runOf(pending, now.records);
        if (volume.readOnlyCause() == null) {
          replay(s, run);
        }
      }
      if (volume.readOnlyCause() == null) {
        boolean _ = tree.change(s, BEGIN);
      }
    } finally {
      parts.claimed = Set.of();
      tree.giveScratch(s);
    }
  }

  private BatchRun runOf(RedoLog.Entry pending, BatchOps records) {
    BatchRun run = new BatchRun(records, parts.secret, true, null);
    run.sequence = pending.sequence;
    run.inFlight.sequence = pending.sequence;
    run.entry = pending;
    parts.batch = run.inFlight;
    parts.hidden = run.inFlight;
    return run;
  }

  private void replay(Scratch s, BatchRun run) {
    s.batch = run;
    try {
      reserve(s, run);
      complete(s, run);
      LOG.log(
          Level.INFO,
          "batch " + run.sequence + " of " + run.count + " operations was completed from the log");
    } catch (OutOfSpaceException e) {
      stuck = run;
      volume.stopWrites(new HoldfastException("a batch cannot be completed: " + e.getMessage(), e));
    } catch (BatchUnsettledException e) {
      if (!volume.isReadOnly()) {
        throw e;
      }
    } finally {
      s.batch = null;
    }
  }

  /** The other volume is gone, too. Memory knows what it had. */
  private void reopenWithoutLog(Scratch s, BatchRun before, RedoLog.Found now) {
    BatchOps records = now.records == null ? before.kept : now.records;
    if (log.settled() < before.sequence && records != null) {
      BatchRun run = runOf(Objects.requireNonNull(before.entry), records);
      run.replaced.addAll(before.replaced);
      keepInBulk(before, run);
      replay(s, run); // That moves the log, too.
      return;
    }
    // First: or a slot that may be there would be replayed some day.
    boolean _ = tree.change(s, MOVE);
    if (log.settled() >= before.sequence) {
      parts.hidden = null;
      over(before);
    } else {
      forget(before);
    }
  }

  /** What the log had is on no leg: writes stop, and what may be a part of a batch is hidden. */
  private void giveUp(RedoLog.Found now) {
    RedoLog.Entry pending = now.pending;
    long sequence = pending != null ? pending.sequence : log.settled() + 1;
    if (pending != null || log.settled() > 0) {
      InFlightBatch lost = InFlightBatch.ofAnyKey(sequence);
      parts.batch = lost;
      parts.hidden = lost;
    }
    BatchAtRisk risk = new BatchAtRisk(sequence, pending != null ? pending.count : -1);
    atRisk = List.of(risk);
    LOG.log(Level.ERROR, "the log is on no leg any more: at risk is " + risk);
    if (volume.readOnlyCause() == null) {
      volume.stopWrites(
          new PoisonedRangeException("the log is on no leg any more: at risk is " + risk));
    }
  }

  /**
   * Completes or drops a batch that was interrupted, now that the devices are back. While no
   * operation is under way.
   */
  void reopen() {
    if (!TimedLock.tryUntil(writing, System.nanoTime() + REOPEN_NANOS)) {
      return; // Its own thread goes on with it.
    }
    Scratch s = tree.takeScratch();
    s.privileged = true;
    try {
      BatchRun before = stuck;
      if (before == null || volume.readOnlyCause() != null) {
        return;
      }
      RedoLog.Found now = log.open(false, false);
      RedoLog.Entry pending = now.pending;
      BatchOps records = now.records;
      unreserve(before);
      stuck = null;
      if (log.isOtherLost()) {
        reopenWithoutLog(s, before, now);
        return;
      }
      if (pending != null && records != null && pending.sequence == before.sequence) {
        BatchRun run = runOf(pending, records);
        run.replaced.addAll(before.replaced);
        keepInBulk(before, run);
        replay(s, run);
      } else if (!before.committed) {
        forget(before);
      } else if (log.settled() >= before.sequence) {
        parts.hidden = null; // Only the answer was missing.
        over(before);
      } else {
        giveUp(now);
      }
    } finally {
      s.privileged = false;
      tree.giveScratch(s);
      writing.unlock();
    }
  }
}
