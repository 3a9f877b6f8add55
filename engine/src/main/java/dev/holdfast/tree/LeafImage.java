package dev.holdfast.tree;

import dev.holdfast.pmem.Gateway;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * A copy of a leaf in memory: the records that validate on some leg, and the holes where none does.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class LeafImage {
  /** No record is shorter than its header and a granule of key. */
  private static final int LEAST_RECORD = RecordLayout.HEADER + RecordLayout.GRANULE;

  private static final int MOST = LeafLayout.MAX_BYTES / LEAST_RECORD;

  /** All arrays grow when a leaf is larger than those of nobody's pins. */
  byte[] bytes = new byte[LeafLayout.MAX_BYTES];

  private final CRC32C crc = new CRC32C();

  /** Where the records begin, in the order they were appended. */
  int[] records = new int[MOST];

  int count;

  /** Whether a record is there that only pins needed when the leaf was written. */
  private boolean hasOld;

  /** Where the leaf lies, in bytes. */
  long offset;

  /** Behind the last record. */
  int tail;

  /** Ranges that no leg holds: begin, end, begin, end, … */
  final List<Integer> holes = new ArrayList<>();

  /** Legs, by reader, that differ from what was found. */
  final List<Integer> differing = new ArrayList<>();

  /** Whether a leg holds something else than zeros behind the tail. */
  boolean littered;

  /**
   * The newest record of each key, in the order of the keys: filled by {@link #sort}. Behind each
   * its older ones, the newer first, if {@link #sortVersions} filled it.
   */
  int[] newest = new int[MOST];

  int newestCount;

  /** For whom older records may be among {@code newest}; null if none are. */
  Pins.@Nullable View pins;

  /** The hashes of the keys of {@code newest}, for who moves their slots. */
  long[] hashes = new long[MOST];

  private final KeyOrder order = new KeyOrder();
  private long[] appended = new long[MOST];

  private int sortedEnd;

  /** Pages of the leaf that no leg can serve. */
  private final BitSet unreadable = new BitSet();

  private final List<byte[]> copies = new ArrayList<>();
  private int loaded;
  private long ceiling;

  /** What a leaf is asked for. */
  record Request(
      Volume volume,
      LegSet set,
      long secret,
      long offset,
      int length,
      long generation,
      int tail,
      boolean settle,
      boolean mayBeTorn) {}

  /**
   * Loads a leaf.
   *
   * @param request {@code tail} is where the leaf ends, or, to settle, what it certainly has;
   *     {@code settle} looks at all legs, and behind the tail; {@code mayBeTorn} says whether pages
   *     may have reached the medium in any order, so that what is torn may lie between what is
   *     whole
   */
  void load(Request request) {
    if (request.set.readers() == 0) {
      throw request.volume.offline();
    }
    count = 0;
    reserve(request.length);
    offset = request.offset;
    holes.clear();
    differing.clear();
    littered = false;
    ceiling = request.volume.config().sequenceCeiling();
    loaded = 0;
    hasOld = false;
    unreadable.clear();
    copy(request, 0);
    int limit = request.settle ? request.length : request.tail;
    if (request.settle) {
      for (int reader = 1; reader < request.set.readers(); reader++) {
        copy(request, reader);
      }
    }
    int at = begin(request);
    int end = at;
    while (at < limit) {
      if (isRecord(request, at, limit)) {
        records[count++] = at;
        hasOld |= RecordLayout.isOld(bytes, at);
        at += RecordLayout.size(bytes, at);
        end = at;
        continue;
      }
      int next = nextRecord(request, at + RecordLayout.GRANULE, limit);
      int unread = unreadableEnd(at, next < 0 ? limit : next);
      if (at >= request.tail && unread < 0 && (next < 0 || request.mayBeTorn)) {
        break;
      }
      // Of a page that cannot be read nobody knows whether it held something.
      int least = Math.max(at + RecordLayout.GRANULE, Math.max(request.tail, unread));
      int to = next >= 0 ? next : Math.min(least, limit);
      holes.add(at);
      holes.add(to);
      at = to;
      end = at;
    }
    tail = end;
    if (request.settle) {
      compare(request);
    }
  }

  /** Behind the last page in a range that no leg can serve; -1 if there is none. */
  private int unreadableEnd(int from, int to) {
    int page = unreadable.previousSetBit((to - 1) / PageMap.PAGE);
    return page >= from / PageMap.PAGE ? (page + 1) * PageMap.PAGE : -1;
  }

  /** Up to where the records are in the order of their keys; 0 if the begin of the leaf is lost. */
  int sortedEnd() {
    return sortedEnd;
  }

  private void reserve(int length) {
    if (bytes.length >= length) {
      return;
    }
    int most = length / LEAST_RECORD;
    bytes = new byte[length];
    records = new int[most];
    newest = new int[most];
    hashes = new long[most];
    appended = new long[most];
    copies.clear();
  }

  /** Loads a leaf, and finds out which legs have something else below its tail. */
  void loadAndCompare(Request request) {
    load(request);
    for (int reader = 0; reader < request.set.readers(); reader++) {
      copy(request, reader);
      if (reader > 0 && !Arrays.equals(bytes, 0, tail, copies.get(reader), 0, tail)) {
        differs(reader);
      }
    }
  }

  private int begin(Request request) {
    int place = RecordLayout.place(request.secret, request.offset, request.generation);
    for (int reader = 0; reader < request.set.readers(); reader++) {
      copy(request, reader);
      byte[] from = copies.get(reader);
      if (LeafLayout.isIntact(from, crc, place, request.generation)) {
        int first = LeafLayout.firstRecord(from);
        if (reader > 0) {
          System.arraycopy(from, 0, bytes, 0, first);
          differs(0);
        }
        sortedEnd = Math.clamp(LeafLayout.sortedEnd(bytes), first, request.length);
        return first;
      }
    }
    // Of the begin nothing is left: what the other pages hold is found granule by granule.
    sortedEnd = 0;
    return 0;
  }

  private void differs(int reader) {
    if (!differing.contains(reader)) {
      differing.add(reader);
    }
  }

  /** Whether a record begins at a place on some leg; it is in {@code bytes} then. */
  private boolean isRecord(Request request, int at, int limit) {
    int place = RecordLayout.place(request.secret, request.offset + at, request.generation);
    if (isRecord(bytes, at, limit, place)) {
      return true;
    }
    for (int reader = 1; reader < request.set.readers(); reader++) {
      copy(request, reader);
      byte[] from = copies.get(reader);
      if (isRecord(from, at, limit, place)) {
        System.arraycopy(from, at, bytes, at, RecordLayout.size(from, at));
        differs(0);
        return true;
      }
    }
    return false;
  }

  /** Of this store, too: no sequence at or above the ceiling was ever given. */
  private boolean isRecord(byte[] from, int at, int limit, int place) {
    return RecordLayout.isPlausible(from, at, limit)
        && RecordLayout.isIntact(from, at, crc, place)
        && RecordLayout.sequence(from, at) < ceiling;
  }

  private int nextRecord(Request request, int from, int limit) {
    for (int at = from; at < limit; at += RecordLayout.GRANULE) {
      if (isRecord(request, at, limit)) {
        return at;
      }
    }
    return -1;
  }

  private void compare(Request request) {
    for (int reader = 0; reader < request.set.readers(); reader++) {
      byte[] from = copies.get(reader);
      if (reader > 0 && !Arrays.equals(bytes, 0, tail, from, 0, tail)) {
        differs(reader);
      }
      for (int at = tail; at < request.length; at++) {
        if (from[at] != 0) {
          littered = true;
          break;
        }
      }
    }
  }

  /**
   * Copies the leaf from a leg; a page that it cannot serve comes from one that can, or is zero.
   */
  private void copy(Request request, int reader) {
    while (loaded <= reader) {
      if (copies.size() <= loaded) {
        copies.add(loaded == 0 ? bytes : new byte[bytes.length]);
      }
      load(request, loaded, copies.get(loaded));
      loaded++;
    }
  }

  private void load(Request request, int reader, byte[] target) {
    LegSet set = request.set;
    int length = request.settle ? request.length : request.tail;
    try {
      if (set.canRead(reader, request.offset, length)) {
        request.volume.load(set, reader, request.offset, target, 0, length);
      } else {
        for (int at = 0; at < length; at += PageMap.PAGE) {
          int n = Math.min(PageMap.PAGE, length - at);
          if (set.canRead(reader, request.offset + at, n)) {
            request.volume.load(set, reader, request.offset + at, target, at, n);
          } else if (!request.volume.assembleAny(set, request.offset + at, target, at, n)) {
            Arrays.fill(target, at, at + n, (byte) 0);
            unreadable.set(at / PageMap.PAGE);
          }
        }
      }
      Gateway.barrier();
    } catch (InternalError e) {
      throw request.volume.faulted(set, request.offset, length, e);
    }
  }

  /** The highest sequence of a record; 0 if there is none. */
  long highestSequence() {
    long highest = 0;
    for (int i = 0; i < count; i++) {
      highest = Math.max(highest, RecordLayout.sequence(bytes, records[i]));
    }
    return highest;
  }

  /** Takes a record for a hole if it is not of the sequence that its slot means. */
  void rejectOther(int at, int check) {
    for (int i = 0; i < count; i++) {
      if (records[i] == at && RecordLayout.check(RecordLayout.sequence(bytes, at)) != check) {
        holes.add(at);
        holes.add(at + RecordLayout.size(bytes, at));
        System.arraycopy(records, i + 1, records, i, count - i - 1);
        count--;
        return;
      }
    }
  }

  /** Leaves out the records of a batch that nobody may see yet. */
  void hide(InFlightBatch batch) {
    int kept = 0;
    for (int i = 0; i < count; i++) {
      if (!batch.hides(bytes, records[i])) {
        records[kept++] = records[i];
      }
    }
    count = kept;
  }

  /** Makes it a leaf that has nothing. */
  void clear() {
    count = 0;
    newestCount = 0;
    pins = null;
    tail = 0;
    holes.clear();
    differing.clear();
  }

  // ---------------------------------------------------------------- order

  /** Finds the newest record of each key, in the order of the keys. */
  void sort() {
    pins = null;
    int base = inOrder();
    int more = count - base;
    if (more == 0) {
      copyNewest();
      return;
    }
    order.begin(bytes, records, count);
    int bits = Integer.SIZE - Integer.numberOfLeadingZeros(count);
    order.sort(base, count, appended, bits);
    newestCount = 0;
    int left = 0;
    int right = 0;
    int before = -1;
    while (left < base || right < more) {
      int next;
      if (right == more) {
        next = left++;
      } else if (left == base || order.compare(appendedAt(right, bits), left) < 0) {
        next = appendedAt(right++, bits);
      } else {
        next = left++;
      }
      if (hasOld && RecordLayout.isOld(bytes, records[next])) {
        continue; // Never the newest, also where what was is lost.
      }
      if (before >= 0 && order.compare(before, next) == 0) {
        if (RecordLayout.sequence(bytes, records[next])
            > RecordLayout.sequence(bytes, newest[newestCount - 1])) {
          newest[newestCount - 1] = records[next];
        }
      } else {
        newest[newestCount++] = records[next];
        before = next;
      }
    }
  }

  /**
   * How many records are in the order in which a rewrite leaves them. Who knows the secret can put
   * others among them, which must not make two of one key.
   */
  private int inOrder() {
    int base = 0;
    while (base < count && records[base] < sortedEnd && (base == 0 || isBehind(base))) {
      base++;
    }
    return base;
  }

  private boolean isBehind(int place) {
    int order = compare(records[place - 1], records[place]);
    return order < 0 || (order == 0 && RecordLayout.isOld(bytes, records[place]));
  }

  /**
   * Finds all records of each key, in the order of the keys and the newest first.
   *
   * @param forWhom for whom those that are not the newest may stay
   */
  void sortVersions(Pins.View forWhom) {
    pins = forWhom;
    newestCount = 0;
    for (int i = 0; i < count; i++) {
      int record = records[i];
      int place = newestCount;
      // What a rewrite left is in this order already.
      if (place > 0 && compareVersions(newest[place - 1], record) > 0) {
        place = versionPoint(record);
        System.arraycopy(newest, place, newest, place + 1, newestCount - place);
      }
      newest[place] = record;
      newestCount++;
    }
  }

  /** Finds the record of each key that was in force at a sequence, in the order of the keys. */
  void sortAt(long limit) {
    sortVersions(Pins.View.NONE);
    int kept = 0;
    for (int i = 0; i < newestCount; i++) {
      int record = newest[i];
      if (RecordLayout.sequence(bytes, record) <= limit
          && (kept == 0 || compare(newest[kept - 1], record) != 0)) {
        newest[kept++] = record;
      }
    }
    newestCount = kept;
    pins = null;
  }

  private int versionPoint(int record) {
    int low = 0;
    int high = newestCount;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (compareVersions(newest[middle], record) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private int compareVersions(int a, int b) {
    int order = compare(a, b);
    return order != 0
        ? order
        : Long.compare(RecordLayout.sequence(bytes, b), RecordLayout.sequence(bytes, a));
  }

  private int appendedAt(int place, int bits) {
    return (int) (appended[place] & ((1L << bits) - 1));
  }

  /** Takes the records as they were written: in order, the newest of each key first. */
  private void copyNewest() {
    newestCount = 0;
    for (int i = 0; i < count; i++) {
      if (!RecordLayout.isOld(bytes, records[i])) {
        newest[newestCount++] = records[i];
      }
    }
  }

  /** Compares the keys of two records. */
  int compare(int a, int b) {
    int aKey = RecordLayout.keyAt(a);
    int bKey = RecordLayout.keyAt(b);
    return Arrays.compareUnsigned(
        bytes,
        aKey,
        aKey + RecordLayout.keyLength(bytes, a),
        bytes,
        bKey,
        bKey + RecordLayout.keyLength(bytes, b));
  }

  /** Compares the key of a record with a key. */
  int compare(int record, byte[] key, int length) {
    int at = RecordLayout.keyAt(record);
    return Arrays.compareUnsigned(
        bytes, at, at + RecordLayout.keyLength(bytes, record), key, 0, length);
  }

  long hash(int record, long secret) {
    return KeyHash.of(
        secret, bytes, RecordLayout.keyAt(record), RecordLayout.keyLength(bytes, record));
  }

  byte[] key(int record) {
    int at = RecordLayout.keyAt(record);
    return Arrays.copyOfRange(bytes, at, at + RecordLayout.keyLength(bytes, record));
  }

  /** The shortest key that is behind one record and not behind another. */
  byte[] separator(int left, int right) {
    int at = RecordLayout.keyAt(right);
    int length = RecordLayout.keyLength(bytes, right);
    return separator(left, bytes, at, length);
  }

  /** The shortest key that is behind one record and not behind a key. */
  byte[] separator(int left, byte[] key, int length) {
    return separator(left, key, 0, length);
  }

  private byte[] separator(int left, byte[] key, int at, int length) {
    int leftAt = RecordLayout.keyAt(left);
    int leftLength = RecordLayout.keyLength(bytes, left);
    int common = Arrays.mismatch(bytes, leftAt, leftAt + leftLength, key, at, at + length);
    // The right key is greater: it differs from the left one, or has it as a prefix.
    return Arrays.copyOfRange(key, at, at + common + 1);
  }
}
