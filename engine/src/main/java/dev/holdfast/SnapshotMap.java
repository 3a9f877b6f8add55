package dev.holdfast;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** What one map held at the moment of a snapshot, as it is stored. */
final class SnapshotMap implements ReadableMap {
  private final OpenSnapshot snapshot;
  private final int number;

  SnapshotMap(OpenSnapshot snapshot, int number) {
    this.snapshot = snapshot;
    this.number = number;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return snapshot.get(number, key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return snapshot.get(number, key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return snapshot.containsKey(number, key);
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return snapshot.walk(number, range, false);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return snapshot.walk(number, range, true);
  }
}
