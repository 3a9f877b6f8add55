package dev.holdfast.index;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.Gateway;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.zip.CRC32C;

/** The bytes of a value that is to be stored; read more than once where a pass is repeated. */
sealed interface ValueSource {
  /** Bytes. */
  int length();

  /** Copies a part of the value to an array. */
  void copy(int from, byte[] target, int length);

  /**
   * A value on the heap.
   *
   * @param bytes the value
   */
  @SuppressWarnings("ArrayRecordComponent") // carried, never compared
  record OfArray(byte[] bytes) implements ValueSource {
    @Override
    public int length() {
      return bytes.length;
    }

    @Override
    public void copy(int from, byte[] target, int length) {
      System.arraycopy(bytes, from, target, 0, length);
    }
  }

  /**
   * A value anywhere in memory.
   *
   * @param segment the value
   */
  record OfSegment(MemorySegment segment) implements ValueSource {
    @Override
    public int length() {
      return (int) segment.byteSize();
    }

    @Override
    public void copy(int from, byte[] target, int length) {
      // The caller's memory may be a mapping that faults, too: that is no fault of a leg.
      try {
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, from, target, 0, length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw new HoldfastException("the memory of the value that was passed in faults", e);
      }
    }
  }

  static int crc(CRC32C crc) {
    return (int) crc.getValue();
  }
}
