package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Reads all that counts on every leg that is read: first what finds all else, then the leaves in
 * the order of their keys, each with its row and its large values.
 *
 * <p>The first look takes no lock, and mostly is the only one. What it does not like is looked at
 * again under the lock of what lives there; only what is wrong then is a fault. It is reported,
 * with no lock held, to the {@link ScrubContact}, which has it repaired as for a reader that came
 * upon it; and looked at once more, to see what has become of it. Nothing is stored here but
 * metadata, on the leg that has it wrong, from a copy that is right.
 *
 * <p><b>Threads:</b> one.
 */
final class Scrub {
  private static final long WHOLE = 0;
  private static final long AGAIN = 1;
  private static final long UNSURE = 2;
  private static final long UNBUILT = 3;
  private static final long GONE = 4;

  private static final Tree.Attempt LOOK = (_, s) -> of(s).look();
  private static final Tree.Attempt MAKE_SURE = (_, s) -> of(s).makeSure();
  private static final Tree.Attempt INSPECT = (_, s) -> of(s).inspect();

  private final Tree tree;
  private final Parts parts;
  private final Volume volume;
  private final BlobSpace blobs;
  private final TableScrub table;
  private final ScrubContact contact;
  private final ScrubTally tally;
  private final LegCopies copies;

  /** The first key of the leaf that is next; what it was when the leaf was found. */
  private byte[] at = {};

  private byte[] low = {};
  private byte @Nullable [] behind;
  private int leaf;

  /** For large values, piece by piece. */
  private final byte[] buffer = new byte[BlobSpace.CHUNK];

  /** What a second look found. */
  private final List<Finding> findings = new ArrayList<>();

  /** Of how many findings of this leaf it was said that they are lost. */
  private long named;

  /** What the devices know to be bad, by reader, when a leaf is looked at. */
  private final List<List<BadRange>> known = new ArrayList<>();

  /** Pages by leg that were reported as poisoned in this pass. */
  private final Set<LegRange> reported = new HashSet<>();

  /** What metadata is inspected, what was found wrong, and what of it is to be repaired. */
  private @Nullable Area area;

  private List<WrongPart> wrongParts = List.of();
  private @Nullable WrongPart target;

  /**
   * A piece of metadata.
   *
   * @param site the name of the flush of a repair
   * @param outside runs an operation under what has to be held before one begins; false if it
   *     cannot be had now
   * @param inside runs something while nobody stores there
   * @param inspection finds what is wrong then
   */
  private record Area(
      String site, Predicate<Runnable> outside, Consumer<Runnable> inside, Inspection inspection) {}

  /** Finds what is wrong; tells the tally what it read, if there is one. */
  @FunctionalInterface
  private interface Inspection {
    List<WrongPart> wrong(LegSet set, @Nullable ScrubTally tally);
  }

  /**
   * Something that is wrong on a leg.
   *
   * @param isLost whether no leg has it right
   */
  private record Finding(int leg, long offset, long length, ScrubFault kind, boolean isLost) {}

  Scrub(
      Tree tree,
      Parts parts,
      LeafRewriter rewriter,
      BlobSpace blobs,
      ScrubContact contact,
      ScrubTally tally) {
    this.tree = tree;
    this.parts = parts;
    this.volume = parts.volume;
    this.blobs = blobs;
    this.table = new TableScrub(parts, rewriter);
    this.contact = contact;
    this.tally = tally;
    this.copies = new LegCopies(volume.legs());
  }

  private static Scrub of(Scratch s) {
    Scrub scrub = s.scrub;
    if (scrub == null) {
      throw new IllegalStateException("expected to be run by a scrub");
    }
    return scrub;
  }

