package dev.holdfast.tree;

import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/** Shows tests of other packages the leaves that lie on a device, by their bytes alone. */
public final class DeviceLeaves {
  /** Where records begin: at multiples of it. */
  public static final int GRANULE = RecordLayout.GRANULE;

  /** The bytes of a record in front of its key. */
  public static final int HEADER = RecordLayout.HEADER;

  private static final int MAGIC = 0x46454c48;
  private static final int GENERATION_AT = 8;
  private static final int LEAF_AT = 16;
  private static final int PAGES_AT = 20;

  private DeviceLeaves() {}

  /**
   * What once was written as a leaf, and may be one still.
   *
   * @param offset where it begins
   * @param generation which of the lives of its pages this is
   * @param number which leaf it is or was
   * @param separator the first key of its range, as the store has it
   * @param bytes all of its pages
   * @param records its records, in the order they were appended
   */
  @SuppressWarnings("ArrayRecordComponent") // looked at, never compared
  public record Leaf(
      long offset,
      long generation,
      int number,
      byte[] separator,
      byte[] bytes,
      List<Appended> records) {
    /** Behind the last record, from the begin of the leaf. */
    public int tail() {
      Appended last = records.isEmpty() ? null : records.getLast();
      return last == null
          ? LeafLayout.firstRecord(bytes)
          : (int) (last.offset - offset) + last.length;
    }
  }

  /**
   * A record.
   *
   * @param key as the user gave it
   */
  @SuppressWarnings("ArrayRecordComponent") // looked at, never compared
  public record Appended(long offset, int length, byte[] key, long sequence, boolean isTombstone) {}

  /** All that a device has, by place. */
  public static List<Leaf> on(PmemDevice device) {
    byte[] all = new byte[(int) (device.capacity() - VolumeLayout.RECORDS_OFFSET)];
    device.read(VolumeLayout.RECORDS_OFFSET, all, 0, all.length);
    List<Leaf> leaves = new ArrayList<>();
    for (int at = 0; at < all.length; at += PageMap.PAGE) {
      int pages = RecordLayout.getShort(all, at + PAGES_AT);
      if (RecordLayout.getInt(all, at) == MAGIC
          && pages >= 1
          && pages <= LeafLayout.MAX_PAGES
          && at + pages * PageMap.PAGE <= all.length) {
        leaves.add(leaf(all, at, pages * PageMap.PAGE));
      }
    }
    return leaves;
  }

  /** The newest leaf of a device that has a record of a key. */
  public static Leaf of(PmemDevice device, byte[] key) {
    Leaf found = null;
    for (Leaf leaf : on(device)) {
      boolean has = leaf.records.stream().anyMatch(record -> Arrays.equals(record.key, key));
      if (has && (found == null || leaf.generation > found.generation)) {
        found = leaf;
      }
    }
    if (found == null) {
      throw new AssertionError("no leaf has a record of " + Keys.printable(key));
    }
    return found;
  }

  private static Leaf leaf(byte[] all, int from, int length) {
    byte[] bytes = Arrays.copyOfRange(all, from, from + length);
    long offset = VolumeLayout.RECORDS_OFFSET + from;
    List<Appended> records = new ArrayList<>();
    int at = LeafLayout.firstRecord(bytes);
    while (RecordLayout.isPlausible(bytes, at, length)) {
      int size = RecordLayout.size(bytes, at);
      int key = RecordLayout.keyAt(at);
      records.add(
          new Appended(
              offset + at,
              size,
              Arrays.copyOfRange(
                  bytes, key + Scratch.KEY_PREFIX, key + RecordLayout.keyLength(bytes, at)),
              RecordLayout.sequence(bytes, at),
              RecordLayout.type(bytes, at) == RecordLayout.TOMBSTONE));
      at += size;
    }
    return new Leaf(
        offset,
        RecordLayout.getLong(bytes, GENERATION_AT),
        RecordLayout.getInt(bytes, LEAF_AT),
        LeafLayout.separator(bytes),
        bytes,
        records);
  }

  /**
   * The bytes of a record that validates at a place of a leaf; a tombstone if there is no value.
   */
  public static byte[] record(
      long secret, Leaf leaf, long offset, byte[] key, byte[] value, long sequence) {
    byte[] full = new byte[Scratch.KEY_PREFIX + key.length];
    System.arraycopy(key, 0, full, Scratch.KEY_PREFIX, key.length);
    byte[] bytes = new byte[RecordLayout.size(full.length, value.length)];
    int type = value.length == 0 ? RecordLayout.TOMBSTONE : RecordLayout.VALUE;
    RecordLayout.begin(bytes, 0, full, full.length, value.length, sequence, type);
    System.arraycopy(value, 0, bytes, RecordLayout.inlineAt(bytes, 0), value.length);
    RecordLayout.seal(bytes, 0, new CRC32C(), RecordLayout.place(secret, offset, leaf.generation));
    return bytes;
  }

  /** Whether the slot of the index would tell two sequences apart. */
  public static boolean areToldApart(long one, long other) {
    return RecordLayout.check(one) != RecordLayout.check(other);
  }
}
