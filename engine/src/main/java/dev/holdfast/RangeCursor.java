package dev.holdfast;

import dev.holdfast.error.StoreClosedException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.TreeScan;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/** A cursor over a scan of the tree: what it holds between two steps is a copy. */
final class RangeCursor implements Cursor, MappingHandle {
  private final TreeScan scan;
  private final KeyRange range;
  private final boolean reverse;
  private final @Nullable Object owner;
  private final @Nullable MapGate gate;
  private byte @Nullable [] key;
  private byte @Nullable [] value;
  private boolean closed;

  /** Whether there is nothing more of the range where the walk is. */
  private boolean ended;

  /**
   * @param scan what it walks over
   * @param owner what the scan lives no longer than; null for the store
   * @param gate what closes when its map is dropped; null if it cannot be
   */
  RangeCursor(
      TreeScan scan,
      KeyRange range,
      boolean reverse,
      @Nullable Object owner,
      @Nullable MapGate gate) {
    this.scan = scan;
    this.gate = gate;
    this.owner = owner;
    this.reverse = reverse;
    this.range = range;
    begin();
  }

  private void begin() {
    ended = range.isEmpty();
    scan.seek(
        reverse ? range.to() : range.from(),
        reverse ? range.toInclusive() : range.fromInclusive(),
        reverse);
  }

  @Override
  public void seek(byte[] to) {
    requireOpen();
    key = null;
    value = null;
    if (reverse ? range.isBehind(to) : range.isBefore(to)) {
      begin();
    } else {
      ended = range.isEmpty() || (reverse ? range.isBefore(to) : range.isBehind(to));
      scan.seek(to, true, reverse);
    }
  }

  @Override
  public boolean next() {
    requireOpen();
    key = null;
    value = null;
    try {
      while (!ended && scan.next(this)) {
        byte[] found = scan.key();
        if (reverse ? range.isBefore(found) : range.isBehind(found)) {
          ended = true;
          return false;
        }
        byte[] read = scan.value();
        requireMap();
        if (read != null) {
          key = found;
          value = read;
          return true;
        }
      }
      requireMap();
      return false;
    } catch (TreeScan.LostOnTheWay e) {
      requireMap();
      throw e.error();
    } finally {
      Reference.reachabilityFence(owner);
    }
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

  /** Behind a step: what was seen is of the map only if that still is there. */
  private void requireMap() {
    MapGate ofMap = gate;
    if (ofMap != null) {
      ofMap.requireOpen();
    }
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
    key = null;
    value = null;
  }
}
