package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.Gateway;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * The operations of a batch, in memory: each as the record that it becomes, so that what goes to
 * the log and to a leaf is copied there as it is.
 *
 * <p>Records lie in chunks, one behind the other; the value of a large one lies apart until it has
 * extents. Used again, it keeps its chunks.
 *
 * <p><b>Threads:</b> one at a time.
 */
public final class BatchOps {
  /** The most bytes of keys and values. */
  public static final long MAX_BYTES = 1L << 30;

  private static final int FIRST_CHUNK = 8 << 10;
  private static final int LARGEST_CHUNK = 1 << 20;

  /** Chunks up to this many bytes together are kept for the next use. */
  private static final long KEPT_BYTES = 4L << 20;

  /** What a record of a large value leaves free for its extents, padding included. */
  private static final int EXTENTS_ROOM = 32 + RecordLayout.MAX_EXTENTS * 8;

  private static final int CHUNK_SHIFT = 32;

  private final List<byte[]> chunks = new ArrayList<>();
  private int chunk;
  private int used;

  /** Chunk and offset of each, in the order they came. */
  private long[] places = new long[8];

  private int count;
  private long bytes;
  private final List<byte[]> large = new ArrayList<>();
  private final byte[] key = new byte[RecordLayout.MAX_KEY];

  /** The operations that count, in the order of their keys: indexes into {@code places}. */
  private int[] order = {};

  private int[] spare = {};
  private int distinct;

  // ---------------------------------------------------------------- collecting

  /** Adds the setting of a key to a value. */
  public void put(int map, byte[] userKey, byte[] value) {
    int keyLength = key(map, userKey);
    if (value.length > RecordLayout.INLINE_LIMIT) {
      requireRoom(keyLength, value.length);
      addLarge(keyLength, value.clone());
    } else {
      int at = begin(keyLength, value.length, RecordLayout.VALUE);
      byte[] into = chunks.get(chunk);
      System.arraycopy(value, 0, into, RecordLayout.inlineAt(into, at), value.length);
      end(at, keyLength, value.length);
    }
  }

  /** Adds the setting of a key to a value, from memory anywhere. */
  public void put(int map, MemorySegment userKey, MemorySegment value) {
    int keyLength = key(map, userKey);
    long length = value.byteSize();
    requireValue(length);
    if (length > RecordLayout.INLINE_LIMIT) {
      requireRoom(keyLength, length);
      byte[] copy = new byte[(int) length];
      copyIn(value, copy, 0);
      addLarge(keyLength, copy);
    } else {
      int at = begin(keyLength, (int) length, RecordLayout.VALUE);
      byte[] into = chunks.get(chunk);
      copyIn(value, into, RecordLayout.inlineAt(into, at));
      end(at, keyLength, length);
    }
  }

  /** Adds the removal of a key. */
  public void remove(int map, byte[] userKey) {
    int keyLength = key(map, userKey);
    int at = begin(keyLength, 0, RecordLayout.TOMBSTONE);
    end(at, keyLength, 0);
  }

  /** Takes over a record from the log. */
  void addRecord(byte[] from, int at) {
    int size = RecordLayout.size(from, at);
    int to = room(size);
    System.arraycopy(from, at, chunks.get(chunk), to, size);
    place(to);
    used = to + size;
  }

  private int key(int map, byte[] userKey) {
    requireKey(userKey.length);
    key[0] = (byte) map;
    System.arraycopy(userKey, 0, key, Scratch.KEY_PREFIX, userKey.length);
    return Scratch.KEY_PREFIX + userKey.length;
  }

  private int key(int map, MemorySegment userKey) {
    requireKey(userKey.byteSize());
    key[0] = (byte) map;
    copyIn(userKey, key, Scratch.KEY_PREFIX);
    return Scratch.KEY_PREFIX + (int) userKey.byteSize();
  }

  private static void copyIn(MemorySegment from, byte[] into, int at) {
    try {
      MemorySegment.copy(from, ValueLayout.JAVA_BYTE, 0, into, at, (int) from.byteSize());
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory that was passed in faults", e);
    }
  }

  private static void requireKey(long length) {
    if (length == 0 || length > Tree.MAX_KEY_LENGTH) {
      throw new IllegalArgumentException(
          "key: expected 1 to " + Tree.MAX_KEY_LENGTH + " bytes, was " + length);
    }
  }

