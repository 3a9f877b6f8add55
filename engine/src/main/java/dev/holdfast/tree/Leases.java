package dev.holdfast.tree;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.MappingRevokedException;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.LegSet;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The leases of a tree: how they begin, what they keep, and how they end.
 *
 * <h2>How a lease keeps pages</h2>
 *
 * A lease pins what it points at in the reverse map, within the operation that found the value, and
 * that is all it does. Pages that were given up are freed once no operation can be in them; behind
 * that wait, and not before, the allocator asks {@link #isPinned}. An operation that found the
 * value before its pages were given up is waited for, so that its pin is seen then; one that began
 * later does not find the value.
 *
 * <p><b>Threads:</b> any; no lock.
 */
final class Leases {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  /** So often a value that is right on no leg is named as lost before that is the answer. */
  private static final int DAMAGE_LIMIT = 3;

  /** So often a record is looked for that every look in between has found. */
  private static final int UNSURE_LIMIT = 100;

  /** What watches for a lease that was forgotten. */
  private static final class Watch extends WeakReference<Object> {
    final TreeLease lease;

    Watch(Object user, TreeLease lease, ReferenceQueue<Object> queue) {
      super(user, queue);
      this.lease = lease;
    }
  }

  private final Tree tree;
  private final Parts parts;
  private final ReverseMap reverseMap;
  private final BlobSpace blobs;
  private final Runnable pinEnded;
  private final LongAdder open = new LongAdder();
  private final AtomicLong gaveWay = new AtomicLong();
  private final ReferenceQueue<Object> forgotten = new ReferenceQueue<>();

  /** Before the first pin is: who frees pages need not look for what nobody ever used. */
  private volatile boolean used;

  /**
   * @param pinEnded is told that pages may be freed that were pinned
   */
  Leases(Tree tree, Parts parts, ReverseMap reverseMap, BlobSpace blobs, Runnable pinEnded) {
    this.tree = tree;
    this.parts = parts;
    this.reverseMap = reverseMap;
    this.blobs = blobs;
    this.pinEnded = pinEnded;
    parts.allocator.pinnedBy(this::isPinned);
  }

  // ---------------------------------------------------------------- opening

  /** What an attempt to open made. */
  private static final class Opening {
    @Nullable TreeLease lease;
    @Nullable BlobExtents extents;
  }

  /** Leases the value of a key; null if it has none. */
  @Nullable TreeLease open(int map, byte[] key) {
    endForgotten();
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      return open(s);
    } finally {
      tree.giveScratch(s);
    }
  }

  private @Nullable TreeLease open(Scratch s) {
    int damaged = 0;
    int unsure = 0;
    BlobExtents gone = null;
    while (true) {
      Opening opening = new Opening();
      long outcome = tree.operate(s, (_, scratch) -> tryOpen(scratch, opening, false));
      if (outcome != Tree.YES && outcome != Tree.IN_BULK) {
        // Whatever has to be done before there is an answer is done as for any read.
        s.into = MemorySegment.NULL;
        if (tree.look(s) < 0) {
          return null;
        }
        outcome = tree.operate(s, (_, scratch) -> tryOpenLocked(scratch, opening));
      }
      if (outcome == Tree.IN_BULK) {
        if (isLeasedInBulk(s, gone, opening)) {
          return opening.lease;
        }
        gone = s.inBulk;
        continue;
      }
      TreeLease lease = opening.lease;
      if (outcome != Tree.YES || lease == null) {
        // It was right a moment ago; a record that no leg shows as a whole is named as lost by now.
        if (outcome == Tree.UNSURE && ++unsure > UNSURE_LIMIT) {
          throw Tree.lost(s.userKey());
        }
        continue;
      }
      if (isRight(s, lease, opening.extents)) {
        return lease;
      }
      if (!lease.isOpen()) {
        continue; // It gave way, so that its key has another value by now.
      }
      lease.close();
      if (++damaged > DAMAGE_LIMIT) {
        throw Tree.lost(s.userKey());
      }
      long leaf = tree.operate(s, (_, t) -> parts.order.floor(t.key, 0, t.keyLength));
      if (leaf >= 0) {
        tree.nameLostIn((int) leaf, s);
      }
    }
  }

  /** Leases a value where it lies, in the BULK volume; whether it is there. */
  private boolean isLeasedInBulk(Scratch s, @Nullable BlobExtents gone, Opening opening) {
    return BulkValues.isThere(
        s,
        gone,
        () -> {
          opening.lease = tree.bulkValues().lease(s);
          return opening.lease != null;
        });
  }

  /** Verifies a value that is pinned; a lease on one that cannot be is closed, or gave way. */
  private boolean isRight(Scratch s, TreeLease lease, @Nullable BlobExtents extents) {
    if (extents == null) {
      return true;
    }
    boolean ended = false;
    try {
      boolean right = lease.verify(s, blobs, extents);
      ended = true;
      return right;
    } catch (MappingRevokedException e) {
      if (e.getCause() instanceof DeviceOfflineException offline) {
        throw offline;
      }
      ended = true;
      return false;
    } finally {
      if (!ended) {
        lease.close();
      }
    }
  }

  /** With no writer in between, and from wherever the record can be reached. */
  private long tryOpenLocked(Scratch s, Opening opening) {
    int leaf = parts.pages.leaf(s.offset >>> PageMap.PAGE_SHIFT);
    if (leaf < 0) {
      return Tree.AGAIN;
    }
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      return tryOpen(s, opening, true);
    } finally {
      lock.unlock();
    }
  }

  private long tryOpen(Scratch s, Opening opening, boolean hard) {
    LegSet set = tree.readableLegs();
    int found = tree.find(s, set, hard);
    if (found != RecordReader.FOUND) {
      return Tree.code(found);
    }
    byte[] record = s.record;
    int at = RecordLayout.inlineAt(record, 0);
    int length = RecordLayout.inlineLength(record, 0);
    long sequence = RecordLayout.sequence(record, 0);
    LeasedValue value;
    if (RecordLayout.type(record, 0) == RecordLayout.VALUE) {
      long where = length == 0 ? 0 : whereIs(s, set, at, length);
      if (where < 0) {
        return Tree.UNSURE;
      }
      value = LeasedValue.inline(where, length, sequence);
      if (length > 0) {
        s.crc.reset();
        s.crc.update(record, at, length);
        value.sum(0, (int) s.crc.getValue());
      }
    } else {
      BlobExtents extents = BlobExtents.of(record, 0, parts.volume.capacity() / PageMap.PAGE);
      if (extents == null) {
        return Tree.UNSURE;
      }
      if (extents.bulk != null) {
        s.inBulk = extents;
        return Tree.IN_BULK;
      }
      opening.extents = extents;
      value = LeasedValue.large(extents, sequence);
    }
    opening.lease = begin(s.map(), s.userKey(), value);
    return Tree.YES;
  }

  /** Within the operation that found the value: see the class. */
  private TreeLease begin(int map, byte[] key, LeasedValue value) {
    if (!used) {
      used = true;
    }
    TreeLease lease = new TreeLease(tree, parts, this, map, key, value);
    lease.pinned(value.pin(reverseMap, lease));
    open.increment();
    return lease;
  }

  /**
   * Where the value of the scratch's record lies, whichever form the record has there; -1 where no
   * leg shows it.
   */
  private long whereIs(Scratch s, LegSet set, int at, int length) {
    byte[] head = new byte[Long.BYTES];
    byte[] bytes = new byte[length];
    for (int pass = 0; pass <= set.readers(); pass++) {
      if (!load(set, pass, s.offset, head, head.length)) {
        continue;
      }
      int keyLength = RecordLayout.keyLength(s.record, 0);
      long where = s.offset + RecordLayout.HEADER + keyLength;
      if (PackedLayout.isPacked(head, 0)) {
        where = s.offset + PackedLayout.HEADER + keyLength - PackedLayout.prefix(head, 0);
      }
      // Garbage on a leg leads astray, but not behind the record, and is not taken for the value.
      if (load(set, pass, where, bytes, length)
          && Arrays.equals(bytes, 0, length, s.record, at, at + length)) {
        return where;
      }
    }
    return -1;
  }

  private boolean load(LegSet set, int reader, long offset, byte[] into, int length) {
    if (offset < 0 || offset + length > parts.volume.capacity()) {
      return false;
    }
    return reader == set.readers()
        ? parts.volume.assembleAny(set, offset, into, 0, length)
        : parts.volume.loadChecked(set, reader, offset, into, 0, length);
  }

  WeakReference<Object> watch(Object user, TreeLease lease) {
    return new Watch(user, lease, forgotten);
  }

  // ---------------------------------------------------------------- what they keep

  /** Whether a lease points into a run of pages. */
  boolean isPinned(long page, int count) {
    return used && oldestOn(page, count) != null;
  }

  /** The lease on the oldest value that points into a run of pages. */
  private @Nullable TreeLease oldestOn(long page, int count) {
    TreeLease[] oldest = new TreeLease[1];
    reverseMap.mappings(
        page * PageMap.PAGE,
        (long) count * PageMap.PAGE,
        (offset, length, handle) -> {
          if (handle instanceof TreeLease lease
              && (oldest[0] == null || lease.value().sequence < oldest[0].value().sequence)) {
            oldest[0] = lease;
          }
        });
    return oldest[0];
  }

  /**
   * Ends the lease on the oldest value of those that keep pages which would be free without them.
   *
   * @return whether there was one
   */
  boolean giveWay() {
    endForgotten();
    TreeLease[] oldest = new TreeLease[1];
    parts.allocator.forEachPinned((page, count) -> {
      TreeLease lease = oldestOn(page, count);
      if (lease != null
          && (oldest[0] == null || lease.value().sequence < oldest[0].value().sequence)) {
        oldest[0] = lease;
      }
    });
    TreeLease lease = oldest[0];
    if (lease == null) {
      // What was pinned when it was given up, and is not any more, is room.
      return parts.allocator.pinnedPages() > 0 && parts.allocator.pinEnded();
    }
    if (lease.giveWay()) {
      gaveWay.incrementAndGet();
      LOG.log(
          Level.WARNING,
          lease.describe() + ": kept pages of a former value, and there is no other room: ended");
    }
    return true;
  }

  // ---------------------------------------------------------------- their end

  /** What a lease points at is pinned no more. */
  void ended(TreeLease lease) {
    for (long token : lease.tokens()) {
      boolean _ = reverseMap.unpin(token);
    }
    open.decrement();
    if (parts.allocator.pinnedPages() > 0) {
      pinEnded.run();
    }
  }

  /** Ends the leases that their users forgot. */
  void endForgotten() {
    while (forgotten.poll() instanceof Watch watch) {
      if (watch.lease.forget()) {
        LOG.log(
            Level.WARNING,
            watch.lease.describe() + ": was never closed; it ends now that nobody can reach it");
      }
    }
  }

  /** Figures of the leases. */
  Tree.LeaseFigures figures() {
    endForgotten();
    return new Tree.LeaseFigures(
        open.sum(), parts.allocator.pinnedPages() * PageMap.PAGE, gaveWay.get());
  }
}
