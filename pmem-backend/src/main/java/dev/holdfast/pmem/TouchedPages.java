package dev.holdfast.pmem;

import java.util.BitSet;

/** Which pages of a device file were written to since somebody last asked. <b>Threads:</b> any. */
final class TouchedPages {
  private final BitSet pages = new BitSet();

  /**
   * @param offset in the file
   */
  synchronized void touch(long offset, long length) {
    if (length > 0) {
      pages.set(
          (int) (offset / PagedImage.PAGE), (int) ((offset + length - 1) / PagedImage.PAGE) + 1);
    }
  }

  /** The pages touched since the last call. */
  synchronized BitSet take() {
    BitSet taken = (BitSet) pages.clone();
    pages.clear();
    return taken;
  }
}
