package dev.holdfast;

import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.TreeScan;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** One scan that shows a range of entries to a visitor. */
final class RangeVisit implements MappingHandle {
  private final TreeScan scan;
  private final byte @Nullable [] stop;
  private final boolean stopInclusive;
  private final boolean reverse;
  private final @Nullable MapGate gate;

  /**
   * @param gate what closes when its map is dropped; null if it cannot be
   */
  RangeVisit(TreeScan scan, KeyRange range, boolean reverse, @Nullable MapGate gate) {
    this.scan = scan;
    this.gate = gate;
    this.reverse = reverse;
    this.stop = reverse ? range.from() : range.to();
    this.stopInclusive = reverse ? range.fromInclusive() : range.toInclusive();
    scan.seek(
        reverse ? range.to() : range.from(),
        reverse ? range.toInclusive() : range.fromInclusive(),
        reverse);
  }

  /** Shows the entries; how many. */
  long show(EntryVisitor visitor) {
    long shown = 0;
    try {
      while (scan.next(this)) {
        byte[] block = scan.block();
        int keyAt = scan.keyAt();
        int keyLength = scan.keyLength();
        if (isBehindTheEnd(block, keyAt, keyLength)) {
          return shown;
        }
        boolean more;
        requireMap();
        if (scan.isInline()) {
          shown++;
          more = visitor.visit(block, keyAt, keyLength, block, scan.valueAt(), scan.valueLength());
        } else {
          byte[] value = scan.value();
          if (value == null) {
            continue; // Removed since its leaf was copied.
          }
          requireMap();
          shown++;
          more = visitor.visit(block, keyAt, keyLength, value, 0, value.length);
        }
        if (!more) {
          return shown;
        }
      }
      return shown;
    } catch (TreeScan.LostOnTheWay e) {
      throw e.error();
    }
  }

  /** What was read is of the map only if that still is there. */
  private void requireMap() {
    MapGate ofMap = gate;
    if (ofMap != null) {
      ofMap.requireOpen();
    }
  }

  private boolean isBehindTheEnd(byte[] block, int keyAt, int keyLength) {
    byte[] end = stop;
    if (end == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(block, keyAt, keyAt + keyLength, end, 0, end.length);
    return (reverse ? order < 0 : order > 0) || (order == 0 && !stopInclusive);
  }

  @Override
  public String describe() {
    return "scan";
  }

  @Override
  public void invalidated(long offset, long length) {
    // What it shows is a verified copy; the next leaf is read from the legs that are left.
  }
}
