package dev.holdfast;

import dev.holdfast.error.StoreClosedException;
import dev.holdfast.index.RecordStore;
import dev.holdfast.rmap.MappingHandle;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A cursor that remembers a key and asks for its neighbour: it holds nothing between two steps. */
final class RangeCursor implements Cursor, MappingHandle {
  private final RecordStore records;
  private final byte @Nullable [] stop;
  private final boolean stopInclusive;
  private final boolean reverse;
  private byte @Nullable [] position;
  private boolean inclusive;
  private Map.@Nullable Entry<byte[], byte[]> current;
  private boolean closed;

  /** Told once that entries without a name may be missing; the caller may go on with the rest. */
  private boolean warned;

  RangeCursor(RecordStore records, KeyRange range, boolean reverse) {
    this.records = records;
    this.reverse = reverse;
    this.position = reverse ? range.to() : range.from();
    this.inclusive = reverse ? range.toInclusive() : range.fromInclusive();
    this.stop = reverse ? range.from() : range.to();
    this.stopInclusive = reverse ? range.fromInclusive() : range.toInclusive();
  }

  @Override
  public boolean next() {
    requireOpen();
    current = null;
    if (!warned) {
      warned = true;
      records.requireNothingUnnamedLost();
    }
    Map.Entry<byte[], byte[]> found;
    try {
      found = records.step(position, inclusive, reverse, this);
    } catch (RecordStore.LostOnTheWay e) {
      if (isBehindTheEnd(e.key())) {
        return false;
      }
      position = e.key();
      inclusive = false;
      throw e.error();
    }
    if (found == null || isBehindTheEnd(found.getKey())) {
      return false;
    }
    position = found.getKey();
    inclusive = false;
    current = found;
    return true;
  }

  private boolean isBehindTheEnd(byte[] key) {
    if (stop == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(key, stop);
    return (reverse ? order < 0 : order > 0) || (order == 0 && !stopInclusive);
  }

  @Override
  public byte[] key() {
    return entry().getKey().clone();
  }

  @Override
  public byte[] value() {
    return entry().getValue().clone();
  }

  private Map.Entry<byte[], byte[]> entry() {
    requireOpen();
    Map.Entry<byte[], byte[]> entry = current;
    if (entry == null) {
      throw new IllegalStateException("cursor: expected next() to have returned true, was not");
    }
    return entry;
  }

  private void requireOpen() {
    if (closed) {
      throw new StoreClosedException("the cursor is closed");
    }
  }

  @Override
  public String describe() {
    return "cursor";
  }

  @Override
  public void invalidated(long offset, long length) {
    // What it holds is a verified copy; the next step reads from the legs that are left.
  }

  @Override
  public void close() {
    closed = true;
    current = null;
  }
}
