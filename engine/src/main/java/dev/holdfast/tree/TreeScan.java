package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.LegSet;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Walks over the tree in either direction. It copies a leaf, checks it, and hands out what is in
 * the copy: what is written meanwhile to the leaf it is in may be seen or not.
 *
 * <p><b>Threads:</b> one.
 */
public final class TreeScan {
  private static final int LAST_MAP = 255;

  private final Tree tree;
  private final Parts parts;
  private final ReverseMap reverseMap;

  /** The map whose entries are walked over, and what all keys of those behind it are behind. */
  private final int map;

  private final byte @Nullable [] mapEnd;
  private final LeafImage image = new LeafImage();

  /** What it walks over; null for the present. */
  private final @Nullable TreeSnapshot snapshot;

  /** The range of keys that the image holds. */
  private byte[] low = {};

  private byte @Nullable [] high;
  private boolean loaded;

  /** Which entry of the image is next. */
  private int next;

  /** Which entries of it belong to the map: from this one on, up to the last but that. */
  private int first;

  private int last;

  private int record;

  // For the attempt.
  private byte[] position = {};
  private boolean inclusive;
  private boolean reverse;
  private boolean atTheEnd;

  TreeScan(
      Tree tree, Parts parts, ReverseMap reverseMap, int map, @Nullable TreeSnapshot snapshot) {
    this.map = map;
    this.mapEnd = map == LAST_MAP ? null : new byte[] {(byte) (map + 1)};
    this.snapshot = snapshot;
    this.tree = tree;
    this.parts = parts;
    this.reverseMap = reverseMap;
  }

  /** Something was lost in the range of keys that a scan came to; it can go on behind that. */
  public static final class LostOnTheWay extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final DataLostException error;

    LostOnTheWay(DataLostException error) {
      super(error.getMessage(), error, false, false);
      this.error = error;
    }

