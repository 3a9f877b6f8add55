package dev.holdfast;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** What one map held at the moment of a snapshot, as it is stored. */
final class SnapshotMap implements ReadableMap {
  private static final KeyRange NOTHING = KeyRange.open(new byte[1], new byte[1]);

  private final OpenSnapshot snapshot;
  private final int number;
  private final boolean existed;

  /**
   * @param existed whether there was the map then; if not, its number may have been that of another
   */
  SnapshotMap(OpenSnapshot snapshot, int number, boolean existed) {
    this.snapshot = snapshot;
    this.number = number;
    this.existed = existed;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return existed ? snapshot.get(number, key) : null;
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return existed ? snapshot.get(number, key, into) : -1;
  }

  /** Where the value of a key lies in the BULK volume; null if it has none, or not there. */
  byte @Nullable [] bulkPlace(byte[] key) {
    return existed ? snapshot.bulkPlace(number, key) : null;
  }

  @Override
  public boolean containsKey(byte[] key) {
    return existed && snapshot.containsKey(number, key);
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return snapshot.walk(number, shown(range), false);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return snapshot.walk(number, shown(range), true);
  }

  private KeyRange shown(KeyRange range) {
    return existed ? range : NOTHING;
  }
}
