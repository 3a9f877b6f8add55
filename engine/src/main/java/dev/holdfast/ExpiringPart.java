package dev.holdfast;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** An {@link ExpiringMap} within a transaction: over its part, whose values have deadlines. */
final class ExpiringPart implements TransactionMap {
  private final TransactionPart stored;
  private final ExpiringView view;

  /**
   * @param then when the transaction began: what lived then lives as long as it goes on
   */
  ExpiringPart(TransactionPart stored, long then) {
    this.stored = stored;
    this.view = new ExpiringView(stored, () -> then);
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return view.get(key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return view.get(key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return view.containsKey(key);
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return view.cursor(range);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return view.reverseCursor(range);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    stored.put(key, Expiry.encode(Expiry.NEVER, value));
  }

  @Override
  public void remove(byte[] key) {
    stored.remove(key);
  }
}
