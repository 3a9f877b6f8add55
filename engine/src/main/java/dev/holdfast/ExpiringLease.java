package dev.holdfast;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Leases the value of an entry of an {@link ExpiringMap}: what is stored, behind its header. */
final class ExpiringLease implements Lease {
  private final Lease stored;
  private final long length;
  private final int header;

  ExpiringLease(Lease stored) {
    this.stored = stored;
    this.header = (int) Math.min(Expiry.HEADER, stored.length());
    this.length = stored.length() - header;
  }

  @Override
  public long length() {
    return length;
  }

  private long at(long offset, long bytes) {
    return header + Objects.checkFromIndexSize(offset, bytes, length);
  }

  @Override
  public byte getByte(long offset) {
    return stored.getByte(at(offset, Byte.BYTES));
  }

  @Override
  public int getInt(long offset) {
    return stored.getInt(at(offset, Integer.BYTES));
  }

  @Override
  public long getLong(long offset) {
    return stored.getLong(at(offset, Long.BYTES));
  }

  @Override
  public void copyTo(long offset, byte[] target, int targetOffset, int bytes) {
    stored.copyTo(at(offset, bytes), target, targetOffset, bytes);
  }

  @Override
  public void copyTo(long offset, MemorySegment target, long targetOffset, long bytes) {
    stored.copyTo(at(offset, bytes), target, targetOffset, bytes);
  }

  @Override
  public void close() {
    stored.close();
  }
}
