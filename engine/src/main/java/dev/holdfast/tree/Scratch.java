package dev.holdfast.tree;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.Gateway;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * What one operation works in: its key, and copies of what it reads. Device bytes are believed only
 * in here.
 *
 * <p><b>Threads:</b> one at a time, from {@link ScratchPool}.
 */
final class Scratch {
  /** In front of every key of a user: the number of its map. */
  static final int KEY_PREFIX = 1;

  final byte[] key = new byte[RecordLayout.MAX_KEY];
  int keyLength;
  long hash;

  final CRC32C crc = new CRC32C();

  /** A record that was read. */
  final byte[] record = new byte[RecordLayout.MAX_RECORD];

  /** The bytes that it takes where it lies, which may be fewer: {@link PackedLayout}. */
  int recordSize;

  /** What the keys of a leaf begin with. */
  final byte[] common = new byte[PackedLayout.MAX_PREFIX];

  /** A record that is being made. */
  final byte[] fresh = new byte[RecordLayout.MAX_RECORD];

  /** Its place in the grace period; -1 if it has none. */
  int place = -1;

  /** Whether its holder has entered the grace period by its place. */
  boolean entered;

  /** How many bytes of a record are copied before it is known how long it is. */
  int recordGuess = 4 * RecordLayout.HEADER;

  /** Where the record lies whose copy is in {@code record}, in bytes. */
  long offset;

  /** The slot that led there, where it is, and the segment of the index that was in force. */
  long slot;

  long slotAt;
  long version;

  // What the operation was asked for.
  byte @Nullable [] valueArray;
  @Nullable MemorySegment valueSegment;
  @Nullable StreamedPut streamed;
  @Nullable MemorySegment into;
  byte @Nullable [] expected;
  Tree.Condition condition = Tree.Condition.ANY;

  /** What a get returns. */
  byte @Nullable [] result;

  /** Whether a loss was healed by the operation. */
  boolean healed;

  /** What was loaded to have it near; nobody looks at it, but a compiler cannot know that. */
  long loaded;

  /** How many records were read into it, ever; wraps around. */
  int reads;

  /** Where the record ends that the last get found. */
  long foundEnd;

  /** How many gets in a row found the record behind the one before. */
  int inOrder;

  /** Whether the last put found no entry. */
  boolean expectsNew;

  /** Whether memory of the indexes was made usable again for this operation. */
  boolean reclaimed;

  /** Whether something is kept for snapshots since the operation. */
  boolean holds;

  /** Where the value lies that an attempt came to, if that is the BULK volume. */
  @Nullable BlobExtents inBulk;

  /** Whether to come to such a value even where it does not fit. */
  boolean peeksBulk;

  /** The value in the BULK volume that was compared with the one that is expected. */
  @Nullable BlobExtents compared;

  boolean comparedEqual;

  /** Extents that an attempt took for a value, and not yet gave up or handed over. */
  @Nullable BlobExtents extents;

  /** A leaf that must be written anew before the operation can go on; -1 if there is none. */
  int fullLeaf;

  /** How many pages an attempt lacked. */
  long needed;

  /** Whether to put together what is on no leg as a whole. */
  boolean hard;

  /** Whether to wait a little before the next attempt. */
  boolean busy;

  long sequence;

  /** The commit that makes durable what the operation did or answered. */
  long ticket;

  long chunkPage;

  // What repair, naming and reports are about.
  int lossLeaf;

  /** Where a record is not the one that the slot means, though it may be a record; or 0. */
  long suspect;

  int repairLeg;
  long from;
  long to;
  TreeOwners.@Nullable Extent extent;
  Tree.@Nullable RecordVisitor visitor;
  @Nullable TreeScan scan;
  @Nullable TreeSnapshot snapshot;
  @Nullable Compaction compaction;
  @Nullable Scrub scrub;

  /** A leaf with little left in it, which an operation came upon; -1 if there is none. */
  int sparse = -1;

  /** The batch that is being written; null for any other operation. */
  @Nullable BatchRun batch;

  /** Whether it may run while others are kept outside. */
  boolean privileged;

