package dev.holdfast.index;

import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.Owner;

/**
 * Where the record of a key lies. Immutable; an overwritten key has another entry.
 *
 * <p>A lost entry has no place: it answers for a key whose record is on no leg any more.
 */
final class RecordEntry implements OwnedExtent {
  private static final long NOWHERE = -1;

  final byte[] key;
  final long offset;
  final long sequence;
  final int valueLength;

  RecordEntry(byte[] key, long offset, long sequence, int valueLength) {
    this.key = key;
    this.offset = offset;
    this.sequence = sequence;
    this.valueLength = valueLength;
  }

  static RecordEntry lost(byte[] key, long sequence) {
    return new RecordEntry(key, NOWHERE, sequence, 0);
  }

  boolean isLost() {
    return offset == NOWHERE;
  }

  /** The bytes that are used of the extent. */
  long used() {
    return RecordFormat.HEADER_LENGTH + (long) key.length + valueLength;
  }

  @Override
  public long offset() {
    return offset;
  }

  @Override
  public long length() {
    return RecordFormat.extentLength(key.length, valueLength);
  }

  @Override
  public Owner owner() {
    return new Owner.Value(key);
  }

  /** Goes into the digest by which a store that was closed in order is checked. */
  long digest() {
    long h = (sequence * 0x9E3779B97F4A7C15L) ^ Long.rotateLeft(offset, 32);
    h ^= h >>> 29;
    return h * 0xBF58476D1CE4E5B9L;
  }
}
