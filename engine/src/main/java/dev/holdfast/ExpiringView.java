package dev.holdfast;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** What lives of the stored entries of an {@link ExpiringMap}. */
final class ExpiringView implements ReadableMap {
  private final ReadableMap stored;
  private final LongSupplier now;

  ExpiringView(ReadableMap stored, LongSupplier now) {
    this.stored = stored;
    this.now = now;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    byte[] found = stored.get(key);
    return found == null || !Expiry.isLive(found, now.getAsLong()) ? null : Expiry.value(found);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    byte[] value = get(key.toArray(ValueLayout.JAVA_BYTE));
    if (value == null) {
      return -1;
    }
    if (value.length <= into.byteSize()) {
      MemorySegment.copy(value, 0, into, ValueLayout.JAVA_BYTE, 0, value.length);
    }
    return value.length;
  }

  @Override
  public boolean containsKey(byte[] key) {
    return get(key) != null;
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return new ExpiringCursor(stored.cursor(range), now);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return new ExpiringCursor(stored.reverseCursor(range), now);
  }
}
