package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.DramRegion;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.TimedLock;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The tree: clustered append leaves on the device; in DRAM a hash that leads a get straight to its
 * record, and an ordered index over the leaves.
 *
 * <h2>Invariants</h2>
 *
 * <ol>
 *   <li>Within a generation a leaf is only appended to; what its row says it has, it has.
 *   <li>DRAM changes only behind the barrier of what it will lead to, with the leg set unchanged.
 *   <li>Every live record of a leaf that is built has one slot, and leads no other key astray: who
 *       follows a slot checks key, checksum, place and sequence.
 *   <li>Pages are given back only when no row on any leg names them and no operation can be in
 *       them.
 * </ol>
 *
 * <p><b>Lock order:</b> a leaf's lock, then {@code changingLosses}, then what {@link Volume} says.
 * Growth and failover begin with no lock held.
 */
public final class Tree {
  private static final System.Logger LOG = System.getLogger(Tree.class.getName());

  /** The longest key, in bytes. */
  public static final int MAX_KEY_LENGTH = 4096;

  /** The longest value, in bytes. */
  public static final int MAX_VALUE_LENGTH = 1 << 30;

  /** A memory fault that no leg explains comes from the caller's memory, or from nowhere. */
  private static final int UNEXPLAINED_LIMIT = 3;

  /** So often a leaf of which a part is lost is written anew for one operation. */
  private static final int DAMAGE_LIMIT = 3;

  static final long GRACE_NANOS = 5_000_000_000L;

  /** So many neighbours one operation merges at most. */
  private static final int MERGE_LIMIT = 8;

  /** So long people wait for what lives in a leaf that is just being read. */
  private static final long LOOK_NANOS = 100_000_000L;

  /** Addresses, not memory: what is touched counts. */
  private static final long INDEX_ADDRESSES = 64L << 30;

  private static final long ORDER_ADDRESSES = 8L << 30;

  static final long YES = 1;
  static final long NO = 0;

  /** The attempt has to be made once more, after what the scratch says. */
  static final long GROW = -2;

  static final long AGAIN = -3;
  static final long UNSURE = -4;
  private static final long NEEDS_CHUNK = -5;
  static final long DAMAGED = -6;
  static final long UNCOMMITTED = -7;

  /** A new entry may take memory beyond the budget: what waits to be usable again comes first. */
  private static final long TIGHT = -9;

  /** A value that is stored has to be whole and durable on the legs that are in force now. */
  private static final long UNSEALED = -10;

  static final long ABSENT = -1;

  /** The value lies in the BULK volume: to be read outside of the operation. */
  static final long IN_BULK = -20;

  private static final int NOBODY = -1;

  /** Who found so many records that lie behind each other asks for the next one, perhaps. */
  private static final int IN_ORDER = 2;

  private final Volume volume;
  private final ReverseMap reverseMap;
  private final Parts parts;
  private final RecordReader reader;
  private final FormerRecord formerRecord;
  private final BlobSpace blobs;
  private final BulkValues bulkValues;
  private final LeafRewriter rewriter;
  private final LeafMerger merger;
  private final LeafBuilder builder;
  private final TreeOwners owners;
  private final LazyBuild building;
  private final BatchWriter batches;
  private final VersionSweep sweep;
  private final Leases leases;

  private final LeafSpace leafSpace;
  private final OperationCounts counts = new OperationCounts();
  private final ScratchPool scratches;
  private final DramRegion orderMemory;
  private volatile DramRegion pointMemory;

  /** Makes a change of the loss records, and the taking up of what they are then, one. */
  private final ReentrantLock changingLosses = new ReentrantLock();

  /** Changed under {@link #changingLosses}. */
  private volatile Losses losses;

  /** Counts whatever may make a key count as lost no more, before it does. */
  private final AtomicLong lossChanges = new AtomicLong();

  /** What led to the records before the devices were read again; null but for that time. */
  private @Nullable PointIndex former;

  /** By the hash of a key whose loss is about to go: the sequence up to which it counts no more. */
  private final ConcurrentHashMap<Long, Long> healing = new ConcurrentHashMap<>();

  private final byte[] readAgain = new byte[RecordLayout.MAX_RECORD];
  private final byte[] readAgainCommon = new byte[PackedLayout.MAX_PREFIX];
  private volatile boolean closed;
  private final AtomicBoolean released = new AtomicBoolean();

  /** While the devices are read anew under a running store, every operation is offline. */
  private volatile boolean suspended;

  private final TreeRoom room;
  private final ColdPacking packing;

  /** Is told that bytes of a leg are wrong, though they can be read. */
  public interface DamageListener {
    /** What lies at {@code [offset, offset + length)} does not validate on {@code leg}. */
    void damaged(int leg, long offset, long length);
  }

  /** What to do with a key, depending on what it has. */
  public enum Condition {
    /** Always. */
    ANY,
    /** Only if it has no value. */
    ABSENT,
    /** Only if it has a value. */
    PRESENT,
    /** Only if its value equals the expected one. */
    EQUAL,
    /** Never: what it has is only waited for. */
    NEVER
  }

  /**
   * @param volume where the tree lies
   * @param reverseMap is told who owns what
   * @param maxCapacity the bytes that the volume may grow to
   * @param memoryBudget the bytes of memory off the heap that indexes and descriptors may take
   * @param nextSequence the first sequence that nothing has
   * @param damage is told of damaged copies
   */
  public Tree(
      Volume volume,
      ReverseMap reverseMap,
      long maxCapacity,
      long memoryBudget,
      long nextSequence,
      DamageListener damage) {
    this.volume = volume;
    this.reverseMap = reverseMap;
    this.scratches = new ScratchPool(volume.grace());
    long mostPages = VolumeLayout.MAX_CAPACITY / PageMap.PAGE;
    this.orderMemory = new DramRegion(ORDER_ADDRESSES, false);
    this.pointMemory = new DramRegion(INDEX_ADDRESSES, true);
    PageAllocator allocator = new PageAllocator(VolumeLayout.RECORDS_OFFSET / PageMap.PAGE);
    MemoryBudget budget = new MemoryBudget(memoryBudget);
    this.parts =
        new Parts(
            volume,
            damage,
            new SeparatorIndex(orderMemory, budget),
            new PageMap(mostPages, true),
            new Leaves(
                (long) LeafTable.MAX_CHUNKS * LeafTable.CHUNK_BYTES / LeafTable.UNIT, budget),
            allocator,
            budget,
            new PointIndex(pointMemory, budget, 0, this::hashOfRecord),
            nextSequence);
    this.reader = new RecordReader(parts);
    this.formerRecord = new FormerRecord(parts);
    this.blobs = new BlobSpace(parts);
    this.bulkValues = new BulkValues(parts);
    this.rewriter = new LeafRewriter(parts);
    this.merger = new LeafMerger(parts, rewriter);
    this.builder = new LeafBuilder(parts);
    this.room = new TreeRoom(parts, VolumeLayout.wholePages(maxCapacity));
    this.packing = new ColdPacking(this, parts);
    this.batches = new BatchWriter(this, parts, reader, blobs, rewriter);
    this.owners = new TreeOwners(parts);
    this.building = new LazyBuild(this, parts, builder, scratches);
    this.sweep = new VersionSweep(this, parts, rewriter);
    this.leases = new Leases(this, parts, reverseMap, blobs, room::pinEnded);
    this.leafSpace = new LeafSpace(this, parts.leaves);
    this.losses = new Losses(volume.config().losses());
    reverseMap.join(owners);
    volume.secondCopies(parts.table);
  }

  // ---------------------------------------------------------------- opening

  /**
   * Reads the leaf table. Of the leaves, only those are read that must be known before the first
   * page is handed out, or all if they are few. The others are read, and the legs reconciled there,
   * when they are first touched, or by {@link #beginBuilding}.
   *
   * @param unclean whether the store was not closed in order
   * @param summary what there was, if it was
   * @param buildsFewAtOnce whether leaves are read at once where they are few
   */
  public void open(
      boolean unclean, VolumeConfig.@Nullable Summary summary, boolean buildsFewAtOnce) {
    if (volume.legs().readers() == 0) {
      throw volume.offline();
    }
    boolean _ = parts.allocator.growTo(volume.capacity() / PageMap.PAGE);
    parts.budget.take(volume.capacity() / PageMap.PAGE * PageMap.BYTES_OF_PAGE);
    room.begin();
    batches.open();
    List<LossRecord> lost = builder.open(unclean || summary == null);
    parts.budget.requireRoomFor(parts.entries.sum());
    if (!lost.isEmpty()) {
      addLosses(lost);
    }
    building.atOnce(buildsFewAtOnce);
    if (volume.isSparse()) {
      // Which pages have no blocks is not known any more: they are taken again before they are
      // used.
      parts.allocator.hollowAll();
    }
    if (summary != null
        && !unclean
        && summary.records() > parts.entries.sum() + builder.missing()) {
      lost = List.of(LossRecord.ofAnything(0, volume.capacity(), parts.sequence.get()));
      addLosses(lost);
    }
    if (volume.readOnlyCause() == null) {
      patiently(_ -> parts.commits.opened(volume.writableLegs(), unclean || summary == null));
    }
    builder.opened();
    batches.replay();
    room.start(packing);
  }

  /** Begins to read what {@link #open} left out, in the background. */
  public void beginBuilding() {
    building.begin();
  }

  /**
   * Whether every leaf was read since the tree was opened. Until then {@link #entries} is what the
   * leaf table says, and what may differ between the legs is not reconciled everywhere.
   */
  public boolean isBuilt() {
    return parts.allBuilt;
  }

  /**
   * Ends the reading in the background; where legs may differ, waits a little for its end.
   *
   * @return whether every leaf was read
   */
  public boolean endBuilding(long nanos) {
    return building.end(builder.isUnclean() && volume.legs().readers() > 0 ? nanos : 0);
  }

  /** Runs what needs no lock against others until no fault and no other leg set comes between. */
  void patiently(Consumer<LegSet> pass) {
    while (true) {
      try {
        pass.accept(volume.legs());
        return;
      } catch (DeviceFault fault) {
        if (!volume.recover(fault)) {
          throw new HoldfastException("a memory fault that no leg explains", fault);
        }
      } catch (LegSetChanged e) {
        // Once more, with the set that is in force now.
      }
      if (volume.legs().readers() == 0) {
        throw volume.offline();
      }
    }
  }

  /** Builds a leaf if it exists and is not built; with no lock held. */
  void build(int leaf) {
    Scratch s = scratches.take();
    try {
      s.lossLeaf = leaf;
      long _ = operate(s, BUILD);
    } finally {
      scratches.give(s);
    }
  }

