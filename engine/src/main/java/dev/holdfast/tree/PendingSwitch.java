package dev.holdfast.tree;

import org.jspecify.annotations.Nullable;

/**
 * A change of rows of the leaf table that memory has and the devices not yet: a leaf has other
 * pages, or a leaf is new, or a leaf took in the one to its right, or several of these at once.
 * Immutable.
 */
final class PendingSwitch {
  static final int NOBODY = -1;

  /** The leaf that has other pages; {@link #NOBODY} if none has. */
  final int left;

  /** Where it is now. */
  final LeafTable.@Nullable Slot leftSlot;

  /** Which slot of its row says so. */
  final int leftIndex;

  /** The pages that the devices know. */
  final long oldPage;

  final int oldPages;

  /** The leaf that is new; {@link #NOBODY} if none is. */
  final int right;

  /** Where it is. */
  final LeafTable.@Nullable Slot rightSlot;

  /** The first key of its range. */
  final byte @Nullable [] separator;

  /** The leaf to its left. */
  final int neighbour;

  /** The leaf that the left one takes in; {@link #NOBODY} if it takes none. */
  final int absorbed;

  final int absorbedSeparatorLength;

  /** The pages of the leaf that is taken in. */
  final long absorbedPage;

  final int absorbedPages;

  private PendingSwitch(
      int left,
      LeafTable.@Nullable Slot leftSlot,
      int leftIndex,
      long oldPage,
      int oldPages,
      int right,
      LeafTable.@Nullable Slot rightSlot,
      byte @Nullable [] separator,
      int neighbour,
      int absorbed,
      int absorbedSeparatorLength,
      long absorbedPage,
      int absorbedPages) {
    this.left = left;
    this.leftSlot = leftSlot;
    this.leftIndex = leftIndex;
    this.oldPage = oldPage;
    this.oldPages = oldPages;
    this.right = right;
    this.rightSlot = rightSlot;
    this.separator = separator;
    this.neighbour = neighbour;
    this.absorbed = absorbed;
    this.absorbedSeparatorLength = absorbedSeparatorLength;
    this.absorbedPage = absorbedPage;
    this.absorbedPages = absorbedPages;
  }

  /** A leaf has other pages. */
  static PendingSwitch of(int leaf, LeafTable.Slot slot, int index, long oldPage, int oldPages) {
    return new PendingSwitch(
        leaf, slot, index, oldPage, oldPages, NOBODY, null, null, NOBODY, NOBODY, 0, 0, 0);
  }

  /** And the upper part of its range is a new leaf's. */
  PendingSwitch with(int leaf, LeafTable.Slot slot, byte[] middle) {
    return new PendingSwitch(
        left,
        leftSlot,
        leftIndex,
        oldPage,
        oldPages,
        leaf,
        slot,
        middle,
        left,
        absorbed,
        absorbedSeparatorLength,
        absorbedPage,
        absorbedPages);
  }

  /** And it takes in the leaf to its right: {@code leftSlot} says so. */
  PendingSwitch absorbing(int leaf, int separatorLength, long page, int pages) {
    return new PendingSwitch(
        left,
        leftSlot,
        leftIndex,
        oldPage,
        oldPages,
        right,
        rightSlot,
        separator,
        neighbour,
        leaf,
        separatorLength,
        page,
        pages);
  }

  /** A leaf is new, and takes nothing from another one. */
  static PendingSwitch ofNew(int leaf, LeafTable.Slot slot, byte[] separator, int neighbour) {
    return new PendingSwitch(
        NOBODY, null, 0, 0, 0, leaf, slot, separator, neighbour, NOBODY, 0, 0, 0);
  }
}