  private @Nullable LeafImage image;
  private @Nullable LeafImage secondImage;
  private @Nullable LeafWriter writer;
  private @Nullable LeafWriter secondWriter;
  final LeafRewriter.Order order = new LeafRewriter.Order();

  LeafImage image() {
    LeafImage present = image;
    if (present == null) {
      present = new LeafImage();
      image = present;
    }
    return present;
  }

  /** For the right one of two leaves that are merged. */
  LeafImage secondImage() {
    LeafImage present = secondImage;
    if (present == null) {
      present = new LeafImage();
      secondImage = present;
    }
    return present;
  }

  LeafWriter writer() {
    LeafWriter present = writer;
    if (present == null) {
      present = new LeafWriter();
      writer = present;
    }
    return present;
  }

  /** For the right half of a split. */
  LeafWriter secondWriter() {
    LeafWriter present = secondWriter;
    if (present == null) {
      present = new LeafWriter();
      secondWriter = present;
    }
    return present;
  }

  void key(int map, byte[] bytes, long secret) {
    requireKey(bytes.length);
    System.arraycopy(bytes, 0, key, KEY_PREFIX, bytes.length);
    keyed(map, bytes.length, secret);
  }

  void key(int map, MemorySegment bytes, long secret) {
    requireKey(bytes.byteSize());
    int length = (int) bytes.byteSize();
    try {
      MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, 0, key, KEY_PREFIX, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory of the key that was passed in faults", e);
    }
    keyed(map, length, secret);
  }

  /** A copy of a key that somebody passed in. */
  static byte[] keyOf(MemorySegment bytes) {
    requireKey(bytes.byteSize());
    byte[] copy = new byte[(int) bytes.byteSize()];
    try {
      MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, 0, copy, 0, copy.length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory of the key that was passed in faults", e);
    }
    return copy;
  }

  private void keyed(int map, int length, long secret) {
    key[0] = (byte) map;
    keyLength = KEY_PREFIX + length;
    hash = KeyHash.of(secret, key, 0, keyLength);
  }

  /** The number of the map of the key. */
  int map() {
    return Byte.toUnsignedInt(key[0]);
  }

  /** The key as the user gave it. */
  byte[] userKey() {
    return java.util.Arrays.copyOfRange(key, KEY_PREFIX, keyLength);
  }

  int valueLength() {
    byte[] array = valueArray;
    MemorySegment segment = valueSegment;
    if (streamed != null) {
      return (int) streamed.length();
    }
    return array != null ? array.length : segment != null ? (int) segment.byteSize() : 0;
  }

  /** Copies a part of the value that is to be stored. */
  void copyValue(long from, byte[] target, int at, int length) {
    byte[] array = valueArray;
    MemorySegment segment = valueSegment;
    if (array != null) {
      System.arraycopy(array, (int) from, target, at, length);
    } else if (segment != null) {
      // The caller's memory may be a mapping that faults, too: that is no fault of a leg.
      try {
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, from, target, at, length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw new HoldfastException("the memory of the value that was passed in faults", e);
      }
    }
  }

  /** Copies to the caller's memory, which may fault, too: that is no fault of a leg. */
  static void copyOut(byte[] bytes, int from, int length, MemorySegment into, long at) {
    try {
      MemorySegment.copy(bytes, from, into, ValueLayout.JAVA_BYTE, at, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory that was passed in for the value faults", e);
    }
  }

  /** Lets go of what belongs to the caller. */
  void forget() {
    valueArray = null;
    valueSegment = null;
    streamed = null;
    into = null;
    expected = null;
    result = null;
    extents = null;
    inBulk = null;
    peeksBulk = false;
    compared = null;
    batch = null;
    healed = false;
    sparse = -1;
    holds = false;
    hard = false;
    condition = Tree.Condition.ANY;
  }

  static void requireKey(long length) {
    if (length == 0 || length > Tree.MAX_KEY_LENGTH) {
      throw new IllegalArgumentException(
          "key: expected 1 to " + Tree.MAX_KEY_LENGTH + " bytes, was " + length);
    }
  }
}
