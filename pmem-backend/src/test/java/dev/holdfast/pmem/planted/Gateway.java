package dev.holdfast.pmem.planted;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.zip.CRC32C;

/** A gateway that does all that the gateway must not. None of it is ever run. */
public final class Gateway {
  static final MemorySegment ALL = MemorySegment.NULL;

  private Gateway() {}

  /** Hands out device memory. */
  public static MemorySegment segment(MemorySegment segment) {
    return segment;
  }

  static boolean compareAndSetField(VarHandle handle, Object holder) {
    return handle.compareAndSet(holder, 0L, 1L);
  }

  static boolean compareAndSet(VarHandle handle, MemorySegment segment) {
    return handle.compareAndSet(segment, 0L, 0L, 1L);
  }

  static long checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return crc.getValue();
  }

  static long mismatch(MemorySegment left, MemorySegment right) {
    return left.mismatch(right);
  }

  static void force(MemorySegment segment) {
    segment.force();
  }
}
