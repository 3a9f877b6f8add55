package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;

/**
 * Finds what a key had before a batch that nobody may see yet: the batch appends, and its leaves
 * are not written anew before it is over, so they still have it.
 *
 * <p><b>Threads:</b> any; it takes no lock.
 */
final class FormerRecord {
  private final Parts parts;
  private final VersionWalk walk;

  FormerRecord(Parts parts) {
    this.parts = parts;
    this.walk = new VersionWalk(parts);
  }

  /**
   * Looks again where a lookup met a batch under way.
   *
   * @param found what the lookup found, by way of the index
   * @return what may be seen; where it is found the scratch has it
   */
  int find(Scratch s, LegSet set, InFlightBatch hidden, int found) {
    boolean concerned =
        found == RecordReader.FOUND
            ? hidden.hides(s.record, 0)
            : found == RecordReader.ABSENT && hidden.holds(s.hash);
    if (!concerned) {
      return found;
    }
    int former = walk.find(s, set, Long.MAX_VALUE, hidden);
    if (parts.hidden != hidden || former == VersionWalk.AGAIN) {
      return RecordReader.AGAIN; // It may be over, and what was before it gone.
    }
    if (former == VersionWalk.DAMAGED) {
      s.offset = parts.offset(s.fullLeaf);
      return RecordReader.UNSURE;
    }
    return former == VersionWalk.ABSENT || RecordLayout.type(s.record, 0) == RecordLayout.TOMBSTONE
        ? RecordReader.ABSENT
        : RecordReader.FOUND;
  }
}
