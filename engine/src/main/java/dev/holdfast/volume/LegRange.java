package dev.holdfast.volume;

/**
 * A half-open range of one leg, in bytes of the volume.
 *
 * @param leg the index of the leg
 * @param offset the first byte
 * @param length the number of bytes
 */
public record LegRange(int leg, long offset, long length) {
  long end() {
    return offset + length;
  }

  /** Whether it shares a byte with {@code [offset, offset + length)} of its leg. */
  public boolean overlaps(long offset, long length) {
    return this.offset < offset + length && offset < end();
  }
}
