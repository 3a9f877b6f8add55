package dev.holdfast.tree;

import java.util.zip.CRC32C;

/**
 * Tells whether a record of a leaf begins at a place of a copy of it, in either form.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class RecordCheck {
  /** No record is shorter, and none begins closer to another one. */
  static final int LEAST_RECORD = PackedLayout.HEADER;

  private final CRC32C crc = new CRC32C();
  private final byte[] common = new byte[PackedLayout.MAX_PREFIX];

  /** The ordinary form of a record that has the short one. */
  private final byte[] form = new byte[RecordLayout.MAX_RECORD];

  private long secret;
  private long offset;
  private long generation;
  private long ceiling;

  /** Where the record that was found last has its ordinary form. */
  private byte[] bytes = form;

  private int begin;

  /** Begins with another leaf. */
  void begin(LeafImage.Request request) {
    secret = request.secret();
    offset = request.offset();
    generation = request.generation();
    ceiling = request.volume().config().sequenceCeiling();
    request.leaves().prefix(request.leaf(), common, common.length);
  }

  /** Whether the begin of the leaf is what was written for its generation. */
  boolean isHeader(byte[] from) {
    return LeafLayout.isIntact(
        from, crc, RecordLayout.place(secret, offset, generation), generation);
  }

  /**
   * The bytes that the record takes which begins at a place and ends before {@code limit}; -1 if
   * none does.
   */
  int sizeAt(byte[] from, int at, int limit) {
    if (RecordLayout.isPlausible(from, at, limit)) {
      boolean isRecord =
          (at & RecordLayout.GRANULE - 1) == 0
              && RecordLayout.isIntact(from, at, crc, place(at))
              // Of this store, too: no sequence at or above the ceiling was ever given.
              && RecordLayout.sequence(from, at) < ceiling;
      bytes = from;
      begin = at;
      return isRecord ? RecordLayout.size(from, at) : -1;
    }
    if (!PackedLayout.isPlausible(from, at, limit) || generation >= ceiling) {
      return -1;
    }
    PackedLayout.unpack(from, at, form, 0, common, generation);
    bytes = form;
    begin = 0;
    return RecordLayout.isIntact(form, 0, crc, place(at)) ? PackedLayout.size(from, at) : -1;
  }

  private int place(int at) {
    return RecordLayout.place(secret, offset + at, generation);
  }

  /** The bytes that have the record that was found last, in its ordinary form. */
  byte[] bytes() {
    return bytes;
  }

  /** Where it begins in them. */
  int at() {
    return begin;
  }

  /** Its sequence. */
  long sequence() {
    return RecordLayout.sequence(bytes, begin);
  }

  /** Whether it leads to a large value. */
  boolean isLarge() {
    return RecordLayout.type(bytes, begin) == RecordLayout.BLOB;
  }

  /**
   * What the checksum of a record that may belong elsewhere says of its place; any number where
   * there is no record.
   */
  int placeOf(byte[] from, int at) {
    crc.reset();
    crc.update(from, at + Integer.BYTES, RecordLayout.size(from, at) - Integer.BYTES);
    return (int) crc.getValue() ^ RecordLayout.getInt(from, at);
  }

  /** Whether the begin of a leaf that lay there before is what it was then: a write was lost. */
  boolean isFormerHeader(byte[] from) {
    long former = RecordLayout.getLong(from, LeafLayout.GENERATION_AT);
    return former > 0
        && former < generation
        && LeafLayout.isIntact(from, crc, RecordLayout.place(secret, offset, former), former);
  }
}
