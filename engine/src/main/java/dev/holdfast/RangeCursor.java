package dev.holdfast;

import dev.holdfast.error.StoreClosedException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.TreeScan;
import java.lang.ref.Reference;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A cursor over a scan of the tree: what it holds between two steps is a copy. */
final class RangeCursor implements Cursor, MappingHandle {
  private final TreeScan scan;
  private final byte @Nullable [] stop;
  private final boolean stopInclusive;
  private final boolean reverse;
  private final @Nullable Object owner;
  private byte @Nullable [] key;
  private byte @Nullable [] value;
  private boolean closed;

  /**
   * @param scan what it walks over
   * @param owner what the scan lives no longer than; null for the store
   */
  RangeCursor(TreeScan scan, KeyRange range, boolean reverse, @Nullable Object owner) {
    this.scan = scan;
    this.owner = owner;
    this.reverse = reverse;
    this.stop = reverse ? range.from() : range.to();
    this.stopInclusive = reverse ? range.fromInclusive() : range.toInclusive();
    scan.seek(
        reverse ? range.to() : range.from(),
        reverse ? range.toInclusive() : range.fromInclusive(),
        reverse);
  }

  @Override
  public boolean next() {
    requireOpen();
    key = null;
    value = null;
    try {
      while (scan.next(this)) {
        byte[] found = scan.key();
        if (isBehindTheEnd(found)) {
          return false;
        }
        byte[] read = scan.value();
        if (read != null) {
          key = found;
          value = read;
          return true;
        }
      }
      return false;
    } catch (TreeScan.LostOnTheWay e) {
      throw e.error();
    } finally {
      Reference.reachabilityFence(owner);
    }
  }

  private boolean isBehindTheEnd(byte[] found) {
    if (stop == null) {
      return false;
    }
    int order = Arrays.compareUnsigned(found, stop);
    return (reverse ? order < 0 : order > 0) || (order == 0 && !stopInclusive);
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
