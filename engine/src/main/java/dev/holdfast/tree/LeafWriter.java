package dev.holdfast.tree;

import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * Makes the bytes of a new leaf, in memory.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class LeafWriter {
  byte[] bytes = new byte[LeafLayout.MAX_BYTES];
  private final CRC32C crc = new CRC32C();
  private final byte[] one = new byte[RecordLayout.MAX_RECORD];
  private byte[] separator = {};
  private long secret;
  private long offset;
  private long generation;
  private int leaf;
  private int pages;

  /** Where the next record goes. */
  int tail;

  /** Begins a leaf that will lie at {@code offset}. */
  void begin(long secret, long offset, int pages, int leaf, long generation, byte[] separator) {
    this.secret = secret;
    this.offset = offset;
    this.pages = pages;
    this.leaf = leaf;
    this.generation = generation;
    this.separator = separator;
    this.tail = LeafLayout.firstRecord(separator.length);
    if (bytes.length < length()) {
      bytes = new byte[length()];
    }
  }

  /**
   * Takes over a record as it is.
   *
   * @param place what the record's place adds to its checksum where it is now
   * @param isOld whether a newer record of the same key was taken over before
   * @return where it is in the new leaf
   */
  int add(byte[] from, int at, int place, boolean isOld) {
    int size = RecordLayout.size(from, at);
    int to = tail;
    System.arraycopy(from, at, bytes, to, size);
    int newPlace = RecordLayout.place(secret, offset + to, generation);
    if (isOld && !RecordLayout.isOld(bytes, to)) {
      RecordLayout.markOld(bytes, to);
      RecordLayout.seal(bytes, to, crc, newPlace);
    } else {
      RecordLayout.move(bytes, to, place, newPlace);
    }
    tail = to + size;
    return to;
  }

  /**
   * Takes over a record in its short form: it gets the generation as its sequence.
   *
   * @param prefix how many bytes its key has in common with the separator and may leave out
   */
  void addPacked(byte[] from, int at, int prefix) {
    int size = PackedLayout.sizeOf(from, at, prefix);
    System.arraycopy(from, at, one, 0, RecordLayout.size(from, at));
    RecordLayout.renew(one, 0, generation);
    RecordLayout.seal(one, 0, crc, RecordLayout.place(secret, offset + tail, generation));
    PackedLayout.pack(one, 0, bytes, tail, prefix);
    tail += size;
  }

  /** Ends the leaf: what is behind the records is zero. */
  void end() {
    int end = tail;
    tail = RecordLayout.round(tail);
    Arrays.fill(bytes, end, tail, (byte) 0);
    Arrays.fill(bytes, tail, length(), (byte) 0);
    LeafLayout.seal(
        bytes,
        crc,
        RecordLayout.place(secret, offset, generation),
        generation,
        leaf,
        pages,
        tail,
        separator);
  }

  int length() {
    return pages * PageMap.PAGE;
  }
}
