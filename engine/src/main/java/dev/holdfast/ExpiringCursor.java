package dev.holdfast;

import java.util.function.LongSupplier;

/** Walks over stored entries of an {@link ExpiringMap}, and shows those that live. */
final class ExpiringCursor implements Cursor {
  private final Cursor stored;
  private final LongSupplier now;

  /** The stored value that it is at; empty where it is at none. */
  private byte[] at = {};

  ExpiringCursor(Cursor stored, LongSupplier now) {
    this.stored = stored;
    this.now = now;
  }

  @Override
  public boolean next() {
    while (stored.next()) {
      at = stored.value();
      if (Expiry.isLive(at, now.getAsLong())) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void seek(byte[] to) {
    stored.seek(to);
  }

  @Override
  public byte[] key() {
    return stored.key();
  }

  @Override
  public byte[] value() {
    byte[] _ = stored.key(); // Throws where there is no entry.
    return Expiry.value(at);
  }

  @Override
  public void close() {
    stored.close();
  }
}