  /**
   * Runs to the end, or until it is told not to go on.
   *
   * @param from see {@link Tree#scrub}
   */
  boolean run(byte @Nullable [] from, long leavesDone) {
    Scratch s = tree.takeScratch();
    s.scrub = this;
    try {
      tree.requireServed();
      tally.leaves(leavesDone, parts.order.size());
      badBlocks();
      if (from != null) {
        at = from;
      }
      // Whoever was interrupted before the first leaf begins with what is in front of it again.
      if (at.length == 0 && !metadata(s)) {
        return false;
      }
      while (true) {
        leaf(s);
        byte[] next = behind;
        tally.leafDone();
        boolean goesOn = contact.goesOn(next);
        if (next == null) {
          return true;
        }
        if (!goesOn) {
          return false;
        }
        at = next;
      }
    } finally {
      s.scrub = null;
      tree.giveScratch(s);
    }
  }

  // ---------------------------------------------------------------- poison

  /** What the devices know to be bad, wherever it is. */
  private void badBlocks() {
    LegSet set = volume.legs();
    for (int reader = 0; reader < set.readers(); reader++) {
      for (BadRange range : set.deviceOf(reader).badBlocks()) {
        poisoned(set.legOf(reader), range.offset(), range.length());
      }
    }
    for (LegRange range : volume.badRanges()) {
      poisoned(range.leg(), range.offset(), range.length());
    }
  }

  /** Reports the pages of a range, each once. */
  private void poisoned(int leg, long offset, long length) {
    long end = Math.min(offset + length, volume.capacity());
    for (long page = offset / PageMap.PAGE * PageMap.PAGE; page < end; page += PageMap.PAGE) {
      if (reported.add(new LegRange(leg, page, PageMap.PAGE))) {
        found(ScrubFault.POISON, false, false, new LegRange(leg, page, PageMap.PAGE));
        long at = page;
        boolean[] repaired = new boolean[1];
        boolean isLost = loses(() -> repaired[0] = contact.poisoned(leg, at, PageMap.PAGE));
        tally.repaired(repaired[0] && !isLost ? 1 : 0);
      }
    }
  }

  /** Notes the pages of a range that a leg cannot serve, or that its device knows to be bad. */
  private boolean isPoisoned(LegSet set, int reader, long offset, long length) {
    boolean any = false;
    if (!set.canRead(reader, offset, length)) {
      long end = offset + length;
      for (long page = offset / PageMap.PAGE * PageMap.PAGE; page < end; page += PageMap.PAGE) {
        if (!set.canRead(reader, page, PageMap.PAGE)) {
          note(set.legOf(reader), page, PageMap.PAGE, ScrubFault.POISON, false);
          any = true;
        }
      }
    }
    for (BadRange range : known.get(reader)) {
      if (range.offset() < offset + length && offset < range.offset() + range.length()) {
        note(set.legOf(reader), range.offset(), range.length(), ScrubFault.POISON, false);
        any = true;
      }
    }
    return any;
  }

  private void note(int leg, long offset, long length, ScrubFault kind, boolean isLost) {
    findings.add(new Finding(leg, offset, length, kind, isLost));
  }

  // ---------------------------------------------------------------- a leaf

  private void leaf(Scratch s) {
    while (true) {
      long outcome = tree.operate(s, LOOK);
      if (outcome == UNBUILT) {
        tree.build(leaf);
      } else if (outcome == WHOLE) {
        tally.checked(copies.records);
        return;
      } else if (outcome == UNSURE) {
        closely(s);
        return;
      }
    }
  }