  private long tryBuild(Scratch s) {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    ReentrantLock lock = parts.leaves.lock(s.lossLeaf);
    lock.lock();
    try {
      boolean _ = parts.leaves.exists(s.lossLeaf) && ensureBuilt(s, set, s.lossLeaf);
      return YES;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Builds a leaf before it is used for the first time; under its lock.
   *
   * @return whether something of it was named as lost
   */
  boolean ensureBuilt(Scratch s, LegSet set, int leaf) {
    return !parts.leaves.is(leaf, Leaves.BUILT) && build(s, set, leaf, true);
  }

  /**
   * Gives the records of a leaf their slots; what is on no leg is named first.
   *
   * @param replaces whether a leaf of which something is lost is written anew
   * @return whether something was named
   */
  boolean build(Scratch s, LegSet set, int leaf, boolean replaces) {
    LeafImage image = s.image();
    PointIndex known = builder.wasKnown(leaf) ? former : null;
    if (builder.build(set, leaf, image, false, known)) {
      return false;
    }
    long[] meant = known == null ? null : lostIn(known, leaf, image);
    boolean named = false;
    if (meant == null || meant.length > 0) {
      List<LossRecord> lost = new ArrayList<>(builder.lossesOf(leaf, image, set, meant));
      long generation = parts.leaves.generation(leaf);
      lost.removeIf(loss -> isKnown(loss, generation));
      if (!lost.isEmpty()) {
        addLosses(lost);
      }
      named = true;
    }
    boolean built = builder.build(set, leaf, image, true, known);
    assert built;
    if (replaces && volume.readOnlyCause() == null) {
      replaceDamaged(s, set, leaf);
    }
    return named;
  }

  /**
   * Whether the loss of the same bytes of the same leaf has been named before. What was named
   * before the leaf was written is about what was there then.
   */
  private boolean isKnown(LossRecord loss, long generation) {
    for (LossRecord known : losses.records()) {
      if (known.watermark() >= generation
          && known.offset() <= loss.offset()
          && known.offset() + known.length() >= loss.offset() + loss.length()
          && Arrays.equals(known.low(), loss.low())) {
        return true;
      }
    }
    return false;
  }

  /** Whether a loss stands for what is right on no leg in a range of a leaf. */
  boolean isNamed(long offset, long length, long generation) {
    for (LossRecord known : losses.records()) {
      if (known.watermark() >= generation
          && known.offset() <= offset
          && known.offset() + known.length() >= offset + length) {
        return true;
      }
    }
    return false;
  }

  /** Reads the devices of a running store again: memory knows what has to be there. */
  public void reopen() {
    room.lock(); // Who has room made waits in the index that goes, and for a commit.
    try {
      parts.commits.exclusively(this::readAgain);
    } finally {
      room.unlock();
    }
    batches.reopen(); // What it completes it commits itself.
    BulkSpace bulk = parts.bulk;
    if (bulk != null) {
      bulk.lookForOthers(); // What was interrupted may have left some.
    }
  }

  private void readAgain() {
    building.restart();
    rewriter.restart();
    builder.restart();
    DramRegion old = pointMemory;
    former = parts.points;
    pointMemory = new DramRegion(INDEX_ADDRESSES, true);
    parts.points =
        new PointIndex(pointMemory, parts.budget, parts.entries.sum(), this::hashOfRecord);
    for (int leaf : builder.leaves()) {
      if (builder.wasKnown(leaf)) {
        parts.leaves.tableCount(leaf, parts.leaves.live(leaf));
      }
    }
    restoreTable();
    try {
      building.everything();
    } finally {
      parts.budget.take(-former.bytes());
      former = null;
      old.close(); // No operation is under way.
    }
  }

  /** What memory knows of the leaves is newer than what a device that was away may say. */
  private void restoreTable() {
    if (volume.readOnlyCause() != null) {
      return;
    }
    for (int leaf : builder.leaves()) {
      patiently(_ -> restoreRow(volume.writableLegs(), leaf));
    }
  }

  private void restoreRow(LegSet set, int leaf) {
    int index = parts.leaves.is(leaf, Leaves.SECOND_SLOT) ? 1 : 0;
    LeafTable.Slot slot =
        new LeafTable.Slot(
            parts.leaves.page(leaf),
            parts.leaves.generation(leaf),
            parts.leaves.pages(leaf),
            parts.leaves.is(leaf, Leaves.BLOBS) ? LeafTable.BLOBS : 0,
            parts.leaves.tail(leaf),
            0);
    // To the other one: a power cut must not find both copies of the only one torn.
    int other = 1 - index;
    parts.table.writeSlot("slot restored", set, leaf, other, slot);
    parts.table.clearFormerSlot(set, leaf, index);
    volume.requireCurrent(set);
    parts.leaves.set(leaf, Leaves.SECOND_SLOT, other == 1);
    parts.leaves.set(leaf, Leaves.IN_DOUBT, false);
  }

  /** The hash of the key of a record that lives, for the index; {@link PointIndex#NONE} if gone. */
  private long hashOfRecord(long address) {
    long offset = RecordLayout.offsetOf(address);
    byte[] record = readAgain; // One thread at a time: the index holds its lock of growth.
    LegSet set = volume.legs();
    if (!RecordReader.assemble(volume, set, offset, record)) {
      return PointIndex.NONE;
    }
    if (PackedLayout.isPacked(record, 0)) {
      // A leaf has its prefix before a slot leads there, and the same one as long as it lives.
      int leaf = parts.pages.leaf(offset >>> PageMap.PAGE_SHIFT);
      if (leaf < 0 || !PackedLayout.isPlausible(record, 0, RecordLayout.MAX_RECORD)) {
        return PointIndex.NONE;
      }
      parts.leaves.prefix(leaf, readAgainCommon, readAgainCommon.length);
      PackedLayout.unpack(record, 0, record, 0, readAgainCommon, 0);
    }
    return KeyHash.of(parts.secret, record, RecordLayout.HEADER, RecordLayout.keyLength(record, 0));
  }

  // ---------------------------------------------------------------- reading

  /**
   * The value of a key, or null.
   *
   * @param map the number of its map, 0 to 255, here and wherever a key is passed in
   */
  public byte @Nullable [] get(int map, byte[] key) {
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      return look(s) < 0 ? null : s.result;
    } finally {
      scratches.give(s);
    }
  }

  /**
   * Copies the value of a key to memory anywhere, in pieces: it takes no heap in proportion.
   *
   * @return its length, or -1 if there is none; where it is larger than {@code into} nothing was
   *     copied
   */
  public long get(int map, MemorySegment key, MemorySegment into) {
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.into = into;
      return look(s);
    } finally {
      scratches.give(s);
    }
  }

