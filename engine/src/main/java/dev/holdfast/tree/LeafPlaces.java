package dev.holdfast.tree;

/**
 * Where the records of a leaf belong, as memory knows it.
 *
 * <p><b>Threads:</b> any within an operation; for what is to be right, under the leaf's lock.
 */
final class LeafPlaces implements LegCopies.Records {
  private final Parts parts;
  private final int leaf;

  LeafPlaces(Parts parts, int leaf) {
    this.parts = parts;
    this.leaf = leaf;
  }

  @Override
  public boolean isLed(byte[] record, int at, int place) {
    long hash =
        KeyHash.of(
            parts.secret, record, RecordLayout.keyAt(at), RecordLayout.keyLength(record, at));
    long address = RecordLayout.address(parts.offset(leaf) + place);
    int check = RecordLayout.check(RecordLayout.sequence(record, at));
    PointIndex points = parts.points;
    for (long found = points.find(hash);
        found != PointIndex.NONE;
        found = points.after(hash, found)) {
      long slot = points.slotAt(found);
      if (PointIndex.addressOf(slot) == address) {
        return PointIndex.checkOf(slot) == check;
      }
    }
    return false;
  }

  /** The key says which leaf it was meant for, and the checksum for which place there. */
  @Override
  public boolean isMeantForElsewhere(byte[] bytes, int at, int placed) {
    int keyLength = RecordLayout.keyLength(bytes, at);
    int home = parts.order.floor(bytes, RecordLayout.keyAt(at), keyLength);
    if (home < 0) {
      return false;
    }
    long begin = parts.offset(home);
    long generation = parts.leaves.generation(home);
    int length = parts.leaves.pages(home) * PageMap.PAGE;
    for (int to = 0; to < length; to += RecordLayout.GRANULE) {
      if (RecordLayout.place(parts.secret, begin + to, generation) == placed) {
        return true;
      }
    }
    return false;
  }
}