  /** Finds the leaf, and whether all of it is well on every leg; without a lock. */
  private long look() {
    LegSet set = tree.readableLegs();
    Leaves leaves = parts.leaves;
    low = parts.order.floorSeparator(at);
    leaf = parts.order.floor(low, 0, low.length);
    long version = leaves.version(leaf);
    behind = parts.order.higherSeparator(low);
    if ((version & 1) != 0 || !isHome()) {
      return AGAIN;
    }
    if (!leaves.is(leaf, Leaves.BUILT)) {
      return UNBUILT;
    }
    LeafImage.Request request = parts.asKnown(set, leaf);
    if (leaves.version(leaf) != version) {
      return AGAIN;
    }
    begin(set);
    boolean isWell = true;
    for (int reader = 0; reader < set.readers(); reader++) {
      isWell &= !isPoisoned(set, reader, request.offset(), request.length());
    }
    isWell = isWell && load(request) && copies.areWhole();
    isWell = isWell && table.row(set, leaf, low, tally).isEmpty();
    if (isWell) {
      LeafPlaces places = new LeafPlaces(parts, leaf);
      for (int i = 0; i < copies.largeCount; i++) {
        large(set, i, places);
      }
      isWell = findings.isEmpty();
    }
    if (leaves.version(leaf) != version) {
      return AGAIN;
    }
    return isWell ? WHOLE : UNSURE;
  }

  private void begin(LegSet set) {
    findings.clear();
    known.clear();
    for (int reader = 0; reader < set.readers(); reader++) {
      known.add(set.deviceOf(reader).badBlocks());
    }
  }

  private boolean isHome() {
    return parts.leaves.exists(leaf)
        && Arrays.equals(parts.order.floorSeparator(low), low)
        && parts.order.floor(low, 0, low.length) == leaf;
  }

  private boolean load(LeafImage.Request request) {
    int read = copies.load(request);
    for (int reader = 0; reader < request.set().readers(); reader++) {
      tally.read(request.set().legOf(reader), read);
    }
    return true;
  }

