package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;
import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Keeps what is held for snapshots within bounds, and gives back what no snapshot needs any more.
 *
 * <p>Large values are given back as soon as their pin ends. Leaves are written anew: those that are
 * written to are, sooner or later; the others a few at a time, by writers whose own leaf was full,
 * once enough waits in them, and all when room is needed.
 *
 * <p><b>Threads:</b> any, with no lock of a leaf held.
 */
final class VersionSweep {
  private static final System.Logger LOG = System.getLogger(VersionSweep.class.getName());

  /** So many leaves a turn: about what a put that finds its leaf full takes anyway, some times. */
  private static final int TURN = 8;

  /** Less than so many bytes that nobody needs are not worth a turn while there are pins. */
  private static final long WORTH = 1L << 20;

  /** Nor less than this part of what may be held. */
  private static final int PART = 8;

  private final Tree tree;
  private final Parts parts;
  private final LeafRewriter rewriter;
  private final ReentrantLock sweeping = new ReentrantLock();

  /** Leaves to be written anew. Under the lock. */
  private final Deque<Integer> queue = new ArrayDeque<>();

  private volatile long mostBytes = Long.MAX_VALUE;

  VersionSweep(Tree tree, Parts parts, LeafRewriter rewriter) {
    this.tree = tree;
    this.parts = parts;
    this.rewriter = rewriter;
  }

  /** What may be held for snapshots, in bytes. */
  void bound(long bytes) {
    mostBytes = bytes;
  }

  /** What is held for pins. */
  long held() {
    return parts.pins.view().bytes();
  }

  /** What was held for pins that have ended. */
  private long stale() {
    return Math.max(0, parts.oldVersions.bytes() + parts.heldBlobs.bytes() - held());
  }

  /** A turn, if there is something to do; for who comes by on a slow path. */
  void turn() {
    boolean some = parts.oldVersions.bytes() != 0 || parts.heldBlobs.bytes() != 0;
    if ((some || parts.pins.hasEnded()) && sweeping.tryLock()) {
      try {
        endWhatIsTooMuch();
        giveBack();
        Pins.View pins = parts.pins.view();
        if (queue.isEmpty() && (pins.isEmpty() || stale() > Math.max(WORTH, mostBytes / PART))) {
          fill();
        }
        boolean _ = sweep(TURN);
      } finally {
        sweeping.unlock();
      }
    }
  }

  /** Whether a turn before the store grows would give back enough to be worth it. */
  boolean isWorthIt() {
    return stale() > Math.max(WORTH, parts.volume.capacity() / PART);
  }

  /**
   * Gives everything back that nobody needs.
   *
   * @param force whether to end the oldest snapshot if that is nothing: there is no room otherwise
   * @return whether something was given back
   */
  boolean makeRoom(boolean force) {
    sweeping.lock();
    try {
      boolean gave = giveBack();
      queue.clear();
      fill();
      gave |= sweep(Integer.MAX_VALUE);
      if (gave || !force || held() == 0) {
        return gave;
      }
      if (parts.pins.endOldest(0) == null) {
        return false;
      }
      boolean _ = giveBack();
      fill();
      boolean _ = sweep(Integer.MAX_VALUE);
      return true;
    } finally {
      sweeping.unlock();
    }
  }

  private void endWhatIsTooMuch() {
    while (held() > mostBytes && parts.pins.endOldest(0) != null) {
      // Its bytes do not count from now on.
    }
  }

  /** Gives back what large values were kept for pins that have ended; whether there were some. */
  private boolean giveBack() {
    if (!parts.pins.hasEnded()) {
      return false;
    }
    long before = parts.heldBlobs.bytes();
    Scratch s = tree.takeScratch();
    try {
      long _ = tree.operate(s, (t, scratch) -> giveBackNow());
    } finally {
      tree.giveScratch(s);
    }
    return parts.heldBlobs.bytes() < before;
  }

  private long giveBackNow() {
    Pins.Pin oldest = null;
    int gaveWay = 0;
    Pins.Pin pin;
    while ((pin = parts.pins.nextEnded()) != null) {
      if (pin.gaveWay()) {
        oldest = oldest == null ? pin : oldest;
        gaveWay++;
      }
      parts.heldBlobs.ended(pin);
    }
    if (oldest != null) {
      LOG.log(
          Level.WARNING,
          (gaveWay == 1 ? "a snapshot" : gaveWay + " snapshots, the oldest of them")
              + " that was taken at "
              + oldest.takenAt
              + " (sequence "
              + oldest.sequence
              + ") kept more than there is room for: ended");
    }
    parts.pastLosses.prune(parts.pins.view());
    return 0;
  }

  private void fill() {
    for (int leaf : parts.oldVersions.stale()) {
      queue.add(leaf);
    }
  }

  /** Writes leaves anew; whether one was. */
  private boolean sweep(int most) {
    boolean some = false;
    Scratch s = tree.takeScratch();
    try {
      for (int i = 0; i < most && !queue.isEmpty(); i++) {
        s.lossLeaf = queue.remove();
        long outcome = tree.operate(s, (t, scratch) -> rewrite(scratch));
        if (outcome == LeafRewriter.NO_ROOM) {
          queue.clear(); // Later: who needs room most makes it.
          return some;
        }
        some |= outcome == LeafRewriter.DONE;
      }
      return some;
    } finally {
      tree.giveScratch(s);
    }
  }

  private long rewrite(Scratch s) {
    int leaf = s.lossLeaf;
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!parts.oldVersions.isStale(leaf)) {
        return LeafRewriter.BUSY;
      }
      if (!parts.leaves.exists(leaf)) {
        parts.oldVersions.forget(leaf);
        return LeafRewriter.BUSY;
      }
      LegSet set = parts.volume.writableLegs();
      LeafRewriter.Order order = s.order.begin(0, tree.keepAbove());
      return rewriter.rewrite(s, set, leaf, order);
    } finally {
      lock.unlock();
    }
  }
}
