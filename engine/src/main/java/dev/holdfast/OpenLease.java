package dev.holdfast;

import dev.holdfast.tree.TreeLease;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** A lease that a user holds; what it pins is let go of when the user forgets it. */
final class OpenLease implements Lease {
  private final TreeLease lease;

  OpenLease(TreeLease lease) {
    this.lease = lease;
    lease.heldBy(this);
  }

  @Override
  public long length() {
    return lease.length();
  }

  @Override
  public byte getByte(long offset) {
    try {
      return lease.getByte(offset);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public int getInt(long offset) {
    try {
      return lease.getInt(offset);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public long getLong(long offset) {
    try {
      return lease.getLong(offset);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public void copyTo(long offset, byte[] target, int targetOffset, int length) {
    copyTo(offset, MemorySegment.ofArray(target), targetOffset, length);
  }

  @Override
  public void copyTo(long offset, MemorySegment target, long targetOffset, long length) {
    try {
      lease.copyTo(offset, target, targetOffset, length);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public void close() {
    lease.close();
  }

  @Override
  public String toString() {
    return lease.describe();
  }
}
