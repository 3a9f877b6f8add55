package dev.holdfast.rmap;

/** A half-open range {@code [offset, offset + length)} of a volume, in bytes, with one owner. */
public interface OwnedExtent {
  /** The first byte. */
  long offset();

  /** The number of bytes, > 0. */
  long length();

  /** What lives there. */
  Owner owner();
}