  private static void requireValue(long length) {
    if (length > Tree.MAX_VALUE_LENGTH) {
      throw new IllegalArgumentException(
          "value: expected at most " + Tree.MAX_VALUE_LENGTH + " bytes, was " + length);
    }
  }

  private void requireRoom(int keyLength, long valueLength) {
    long after = bytes + keyLength - Scratch.KEY_PREFIX + valueLength;
    if (after > MAX_BYTES) {
      throw new IllegalArgumentException(
          "batch: expected at most " + MAX_BYTES + " bytes of keys and values, was " + after);
    }
  }

  private void addLarge(int keyLength, byte[] value) {
    int at = begin(keyLength, EXTENTS_ROOM + Integer.BYTES, RecordLayout.BLOB);
    byte[] into = chunks.get(chunk);
    // Behind the room stands which value it is: a batch may be written more than once.
    RecordLayout.putInt(into, RecordLayout.inlineAt(into, at) + EXTENTS_ROOM, large.size());
    large.add(value);
    end(at, keyLength, value.length);
  }

  /** Begins a record at the end of the chunks; where it is. */
  private int begin(int keyLength, int inlineLength, int type) {
    requireRoom(keyLength, type == RecordLayout.BLOB ? 0 : inlineLength);
    int at = room(RecordLayout.size(keyLength, inlineLength));
    RecordLayout.begin(chunks.get(chunk), at, key, keyLength, inlineLength, 0, type);
    return at;
  }

  private void end(int at, int keyLength, long valueLength) {
    bytes += keyLength - Scratch.KEY_PREFIX + valueLength;
    place(at);
    used = at + RecordLayout.size(chunks.get(chunk), at);
  }

  private void place(int at) {
    if (count == places.length) {
      places = Arrays.copyOf(places, 2 * count);
    }
    places[count++] = (long) chunk << CHUNK_SHIFT | at;
  }

  private int room(int size) {
    if (!chunks.isEmpty() && used + size <= chunks.get(chunk).length) {
      return used;
    }
    if (!chunks.isEmpty()) {
      chunk++;
    }
    if (chunk == chunks.size()) {
      int wanted = chunk == 0 ? FIRST_CHUNK : Math.min(2 * chunks.getLast().length, LARGEST_CHUNK);
      chunks.add(new byte[wanted]);
    }
    used = 0;
    return 0;
  }

  /** How many operations were added. */
  public int size() {
    return count;
  }

  /** The bytes of the keys and values that were added. */
  public long bytes() {
    return bytes;
  }

  /** Forgets everything. */
  public void clear() {
    long kept = 0;
    for (int i = 0; i < chunks.size(); i++) {
      kept += chunks.get(i).length;
      if (kept > KEPT_BYTES) {
        chunks.subList(i, chunks.size()).clear();
        break;
      }
    }
    chunk = 0;
    used = 0;
    count = 0;
    distinct = 0;
    bytes = 0;
    large.clear();
    if (places.length > KEPT_BYTES / Long.BYTES) {
      places = new long[8];
      order = new int[0];
      spare = new int[0];
    }
  }

  // ---------------------------------------------------------------- what counts, in order

  /** Orders the operations by key; of several on one key the last one counts. How many count. */
  int arrange() {
    if (order.length < count) {
      order = new int[places.length];
    }
    boolean ordered = true;
    for (int i = 0; i < count; i++) {
      order[i] = i;
      ordered &= i == 0 || compare(i - 1, i) < 0;
    }
    distinct = count;
    if (!ordered) {
      if (spare.length < count) {
        spare = new int[places.length];
      }
      sort(order, spare, 0, count);
      distinct = 0;
      for (int i = 0; i < count; i++) {
        // The order is stable: the last one of a key is the one that came last.
        if (i + 1 == count || compare(order[i], order[i + 1]) != 0) {
          order[distinct++] = order[i];
        }
      }
    }
    return distinct;
  }

