package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.SnapshotTooOldException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Reads what the tree held at one sequence.
 *
 * <p>A get looks for the newest record first, as every get does: where it is not newer than the
 * snapshot, it is the answer. Else the versions in the leaf are looked through.
 *
 * <p><b>Threads:</b> any, {@link #close} too. What a pin protects is read first and believed only
 * if the pin is open behind that: so a read that met the end of the snapshot says so.
 */
public final class TreeSnapshot implements AutoCloseable {
  /** So often a leaf of which a part is on no leg is written anew for one read. */
  private static final int DAMAGE_LIMIT = 3;

  private static final int SPINS = 100;
  private static final long PARK_NANOS = 1_000;

  /** The answer was lost. */
  private static final long LOST = -7;

  private static final long UNBUILT = -8;

  private final Tree tree;
  private final Parts parts;
  private final ReverseMap reverseMap;
  private final Pins.Pin pin;
  private final long holder;

  /** What was lost when it was taken: what is healed later has not been there. */
  private final Losses before;

  private final Losses after;
  private final RecordReader reader;
  private final VersionWalk walk;

  TreeSnapshot(
      Tree tree, Parts parts, ReverseMap reverseMap, Pins.Pin pin, Losses before, Losses after) {
    this.tree = tree;
    this.parts = parts;
    this.reverseMap = reverseMap;
    this.pin = pin;
    this.before = before;
    this.after = after;
    this.reader = new RecordReader(parts);
    this.walk = new VersionWalk(parts);
    this.holder = reverseMap.pin(0, VolumeLayout.MAX_CAPACITY, new Holder(pin));
  }

  /** A snapshot can read anything; it holds no address, so that it outlives a leg. */
  private record Holder(Pins.Pin pin) implements MappingHandle {
    @Override
    public String describe() {
      return "snapshot at sequence " + pin.sequence + ", taken at " + pin.takenAt;
    }

    @Override
    public void invalidated(long offset, long length) {
      // Each of its reads takes the leg set that is in force.
    }
  }

  /** The sequence: of all that was written, it holds what has no higher one. */
  public long sequence() {
    return pin.sequence;
  }

  /** When it was taken. */
  public Instant takenAt() {
    return pin.takenAt;
  }

  /** Whether neither it nor its store was closed. */
  public boolean isOpen() {
    return (pin.isOpen() || pin.gaveWay()) && !tree.isClosed();
  }

  /** The value of a key, or null. */
  public byte @Nullable [] get(int map, byte[] key) {
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      return look(s) < 0 ? null : s.result;
    } finally {
      tree.giveScratch(s);
    }
  }

  /**
   * Copies the value of a key.
   *
   * @return its length, or -1 if there is none; where it is larger than {@code into} nothing was
   *     copied
   */
  public long get(int map, MemorySegment key, MemorySegment into) {
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      s.into = into;
      return look(s);
    } finally {
      tree.giveScratch(s);
    }
  }

  /** Whether a key has a value. */
  public boolean containsKey(int map, byte[] key) {
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      s.into = MemorySegment.NULL; // nothing fits into it, so that nothing is copied
      return look(s) >= 0;
    } finally {
      tree.giveScratch(s);
    }
  }

  /** Where the value of a key lies in the BULK volume; null if it has none, or not there. */
  public byte @Nullable [] bulkPlace(int map, byte[] key) {
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      s.into = MemorySegment.NULL;
      s.peeksBulk = true;
      long _ = look(s);
      BlobExtents extents = s.inBulk;
      return extents == null ? null : extents.bulk;
    } finally {
      tree.giveScratch(s);
    }
  }

  /** Begins to walk over the entries. */
  public TreeScan scan(int map) {
    requireOpen();
    return new TreeScan(tree, parts, reverseMap, map, this);
  }

  // ---------------------------------------------------------------- reading

  private static final Tree.Attempt READ =
      (tree, s) -> {
        TreeSnapshot snapshot = s.snapshot;
        return snapshot == null ? Tree.AGAIN : snapshot.tryRead(s);
      };

  private static final Tree.Attempt DELIVER =
      (tree, s) -> {
        TreeSnapshot snapshot = s.snapshot;
        return snapshot == null ? Tree.AGAIN : snapshot.deliver(s, tree.readableLegs());
      };

  private long look(Scratch s) {
    int readsBefore = s.reads;
    s.snapshot = this;
    try {
      int damaged = 0;
      for (int spin = 0; ; spin++) {
        long outcome = tree.operate(s, READ);
        if (outcome == Tree.IN_BULK) {
          outcome = s.peeksBulk ? 0 : loadFromBulk(s);
        }
        if (outcome >= Tree.ABSENT) {
          tree.counts().get(s.reads - readsBefore, s.place);
          return outcome;
        }
        if (outcome == LOST || (outcome == Tree.DAMAGED && ++damaged > DAMAGE_LIMIT)) {
          throw Tree.lost(s.userKey());
        }
        if (outcome == UNBUILT) {
          tree.build(s.fullLeaf);
        } else if (outcome == Tree.DAMAGED) {
          tree.nameLostIn(s.fullLeaf, s);
        } else if (outcome == Tree.UNSURE) {
          throw lostValue(s);
        } else {
          pause(spin);
        }
      }
    } finally {
      s.snapshot = null;
    }
  }

  /** Who writes a leaf anew may wait for this very processor. */
  static void pause(int spin) {
    if (spin < SPINS) {
      Thread.onSpinWait();
    } else {
      LockSupport.parkNanos(PARK_NANOS);
    }
  }

  private long tryRead(Scratch s) {
    requireOpen();
    LegSet set = tree.readableLegs();
    int found = reader.find(s, set);
    if (found == RecordReader.AGAIN) {
      return Tree.AGAIN;
    }
    InFlightBatch hidden = parts.hidden; // newer than the snapshot, or hidden for good
    boolean isNewest =
        found == RecordReader.FOUND
            && isInTime(s.record, 0)
            && (hidden == null || !hidden.hides(s.record, 0));
    if (isNewest) {
      s.fullLeaf = parts.pages.leaf(s.offset >>> PageMap.PAGE_SHIFT);
      return deliver(s, set);
    }
    int walked = walk.find(s, set, pin.sequence, hidden);
    if (walked == VersionWalk.AGAIN || walked == VersionWalk.UNBUILT) {
      return walked == VersionWalk.AGAIN ? Tree.AGAIN : UNBUILT;
    }
    requireOpen();
    if (walked == VersionWalk.DAMAGED) {
      return Tree.DAMAGED;
    }
    boolean hasRecord = walked == VersionWalk.FOUND;
    boolean hasValue = hasRecord && RecordLayout.type(s.record, 0) != RecordLayout.TOMBSTONE;
    long sequence = hasRecord ? RecordLayout.sequence(s.record, 0) : -1;
    boolean isCertain = hasValue && !mayHideALoss(s, RecordLayout.address(s.offset));
    if (parts.pastLosses.covers(s.key, s.keyLength, pin.sequence)
        || before.hides(s.key, s.keyLength, s.hash, sequence, isCertain)
        || after.hides(s.key, s.keyLength, s.hash, sequence, isCertain)) {
      return LOST;
    }
    return hasValue ? deliver(s, set) : Tree.ABSENT;
  }

  /** Whether what was found is what is left of a key of which something newer may be lost. */
  private boolean mayHideALoss(Scratch s, long address) {
    return parts.leaves.is(s.fullLeaf, Leaves.UNLED) && !parts.points.leadsTo(s.hash, address);
  }

  boolean isInTime(byte[] bytes, int at) {
    return RecordLayout.sequence(bytes, at) <= pin.sequence;
  }

  private long deliver(Scratch s, LegSet set) {
    requireOpen();
    return tree.deliver(s, set, true);
  }

  /** The value of a record that a walk came to. */
  byte[] valueOf(LeafImage image, int at) {
    Scratch s = tree.takeScratch();
    s.snapshot = this;
    try {
      byte[] key = image.key(at);
      s.key(Tree.mapOf(key), Arrays.copyOfRange(key, Scratch.KEY_PREFIX, key.length), parts.secret);
      System.arraycopy(image.bytes, at, s.record, 0, RecordLayout.size(image.bytes, at));
      s.offset = image.offset + image.place(at);
      s.recordSize = image.size(at);
      s.fullLeaf = parts.order.floor(s.key, 0, s.keyLength);
      long outcome = tree.operate(s, DELIVER);
      if (outcome == Tree.IN_BULK) {
        outcome = loadFromBulk(s);
      }
      byte[] result = s.result;
      if (outcome < 0 || result == null) {
        throw lostValue(s);
      }
      return result;
    } finally {
      s.snapshot = null;
      tree.giveScratch(s);
    }
  }

  /** What the snapshot shows is kept for it in the BULK volume, too: unless it is closed by now. */
  private long loadFromBulk(Scratch s) {
    long length;
    try {
      length = tree.bulkValues().load(s);
    } catch (DataLostException e) {
      length = Tree.ABSENT;
    }
    requireOpen();
    if (length == Tree.ABSENT) {
      throw Tree.lost(s.userKey());
    }
    return length;
  }

  /** A large value is on no leg. If it is the key's value still, the store names it. */
  private RuntimeException lostValue(Scratch s) {
    requireOpen(); // Else its extents may hold something else by now.
    if (s.fullLeaf >= 0) {
      tree.nameLostIn(s.fullLeaf, s);
    }
    return Tree.lost(s.userKey());
  }

  /** Whether something of a range of keys was lost, as far as the snapshot can come to it. */
  boolean hasLost(byte[] low, byte @Nullable [] high) {
    return parts.pastLosses.meets(low, high, pin.sequence)
        || before.meets(low, high)
        || after.meets(low, high);
  }

  /** Whether a version that was found is known to be the one that was in force. */
  boolean isKnown(int map, byte[] key) {
    try {
      return containsKey(map, key);
    } catch (DataLostException e) {
      return false;
    }
  }

  // ---------------------------------------------------------------- its end

  /**
   * What it reads is kept.
   *
   * @throws StoreClosedException if it was closed
   * @throws SnapshotTooOldException if it gave way
   */
  void requireOpen() {
    if (pin.isOpen()) {
      return;
    }
    if (pin.gaveWay()) {
      throw new SnapshotTooOldException(
          "the snapshot that was taken at "
              + pin.takenAt
              + " (sequence "
              + pin.sequence
              + ") has ended: it kept more than there was room for");
    }
    throw new StoreClosedException("the snapshot is closed");
  }

  /** Ends it. Harmless when it was closed before. */
  @Override
  public void close() {
    boolean _ = reverseMap.unpin(holder);
    tree.release(pin);
  }
}
