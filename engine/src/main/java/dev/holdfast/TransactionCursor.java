package dev.holdfast;

import dev.holdfast.error.StoreClosedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import org.jspecify.annotations.Nullable;

/** Walks over a snapshot with what a transaction has written over it, and notes what it saw. */
final class TransactionCursor implements Cursor {
  private final Cursor under;
  private final NavigableMap<byte[], byte @Nullable []> written;
  private final KeyRange range;
  private final boolean reverse;
  private final List<KeyRange> seen = new ArrayList<>();

  /** Where the walk is; null before its begin. What comes is strictly behind, but for a seek. */
  private byte @Nullable [] at;

  private boolean atIncluded;

  /** The next entry of the snapshot, if it was looked for; null behind the last one. */
  private byte @Nullable [] coming;

  private boolean hasLooked;

  /** Where what was seen without a gap begins; null: where the range does. */
  private byte @Nullable [] from;

  private boolean hasSeen;
  private boolean toTheEnd;
  private byte @Nullable [] key;
  private byte @Nullable [] value;
  private boolean closed;

  TransactionCursor(
      Cursor under,
      NavigableMap<byte[], byte @Nullable []> written,
      KeyRange range,
      boolean reverse) {
    this.under = under;
    this.written = written;
    this.range = range;
    this.reverse = reverse;
  }

  @Override
  public boolean next() {
    requireOpen();
    key = null;
    value = null;
    hasSeen = true;
    while (true) {
      if (!hasLooked) {
        coming = under.next() ? under.key() : null;
        hasLooked = true;
      }
      Map.Entry<byte[], byte @Nullable []> own = ownNext();
      byte[] theirs = coming;
      if (own == null && theirs == null) {
        toTheEnd = true;
        return false;
      }
      int order = own == null ? 1 : theirs == null ? -1 : compare(own.getKey(), theirs);
      if (order >= 0) {
        hasLooked = false;
      }
      if (order > 0 && theirs != null) {
        at = theirs;
        atIncluded = false;
        key = theirs;
        value = under.value();
        return true;
      }
      if (own != null) {
        at = own.getKey();
        atIncluded = false;
        byte[] set = own.getValue();
        if (set != null) {
          key = own.getKey().clone();
          value = set;
          return true;
        }
      }
    }
  }

  private int compare(byte[] a, byte[] b) {
    return reverse ? Arrays.compareUnsigned(b, a) : Arrays.compareUnsigned(a, b);
  }

  /** The next key of the range that the transaction has written, as it is by now. */
  private Map.@Nullable Entry<byte[], byte @Nullable []> ownNext() {
    NavigableMap<byte[], byte @Nullable []> way = reverse ? written.descendingMap() : written;
    byte[] begin = reverse ? range.to() : range.from();
    boolean included = reverse ? range.toInclusive() : range.fromInclusive();
    byte[] now = at;
    if (now != null && (begin == null || compare(now, begin) >= 0)) {
      boolean isBegin = begin != null && compare(now, begin) == 0;
      included = atIncluded && (included || !isBegin);
      begin = now;
    }
    Map.Entry<byte[], byte @Nullable []> found =
        begin == null
            ? way.firstEntry()
            : included ? way.ceilingEntry(begin) : way.higherEntry(begin);
    return found == null || !range.contains(found.getKey()) ? null : found;
  }

  @Override
  public void seek(byte[] to) {
    requireOpen();
    noteSeen();
    key = null;
    value = null;
    at = to.clone();
    atIncluded = true;
    from = at;
    under.seek(to);
    hasLooked = false;
  }

  private void noteSeen() {
    // One that ended by an error before its first key has seen nothing.
    if (hasSeen && (toTheEnd || at != null) && !range.isEmpty()) {
      // From where it began up to the last key, or to the end.
      byte[] low = reverse ? (toTheEnd ? range.from() : at) : begin();
      byte[] high = reverse ? begin() : (toTheEnd ? range.to() : at);
      boolean lowIncluded =
          reverse ? !toTheEnd || range.fromInclusive() : from != null || range.fromInclusive();
      boolean highIncluded =
          reverse ? from != null || range.toInclusive() : !toTheEnd || range.toInclusive();
      seen.add(new KeyRange(low, lowIncluded, high, highIncluded));
    }
    hasSeen = false;
    toTheEnd = false;
  }

  private byte @Nullable [] begin() {
    byte[] place = from;
    byte[] first = reverse ? range.to() : range.from();
    return place == null || (first != null && compare(place, first) < 0) ? first : place;
  }

  /** The ranges that were walked over, as far as the walk came. */
  List<KeyRange> seen() {
    noteSeen();
    return seen;
  }

  @Override
  public byte[] key() {
    return entry(key).clone();
  }

  @Override
  public byte[] value() {
    return entry(value).clone();
  }

  private byte[] entry(byte @Nullable [] part) {
    requireOpen();
    if (part == null) {
      throw new IllegalStateException("cursor: expected next() to have returned true, was not");
    }
    return part;
  }

  private void requireOpen() {
    if (closed) {
      throw new StoreClosedException("the cursor is closed");
    }
  }

  @Override
  public void close() {
    closed = true;
    under.close();
  }
}
