package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;

/**
 * How what the tree stores becomes durable: at once, or, where that is an msync, with the {@link
 * GroupCommit} that takes the marks of its pages.
 *
 * <p><b>Threads:</b> any.
 */
final class Durability {
  private final Volume volume;
  private final DirtyPages dirty = new DirtyPages();

  /**
   * Plain: it changes once, to true, and who changes it waits until every operation is over that
   * may not have seen it.
   */
  private boolean defers;

  Durability(Volume volume) {
    this.volume = volume;
  }

  /** Whether what is stored is durable only behind the next group commit. */
  boolean defers() {
    return defers;
  }

  void defer() {
    defers = true;
  }

  /** The pages that the next group commit writes back. */
  DirtyPages dirty() {
    return dirty;
  }

  /**
   * Stores a range to every leg of the set, marked dirty before; ends with a barrier. It counts
   * when {@link Volume#requireCurrent} agrees.
   *
   * @param site the name of the flush, if it is flushed at once
   */
  void store(String site, LegSet set, long offset, byte[] source, int at, int length) {
    if (defers) {
      volume.storeChecked(set, offset, source, at, length);
      dirty.mark(offset, length);
    } else {
      volume.storeDurably(site, set, offset, source, at, length);
    }
  }
}
