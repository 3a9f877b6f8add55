package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A leaf below its tail, as each leg has it. Within a generation nothing below the tail changes, so
 * all legs have the same records there, one behind the other up to the tail.
 *
 * <p>A look without the leaf's lock is enough to find that all is well: one leg is checked record
 * by record, and the others have to have the same bytes. What is wrong, and which leg is right, is
 * {@linkplain #settle settled} under the lock.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class LegCopies {
  /** So many records of a leaf are looked for elsewhere at most: to know what to call it. */
  private static final int MOST_SOUGHT = 64;

  private final RecordCheck check = new RecordCheck();

  /** By reader. */
  private byte[][] copies = {};

  /** Pages that a reader cannot serve; what stands there is another one's, or zero. */
  private BitSet[] unreadable = {};

  private int readers;
  private int tail;
  private long offset;
  private LegSet set;

  /** How many records were found. */
  int records;

  /** How many of them lead to large values. */
  int largeCount;

  /** Where those begin. */
  private int[] large = new int[8];

  /** Which of the two has them: what was settled, or the copy of the first leg. */
  private byte[] from = {};

  /** What was made of the legs: right but for the holes. */
  private byte[] right = {};

  /** What is wrong on legs that others have right. */
  final List<Wrong> wrong = new ArrayList<>();

  /** What is right on no leg: begin, end, begin, end, … */
  final List<Integer> holes = new ArrayList<>();

  /** What is wrong on a leg, from the begin of the leaf on. */
  record Wrong(int leg, int from, int to, ScrubFault kind) {}

  /** Says where records belong: asked under the leaf's lock. */
  interface Records {
    /** Whether the slot of a record's key leads to it. */
    boolean isLed(byte[] record, int at, int place);

    /** Whether what may be a record was meant for another place. */
    boolean isMeantForElsewhere(byte[] bytes, int at, int placed);
  }

  LegCopies(LegSet set) {
    this.set = set;
  }

  /**
   * Copies a leaf from each leg.
   *
   * @return the bytes that were read of each leg that is read
   */
  int load(LeafImage.Request request) {
    set = request.set();
    readers = set.readers();
    tail = request.tail();
    offset = request.offset();
    if (copies.length < readers) {
      copies = Arrays.copyOf(copies, readers);
      unreadable = Arrays.copyOf(unreadable, readers);
    }
    check.begin(request);
    for (int reader = 0; reader < readers; reader++) {
      if (copies[reader] == null || copies[reader].length < tail) {
        copies[reader] = new byte[Math.max(tail, LeafLayout.MAX_BYTES)];
        unreadable[reader] = new BitSet();
      }
      unreadable[reader].clear();
      load(request.volume(), reader, copies[reader]);
    }
    return tail;
  }

  private void load(Volume volume, int reader, byte[] target) {
    try {
      if (set.canRead(reader, offset, tail)) {
        volume.load(set, reader, offset, target, 0, tail);
        Gateway.barrier();
        return;
      }
      for (int at = 0; at < tail; at += PageMap.PAGE) {
        int n = Math.min(PageMap.PAGE, tail - at);
        if (set.canRead(reader, offset + at, n)) {
          volume.load(set, reader, offset + at, target, at, n);
        } else {
          unreadable[reader].set(at / PageMap.PAGE);
          if (!volume.assembleAny(set, offset + at, target, at, n)) {
            Arrays.fill(target, at, at + n, (byte) 0);
          }
        }
      }
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, offset, tail, e);
    }
  }

  /** Whether every leg has all of the leaf. */
  boolean areWhole() {
    for (int reader = 0; reader < readers; reader++) {
      if (!unreadable[reader].isEmpty()) {
        return false;
      }
    }
    from = copies[0];
    if (!isWhole(from)) {
      return false;
    }
    for (int reader = 1; reader < readers; reader++) {
      if (!Arrays.equals(copies[0], 0, tail, copies[reader], 0, tail)) {
        return false;
      }
    }
    return true;
  }

  private boolean isWhole(byte[] copy) {
    records = 0;
    largeCount = 0;
    if (!check.isHeader(copy)) {
      return false;
    }
    int at = LeafLayout.firstRecord(copy);
    if (at > tail || !WrongBytes.isZero(copy, endOfHeader(copy), at)) {
      return false;
    }
    while (at < tail) {
      int size = check.sizeAt(copy, at, tail);
      if (size >= 0) {
        count(at);
        at += size;
      } else if (isPadding(copy, at)) {
        at += PackedLayout.GRANULE;
      } else {
        return false;
      }
    }
    return true;
  }

  private void count(int at) {
    records++;
    if (check.isLarge()) {
      if (largeCount == large.length) {
        large = Arrays.copyOf(large, 2 * largeCount);
      }
      large[largeCount++] = at;
    }
  }

  /** What is behind records in the short form, up to the next granule. */
  private static boolean isPadding(byte[] copy, int at) {
    return (at & RecordLayout.GRANULE - 1) != 0
        && WrongBytes.isZero(copy, at, at + PackedLayout.GRANULE);
  }

  private static int endOfHeader(byte[] copy) {
    return LeafLayout.HEADER + LeafLayout.separatorLength(copy);
  }

  // ---------------------------------------------------------------- what is wrong

  /**
   * Finds out which leg is right, record by record. Of two records that both validate that counts
   * which a slot leads to, else the one that was stored later: a put that failed may have left a
   * record at a place where another one was stored later, which a leg has lost.
   */
  void settle(Records where) {
    wrong.clear();
    holes.clear();
    records = 0;
    largeCount = 0;
    if (right.length < tail) {
      right = new byte[Math.max(tail, LeafLayout.MAX_BYTES)];
    }
    from = right;
    int sought = 0;
    int at = settleHeader();
    while (at < tail) {
      int best = -1;
      int size = -1;
      long sequence = -1;
      for (int reader = 0; reader < readers; reader++) {
        int found = check.sizeAt(copies[reader], at, tail);
        if (found < 0 || (best >= 0 && isSame(reader, best, at, at + size))) {
          continue;
        }
        boolean isLed = where.isLed(check.bytes(), check.at(), at);
        if (best < 0 || isLed || check.sequence() > sequence) {
          best = reader;
          size = found;
          sequence = isLed ? Long.MAX_VALUE : check.sequence();
        }
      }
      if (best >= 0) {
        System.arraycopy(copies[best], at, right, at, size);
        int _ = check.sizeAt(right, at, tail);
        count(at);
        for (int reader = 0; reader < readers; reader++) {
          if (!isSame(reader, best, at, at + size) && isReadable(reader, at, at + size)) {
            boolean seek = sought++ < MOST_SOUGHT;
            wrong.add(
                new Wrong(
                    set.legOf(reader),
                    at,
                    at + size,
                    kind(copies[reader], at, at + size, seek ? where : null)));
          }
        }
        at += size;
      } else if (isEndOfShortForms(at)) {
        Arrays.fill(right, at, at + PackedLayout.GRANULE, (byte) 0);
        compare(at, at + PackedLayout.GRANULE);
        at += PackedLayout.GRANULE;
      } else {
        int next = nextRecord(at + RecordCheck.LEAST_RECORD);
        hole(at, next);
        at = next;
      }
    }
  }

  private boolean isSame(int reader, int other, int from, int to) {
    return Arrays.equals(copies[reader], from, to, copies[other], from, to);
  }

  /** Where the first record is, or where to look for it. */
  private int settleHeader() {
    for (int reader = 0; reader < readers; reader++) {
      byte[] copy = copies[reader];
      if (check.isHeader(copy) && LeafLayout.firstRecord(copy) <= tail) {
        int first = LeafLayout.firstRecord(copy);
        System.arraycopy(copy, 0, right, 0, first);
        Arrays.fill(right, endOfHeader(copy), first, (byte) 0);
        compare(0, first);
        return first;
      }
    }
    int next = nextRecord(LeafLayout.HEADER);
    hole(0, next);
    return next;
  }

  private void compare(int from, int to) {
    for (int reader = 0; reader < readers; reader++) {
      if (!Arrays.equals(copies[reader], from, to, right, from, to)
          && isReadable(reader, from, to)) {
        wrong.add(new Wrong(set.legOf(reader), from, to, kind(copies[reader], from, to, null)));
      }
    }
  }

  /** What cannot be read is poison, and repaired as such. */
  private boolean isReadable(int reader, int from, int to) {
    int page = unreadable[reader].nextSetBit(from / PageMap.PAGE);
    return page < 0 || page * PageMap.PAGE >= to;
  }

  /** Whether nothing but padding is at a place: if so the next record is right behind it. */
  private boolean isEndOfShortForms(int at) {
    int behind = at + PackedLayout.GRANULE;
    if ((at & RecordLayout.GRANULE - 1) == 0) {
      return false;
    }
    return behind >= tail || isRecord(behind);
  }

  private boolean isRecord(int at) {
    for (int reader = 0; reader < readers; reader++) {
      if (check.sizeAt(copies[reader], at, tail) >= 0) {
        return true;
      }
    }
    return false;
  }

  private int nextRecord(int from) {
    for (int at = from; at < tail; at += PackedLayout.GRANULE) {
      if (isRecord(at)) {
        return at;
      }
    }
    return tail;
  }

  private void hole(int from, int to) {
    holes.add(from);
    holes.add(to);
    System.arraycopy(copies[0], from, right, from, to - from);
  }

  /** What is wrong with a leg in a hole, where nobody knows what is right. */
  ScrubFault kindInHole(int reader, int from, int to) {
    if (!isReadable(reader, from, to)) {
      return ScrubFault.POISON;
    }
    byte[] copy = copies[reader];
    boolean isEmpty = WrongBytes.isZero(copy, from, to);
    return isEmpty ? ScrubFault.LOST_WRITE : ScrubFault.WRONG_BYTES;
  }

  private ScrubFault kind(byte[] copy, int from, int to, @Nullable Records where) {
    boolean isOld = check.sizeAt(copy, from, tail) >= 0 || check.isFormerHeader(copy);
    if (isOld) {
      return ScrubFault.LOST_WRITE;
    }
    for (int at = from; where != null && at < to; at += RecordLayout.GRANULE) {
      if (RecordLayout.isPlausible(copy, at, tail)
          && where.isMeantForElsewhere(copy, at, check.placeOf(copy, at))) {
        return ScrubFault.MISDIRECTED_WRITE;
      }
    }
    return WrongBytes.kind(copy, right, from, to);
  }

  // ---------------------------------------------------------------- what becomes of it

  /**
   * Where a large value lies; null if its record says nothing that a store writes.
   *
   * @param index up to {@link #largeCount}
   */
  @Nullable BlobExtents extents(int index, long volumePages) {
    int _ = check.sizeAt(from, large[index], tail);
    return BlobExtents.of(check.bytes(), check.at(), volumePages);
  }

  /** Whether the slot of its key leads to the record of a large value. */
  boolean isLed(int index, Records places) {
    int _ = check.sizeAt(from, large[index], tail);
    return places.isLed(check.bytes(), check.at(), large[index]);
  }

  /**
   * Stores what a leg has wrong and another one right; nothing else of the leg changes.
   *
   * @return whether there was something
   */
  boolean repair(Volume volume, int leg) {
    boolean repaired = false;
    for (Wrong each : wrong) {
      if (each.leg == leg) {
        int length = each.to - each.from;
        volume.storeToLeg("leaf repair", set, leg, offset + each.from, right, each.from, length);
        repaired = true;
      }
    }
    return repaired;
  }
}