  /** Whether a key has a value. */
  public boolean containsKey(int map, byte[] key) {
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.into = MemorySegment.NULL; // nothing fits into it, so that nothing is copied
      return look(s) >= 0;
    } finally {
      scratches.give(s);
    }
  }

  /** The length of the value of the scratch's key, or -1; the value goes where it is wanted. */
  long look(Scratch s) {
    int readsBefore = s.reads;
    long known = 0;
    BlobExtents gone = null;
    while (true) {
      long outcome = operate(s, GET);
      if (outcome == IN_BULK && s.peeksBulk) {
        return 0;
      }
      if (outcome == IN_BULK) {
        if (BulkValues.isThere(s, gone, () -> bulkValues.load(s) >= 0)) {
          counts.get(s.reads - readsBefore, s.place);
          return Objects.requireNonNull(s.inBulk).length;
        }
        gone = s.inBulk;
        continue;
      }
      if (outcome >= 0) {
        counts.get(s.reads - readsBefore, s.place);
        return outcome;
      }
      if (outcome == ABSENT) {
        if (mayBeLost(s)) {
          return throwLost(s);
        }
        long now = lossChanges.get();
        if (now == known) {
          counts.get(s.reads - readsBefore, s.place);
          return ABSENT;
        }
        // Its loss may have ended between the two looks: what was absent was overwritten then.
        known = now;
      }
      if (outcome == UNSURE) {
        resolveDamage(s);
      }
    }
  }

  private static final Attempt GET = Tree::tryGet;
  private static final Attempt GET_HARD = Tree::tryGetHard;
  private static final Attempt PUT = Tree::tryPut;
  private static final Attempt REMOVE = Tree::tryRemove;
  private static final Attempt BUILD = Tree::tryBuild;
  private static final Attempt MERGE = Tree::tryMerge;

  private long tryGet(Scratch s) {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    if (s.inOrder >= IN_ORDER && reader.isNext(s, set)) {
      RecordReader.found(s);
      return deliver(s, set, false);
    }
    int found = find(s, set, s.hard);
    if (found == RecordReader.ABSENT && !parts.allBuilt) {
      return lookInLeaf(s, set);
    }
    if (found != RecordReader.FOUND) {
      return code(found);
    }
    RecordReader.found(s);
    return deliver(s, set, s.hard);
  }

  /** Looks again in a leaf that may not have been built when the index had nothing. */
  private long lookInLeaf(Scratch s, LegSet set) {
    int leaf = parts.order.floor(s.key, 0, s.keyLength);
    if (leaf < 0) {
      return ABSENT; // A store that is read-only, and has no leaf for such keys any more.
    }
    if (parts.leaves.is(leaf, Leaves.BUILT)) {
      int found = find(s, set, s.hard);
      return found == RecordReader.FOUND ? deliver(s, set, s.hard) : code(found);
    }
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      boolean _ = parts.leaves.exists(leaf) && ensureBuilt(s, set, leaf);
      return AGAIN;
    } finally {
      lock.unlock();
    }
  }

  /** Finds what may be seen: of a batch that is under way, what was before it. */
  int find(Scratch s, LegSet set, boolean hard) {
    int found = reader.find(s, set, hard);
    InFlightBatch hidden = parts.hidden;
    return hidden == null || s.batch != null ? found : formerRecord.find(s, set, hidden, found);
  }

  static long code(int found) {
    return found == RecordReader.ABSENT ? ABSENT : found == RecordReader.AGAIN ? AGAIN : UNSURE;
  }

  /**
   * A second look with no writer in between, at whatever can be reached: only then it is damage.
   */
  private long tryGetHard(Scratch s) {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    int leaf = parts.pages.leaf(s.offset >>> PageMap.PAGE_SHIFT);
    if (leaf < 0) {
      return AGAIN;
    }
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      int found = find(s, set, true);
      s.fullLeaf = leaf;
      return found == RecordReader.FOUND ? deliver(s, set, true) : code(found);
    } finally {
      lock.unlock();
    }
  }

  /** Hands the value of the record in the scratch over; {@link #UNSURE} if it is on no leg. */
  long deliver(Scratch s, LegSet set, boolean hard) {
    byte[] record = s.record;
    int at = RecordLayout.inlineAt(record, 0);
    int length = RecordLayout.inlineLength(record, 0);
    MemorySegment into = s.into;
    if (RecordLayout.type(record, 0) == RecordLayout.VALUE) {
      if (into == null) {
        s.result = Arrays.copyOfRange(record, at, at + length);
      } else if (length <= into.byteSize()) {
        Scratch.copyOut(record, at, length, into, 0);
      }
      return length;
    }
    BlobExtents extents = BlobExtents.of(record, 0, volume.capacity() / PageMap.PAGE);
    if (extents == null) {
      return UNSURE;
    }
    if (into != null
        && extents.length > into.byteSize()
        && !(s.peeksBulk && extents.bulk != null)) {
      return extents.length;
    }
    if (extents.bulk != null) {
      s.inBulk = extents;
      return IN_BULK;
    }
    MemorySegment target = into;
    if (target == null) {
      s.result = new byte[(int) extents.length];
      target = MemorySegment.ofArray(s.result);
    }
    int mismatched = -1;
    for (int i = 0; i < set.readers(); i++) {
      if (blobs.load(set, i, extents, target)) {
        if (mismatched >= 0) {
          parts.damage.damaged(mismatched, extents.page[0] * PageMap.PAGE, extents.length);
        }
        return extents.length;
      }
      mismatched = set.legOf(i);
    }
    return hard && blobs.assemble(set, extents, target) ? extents.length : UNSURE;
  }

  /**
   * Looks again where a look could not be sure. What it finds in pieces stays in pieces for as long
   * as no leg is repaired, so that the operation goes on to look like that.
   */
  private void resolveDamage(Scratch s) {
    long outcome = operate(s, GET_HARD);
    s.hard = outcome >= ABSENT || outcome == IN_BULK;
    if (outcome == UNSURE) {
      if (volume.legs().readers() == 0) {
        throw volume.offline();
      }
      s.suspect = s.offset;
      boolean _ = nameLost(s.fullLeaf, s, true);
    }
  }

  private boolean mayBeLost(Scratch s) {
    requireServed();
    if (losses.isEmpty()) {
      return false;
    }
    Long healed = healing.get(s.hash); // Before the losses: who ends one changes those first.
    Losses now = losses;
    if (!now.mayHold(s.key, s.keyLength, s.hash)
        || (healed != null && !now.isNewer(s.key, s.keyLength, s.hash, healed))) {
      return false;
    }
    long watermark = now.unknown(s.key, s.keyLength);
    return watermark < 0 || !hasTombstone(s, watermark);
  }

  /** Whether a key was removed since a loss. */
  private boolean hasTombstone(Scratch s, long watermark) {
    int leaf = parts.order.floor(s.key, 0, s.keyLength);
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      LeafImage image = s.image();
      image.load(parts.asKnown(volume.legs(), leaf));
      for (int i = image.count - 1; i >= 0; i--) {
        int at = image.records[i];
        if (RecordLayout.type(image.bytes, at) == RecordLayout.TOMBSTONE
            && RecordLayout.sequence(image.bytes, at) > watermark
            && image.compare(at, s.key, s.keyLength) == 0) {
          return true;
        }
      }
      return false;
    } finally {
      lock.unlock();
    }
  }

  /** A key as the user gave it; what is no key of a user's map has none. */
  public static byte @Nullable [] userKey(byte @Nullable [] key) {
    return key == null || key.length < Scratch.KEY_PREFIX
        ? null
        : Arrays.copyOfRange(key, Scratch.KEY_PREFIX, key.length);
  }

  /** The number of the map that a key belongs to; 0 of what has none. */
  public static int mapOf(byte @Nullable [] key) {
    return key == null || key.length < Scratch.KEY_PREFIX ? 0 : Byte.toUnsignedInt(key[0]);
  }

  private long throwLost(Scratch s) {
    throw lost(s.userKey());
  }

  static DataLostException lost(byte[] key) {
    return new DataLostException(
        "key "
            + Keys.printable(key)
            + ": it may have had a value that was acknowledged and that no leg holds any more");
  }

  /** Begins to walk over the entries from a key on. */
  public TreeScan scan(int map) {
    return new TreeScan(this, parts, reverseMap, map, null);
  }

  /**
   * Pins what is there now, for reads until it is closed.
   *
   * @throws HoldfastException if operations that are under way do not end in time
   */
  public TreeSnapshot snapshot() {
    requireServed();
    Losses before = losses;
    // Whatever has a sequence up to this one was given it within an operation: behind a grace
    // period all of it is there, or never will be.
    Pins.Pin pin = parts.pins.take(() -> parts.sequence.get() - 1, true);
    TreeSnapshot snapshot = null;
    try {
      if (!volume.grace().await(GRACE_NANOS)) {
        throw new HoldfastException(
            "snapshot: expected operations that were under way to end in "
                + GRACE_NANOS / 1_000_000
                + " ms, did not",
            null);
      }
      batches.awaitUpTo(pin.sequence);
      snapshot = new TreeSnapshot(this, parts, reverseMap, pin, before, losses);
      return snapshot;
    } finally {
      if (snapshot == null) {
        boolean _ = parts.pins.release(pin);
      }
    }
  }

  /** Leases the value of a key, to be read where it lies until that is closed; null if none. */
  public @Nullable TreeLease lease(int map, byte[] key) {
    return leases.open(map, key);
  }

  /** Figures of the leases. */
  public LeaseFigures leases() {
    return leases.figures();
  }

  /**
   * Figures of the leases.
   *
   * @param open how many are open
   * @param bytesHeld the bytes of pages that are kept for them alone
   * @param gaveWay how many were ended because there was no other room
   */
  public record LeaseFigures(long open, long bytesHeld, long gaveWay) {}

  /** Says where large values go from now on; before the tree is opened. */
  public void bulkAt(BulkSpace bulk) {
    parts.bulk = bulk;
    parts.commits.beforeRaise(bulk::raise);
  }

  /** Has everything durable that was stored until now, where that takes a commit. */
  void commit() {
    if (parts.durability.defers()) {
      parts.commits.commit();
    }
  }

  /** Where the value of a key lies in the BULK volume; null if it has none, or not there. */
  public byte @Nullable [] bulkPlace(int map, byte[] key) {
    Scratch s = scratches.take();
    try {
      s.key(map, key, parts.secret);
      s.into = MemorySegment.NULL;
      s.peeksBulk = true;
      long _ = look(s);
      BlobExtents extents = s.inBulk;
      return extents == null ? null : extents.bulk;
    } finally {
      scratches.give(s);
    }
  }

  /** Whether a key has no value, as far as that is known: not where it may be lost. */
  public boolean isAbsent(int map, byte[] key) {
    try {
      return !containsKey(map, key);
    } catch (DataLostException e) {
      return false;
    }
  }

  /** Whether large values lie in a BULK volume, or may. */
  public boolean hasBulk() {
    return parts.bulk != null;
  }

  BulkValues bulkValues() {
    return bulkValues;
  }

  /**
   * Ends what keeps places in the BULK volume, where there is no other room in it.
   *
   * @return whether something was given up
   */
  public boolean giveWayInBulk() {
    return parts.heldBlobs.hasPlaces() && sweep.makeRoom(true);
  }

  /** Whether commits order records, so that a loss of power leaves what was committed. */
  public boolean commitsInOrder() {
    return parts.durability.defers();
  }

  /** Whether places in the BULK volume are held for snapshots, or may be led to by what is lost. */
  public boolean mayLeavePlaces() {
    return parts.heldBlobs.hasPlaces() || !losses.isEmpty();
  }

  /** What is known of a place in the BULK volume. */
  public enum BulkUse {
    /** A record leads there, or a snapshot shows it. */
    LED_TO,
    /** Nothing leads there, and never will again. */
    LEFT,
    /** Nobody can tell now. */
    UNKNOWN
  }

  /**
   * Finds out which places are still needed. Nothing may be waited for that this waits for: it ends
   * operations of its own, and waits once for those that are under way. What is told to be left is
   * so on the devices, too.
   *
   * @param placesUsed places in the BULK volume
   * @return what is known of each
   */
  public List<BulkUse> bulkUses(List<byte[]> placesUsed) {
    List<BulkUse> uses = new ArrayList<>();
    for (byte[] place : placesUsed) {
      uses.add(bulkUse(place));
    }
    if (uses.contains(BulkUse.LEFT)) {
      // Else what a write that failed left on a leg may come to count: at the next open, or now.
      requireOpen();
      LegSet _ = volume.writableLegs();
      commit(); // What left them shows before it is durable.
      // One may have been left just now, and be about to be held for somebody who reads it still.
      boolean quiet = volume.grace().await(GRACE_NANOS);
      for (int i = 0; i < uses.size(); i++) {
        if (uses.get(i) == BulkUse.LEFT) {
          byte[] place = placesUsed.get(i);
          uses.set(
              i,
              !quiet
                  ? BulkUse.UNKNOWN
                  : parts.heldBlobs.holds(place) ? BulkUse.LED_TO : bulkUse(place));
        }
      }
    }
    return uses;
  }

  private BulkUse bulkUse(byte[] place) {
    int keyLength = place.length - BulkSpace.NUMBER;
    byte[] user = userKey(Arrays.copyOf(place, Math.max(0, keyLength)));
    if (user == null || user.length == 0) {
      return BulkUse.UNKNOWN; // No store made it.
    }
    Scratch s = scratches.take();
    try {
      s.key(mapOf(place), user, parts.secret);
      if (isBatchInDoubt() || isHeld(s)) {
        return BulkUse.UNKNOWN; // Of a batch that may or may not come to count.
      }
      s.into = MemorySegment.NULL;
      s.peeksBulk = true;
      while (true) {
        long outcome = operate(s, GET);
        if (outcome == UNSURE) {
          resolveDamage(s);
        } else if (outcome == ABSENT && mayBeLost(s)) {
          return BulkUse.UNKNOWN;
        } else if (outcome == IN_BULK) {
          boolean leads = Arrays.equals(Objects.requireNonNull(s.inBulk).bulk, place);
          return leads ? BulkUse.LED_TO : isHeld(s) ? BulkUse.UNKNOWN : BulkUse.LEFT;
        } else if (outcome >= ABSENT) {
          return isHeld(s) ? BulkUse.UNKNOWN : BulkUse.LEFT;
        }
      }
    } finally {
      s.busy = false;
      scratches.give(s);
    }
  }

  /** Ends a pin, and gives back some of what it kept. */
  void release(Pins.Pin pin) {
    if (parts.pins.release(pin)) {
      sweepVersions();
    }
  }

  /** A turn of what snapshots kept; what cannot be done now is done by and by. */
  void sweepVersions() {
    try {
      sweep.turn();
    } catch (HoldfastException e) {
      // The store is closed, or takes no writes now; the caller's own operation says so itself.
    }
  }

  /** How long nobody has written to a leaf that is packed in the background; 0: none is. */
  public void packColdLeavesAfter(Duration time) {
    packing.after(time.toNanos());
  }

  /** How many bytes may be kept for snapshots. */
  public void keepForSnapshots(long bytes) {
    sweep.bound(bytes);
  }

  /** Figures of the snapshots. */
  public SnapshotFigures snapshots() {
    List<Pins.Pin> pins = parts.pins.givingWay();
    return new SnapshotFigures(
        pins.size(),
        pins.isEmpty() ? 0 : System.nanoTime() - pins.getFirst().takenNanos,
        sweep.held(),
        parts.pins.gaveWay());
  }

  /**
   * Figures of the snapshots.
   *
   * @param open how many are open
   * @param oldestNanos how long ago the oldest one was taken; 0 if none is open
   * @param bytesHeld what is kept for them alone
   * @param gaveWay how many were ended because they kept too much
   */
  public record SnapshotFigures(int open, long oldestNanos, long bytesHeld, long gaveWay) {}

  Losses losses() {
    return losses;
  }

  // ---------------------------------------------------------------- writing

  /**
   * Sets the value of a key if the condition holds; whether it did.
   *
   * @param mode how far to carry it before this returns
   */
  public boolean put(
      int map,
      byte[] key,
      byte[] value,
      Condition condition,
      byte @Nullable [] expected,
      PersistenceMode mode) {
    requireValue(value.length);
    boolean waits = parts.commits.prepare(mode);
    BlobExtents inBulk =
        bulkValues.takes(key.length, value.length) ? bulkValues.store(map, key, value, mode) : null;
    long ticket;
    boolean done;
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.valueArray = value;
      s.condition = condition;
      s.expected = expected;
      s.extents = inBulk;
      done = put(s);
      ticket = s.ticket;
    } finally {
      scratches.give(s);
      settled(inBulk);
    }
    if (waits) {
      parts.commits.await(ticket);
    }
    return done;
  }

  /** Sets the value of a key, from memory anywhere. */
  public void put(int map, MemorySegment key, MemorySegment value, PersistenceMode mode) {
    requireValue(value.byteSize());
    boolean waits = parts.commits.prepare(mode);
    if (bulkValues.takes(key.byteSize(), value.byteSize())) {
      byte[] bytes = Scratch.keyOf(key);
      putInBulk(map, bytes, bulkValues.store(map, bytes, value, mode), waits);
      return;
    }
    long ticket;
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.valueSegment = value;
      boolean _ = put(s);
      ticket = s.ticket;
    } finally {
      scratches.give(s);
    }
    if (waits) {
      parts.commits.await(ticket);
    }
  }

  /** Leads to a value that is in the BULK volume. */
  private void putInBulk(int map, byte[] key, BlobExtents inBulk, boolean waits) {
    long ticket;
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.extents = inBulk;
      boolean _ = put(s);
      ticket = s.ticket;
    } finally {
      scratches.give(s);
      settled(inBulk);
    }
    if (waits) {
      parts.commits.await(ticket);
    }
  }

  /**
   * Sets the value of a key to what a source gives; the former value stays where that throws.
   *
   * @param length how many bytes it gives
   */
  public void put(int map, byte[] key, ValueSource source, long length, PersistenceMode mode)
      throws IOException {
    if (length < 0) {
      throw new IllegalArgumentException("length: expected at least 0, was " + length);
    }
    requireValue(length);
    Scratch.requireKey(key.length);
    if (length <= RecordLayout.INLINE_LIMIT) {
      byte[] value = new byte[(int) length];
      source.read(value, value.length);
      boolean _ = put(map, key, value, Condition.ANY, null, mode);
      return;
    }
    requireServed();
    LegSet _ = volume.writableLegs(); // Before anything is taken from the source.
    if (bulkValues.takes(key.length, length)) {
      boolean waits = parts.commits.prepare(mode);
      putInBulk(map, key, bulkValues.store(map, key, source, length, mode), waits);
      return;
    }
    new StreamedPut(this, parts, blobs, length)
        .run(source, mode, (value, as) -> putStreamed(map, key, value, as));
  }

  private void putStreamed(int map, byte[] key, StreamedPut value, PersistenceMode mode) {
    boolean waits = parts.commits.prepare(mode);
    long ticket;
    Scratch s = scratches.take();
    try {
      s.key(map, key, parts.secret);
      value.giveTo(s);
      boolean _ = put(s);
      ticket = s.ticket;
    } finally {
      scratches.give(s);
    }
    if (waits) {
      parts.commits.await(ticket);
    }
  }

  private void settled(@Nullable BlobExtents inBulk) {
    if (inBulk != null) {
      bulkValues.settled(inBulk);
    }
  }

  private static void requireValue(long length) {
    if (length > MAX_VALUE_LENGTH) {
      throw new IllegalArgumentException(
          "value: expected at most " + MAX_VALUE_LENGTH + " bytes, was " + length);
    }
  }

  private boolean put(Scratch s) {
    try {
      boolean done = change(s, PUT);
      if (s.condition != Condition.NEVER) {
        counts.add(
            OperationCounts.PUT, 1, s.place); // Who only waits for what is there puts nothing.
      }
      if (done && s.healed) {
        heal(s);
      }
      if (s.sparse >= 0) {
        merge(s);
      }
      if (s.holds) {
        sweepVersions();
      }
      return done;
    } finally {
      BlobExtents unused = s.extents;
      if (unused != null) {
        blobs.giveBack(unused);
        s.extents = null;
      }
    }
  }

  /**
   * Removes a key; whether it had a value.
   *
   * @param expected the value that it has to have; null for any
   * @param mode how far to carry that before this returns
   */
  public boolean remove(int map, byte[] key, byte @Nullable [] expected, PersistenceMode mode) {
    boolean waits = parts.commits.prepare(mode);
    long ticket;
    boolean removed;
    Scratch s = scratches.takeToEnter();
    try {
      s.key(map, key, parts.secret);
      s.expected = expected;
      s.condition = expected == null ? Condition.ANY : Condition.EQUAL;
      removed = change(s, REMOVE);
      counts.add(OperationCounts.REMOVE, 1, s.place);
      if (s.healed && (removed || expected == null)) {
        heal(s);
      }
      if (s.sparse >= 0) {
        merge(s);
      }
      if (s.holds) {
        sweepVersions();
      }
      ticket = s.ticket;
    } finally {
      scratches.give(s);
    }
    if (waits) {
      parts.commits.await(ticket);
    }
    return removed;
  }

  /**
   * Waits until what a key has, or has not, is as durable as a mode says.
   *
   * @throws DataLostException if it was lost
   */
  public void awaitAcknowledgement(int map, byte[] key, PersistenceMode mode) {
    if (parts.commits.prepare(mode)) {
      boolean _ = put(map, key, new byte[0], Condition.NEVER, null, mode);
    }
  }

  boolean change(Scratch s, Attempt attempt) {
    int damaged = 0;
    BlobExtents gone = null;
    s.ticket = GroupCommit.NOTHING;
    s.reclaimed = false;
    while (true) {
      long turns = room.turns();
      long outcome = operate(s, attempt);
      if (outcome == YES || outcome == NO) {
        return outcome == YES;
      }
      if (outcome == GROW) {
        makeRoom(s.needed, turns);
      } else if (outcome == NEEDS_CHUNK) {
        addChunk(s);
      } else if (outcome == UNSEALED && s.streamed != null) {
        s.streamed.seal(s);
      } else if (outcome == UNCOMMITTED) {
        parts.commits.commit();
      } else if (outcome == IN_BULK) {
        boolean there = BulkValues.isThere(s, gone, () -> bulkValues.compare(s));
        gone = there ? null : s.inBulk;
      } else if (outcome == TIGHT) {
        room.reclaimMemory();
        s.reclaimed = true;
      } else if (outcome == DAMAGED) {
        if (++damaged > DAMAGE_LIMIT) {
          throw new OutOfSpaceException(
              "expected room to write a leaf anew of which a part is lost, was none");
        }
        boolean _ = nameLost(s.fullLeaf, s, true);
      } else if (outcome == UNSURE) {
        resolveDamage(s);
      } else if (outcome == AGAIN) {
        if (s.busy) {
          s.busy = false;
          LockSupport.parkNanos(1_000);
        }
        sweepVersions(); // Its leaf was full, or it met somebody: not the fast path.
      }
    }
  }

  void reclaimMemory() {
    room.reclaimMemory();
  }

  private long tryPut(Scratch s) {
    LegSet set = volume.writableLegs();
    int length = s.valueLength();
    // What the last put met, this one will meet, too: then nothing waits for what can be loaded
    // now.
    boolean guessedNew = s.expectsNew;
    long order = parts.order.version();
    int leaf = guessedNew ? approach(s, set) : NOBODY;
    int first = reader.find(s, set, s.hard, !guessedNew);
    if (first > RecordReader.ABSENT) {
      return code(first);
    }
    if (length > RecordLayout.INLINE_LIMIT && !isStoredInBulk(s)) {
      long stored = storeLarge(s, set, first == RecordReader.FOUND);
      if (stored != YES) {
        return stored;
      }
    }
    // Where there is a record, it says which leaf: no way down the separators.
    boolean known = first == RecordReader.FOUND;
    s.expectsNew = !known;
    if (known) {
      leaf = parts.pages.leaf(s.offset >>> PageMap.PAGE_SHIFT);
    } else if (leaf == NOBODY) {
      leaf = leafOf(s);
      if (leaf >= 0) {
        parts.touchTail(set, leaf);
      }
    }
    if (leaf < 0) {
      return AGAIN;
    }
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      long home = known ? requireUnchanged(s, set, leaf) : requireHome(s, set, leaf, order);
      if (home != YES) {
        return home;
      }
      if (isHeld(s)) {
        return AGAIN;
      }
      int found = known ? first : reader.find(s, set, s.hard);
      if (found > RecordReader.ABSENT) {
        return code(found);
      }
      boolean present = found == RecordReader.FOUND;
      s.healed = !losses.isEmpty() && losses.mayHold(s.key, s.keyLength, s.hash);
      if (!present && s.healed && s.condition != Condition.ANY) {
        if (mayBeLost(s)) {
          throw lost(s.userKey());
        }
      }
      long holds = holds(s, set, present);
      if (holds != YES) {
        depend(s, leaf);
        return holds;
      }
      if (!present && parts.budget.isTight()) {
        if (!s.reclaimed) {
          return TIGHT;
        }
        if (!parts.points.hasRoom(s.hash) || !parts.budget.admits(parts.entries.sum() + 1)) {
          throw parts.budget.exceeded();
        }
      }
      BlobExtents extents = s.extents;
      int inline = extents == null ? length : extents.encodedLength();
      long appended =
          append(
              s,
              set,
              leaf,
              extents == null ? RecordLayout.VALUE : RecordLayout.BLOB,
              inline,
              present);
      if (appended == YES) {
        healing(s);
      }
      if (appended == YES && extents != null) {
        blobs.own(extents, leaf);
        s.extents = null;
      }
      return appended;
    } finally {
      lock.unlock();
    }
  }

  private static boolean isStoredInBulk(Scratch s) {
    BlobExtents extents = s.extents;
    return extents != null && extents.bulk != null;
  }

  /** Stores a large value in extents of its own, which the scratch has then. */
  long storeLarge(Scratch s, LegSet set, boolean overwrites) {
    StreamedPut streamed = s.streamed;
    if (streamed != null) {
      return streamed.isSealed(set) ? YES : UNSEALED;
    }
    int length = s.valueLength();
    BlobExtents taken = s.extents;
    if (taken != null && !blobs.isStorable(set, taken)) {
      for (int i = 0; i < taken.count; i++) {
        parts.allocator.quarantine(taken.page[i], taken.pages[i]);
      }
      taken = null;
      s.extents = null;
    }
    if (taken == null) {
      taken = blobs.allocate(length, overwrites);
      if (taken == null) {
        s.needed = Math.ceilDiv((long) length, PageMap.PAGE) + 1;
        return GROW;
      }
      s.extents = taken;
      if (!blobs.isStorable(set, taken)) {
        return AGAIN;
      }
    }
    blobs.store(set, taken, s);
    return YES;
  }

  private long tryRemove(Scratch s) {
    LegSet set = volume.writableLegs();
    long order = parts.order.version();
    int leaf = leafOf(s);
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      long home = requireHome(s, set, leaf, order);
      if (home != YES) {
        return home;
      }
      if (isHeld(s)) {
        return AGAIN;
      }
      int found = reader.find(s, set, s.hard);
      if (found > RecordReader.ABSENT) {
        return code(found);
      }
      boolean present = found == RecordReader.FOUND;
      s.healed = !losses.isEmpty() && losses.mayHold(s.key, s.keyLength, s.hash);
      boolean wasLost = !present && s.healed && mayBeLost(s);
      if (s.condition == Condition.EQUAL) {
        if (wasLost) {
          throw lost(s.userKey());
        }
        long holds = holds(s, set, present);
        if (holds != YES) {
          depend(s, leaf);
          return holds;
        }
      }
      if (!present && !wasLost) {
        depend(s, leaf);
        return NO;
      }
      if (!present
          && losses.unknown(s.key, s.keyLength) < 0
          && !parts.leaves.is(leaf, Leaves.UNLED)) {
        healing(s);
        return YES; // The loss record goes, and with it the key.
      }
      long appended = append(s, set, leaf, RecordLayout.TOMBSTONE, 0, present);
      if (appended == YES) {
        healing(s);
      }
      return appended;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Finds the leaf that the scratch's new key belongs to, and has the lines loaded that its put
   * needs, none behind the other: the slots of the key while it goes down the separators, the tail
   * of the leaf while the slots are searched.
   */
  private int approach(Scratch s, LegSet set) {
    s.loaded = parts.points.prefetch(s.hash);
    int leaf = leafOf(s);
    if (leaf >= 0) {
      parts.touchTail(set, leaf);
    }
    return leaf;
  }

  /** The leaf that the scratch's key belongs to. */
  private int leafOf(Scratch s) {
    return parts.order.floor(s.key, 0, s.keyLength);
  }

  /**
   * Whether the leaf is still that of the key, and can be changed; under its lock.
   *
   * @param order what the order index was when the leaf was found in it
   */
  private long requireHome(Scratch s, LegSet set, int leaf, long order) {
    if (!parts.leaves.exists(leaf)) {
      return AGAIN;
    }
    boolean isHome =
        prepare(s, set, leaf)
            && (parts.order.version() == order || parts.order.floor(s.key, 0, s.keyLength) == leaf);
    return isHome ? YES : AGAIN;
  }

  /** Makes a leaf ready to be changed; whether it still has the pages that it had. */
  boolean prepare(Scratch s, LegSet set, int leaf) {
    int flags = parts.leaves.flags(leaf);
    if ((flags & Leaves.BUILT) == 0) {
      boolean _ = ensureBuilt(s, set, leaf);
      return false;
    }
    if ((flags & Leaves.IN_DOUBT) != 0) {
      rewriter.settle(set, leaf);
      s.busy = parts.leaves.is(leaf, Leaves.IN_DOUBT);
      return !s.busy;
    }
    return true;
  }

  /** Whether the record that was found without a lock still is the record of the key. */
  private long requireUnchanged(Scratch s, LegSet set, int leaf) {
    PointIndex points = parts.points;
    boolean same =
        points.slotAt(s.slotAt) == s.slot
            && points.isCurrent(s.hash, s.version)
            && parts.leaves.generation(leaf)
                == parts.pages.generation(s.offset >>> PageMap.PAGE_SHIFT);
    return same && prepare(s, set, leaf) ? YES : AGAIN;
  }

  private long holds(Scratch s, LegSet set, boolean present) {
    return switch (s.condition) {
      case ANY -> YES;
      case NEVER -> NO;
      case ABSENT -> present ? NO : YES;
      case PRESENT -> present ? YES : NO;
      case EQUAL -> {
        if (!present) {
          yield NO;
        }
        long outcome = deliver(s, set, true);
        if (outcome == IN_BULK) {
          yield holdsInBulk(s);
        }
        yield outcome < 0 ? outcome : Arrays.equals(s.result, s.expected) ? YES : NO;
      }
    };
  }

  /** As {@link #holds}, of a value that another volume has: whoever asks it does so unlocked. */
  private static long holdsInBulk(Scratch s) {
    BlobExtents extents = Objects.requireNonNull(s.inBulk);
    byte[] expected = s.expected;
    if (expected == null || expected.length != extents.length) {
      return NO;
    }
    BlobExtents compared = s.compared;
    if (compared == null || !compared.isSame(extents)) {
      return IN_BULK;
    }
    return s.comparedEqual ? YES : NO;
  }

  /** The answer is given for what may not be durable yet; under the leaf's lock. */
  private void depend(Scratch s, int leaf) {
    s.ticket = parts.commits.ticketFor(leaf, parts.leaves.page(leaf), parts.leaves.pages(leaf));
  }

  /** Appends a record, and leads to it; under the leaf's lock. */
  private long append(
      Scratch s, LegSet set, int leaf, int type, int inlineLength, boolean present) {
    Leaves leaves = parts.leaves;
    int size = RecordLayout.size(s.keyLength, inlineLength);
    int tail = leaves.tail(leaf);
    long offset = parts.offset(leaf) + tail;
    int end = tail + leaves.reserved(leaf) + size;
    if (end > leaves.pages(leaf) * PageMap.PAGE || !volume.isStorable(set, offset, size)) {
      return rewrite(s, set, leaf, size, present || type == RecordLayout.TOMBSTONE);
    }
    if (type == RecordLayout.BLOB && !isStoredInBulk(s) && !markBlobs(set, leaf)) {
      return UNCOMMITTED;
    }
    long sequence = parts.nextSequence();
    byte[] fresh = s.fresh;
    RecordLayout.begin(fresh, 0, s.key, s.keyLength, inlineLength, sequence, type);
    int valueAt = RecordLayout.inlineAt(fresh, 0);
    BlobExtents extents = s.extents;
    if (type == RecordLayout.VALUE) {
      s.copyValue(0, fresh, valueAt, inlineLength);
    } else if (type == RecordLayout.BLOB && extents != null) {
      extents.encode(fresh, valueAt);
    }
    boolean overwrites = present || type == RecordLayout.TOMBSTONE;
    if (overwrites || leaves.is(leaf, Leaves.OVERWRITTEN)) {
      RecordLayout.markAfterOverwrite(fresh, 0);
    }
    int place = RecordLayout.place(parts.secret, offset, leaves.generation(leaf));
    RecordLayout.seal(fresh, 0, s.crc, place);
    parts.durability.store("record", set, offset, fresh, 0, size);
    volume.requireCurrent(set);
    // Stored on every leg, and none was lost meanwhile: from here on it is the value.
    s.sequence = sequence;
    publish(s, leaf, tail, size, type, present);
    s.ticket = parts.commits.ticket();
    return YES;
  }

  /**
   * Says durably, before the first of them, that a leaf has large values.
   *
   * @return false if that takes a commit, or its row does not know yet where the leaf is
   */
  boolean markBlobs(LegSet set, int leaf) {
    Leaves leaves = parts.leaves;
    if (leaves.is(leaf, Leaves.BLOBS)) {
      return parts.commits.isFlagged(leaf);
    }
    if (parts.commits.isPending(leaf)) {
      return false;
    }
    parts.table.writeTail(
        "large values flagged",
        set,
        leaf,
        leaves.generation(leaf),
        leaves.durableTail(leaf),
        LeafTable.UNKNOWN,
        true,
        leaves.is(leaf, Leaves.OVERWRITTEN));
    volume.requireCurrent(set);
    leaves.set(leaf, Leaves.SETTLED, false);
    leaves.set(leaf, Leaves.BLOBS, true);
    parts.commits.flagged(leaf);
    return parts.commits.isFlagged(leaf);
  }

  private void publish(Scratch s, int leaf, int tail, int size, int type, boolean present) {
    Leaves leaves = parts.leaves;
    PointIndex points = parts.points;
    long old = RecordLayout.address(s.offset);
    long address = RecordLayout.address(parts.offset(leaf) + tail);
    int check = RecordLayout.check(s.sequence);
    int oldSize = present ? s.recordSize : 0;
    // Before anybody sees it: who reads without a slot looks at this, see RecordReader.isNext.
    if ((present || type == RecordLayout.TOMBSTONE) && !leaves.is(leaf, Leaves.OVERWRITTEN)) {
      leaves.set(leaf, Leaves.OVERWRITTEN, true);
    }
    if (type == RecordLayout.TOMBSTONE) {
      if (present) {
        points.remove(s.hash, old);
        parts.entries.decrement();
        leaves.live(leaf, leaves.live(leaf) - 1, leaves.liveBytes(leaf) - oldSize);
        s.sparse = merger.isSparse(leaf) ? leaf : -1;
      }
    } else if (present) {
      points.move(s.hash, old, address, check);
      leaves.live(leaf, leaves.live(leaf), leaves.liveBytes(leaf) + size - oldSize);
    } else {
      points.insert(s.hash, address, check);
      parts.entries.increment();
      leaves.live(leaf, leaves.live(leaf) + 1, leaves.liveBytes(leaf) + size);
    }
    if (leaves.is(leaf, Leaves.PACKED)) {
      leaves.set(leaf, Leaves.PACKED, false);
    }
    leaves.tail(leaf, tail + size);
    if (present && RecordLayout.type(s.record, 0) == RecordLayout.BLOB) {
      BlobExtents former = BlobExtents.of(s.record, 0, volume.capacity() / PageMap.PAGE);
      if (former != null) {
        long from = RecordLayout.sequence(s.record, 0);
        s.holds = parts.heldBlobs.retire(former, from, s.sequence);
      }
    }
  }

  private long rewrite(Scratch s, LegSet set, int leaf, int needed, boolean overwrites) {
    LeafRewriter.Order order = s.order.begin(needed, keepAbove());
    order.key = s.key;
    order.keyLength = s.keyLength;
    order.overwrites = overwrites;
    return afterRewrite(s, leaf, rewriter.rewrite(s, set, leaf, order));
  }

  /** What has to be done before the attempt that asked for a leaf to be written anew goes on. */
  long afterRewrite(Scratch s, int leaf, int outcome) {
    room.changed();
    s.fullLeaf = leaf;
    return switch (outcome) {
      case LeafRewriter.NO_ROOM -> {
        s.needed = rewriter.lacked();
        yield GROW;
      }
      case LeafRewriter.NO_ROW -> NEEDS_CHUNK;
      case LeafRewriter.DAMAGED -> DAMAGED;
      case LeafRewriter.UNCOMMITTED -> UNCOMMITTED;
      case LeafRewriter.BUSY -> {
        s.busy = true;
        yield AGAIN;
      }
      case LeafRewriter.DONE -> {
        s.sparse = merger.isSparse(leaf) ? leaf : -1;
        yield AGAIN;
      }
      default -> AGAIN;
    };
  }

  /**
   * Merges the leaf of the scratch's key with a neighbour, as often as one is as empty: what was
   * asked for is done and acknowledged by now, so that nothing that fails here may show.
   */
  private void merge(Scratch s) {
    try {
      for (int round = 0; round < MERGE_LIMIT && operate(s, MERGE) == YES; round++) {
        s.sparse = -1;
      }
    } catch (HoldfastException e) {
      LOG.log(Level.DEBUG, "a leaf with little in it stays as it is: " + e.getMessage());
    } finally {
      s.sparse = -1;
    }
  }

  private long tryMerge(Scratch s) {
    LegSet set = volume.writableLegs();
    byte[] key = Arrays.copyOf(s.key, s.keyLength);
    byte[] low = parts.order.floorSeparator(key);
    byte[] high = parts.order.higherSeparator(key);
    int leaf = parts.order.floor(low, 0, low.length);
    int right = high == null ? SeparatorIndex.NO_LEAF : parts.order.floor(high, 0, high.length);
    if (high != null && merger.fits(leaf, right)) {
      return merge(s, set, leaf, low, right, high);
    }
    byte[] before = parts.order.lowerSeparator(low);
    int left =
        before == null ? SeparatorIndex.NO_LEAF : parts.order.floor(before, 0, before.length);
    return before != null && merger.fits(left, leaf) ? merge(s, set, left, before, leaf, low) : NO;
  }

  /**
   * Writes all leaves anew, full; {@link #giveBack} gives back what is not used then.
   *
   * @param progress is told how far it is, now and then
   * @return how far it came: not to the end if the thread was interrupted
   */
  public CompactionState compact(Consumer<CompactionState> progress) {
    return compact(Compaction.ALL, progress);
  }

  CompactionState compact(Compaction.Scope scope, Consumer<CompactionState> progress) {
    return new Compaction(this, parts, rewriter, merger, room, scope).run(progress);
  }

  /**
   * Gives the blocks of pages that are not used back to where the legs lie; while nothing is
   * repaired or copied.
   *
   * @return how many bytes of each leg
   */
  public long giveBack() {
    return room.giveBack();
  }

  /**
   * How far a compaction is.
   *
   * @param leavesDone the leaves that are full
   * @param leaves the leaves that there were when it began
   * @param bytesGivenBack the bytes of each leg that were given back
   * @param complete whether it came to its end
   */
  public record CompactionState(
      long leavesDone, long leaves, long bytesGivenBack, boolean complete) {}

  /**
   * Reads everything on every leg that is read, and has repaired what is wrong. Operations go on.
   *
   * @param from the first key to begin with; null to begin at the begin
   * @param leavesDone the leaves in front of it
   * @param contact decides what follows, and whether to go on
   * @param tally is told what was done
   * @return whether it came to the end
   */
  public boolean scrub(
      byte @Nullable [] from, long leavesDone, ScrubContact contact, ScrubTally tally) {
    return new Scrub(this, parts, rewriter, blobs, contact, tally).run(from, leavesDone);
  }

  /** Registers the events of flight recordings, so that the first ones do not have to. */
  public void prepareNotices() {
    ScrubFindingNotice.prepare();
    StallNotice.prepare();
    CommitNotice.prepare();
  }

  /** A tally of nothing yet. */
  public ScrubTally newTally() {
    return new ScrubTally(VolumeLayout.MAX_LEGS);
  }

  private long merge(Scratch s, LegSet set, int left, byte[] low, int right, byte[] middle) {
    if (left == right) {
      return NO; // One of them changed in between.
    }
    parts.leaves.lockBoth(left, right);
    try {
      boolean areNeighbours =
          parts.leaves.exists(left)
              && parts.leaves.exists(right)
              && Arrays.equals(parts.order.floorSeparator(low), low)
              && parts.order.floor(low, 0, low.length) == left
              && Arrays.equals(parts.order.higherSeparator(low), middle)
              && parts.order.floor(middle, 0, middle.length) == right;
      if (!areNeighbours || !merger.fits(left, right)) {
        return NO;
      }
      LeafRewriter.Order order = s.order.begin(0, keepAbove());
      LeafMerger.Neighbours both = new LeafMerger.Neighbours(left, low, right, middle);
      return merger.merge(s, set, both, order) ? YES : NO;
    } finally {
      parts.leaves.unlockBoth(left, right);
    }
  }

  /** Tombstones with a higher sequence tell what was removed since a loss. */
  long keepAbove() {
    InFlightBatch hidden = parts.hidden;
    long lowest = hidden == null ? Long.MAX_VALUE : hidden.sequence - 1;
    for (LossRecord record : losses.records()) {
      if (record.fingerprints() == null && record.key() == null) {
        lowest = Math.min(lowest, record.watermark());
      }
    }
    return lowest;
  }

  // ---------------------------------------------------------------- room

  void makeRoom(long pages) {
    makeRoom(pages, room.turns());
  }

  /**
   * Makes room for a run of pages, unless some was made since; with no lock held and no operation
   * under way.
   */
  private void makeRoom(long pages, long since) {
    if (sweep.isWorthIt()) {
      boolean _ = sweep.makeRoom(false);
    }
    try {
      room.make(pages, since);
    } catch (DeviceOfflineException e) {
      requireOpen(); // A close took the legs away meanwhile.
      throw e;
    } catch (OutOfSpaceException e) {
      // Neither a snapshot nor a lease keeps a store from taking writes.
      if (!sweep.makeRoom(true) && !leases.giveWay()) {
        throw e;
      }
    }
  }

  private void addChunk(Scratch s) {
    room.lock();
    try {
      long page = parts.allocator.allocate(LeafTable.CHUNK_PAGES, true);
      if (page < 0) {
        s.needed = LeafTable.CHUNK_PAGES;
        makeRoom(LeafTable.CHUNK_PAGES);
        return;
      }
      boolean added = false;
      try {
        s.chunkPage = page;
        added = operate(s, Tree::tryAddChunk) == YES;
      } finally {
        if (!added) {
          parts.allocator.free(page, LeafTable.CHUNK_PAGES);
        }
      }
    } finally {
      room.unlock();
    }
  }

  private long tryAddChunk(Scratch s) {
    parts.table.addChunk(volume.writableLegs(), s.chunkPage, parts.nextSequence());
    return YES;
  }

  // ---------------------------------------------------------------- losses and repair

  private void addLosses(List<LossRecord> lost) {
    if (volume.readOnlyCause() == null) {
      changeLosses(records -> Losses.with(records, lost));
    } else {
      changingLosses.lock();
      try {
        losses = new Losses(Losses.with(losses.records(), lost));
      } finally {
        changingLosses.unlock();
      }
    }
  }

  /** Changes the loss records, durably first. */
  private void changeLosses(UnaryOperator<List<LossRecord>> change) {
    changingLosses.lock();
    try {
      volume.configure(config -> config.withLosses(change.apply(config.losses())));
      lossChanges.incrementAndGet();
      losses = new Losses(volume.config().losses());
    } finally {
      changingLosses.unlock();
    }
    BulkSpace bulk = parts.bulk;
    if (bulk != null) {
      bulk.lookForOthers(); // A record that is lost led somewhere.
    }
  }

  private void heal(Scratch s) {
    Long healed = healing.get(s.hash);
    try {
      // The loss goes once what heals it is there for good.
      parts.commits.await(s.ticket);
      long before = parts.sequence.get();
      changeLosses(records -> Losses.healed(records, s.key, s.keyLength, s.hash, before));
    } finally {
      if (healed != null) {
        boolean _ = healing.remove(s.hash, healed);
      }
    }
  }

  /**
   * From here on the key is no longer lost, for all who look: under the lock of its leaf, since the
   * loss itself goes later, and somebody else may write or remove the key before that.
   */
  private void healing(Scratch s) {
    if (s.healed) {
      lossChanges.incrementAndGet();
      healing.put(s.hash, parts.sequence.get());
    }
  }

  /** Ends the losses that a batch wrote over. */
  void heal(BatchRun run) {
    long before = parts.sequence.get();
    changeLosses(records -> {
      List<LossRecord> left = records;
      for (int index : run.healed) {
        byte[] key = run.ops.key(index);
        left = Losses.healed(left, key, key.length, run.hashes[index], before);
      }
      return left;
    });
  }

  /** Whether an extent is the place of something that lives. */
  public boolean isLive(OwnedExtent extent) {
    return extent instanceof TreeOwners.Extent e && owners.isLive(e);
  }

  /** Names what is lost in an extent, if something is; whether it is. */
  public boolean nameIfLost(OwnedExtent extent) {
    if (!(extent instanceof TreeOwners.Extent e) || !owners.isLive(e)) {
      return false;
    }
    Scratch s = scratches.take();
    try {
      return nameLost(e.leaf(), s, false);
    } finally {
      scratches.give(s);
    }
  }

  /**
   * Does what {@link #nameIfLost(OwnedExtent)} does, unless an operation keeps the leaf to itself
   * for too long.
   *
   * @param deadline until when to wait for that operation, by {@link System#nanoTime}
   * @throws TimeoutException if it did not end in time: nothing was looked at
   */
  public boolean nameIfLost(OwnedExtent extent, long deadline) throws TimeoutException {
    if (!(extent instanceof TreeOwners.Extent e)) {
      return false;
    }
    ReentrantLock lock = parts.leaves.lock(e.leaf());
    if (!TimedLock.tryUntil(lock, deadline)) {
      throw new TimeoutException();
    }
    try {
      // Held throughout, so that nobody takes it between the look and the naming.
      return nameIfLost(extent);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Names what of a leaf, and of the large values that it leads to, is on no leg.
   *
   * @param patient whether room may be made for the rest of the leaf: not with a lock held
   */
  private boolean nameLost(int leaf, Scratch s, boolean patient) {
    if (patient && parts.commits.isPending(leaf) && volume.readOnlyCause() == null) {
      parts.commits.commit();
    }
    s.lossLeaf = leaf;
    s.needed = 0;
    boolean named = run(s, Tree::tryNameLost, false) == YES;
    s.suspect = 0;
    if (patient && s.needed > 0) {
      makeRoom(s.needed);
    }
    return named;
  }

  /** Names what of a leaf is on no leg; for a scan that came upon it. */
  void nameLostIn(int leaf, Scratch s) {
    boolean _ = nameLost(leaf, s, true);
  }

  /** Whether something was named as lost in a range of keys. */
  boolean isKnownLost(byte[] low, byte @Nullable [] high) {
    return losses.meets(low, high);
  }

  private long tryNameLost(Scratch s) {
    int leaf = s.lossLeaf;
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!parts.leaves.exists(leaf)) {
        return NO;
      }
      LegSet set = volume.legs();
      if (set.readers() == 0) {
        throw volume.offline();
      }
      if (ensureBuilt(s, set, leaf)) {
        return YES;
      }
      LeafImage image = s.image();
      image.load(parts.asKnown(set, leaf));
      long suspect = s.suspect - parts.offset(leaf);
      if (suspect > 0
          && suspect < image.tail
          && parts.points.leadsTo(s.hash, address(leaf, (int) suspect))) {
        image.rejectOther((int) suspect, PointIndex.checkOf(s.slot));
      }
      boolean named = nameLostBlobs(s, set, leaf, image);
      if (image.holes.isEmpty()) {
        return named ? YES : NO;
      }
      long[] meant = lostIn(parts.points, leaf, image);
      if (meant.length > 0) {
        // Durable first: an answer that named something as lost stands after a reopen, too.
        addLosses(builder.lossesOf(leaf, image, set, meant));
        purge(leaf, image);
        named = true;
      }
      if (volume.readOnlyCause() == null) {
        replaceDamaged(s, set, leaf);
      }
      return named ? YES : NO;
    } finally {
      lock.unlock();
    }
  }

  private long[] lostIn(PointIndex points, int leaf, LeafImage image) {
    long[] all = {};
    for (int i = 0; i < image.holes.size(); i += 2) {
      long[] some =
          points.fingerprints(
              address(leaf, image.holes.get(i)), address(leaf, image.holes.get(i + 1)));
      int before = all.length;
      all = Arrays.copyOf(all, before + some.length);
      System.arraycopy(some, 0, all, before, some.length);
    }
    return all;
  }

  private void purge(int leaf, LeafImage image) {
    int purged = 0;
    for (int i = 0; i < image.holes.size(); i += 2) {
      purged +=
          parts.points.purge(
              address(leaf, image.holes.get(i)), address(leaf, image.holes.get(i + 1)));
    }
    parts.entries.add(-purged);
    parts.leaves.live(leaf, parts.leaves.live(leaf) - purged, parts.leaves.liveBytes(leaf));
    // Older records of the same keys do not count, too.
    parts.leaves.set(leaf, Leaves.UNLED, true);
  }

  private long address(int leaf, int at) {
    return RecordLayout.address(parts.offset(leaf) + at);
  }

  /** Writes a leaf anew without what is on no leg, if there is room now. */
  void replaceDamaged(Scratch s, LegSet set, int leaf) {
    LeafRewriter.Order order = s.order.begin(0, keepAbove());
    order.tolerant = true;
    if (rewriter.rewrite(s, set, leaf, order) == LeafRewriter.NO_ROOM) {
      s.needed = rewriter.lacked();
    }
  }

  /** Names the keys whose large values are on no leg; their records go. */
  private boolean nameLostBlobs(Scratch s, LegSet set, int leaf, LeafImage image) {
    List<LossRecord> lost = new ArrayList<>();
    List<Integer> records = new ArrayList<>();
    image.sort();
    for (int i = 0; i < image.newestCount; i++) {
      int at = image.newest[i];
      if (RecordLayout.type(image.bytes, at) != RecordLayout.BLOB || !isCurrent(leaf, image, at)) {
        continue;
      }
      BlobExtents extents = blobOf(image, at);
      if (extents != null && (extents.bulk != null || blobs.assemble(set, extents, null))) {
        continue; // What lies in the BULK volume is lost there, if it is.
      }
      // A list that no store writes leads to nothing.
      long place = parts.offset(leaf) + image.place(at);
      long length = image.size(at);
      if (extents != null && extents.count > 0) {
        place = extents.page[0] * PageMap.PAGE;
        length = extents.length;
      }
      records.add(at);
      lost.add(
          LossRecord.ofKey(image.key(at), place, length, RecordLayout.sequence(image.bytes, at)));
    }
    if (lost.isEmpty()) {
      return false;
    }
    // Durable first, as with leaves.
    addLosses(lost);
    parts.leaves.set(leaf, Leaves.UNLED, true);
    for (int at : records) {
      BlobExtents extents = blobOf(image, at);
      if (parts.points.remove(image.hash(at, parts.secret), address(leaf, image.place(at)))) {
        parts.entries.decrement();
        parts.leaves.live(leaf, parts.leaves.live(leaf) - 1, parts.leaves.liveBytes(leaf));
        if (extents != null) {
          long from = RecordLayout.sequence(image.bytes, at);
          boolean _ = parts.heldBlobs.retire(extents, from, Long.MAX_VALUE);
        }
      }
    }
    assert s.image() == image;
    return true;
  }

  /** Where the large value of a record lies; null if it says nothing that a store writes. */
  private @Nullable BlobExtents blobOf(LeafImage image, int record) {
    return BlobExtents.of(image.bytes, record, volume.capacity() / PageMap.PAGE);
  }

  /** Uses pages again that waited for a bad page to be repaired. */
  public void releaseQuarantine() {
    parts.allocator.releaseQuarantine((page, count) ->
        volume.isStorable(volume.legs(), page * PageMap.PAGE, (long) count * PageMap.PAGE));
  }

  /**
   * Rewrites what an extent holds on a leg where it does not validate, from one where it does.
   *
   * @return whether it was damaged and is good now
   */
  public boolean repair(OwnedExtent extent, int leg) {
    if (!(extent instanceof TreeOwners.Extent e)) {
      return false;
    }
    Scratch s = scratches.take();
    try {
      s.lossLeaf = e.leaf();
      s.repairLeg = leg;
      return operate(s, Tree::tryRepair) == YES;
    } finally {
      scratches.give(s);
    }
  }

  private long tryRepair(Scratch s) {
    int leaf = s.lossLeaf;
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!parts.leaves.exists(leaf)) {
        return NO;
      }
      LegSet set = volume.writableLegs();
      boolean _ = ensureBuilt(s, set, leaf);
      LegCopies copies = new LegCopies(set);
      int _ = copies.load(parts.asKnown(set, leaf));
      LeafPlaces places = new LeafPlaces(parts, leaf);
      copies.settle(places);
      boolean repaired = copies.repair(volume, s.repairLeg);
      for (int i = 0; i < copies.largeCount; i++) {
        BlobExtents extents = copies.extents(i, volume.capacity() / PageMap.PAGE);
        repaired |=
            extents != null
                && (copies.isLed(i, places) || parts.heldBlobs.holds(extents))
                && blobs.repair(set, extents, s.repairLeg);
      }
      volume.requireCurrent(set);
      return repaired ? YES : NO;
    } finally {
      lock.unlock();
    }
  }

  private boolean isCurrent(int leaf, LeafImage image, int at) {
    return parts.points.leadsTo(image.hash(at, parts.secret), address(leaf, image.place(at)));
  }

  /** The records in a range, for people: each with its key. Reads the leaves. */
  public void describe(long offset, long length, RecordVisitor visitor) {
    Scratch s = scratches.take();
    try {
      owners.visit(
          offset,
          length,
          extent -> {
            if (extent instanceof TreeOwners.Extent e) {
              s.lossLeaf = e.leaf();
              s.from = offset;
              s.to = offset + length;
              s.visitor = visitor;
              s.extent = e;
              while (operate(s, Tree::tryDescribe) == AGAIN) {
                Thread.onSpinWait();
              }
            }
          });
    } finally {
      s.visitor = null;
      scratches.give(s);
    }
  }

  /** Is shown what lives in a range. */
  @FunctionalInterface
  public interface RecordVisitor {
    /** A record, or a part of a large value, of {@code key} lies at {@code [offset, + length)}. */
    void visit(long offset, long length, int map, byte[] key, boolean isLarge);
  }

  private long tryDescribe(Scratch s) {
    LegSet set = volume.legs();
    TreeOwners.Extent extent = s.extent;
    RecordVisitor visitor = s.visitor;
    int leaf = s.lossLeaf;
    if (set.readers() == 0 || extent == null || visitor == null || !parts.leaves.exists(leaf)) {
      return NO;
    }
    if (!parts.leaves.is(leaf, Leaves.BUILT)) {
      buildInTime(s, set, leaf);
      return parts.leaves.is(leaf, Leaves.BUILT) ? AGAIN : NO;
    }
    // No lock: who hangs in the leaf must not keep people from looking.
    long version = parts.leaves.version(leaf);
    LeafImage image = s.image();
    if (!LeafCopy.take(parts, set, leaf, version, image)) {
      return parts.leaves.exists(leaf) ? AGAIN : NO;
    }
    for (int i = 0; i < image.count; i++) {
      int at = image.records[i];
      if (!isCurrent(leaf, image, at)) {
        continue;
      }
      byte[] key = image.key(at);
      int map = mapOf(key);
      byte[] user = Arrays.copyOfRange(key, Scratch.KEY_PREFIX, key.length);
      long begin = parts.offset(leaf) + image.place(at);
      int size = image.size(at);
      if (!extent.isBlob()) {
        if (begin < s.to && begin + size > s.from) {
          visitor.visit(begin, size, map, user, false);
        }
      } else if (RecordLayout.type(image.bytes, at) == RecordLayout.BLOB) {
        BlobExtents extents = blobOf(image, at);
        for (int j = 0; extents != null && j < extents.count; j++) {
          if (extents.page[j] * PageMap.PAGE == extent.offset()) {
            visitor.visit(extent.offset(), extent.length(), map, user, true);
          }
        }
      }
    }
    return YES;
  }

  private void buildInTime(Scratch s, LegSet set, int leaf) {
    ReentrantLock lock = parts.leaves.lock(leaf);
    if (!TimedLock.tryUntil(lock, System.nanoTime() + LOOK_NANOS)) {
      return;
    }
    try {
      boolean _ = parts.leaves.exists(leaf) && ensureBuilt(s, set, leaf);
    } finally {
      lock.unlock();
    }
  }

  /** Whether a range holds a part of the leaf table: what the store needs to work. */
  public boolean isMetadata(long offset, long length) {
    for (long page = offset >>> PageMap.PAGE_SHIFT;
        page << PageMap.PAGE_SHIFT < offset + length;
        page++) {
      if (parts.table.holds(page)) {
        return true;
      }
    }
    return offset < VolumeLayout.RECORDS_OFFSET;
  }

  /**
   * Carries everything that was shown as far as a mode goes.
   *
   * @throws IllegalArgumentException if the devices cannot carry it so far
   */
  public void sync(PersistenceMode mode) {
    boolean waits = parts.commits.prepare(mode);
    requireOpen();
    if (volume.legs().writers() == 0) {
      LegSet _ = volume.writableLegs();
    }
    if (waits) {
      parts.commits.commit();
    }
  }

  // ---------------------------------------------------------------- figures and close

  /** The number of entries: for certain only if {@link #isCounted}. */
  public long entries() {
    return parts.entries.sum();
  }

  /** Whether the number of entries is certain: all leaves were read, or closed in order. */
  public boolean isCounted() {
    return parts.allBuilt || !builder.isUnclean();
  }

  /** What was asked of it since it was opened. */
  OperationCounts counts() {
    return counts;
  }

  /** What was asked of it since it was opened. */
  public Work work() {
    return new Work(
        counts.of(OperationCounts.GET),
        counts.of(OperationCounts.GET_READ),
        counts.of(OperationCounts.PUT),
        counts.of(OperationCounts.REMOVE),
        counts.of(OperationCounts.BATCH),
        counts.of(OperationCounts.BATCH_OPERATION),
        counts.of(OperationCounts.SCANNED_LEAF));
  }

  /**
   * What was asked of a tree since it was opened.
   *
   * @param gets single reads
   * @param getReads the records that those read from a leg
   * @param puts single writes, conditional ones whether they wrote or not
   * @param removes single removals, likewise
   * @param batches batches that were written
   * @param batchOperations the operations in them
   * @param scannedLeaves the leaves that were copied for walks
   */
  public record Work(
      long gets,
      long getReads,
      long puts,
      long removes,
      long batches,
      long batchOperations,
      long scannedLeaves) {}

  /** How the bytes of a leg are used, see {@link LeafSpace}. */
  public Space space() {
    return leafSpace.now();
  }

  /**
   * How the bytes of a leg are used.
   *
   * @param leaves what all leaves take
   * @param read what those take that were read since the tree was opened
   * @param records what the newest records of those take
   */
  public record Space(long leaves, long read, long records) {}

  /** The bytes of memory off the heap that indexes and descriptors take. */
  public long memoryBytes() {
    return parts.budget.used();
  }

  /** The bytes that they may take. */
  public long memoryLimit() {
    return parts.budget.limit();
  }

  /** The free bytes. */
  public long freeBytes() {
    PageAllocator allocator = parts.allocator;
    return (allocator.freePages()
            + allocator.retiredPages()
            + allocator.hollowPages()
            + volume.capacity() / PageMap.PAGE
            - allocator.pages()
            + parts.commits.heldPages())
        * PageMap.PAGE;
  }

  /** What was lost. */
  public List<LossRecord> lost() {
    return losses.records();
  }

  /** The next sequence. */
  public long sequence() {
    return parts.sequence.get();
  }

  /**
   * Says of every leaf how far it goes, for a close in order; then what there is.
   *
   * @param timeoutNanos how long to wait for who is writing back
   */
  public VolumeConfig.@Nullable Summary settle(long timeoutNanos) {
    Scratch s = scratches.take();
    try {
      return parts.commits.finish(timeoutNanos)
              && operateClosed(s, Tree::trySettle) == YES
              && batches.isSettled(timeoutNanos)
          ? new VolumeConfig.Summary(parts.entries.sum(), 0)
          : null;
    } catch (HoldfastException e) {
      return null;
    } finally {
      scratches.give(s);
    }
  }

  private long trySettle(Scratch s) {
    if (builder.isUnclean() && !parts.allBuilt) {
      return NO; // The legs may differ in what was not read.
    }
    LegSet set = volume.writableLegs();
    Leaves leaves = parts.leaves;
    for (int leaf : builder.leaves()) {
      if (leaves.is(leaf, Leaves.IN_DOUBT)) {
        rewriter.settle(set, leaf);
      }
      boolean known =
          leaves.is(leaf, Leaves.SETTLED) && leaves.tail(leaf) == leaves.durableTail(leaf);
      if (!known && leaves.is(leaf, Leaves.BUILT)) {
        parts.table.writeTailAtClose(
            set,
            leaf,
            leaves.generation(leaf),
            leaves.tail(leaf),
            leaves.live(leaf),
            leaves.is(leaf, Leaves.BLOBS),
            leaves.is(leaf, Leaves.OVERWRITTEN));
      }
    }
    volume.requireCurrent(set);
    return YES;
  }

  /**
   * Lets operations wait outside, as offline, while {@code body} brings the devices back and reads
   * them again.
   */
  public void whileSuspended(long graceNanos, Runnable body) {
    suspended = true;
    if (volume.grace().await(graceNanos)) {
      body.run(); // Where it fails nothing is served: half of the leaves may not have been read.
    }
    suspended = false;
  }

  /** Whether operations wait outside, see {@link #whileSuspended}. */
  public boolean isSuspended() {
    return suspended;
  }

  /** Lets no further operation begin. */
  public void close() {
    closed = true;
    owners.close();
  }

  /** Lets no commit store any more: who still awaits one is told. */
  public void endCommits() {
    parts.commits.end();
  }

  /**
   * Ends the work that goes on beside operations.
   *
   * @return whether it has ended
   */
  public boolean endWork(long nanos) {
    long from = System.nanoTime();
    boolean packingEnded = packing.end(nanos);
    return room.end(Math.max(0, nanos - (System.nanoTime() - from))) && packingEnded;
  }

  boolean isClosed() {
    return closed;
  }

  /**
   * Gives the memory back. Only when it is certain that no operation is under way.
   *
   * @param nanos how long to wait for who makes room; the memory stays if that does not end
   */
  public void release(long nanos) {
    if (!room.release(nanos)) {
      return; // Somebody is in the indexes still: their memory stays.
    }
    if (!released.compareAndSet(false, true)) {
      return; // The addresses may be somebody else's by now.
    }
    orderMemory.close();
    pointMemory.close();
    parts.pages.close();
    parts.leaves.close();
  }

  // ---------------------------------------------------------------- one operation

  /** One pass of an operation. Not a lambda that captures: a get must not allocate. */
  @FunctionalInterface
  interface Attempt {
    long run(Tree tree, Scratch s);
  }

  /** Runs an attempt until it is not disturbed by a fault; the one place where faults end up. */
  long operate(Scratch s, Attempt attempt) {
    return run(s, attempt, s.privileged);
  }

  /** The close's own: nobody else begins one any more. */
  private long operateClosed(Scratch s, Attempt attempt) {
    return run(s, attempt, true);
  }

  private long run(Scratch s, Attempt attempt, boolean whileClosed) {
    StallNotice stall = null;
    int unexplained = 0;
    while (true) {
      DeviceFault fault = null;
      int entered = enter(s);
      try {
        if (!whileClosed) {
          requireOpen();
        }
        long outcome = attempt.run(this, s);
        if (stall != null) {
          stall.end(volume.place());
        }
        return outcome;
      } catch (DeviceFault e) {
        fault = e;
      } catch (LegSetChanged e) {
        // Start over with the set that is in force now.
      } catch (InternalError e) {
        fault = volume.faulted(volume.legs(), 0, 0, e);
      } finally {
        exit(s, entered);
      }
      stall = stall == null ? StallNotice.begun() : stall;
      stall.starts++;
      if (fault != null && !volume.recover(fault) && ++unexplained >= UNEXPLAINED_LIMIT) {
        throw new HoldfastException(
            "a memory fault that no leg explains; was memory passed in that is gone?", fault);
      }
    }
  }

  private int enter(Scratch s) {
    if (s.place < 0) {
      return volume.grace().enter();
    }
    if (!s.entered) {
      volume.grace().enterAt(s.place);
    }
    return s.place;
  }

  private void exit(Scratch s, int entered) {
    if (s.place < 0) {
      volume.grace().exit(entered);
    } else {
      s.entered = false;
      volume.grace().exitAt(entered);
    }
  }

  LegSet readableLegs() {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    return set;
  }

  // ---------------------------------------------------------------- batches

  /**
   * Writes several operations, all of them or none.
   *
   * @param mode how far to carry them at least before this returns
   */
  public void write(BatchOps ops, PersistenceMode mode) {
    write(ops, mode, null);
  }

  /**
   * Writes several operations, all of them or none, if what they were made from still is so.
   *
   * @param guard what that is; null: nothing
   */
  public void write(BatchOps ops, PersistenceMode mode, @Nullable ReadGuard guard) {
    boolean _ = parts.commits.prepare(mode);
    batches.write(ops, mode, guard);
    counts.add(OperationCounts.BATCH, 1, -1);
    counts.add(OperationCounts.BATCH_OPERATION, ops.size(), -1);
  }

  /** Whether a batch may count that does not show, until it is completed or dropped. */
  public boolean isBatchInDoubt() {
    return batches.isInDoubt();
  }

  /** Batches of which the log lost what is needed to complete them. */
  public List<BatchAtRisk> batchesAtRisk() {
    return batches.atRisk();
  }

  /** Lets somebody see the steps of batches; for tests. */
  public void observeBatches(BatchObserver observer) {
    batches.observer(observer);
  }

  /**
   * Says where the redo log lies beside the leaves; before {@link #open}.
   *
   * @param log another volume; null if there is none
   * @param lacks whether there was one that is not there now, and may have had a batch
   * @param lenient whether it is no matter what cannot be read there: the store was closed in
   *     order, or somebody lets a batch go
   */
  public void logAt(@Nullable Volume log, boolean lacks, boolean lenient) {
    batches.logAt(log, lacks, lenient);
  }

  /** Has batches go to another volume, which is empty, from now on; durably. */
  public void beginLogAt(Volume log, UUID id) {
    batches.beginAt(log, id);
  }

  /**
   * Has the log lie with the leaves alone from now on; durably.
   *
   * @return false if that has to wait for a batch: to be asked for again
   */
  public boolean moveLogHome() {
    return batches.moveHome();
  }

  /**
   * Runs something while no batch is under way.
   *
   * @return false if one is for too long, or has to be completed first: nothing was run
   */
  public boolean whileNoBatch(Runnable body) {
    return !volume.isReadOnly() && batches.whileIdle(body);
  }

  BatchWriter batches() {
    return batches;
  }

  /** Whether a batch under way is about the key: then it is waited for; under the leaf's lock. */
  private boolean isHeld(Scratch s) {
    InFlightBatch batch = parts.batch;
    s.busy = batch != null && batch.holds(s.hash);
    return s.busy;
  }

  Scratch takeScratch() {
    return scratches.take();
  }

  void giveScratch(Scratch s) {
    scratches.give(s);
  }

  void requireOpen() {
    if (closed) {
      throw new StoreClosedException("the store is closed");
    }
    if (suspended) {
      throw new DeviceOfflineException(
          "the device is back; what it holds is being read before it is served");
    }
  }

  /** What DRAM knows is no answer either while no leg is there: all reads fail alike. */
  void requireServed() {
    requireOpen();
    if (volume.legs().readers() == 0) {
      throw volume.offline();
    }
  }
}
