package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.TreeScan;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The entries of one map that the store which becomes a checkpoint has already, from an earlier
 * one, in order. They are asked for in the order of their keys, each once.
 */
final class CheckpointBase implements MappingHandle {
  private final Path where;
  private final TreeScan scan;

  /** Whether the scan is at an entry that was not asked for. */
  private boolean there;

  /**
   * @param where the checkpoint that it is of, for messages
   */
  CheckpointBase(MapHome home, Path where) {
    this.where = where;
    this.scan = home.tree().scan(home.number());
    scan.seek(null, true, false);
    step();
  }

  private void step() {
    try {
      there = scan.next(this);
    } catch (TreeScan.LostOnTheWay e) {
      throw new DataLostException(
          where + ": expected all entries of the checkpoint, were some lost: make one elsewhere",
          e.error());
    }
  }

  /** Goes to the next entry if that is below a key: its key; null if there is none below. */
  byte @Nullable [] below(byte[] keys, int keyAt, int keyLength) {
    if (!there || compare(keys, keyAt, keyLength) >= 0) {
      return null;
    }
    return take();
  }

  /** As {@link #below}, where no further key comes. */
  byte @Nullable [] rest() {
    return there ? take() : null;
  }

  private byte[] take() {
    byte[] key = scan.key();
    step();
    return key;
  }

  /** Whether the entry with a key, to which it came by {@link #below}, is there with this value. */
  boolean has(byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
    if (!there || compare(keys, keyAt, keyLength) != 0) {
      return false;
    }
    boolean same = isValue(values, valueAt, valueLength);
    step();
    return same;
  }

  private boolean isValue(byte[] values, int valueAt, int valueLength) {
    int end = valueAt + valueLength;
    if (scan.isInline()) {
      int at = scan.valueAt();
      return Arrays.equals(scan.block(), at, at + scan.valueLength(), values, valueAt, end);
    }
    byte[] value = scan.value();
    return value != null && Arrays.equals(value, 0, value.length, values, valueAt, end);
  }

  private int compare(byte[] keys, int keyAt, int keyLength) {
    int at = scan.keyAt();
    return Arrays.compareUnsigned(
        scan.block(), at, at + scan.keyLength(), keys, keyAt, keyAt + keyLength);
  }

  @Override
  public String describe() {
    return "checkpoint";
  }

  @Override
  public void invalidated(long offset, long length) {
    // What it holds is a verified copy; the next leaf is read from the legs that are left.
  }
}
