package dev.holdfast.benchmarks.contender;

/**
 * Counts what a scan sees, and sees that every entry is right and in order.
 *
 * <p><b>Threads:</b> one.
 */
public final class ScanCheck {
  private final boolean reverse;
  private long entries;
  private long wrong;
  private long lastHigh;
  private long lastLow;

  /** For one scan, ascending or descending. */
  public ScanCheck(boolean reverse) {
    this.reverse = reverse;
  }

  /** Takes the next entry: its key in two words and the mark of its value. */
  public void entry(long high, long low, long mark) {
    int order = Long.compareUnsigned(high, lastHigh);
    if (order == 0) {
      order = Long.compareUnsigned(low, lastLow);
    }
    boolean ordered = entries == 0 || (reverse ? order < 0 : order > 0);
    if (!ordered || Entries.version(Entries.tag(high, low), mark) < 0) {
      wrong++;
    }
    lastHigh = high;
    lastLow = low;
    entries++;
  }

  /** How many entries came. */
  public long entries() {
    return entries;
  }

  /** How many of them were wrong, or at a wrong place. */
  public long wrong() {
    return wrong;
  }
}