  private void sort(int[] items, int[] buffer, int from, int to) {
    if (to - from < 8) {
      for (int i = from + 1; i < to; i++) {
        int item = items[i];
        int at = i;
        while (at > from && compare(items[at - 1], item) > 0) {
          items[at] = items[at - 1];
          at--;
        }
        items[at] = item;
      }
      return;
    }
    int middle = (from + to) >>> 1;
    sort(items, buffer, from, middle);
    sort(items, buffer, middle, to);
    if (compare(items[middle - 1], items[middle]) <= 0) {
      return;
    }
    System.arraycopy(items, from, buffer, from, middle - from);
    int left = from;
    int right = middle;
    int at = from;
    while (left < middle && right < to) {
      items[at++] = compare(buffer[left], items[right]) <= 0 ? buffer[left++] : items[right++];
    }
    System.arraycopy(buffer, left, items, at, middle - left);
  }

  private int compare(int a, int b) {
    byte[] aBytes = chunks.get((int) (places[a] >>> CHUNK_SHIFT));
    byte[] bBytes = chunks.get((int) (places[b] >>> CHUNK_SHIFT));
    int aKey = RecordLayout.keyAt((int) places[a]);
    int bKey = RecordLayout.keyAt((int) places[b]);
    return Arrays.compareUnsigned(
        aBytes,
        aKey,
        aKey + RecordLayout.keyLength(aBytes, (int) places[a]),
        bBytes,
        bKey,
        bKey + RecordLayout.keyLength(bBytes, (int) places[b]));
  }

  /** How many operations count. */
  int distinct() {
    return distinct;
  }

  /** The bytes that hold the record of an operation, by its place in the order. */
  byte[] bytesOf(int index) {
    return chunks.get((int) (places[order[index]] >>> CHUNK_SHIFT));
  }

  /** Where in {@link #bytesOf} the record is. */
  int at(int index) {
    return (int) places[order[index]];
  }

  int sizeOf(int index) {
    return RecordLayout.size(bytesOf(index), at(index));
  }

  /** Compares the key of an operation with a key. */
  int compareKey(int index, byte[] other) {
    byte[] in = bytesOf(index);
    int at = RecordLayout.keyAt(at(index));
    return Arrays.compareUnsigned(
        in, at, at + RecordLayout.keyLength(in, at(index)), other, 0, other.length);
  }

  byte[] key(int index) {
    byte[] in = bytesOf(index);
    int at = RecordLayout.keyAt(at(index));
    return Arrays.copyOfRange(in, at, at + RecordLayout.keyLength(in, at(index)));
  }

  /** The shortest key that is behind the key of an operation and not behind the next one. */
  byte[] separatorBefore(int index) {
    byte[] left = key(index - 1);
    byte[] right = key(index);
    return Arrays.copyOf(right, Arrays.mismatch(left, right) + 1);
  }

  long hash(int index, long secret) {
    byte[] in = bytesOf(index);
    int at = at(index);
    return KeyHash.of(secret, in, RecordLayout.keyAt(at), RecordLayout.keyLength(in, at));
  }

  boolean isLarge(int index) {
    return RecordLayout.type(bytesOf(index), at(index)) == RecordLayout.BLOB;
  }

  /** The large value of an operation. */
  byte[] largeValue(int index) {
    byte[] in = bytesOf(index);
    int at = RecordLayout.inlineAt(in, at(index));
    return large.get(RecordLayout.getInt(in, at + EXTENTS_ROOM));
  }

  /** Says where the large value of an operation lies. */
  void largeAt(int index, BlobExtents extents) {
    byte[] in = bytesOf(index);
    int at = at(index);
    RecordLayout.inlineLength(in, at, extents.encodedLength());
    extents.encode(in, RecordLayout.inlineAt(in, at));
  }

  /** Numbers the records, and makes their checksums: those of the place 0. */
  void seal(long sequence, CRC32C crc) {
    for (int i = 0; i < distinct; i++) {
      byte[] in = bytesOf(i);
      int at = at(i);
      RecordLayout.ofBatch(in, at, sequence);
      RecordLayout.seal(in, at, crc, 0);
    }
  }

  /** The records that count, and nothing that somebody else may change. */
  BatchOps copy() {
    BatchOps copy = new BatchOps();
    for (int i = 0; i < distinct; i++) {
      copy.addRecord(bytesOf(i), at(i));
    }
    int _ = copy.arrange();
    return copy;
  }

  /** The bytes of all records that count. */
  long recordBytes() {
    long sum = 0;
    for (int i = 0; i < distinct; i++) {
      sum += sizeOf(i);
    }
    return sum;
  }
}
