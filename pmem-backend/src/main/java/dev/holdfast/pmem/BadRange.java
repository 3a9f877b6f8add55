package dev.holdfast.pmem;

/**
 * A half-open range of a device that cannot be read, in whole 512-byte blocks.
 *
 * @param offset the first byte, device-relative
 * @param length the number of bytes
 */
public record BadRange(long offset, long length) {
  /** {@return the first byte behind the range} */
  public long end() {
    return offset + length;
  }

  /** {@return whether the range shares a byte with {@code [offset, offset + length)}} */
  public boolean overlaps(long offset, long length) {
    return this.offset < offset + length && offset < end();
  }
}
