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
 * <p>A record is known by where it begins in {@link #bytes}. There the leaf is as it lies on the
 * device, and behind it are the ordinary forms of the records that have the short one ({@link
 * PackedLayout}); {@link #place} and {@link #size} say where and how long each is on the device.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class LeafImage {
  /** No record is shorter. */
  private static final int LEAST_RECORD = PackedLayout.HEADER;

  /** In front of an ordinary form: where the short one lies, and its size. */
  private static final int NOTE = 2 * Integer.BYTES;

  private static final int MOST = LeafLayout.MAX_BYTES / LEAST_RECORD;

  /** All arrays grow when a leaf is larger than those of nobody's pins. */
  byte[] bytes = new byte[LeafLayout.MAX_BYTES];

  private final CRC32C crc = new CRC32C();

  /** Where the records begin in {@link #bytes}, in the order they were appended. */
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

  /** Where in {@link #bytes} the ordinary forms begin, and where the next one goes. */
  private int forms;

  private int nextForm;

  /** What the keys of the leaf begin with, once it is needed. */
  private final byte[] common = new byte[PackedLayout.MAX_PREFIX];

  private boolean knowsCommon;

  /** What a leaf is asked for. */
  record Request(
      Volume volume,
      LegSet set,
      long secret,
      Leaves leaves,
      int leaf,
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
    forms = RecordLayout.round(request.length);
    nextForm = forms;
    knowsCommon = false;
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
      int from = at;
      int record = record(request, at, limit);
      if (record < 0 && (at & RecordLayout.GRANULE - 1) != 0) {
        // What is appended begins on a whole granule; what is lost may have begun in front of it.
        at += PackedLayout.GRANULE;
        end = at;
        record = at < limit ? record(request, at, limit) : -1;
      }
      if (record >= 0) {
        records[count++] = record;
        hasOld |= RecordLayout.isOld(bytes, record);
        at += size(record);
        end = at;
        continue;
      }
      int next = nextRecord(request, from + LEAST_RECORD, limit);
      int unread = unreadableEnd(from, next < 0 ? limit : next);
      if (at >= request.tail && unread < 0 && (next < 0 || request.mayBeTorn)) {
        break;
      }
      // Of a page that cannot be read nobody knows whether it held something.
      int least = Math.max(at + RecordLayout.GRANULE, Math.max(request.tail, unread));
      int to = next >= 0 ? next : Math.min(least, limit);
      holes.add(from);
      holes.add(to);
      at = to;
      end = at;
    }
    tail = end;
    if (request.settle) {
      compare(request);
    }
  }

  /**
   * Adds the record that lies right behind the tail, if one does on some leg: it may have been
   * stored before the copy, and the tail not yet moved behind it.
   *
   * @return whether there is one, in the ordinary form as all that is appended; it is the last of
   *     {@link #records} then
   */
  boolean loadNext(Request request) {
    int from = request.tail;
    if (tail != from) {
      return false; // The leaf ends with a hole.
    }
    for (int reader = 0; reader < request.set.readers(); reader++) {
      int size = loadOne(request, reader, from);
      if (size >= 0 && check(request, 0, from, from + size) == from) {
        records[count++] = from;
        tail = from + size;
        return true;
      }
    }
    return false;
  }

  /** Whether what {@link #loadNext} found is there still: until the tail has moved, it may go. */
  boolean isStillNext(Request request) {
    LegSet set = request.set;
    long from = request.offset + request.tail;
    byte[] head = new byte[RecordLayout.HEADER];
    try {
      for (int reader = 0; reader < set.readers(); reader++) {
        if (set.canRead(reader, from, head.length)) {
          request.volume.load(set, reader, from, head, 0, head.length);
          Gateway.barrier();
          return Arrays.equals(
              head, 0, head.length, bytes, request.tail, request.tail + head.length);
        }
      }
      return false;
    } catch (InternalError e) {
      throw request.volume.faulted(set, from, head.length, e);
    }
  }

  /** Copies what may be a record; how long it says it is, -1 if it is none or cannot be read. */
  private int loadOne(Request request, int reader, int at) {
    LegSet set = request.set;
    long from = request.offset + at;
    int size = Long.BYTES;
    try {
      if (request.length - at < size || !set.canRead(reader, from, size)) {
        return -1;
      }
      request.volume.load(set, reader, from, bytes, at, size);
      // Garbage, if the page is gone: so it is bounded, and not believed before the barrier.
      size = RecordLayout.sizeBy(RecordLayout.getLong(bytes, at));
      boolean may = size <= request.length - at && set.canRead(reader, from, size);
      if (may) {
        request.volume.load(set, reader, from, bytes, at, size);
      }
      Gateway.barrier();
      return may ? size : -1;
    } catch (InternalError e) {
      throw request.volume.faulted(set, from, size, e);
    }
  }

  /** Takes the last record for one that is not there. */
  void dropLast() {
    count--;
    tail = records[count];
  }

  /** The record of the key of the last one that was the newest before it; -1 if there is none. */
  int beforeLast() {
    int last = records[count - 1];
    int newestBefore = -1;
    for (int i = 0; i < count - 1; i++) {
      int each = records[i];
      if (!RecordLayout.isOld(bytes, each)
          && compare(each, last) == 0
          && (newestBefore < 0
              || RecordLayout.sequence(bytes, each) > RecordLayout.sequence(bytes, newestBefore))) {
        newestBefore = each;
      }
    }
    return newestBefore;
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

  /** Where a record lies on the device, from the begin of the leaf on. */
  int place(int record) {
    return record < forms ? record : RecordLayout.getInt(bytes, record - NOTE);
  }

  /** The bytes that a record takes there. */
  int size(int record) {
    return record < forms
        ? RecordLayout.size(bytes, record)
        : RecordLayout.getInt(bytes, record - NOTE + Integer.BYTES);
  }

  /** Whether all records have the short form. */
  boolean isPacked() {
    return count > 0 && records[0] >= forms && records[count - 1] >= forms;
  }

  private void reserve(int length) {
    if (bytes.length < length) {
      bytes = new byte[length];
      copies.clear();
    }
    int most = length / LEAST_RECORD;
    if (records.length < most) {
      records = new int[most];
      newest = new int[most];
      hashes = new long[most];
      appended = new long[most];
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

  /** The record that begins at a place on some leg; -1 if none does. */
  private int record(Request request, int at, int limit) {
    int record = check(request, 0, at, limit);
    if (record >= 0) {
      return record;
    }
    for (int reader = 1; reader < request.set.readers(); reader++) {
      copy(request, reader);
      record = check(request, reader, at, limit);
      if (record >= 0) {
        byte[] from = copies.get(reader);
        int size = record < forms ? RecordLayout.size(from, at) : size(record);
        System.arraycopy(from, at, bytes, at, size);
        differs(0);
        return record;
      }
    }
    return -1;
  }

  /** Of this store, too: no sequence at or above the ceiling was ever given. */
  private int check(Request request, int reader, int at, int limit) {
    byte[] from = copies.get(reader);
    int placed = RecordLayout.place(request.secret, request.offset + at, request.generation);
    if (RecordLayout.isPlausible(from, at, limit)) {
      return (at & RecordLayout.GRANULE - 1) == 0
              && RecordLayout.isIntact(from, at, crc, placed)
              && RecordLayout.sequence(from, at) < ceiling
          ? at
          : -1;
    }
    if (!PackedLayout.isPlausible(from, at, limit) || request.generation >= ceiling) {
      return -1;
    }
    reserveForm();
    int size = PackedLayout.size(from, at);
    return isIntactForm(request, copies.get(reader), at, placed) ? keepForm(at, size) : -1;
  }

  /** Makes the ordinary form of a record, behind the others; whether it is right. */
  private boolean isIntactForm(Request request, byte[] from, int at, int placed) {
    if (!knowsCommon) {
      request.leaves.prefix(request.leaf, common, common.length);
      knowsCommon = true;
    }
    int form = nextForm + NOTE;
    PackedLayout.unpack(from, at, bytes, form, common, request.generation);
    return RecordLayout.isIntact(bytes, form, crc, placed);
  }

  /** Makes room for one more ordinary form. */
  private void reserveForm() {
    int end = nextForm + NOTE + RecordLayout.MAX_RECORD;
    if (bytes.length < end) {
      bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, end));
      copies.set(0, bytes);
    }
  }

  private int keepForm(int at, int size) {
    int form = nextForm + NOTE;
    RecordLayout.putInt(bytes, nextForm, at);
    RecordLayout.putInt(bytes, nextForm + Integer.BYTES, size);
    nextForm = form + RecordLayout.size(bytes, form);
    return form;
  }

  private int nextRecord(Request request, int from, int limit) {
    for (int at = from; at < limit; at += PackedLayout.GRANULE) {
      int kept = nextForm;
      if (record(request, at, limit) >= 0) {
        nextForm = kept; // Whoever asked looks at it again.
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
        copies.add(loaded == 0 ? bytes : new byte[request.length]);
      } else if (copies.get(loaded).length < request.length) {
        copies.set(loaded, new byte[request.length]);
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
      int record = records[i];
      if (place(record) == at
          && RecordLayout.check(RecordLayout.sequence(bytes, record)) != check) {
        holes.add(at);
        holes.add(at + size(record));
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
    while (base < count && place(records[base]) < sortedEnd && (base == 0 || isBehind(base))) {
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