    /** What to tell the user. */
    public DataLostException error() {
      return error;
    }
  }

  /**
   * Goes to the first entry at or behind a key, in the direction of the scan.
   *
   * @param from the user's key; null for the end that the scan begins at
   */
  public void seek(byte @Nullable [] from, boolean isInclusive, boolean isReverse) {
    reverse = isReverse;
    inclusive = isInclusive;
    loaded = false;
    atTheEnd = false;
    if (from == null) {
      // Every key of a user begins with the number of its map.
      position = isReverse ? behindTheMap() : new byte[] {(byte) map};
      inclusive = !isReverse;
    } else {
      position = new byte[Scratch.KEY_PREFIX + from.length];
      position[0] = (byte) map;
      System.arraycopy(from, 0, position, Scratch.KEY_PREFIX, from.length);
    }
  }

  /** What is above every key of the map. */
  private byte[] behindTheMap() {
    byte[] end = mapEnd;
    if (end != null) {
      return end;
    }
    byte[] all = new byte[RecordLayout.MAX_KEY + 1];
    Arrays.fill(all, (byte) 0xff);
    return all;
  }

  /**
   * Goes to the next entry; false if there is none.
   *
   * @param handle is told if what the scan reads is invalidated
   * @throws LostOnTheWay once for each leaf in whose range something was lost
   */
  public boolean next(MappingHandle handle) {
    while (true) {
      tree.requireServed();
      if (snapshot != null) {
        snapshot.requireOpen();
      }
      if (loaded) {
        if (reverse ? next >= first : next < last) {
          record = image.newest[next];
          next += reverse ? -1 : 1;
          if (RecordLayout.type(image.bytes, record) == RecordLayout.TOMBSTONE
              || (snapshot != null && lossy && !snapshot.isKnown(map, key()))) {
            continue;
          }
          return true;
        }
        loaded = false;
        byte[] end = reverse ? low : high;
        if (end == null || isEndOfTheMap(end)) {
          atTheEnd = true;
        } else {
          position = end;
          inclusive = !reverse;
        }
      }
      if (atTheEnd) {
        return false;
      }
      load(handle);
    }
  }

  /** Whether nothing of the map lies beyond a bound of a leaf. */
  private boolean isEndOfTheMap(byte[] bound) {
    if (reverse) {
      return bound.length == 0 || Byte.toUnsignedInt(bound[0]) < map || isBeginOfTheMap(bound);
    }
    byte[] end = mapEnd;
    return end != null && Arrays.compareUnsigned(bound, end) >= 0;
  }

  private boolean isBeginOfTheMap(byte[] bound) {
    return bound.length == 1 && Byte.toUnsignedInt(bound[0]) == map;
  }

  private void load(MappingHandle handle) {
    Scratch s = tree.takeScratch();
    try {
      long offset = 0;
      damages = 0;
      for (int spin = 0; !loaded; spin++) {
        s.scan = this;
        long outcome = tree.operate(s, ATTEMPT);
        if (outcome < 0) {
          if (unbuilt) {
            unbuilt = false;
            tree.build(s.fullLeaf);
            continue;
          }
          if (damaged) {
            damaged = false;
            damages++;
            tree.nameLostIn(s.fullLeaf, s);
          } else {
            // Between a look and the copy the leaf was written anew.
            TreeSnapshot.pause(spin);
          }
          continue;
        }
        offset = outcome;
      }
      reverseMap.unpin(reverseMap.pin(offset, PINNED, handle));
      place();
      lossy =
          isLost(ofTheMap(low), ofTheMapEnd(high)) || (snapshot != null && !image.holes.isEmpty());
      if (lossy) {
        throw new LostOnTheWay(
            new DataLostException(
                "entries were lost in the range of keys that the scan came to; it goes on behind"
                    + " them"));
      }
    } finally {
      s.scan = null;
      tree.giveScratch(s);
    }
  }

  /** A lower bound, and that of the map where it is higher. */
  private byte[] ofTheMap(byte[] bound) {
    return bound.length == 0 || Byte.toUnsignedInt(bound[0]) < map
        ? new byte[] {(byte) map}
        : bound;
  }

  /** An upper bound, and that of the map where it is lower. */
  private byte @Nullable [] ofTheMapEnd(byte @Nullable [] bound) {
    byte[] end = mapEnd;
    return bound == null || (end != null && Arrays.compareUnsigned(bound, end) > 0) ? end : bound;
  }

  private static final long PINNED = PageMap.PAGE;
  private static final Tree.Attempt ATTEMPT =
      (tree, s) -> {
        TreeScan scan = s.scan;
        return scan == null ? -1 : scan.tryLoad(s);
      };

  /** So often a leaf of which a part is on no leg is written anew for one walk. */
  private static final int DAMAGE_LIMIT = 3;

  private boolean damaged;
  private int damages;

  /** Whether something was lost in the range that the image holds. */
  private boolean lossy;

  /** What was lost when the copy began: an entry that is not in it may be back by now. */
  private Losses lossesBefore = Losses.NONE;

  private boolean isLost(byte[] from, byte @Nullable [] to) {
    return snapshot == null
        ? tree.isKnownLost(from, to) || lossesBefore.meets(from, to)
        : snapshot.hasLost(from, to);
  }

  /** The leaf was not yet read since the tree was opened. */
  private boolean unbuilt;

  private long tryLoad(Scratch s) {
    lossesBefore = tree.losses();
    LegSet set = parts.volume.legs();
    if (set.readers() == 0) {
      throw parts.volume.offline();
    }
    byte[] separator = separatorAt();
    int leaf = parts.order.floor(separator, 0, separator.length);
    if (!parts.leaves.is(leaf, Leaves.BUILT)) {
      unbuilt = true;
      s.fullLeaf = leaf;
      return -1;
    }
    long version = parts.leaves.version(leaf);
    // Where the range ends is asked behind the version: a split in between changes both.
    byte[] end = parts.order.higherSeparator(separator);
    long offset = parts.offset(leaf);
    InFlightBatch hidden = parts.hidden;
    if (parts.order.floor(separator, 0, separator.length) != leaf
        || !isAtPosition(end)
        || !(snapshot == null
            ? LeafCopy.takeAsSlots(parts, set, leaf, version, image)
            : LeafCopy.take(parts, set, leaf, version, image))
        || parts.hidden != hidden) {
      return -1;
    }
    if (snapshot != null) {
      snapshot.requireOpen();
    }
    if (hidden != null) {
      image.hide(hidden);
    }
    // Where it cannot be written anew, the rest of the leaf is shown as it is.
    if (!image.holes.isEmpty() && !isLost(separator, end) && damages <= DAMAGE_LIMIT) {
      damaged = true;
      s.fullLeaf = leaf;
      return -1;
    }
    low = separator;
    high = end;
    if (snapshot != null) {
      image.sortAt(snapshot.sequence());
    } else {
      image.sort();
      if (parts.leaves.is(leaf, Leaves.UNLED)) {
        dropUnled();
      }
    }
    loaded = true;
    tree.counts().add(OperationCounts.SCANNED_LEAF, 1, s.place);
    return offset;
  }

  /** The begin of the leaf that holds the position, or what is next to it. */
  private byte[] separatorAt() {
    byte[] separator = parts.order.floorSeparator(position);
    if (reverse && !inclusive && Arrays.equals(separator, position) && position.length > 0) {
      // Nothing of this leaf is below: the one before it.
      byte[] before = parts.order.lowerSeparator(position);
      return before == null ? new byte[0] : before;
    }
    return separator;
  }

  /** Whether a leaf that ends there still reaches the position: it may have been split before. */
  private boolean isAtPosition(byte @Nullable [] end) {
    if (end == null) {
      return true;
    }
    int order = Arrays.compareUnsigned(end, position);
    return order > 0 || (order == 0 && reverse && !inclusive);
  }

  private void place() {
    int from = firstBehind(position, inclusive != reverse);
    // Forward: the first one at or behind. Backward: the last one at or before.
    next = reverse ? from - 1 : from;
    byte[] end = mapEnd;
    // Most leaves hold entries of one map alone.
    first =
        low.length > 0 && Byte.toUnsignedInt(low[0]) == map
            ? 0
            : firstBehind(new byte[] {(byte) map}, true);
    last =
        end == null || (high != null && Arrays.compareUnsigned(high, end) <= 0)
            ? image.newestCount
            : firstBehind(end, true);
  }

  /** Which entry of the image is the first one behind a key, or at it. */
  private int firstBehind(byte[] key, boolean orAt) {
    int from = 0;
    int to = image.newestCount;
    while (from < to) {
      int middle = (from + to) >>> 1;
      int order = image.compare(image.newest[middle], key, key.length);
      if (order > 0 || (order == 0 && orAt)) {
        to = middle;
      } else {
        from = middle + 1;
      }
    }
    return from;
  }

  /** The array that the entry lies in, until the next step. */
  public byte[] block() {
    return image.bytes;
  }

  /** Where in {@link #block} the user's key begins. */
  public int keyAt() {
    return RecordLayout.keyAt(record) + Scratch.KEY_PREFIX;
  }

  /** The length of the user's key. */
  public int keyLength() {
    return RecordLayout.keyLength(image.bytes, record) - Scratch.KEY_PREFIX;
  }

  /** Whether the value lies in {@link #block}, and is known to be the newest. */
  public boolean isInline() {
    return RecordLayout.type(image.bytes, record) != RecordLayout.BLOB
        && (snapshot != null || image.holes.isEmpty());
  }

  /** Where the value lies in the BULK volume; null if it lies elsewhere. */
  public byte @Nullable [] bulkPlace() {
    if (RecordLayout.type(image.bytes, record) != RecordLayout.BLOB) {
      return null;
    }
    BlobExtents extents =
        BlobExtents.of(image.bytes, record, parts.volume.capacity() / PageMap.PAGE);
    return extents == null ? null : extents.bulk;
  }

  /** Where in {@link #block} the value begins, if it is there. */
  public int valueAt() {
    return RecordLayout.inlineAt(image.bytes, record);
  }

  /** The length of the value, if it is in {@link #block}. */
  public int valueLength() {
    return RecordLayout.inlineLength(image.bytes, record);
  }

  /** Leaves out the keys that no slot leads to: what is left of them is not what they had. */
  private void dropUnled() {
    int count = 0;
    for (int i = 0; i < image.newestCount; i++) {
      int each = image.newest[i];
      if (parts.points.find(image.hash(each, parts.secret)) != PointIndex.NONE) {
        image.newest[count++] = each;
      }
    }
    image.newestCount = count;
  }

  /** The key of the entry, as the user gave it. */
  public byte[] key() {
    int at = RecordLayout.keyAt(record);
    int length = RecordLayout.keyLength(image.bytes, record);
    return Arrays.copyOfRange(image.bytes, at + Scratch.KEY_PREFIX, at + length);
  }

  /** The value of the entry; null if it is read on its own and was removed since. */
  public byte @Nullable [] value() {
    if (snapshot == null && !image.holes.isEmpty()) {
      return valueBesideHoles();
    }
    if (RecordLayout.type(image.bytes, record) == RecordLayout.BLOB) {
      return snapshot == null ? tree.get(map, key()) : snapshot.valueOf(image, record);
    }
    int at = RecordLayout.inlineAt(image.bytes, record);
    return Arrays.copyOfRange(image.bytes, at, at + RecordLayout.inlineLength(image.bytes, record));
  }

  /** What is newer than a record may be in a hole: only the index knows. */
  private byte @Nullable [] valueBesideHoles() {
    try {
      return tree.get(map, key());
    } catch (DataLostException e) {
      return null; // The walk has told of the leaf.
    }
  }
}