  /** Looks at a large value that still is somebody's, on every leg. */
  private void large(LegSet set, int index, LeafPlaces places) {
    BlobExtents extents = copies.extents(index, volume.capacity() / PageMap.PAGE);
    if (extents == null
        || extents.count == 0
        || !(copies.isLed(index, places) || parts.heldBlobs.holds(extents))) {
      return;
    }
    List<Integer> wrong = new ArrayList<>();
    boolean anyIsRight = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      boolean isPoisoned = false;
      for (int i = 0; i < extents.count; i++) {
        long offset = extents.page[i] * PageMap.PAGE;
        isPoisoned |= isPoisoned(set, reader, offset, (long) extents.pages[i] * PageMap.PAGE);
      }
      if (isPoisoned) {
        continue;
      }
      tally.read(set.legOf(reader), extents.length);
      if (blobs.isRight(set, reader, extents, buffer)) {
        anyIsRight = true;
      } else {
        wrong.add(set.legOf(reader));
      }
    }
    for (int leg : wrong) {
      long offset = extents.page[0] * PageMap.PAGE;
      boolean isLost = !anyIsRight && wrong.size() == set.readers();
      // The first extent stands for all of them.
      long length = Math.min(extents.length, (long) extents.pages[0] * PageMap.PAGE);
      note(leg, offset, length, ScrubFault.WRONG_BYTES, isLost);
    }
  }

  // ---------------------------------------------------------------- a second look

  /** Finds out what is wrong, has it repaired, and sees what is left. */
  private void closely(Scratch s) {
    if (tree.operate(s, MAKE_SURE) != WHOLE) {
      return; // What was there is somewhere else by now, as it was written just now.
    }
    tally.checked(copies.records);
    List<Finding> found = List.copyOf(findings);
    if (!found.isEmpty()) {
      act(found);
      boolean isThere = tree.operate(s, MAKE_SURE) == WHOLE;
      tally.repaired(Math.max(0, count(found) - (isThere ? count(findings) : 0) - named));
    }
    if (volume.readOnlyCause() == null) {
      int row = leaf;
      inspect(
          s,
          new Area(
              "row repair",
              Scrub::freely,
              body -> locked(row, body),
              (set, _) -> isHome() ? table.row(set, row, low, null) : List.of()));
    }
  }

  /** Poison is counted by the page. */
  private static long count(List<Finding> findings) {
    return findings.stream().filter(finding -> finding.kind != ScrubFault.POISON).count();
  }

  private void act(List<Finding> found) {
    named = 0;
    Set<Integer> legs = new HashSet<>();
    Finding lost = null;
    for (Finding finding : found) {
      if (finding.kind == ScrubFault.POISON) {
        poisoned(finding.leg, finding.offset, finding.length);
        continue;
      }
      found(
          finding.kind,
          false,
          finding.isLost,
          new LegRange(finding.leg, finding.offset, finding.length));
      if (finding.isLost) {
        lost = finding;
      } else if (legs.add(finding.leg)) {
        // One report for a leg: who repairs looks at all of the leaf.
        contact.wrong(finding.leg, finding.offset, finding.length);
      }
    }
    Finding nowhere = lost;
    if (nowhere != null && loses(() -> contact.lost(nowhere.leg, nowhere.offset, nowhere.length))) {
      named = found.stream().filter(Finding::isLost).count();
    }
  }

  private void found(ScrubFault kind, boolean isMetadata, boolean isLost, LegRange where) {
    tally.found(kind);
    ScrubFindingNotice.emit(
        volume.place(),
        new ScrubFindingNotice.What(kind, isMetadata, isLost),
        where.leg(),
        where.offset(),
        where.length());
    contact.found(kind, isLost, where);
  }

  /** Runs something, and counts what is named as lost meanwhile; whether something was. */
  private boolean loses(Runnable body) {
    Set<LossRecord> known = new HashSet<>(tree.lost());
    body.run();
    List<LossRecord> fresh = tree.lost().stream().filter(loss -> !known.contains(loss)).toList();
    tally.lost(fresh.size(), fresh.stream().mapToLong(Scrub::entries).sum());
    return !fresh.isEmpty();
  }

  private static long entries(LossRecord loss) {
    long[] fingerprints = loss.fingerprints();
    return loss.key() != null ? 1 : fingerprints == null ? 0 : fingerprints.length;
  }

  /** Looks at a leaf that was not well under its lock. */
  private long makeSure() {
    LegSet set = tree.readableLegs();
    begin(set);
    ReentrantLock lock = parts.leaves.lock(leaf);
    lock.lock();
    try {
      if (!isHome() || !parts.leaves.is(leaf, Leaves.BUILT)) {
        return GONE;
      }
      LeafImage.Request request = parts.asKnown(set, leaf);
      for (int reader = 0; reader < set.readers(); reader++) {
        boolean _ = isPoisoned(set, reader, request.offset(), request.length());
      }
      boolean _ = load(request);
      LeafPlaces places = new LeafPlaces(parts, leaf);
      copies.settle(places);
      for (LegCopies.Wrong wrong : copies.wrong) {
        note(
            wrong.leg(),
            request.offset() + wrong.from(),
            wrong.to() - wrong.from(),
            wrong.kind(),
            false);
      }
      for (int i = 0; i < copies.holes.size(); i += 2) {
        hole(set, request.offset(), copies.holes.get(i), copies.holes.get(i + 1));
      }
      for (int i = 0; i < copies.largeCount; i++) {
        large(set, i, places);
      }
      return WHOLE;
    } finally {
      lock.unlock();
    }
  }

  /** Notes what no leg has right, unless it was named before and the leaf could not be written. */
  private void hole(LegSet set, long offset, int from, int to) {
    if (tree.isNamed(offset + from, to - from, parts.leaves.generation(leaf))) {
      return;
    }
    for (int reader = 0; reader < set.readers(); reader++) {
      ScrubFault kind = copies.kindInHole(reader, from, to);
      if (kind != ScrubFault.POISON) {
        note(set.legOf(reader), offset + from, to - from, kind, true);
      }
    }
  }

  // ---------------------------------------------------------------- metadata

  /** What lies at fixed places, and what finds all else; false if it has to end. */
  private boolean metadata(Scratch s) {
    if (volume.readOnlyCause() != null) {
      return true; // Memory need not be what the devices have: nothing was made equal.
    }
    if (!superblocks()) {
      return false;
    }
    inspect(s, new Area("root repair", Scrub::freely, parts.table::whileNoneIsTaken, table::root));
    for (int chunk = 0; chunk < table.chunks(); chunk++) {
      int index = chunk;
      inspect(
          s,
          new Area(
              "chunk repair",
              Scrub::freely,
              parts.table::whileNoneIsTaken,
              (set, read) -> table.chunk(set, index, read)));
      if (!contact.goesOn(at)) {
        return false;
      }
    }
    BatchWriter batches = tree.batches();
    inspect(
        s,
        new Area(
            "log repair",
            batches::whileIdle,
            Runnable::run,
            (set, read) -> batches.inspect(set, read)));
    return contact.goesOn(at);
  }

  private static boolean freely(Runnable operation) {
    operation.run();
    return true;
  }

  private void locked(int which, Runnable body) {
    ReentrantLock lock = parts.leaves.lock(which);
    lock.lock();
    try {
      body.run();
    } finally {
      lock.unlock();
    }
  }

  /** Looks at a piece of metadata, and has what is wrong repaired. */
  private void inspect(Scratch s, Area which) {
    if (!inspect(s, which, null)) {
      return;
    }
    boolean isToldLost = false;
    for (WrongPart part : List.copyOf(wrongParts)) {
      boolean hasCopy = part.right() != null;
      found(part.kind(), true, !hasCopy, new LegRange(part.leg(), part.offset(), part.length()));
      if (!hasCopy && isToldLost) {
        continue;
      }
      isToldLost |= !hasCopy;
      boolean[] repaired = new boolean[1];
      contact.wrongMetadata(
          part.leg(),
          part.offset(),
          part.length(),
          hasCopy,
          () -> repaired[0] = hasCopy && repair(s, which, part));
      tally.repaired(repaired[0] ? 1 : 0);
    }
  }

  private boolean repair(Scratch s, Area which, WrongPart part) {
    return inspect(s, which, part)
        && inspect(s, which, null)
        && wrongParts.stream().noneMatch(part::isAt);
  }

  private boolean inspect(Scratch s, Area which, @Nullable WrongPart toRepair) {
    area = which;
    target = toRepair;
    return which.outside.test(() -> {
      long _ = tree.operate(s, INSPECT);
    });
  }

  /** Finds what is wrong with the metadata that is meant, and stores what is to be repaired. */
  private long inspect() {
    Area which = area;
    WrongPart toRepair = target;
    if (which == null) {
      return GONE;
    }
    LegSet set = toRepair == null ? tree.readableLegs() : volume.writableLegs();
    which.inside.accept(() -> {
      wrongParts = which.inspection.wrong(set, toRepair == null ? tally : null);
      for (WrongPart part : wrongParts) {
        byte[] right = part.right();
        if (toRepair != null && right != null && part.isAt(toRepair)) {
          volume.storeToLeg(which.site, set, part.leg(), part.offset(), right, 0, part.length());
        }
      }
    });
    volume.requireCurrent(set);
    return WHOLE;
  }

  /** False if it has to end. */
  private boolean superblocks() {
    List<LegRange> wrong = volume.wrongSuperblocks((leg, n) -> tally.read(leg, n));
    if (wrong == null) {
      return false;
    }
    for (LegRange range : wrong) {
      found(ScrubFault.WRONG_BYTES, true, false, range);
      boolean[] repaired = new boolean[1];
      // Memory has what was written last.
      contact.wrongMetadata(
          range.leg(),
          range.offset(),
          range.length(),
          true,
          () -> repaired[0] = volume.repairSuperblock(range.leg()));
      tally.repaired(repaired[0] ? 1 : 0);
    }
    return true;
  }
}
