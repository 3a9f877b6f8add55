package dev.holdfast;

import dev.holdfast.tree.ValueSource;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.IllegalBlockingModeException;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

/** Joins values with the streams and channels of users. */
final class ValueStreams {
  private static final int CHUNK = 256 << 10;

  private ValueStreams() {}

  // ---------------------------------------------------------------- into the store

  static ValueSource from(InputStream source) {
    return (target, length) -> {
      int read = source.readNBytes(target, 0, length);
      if (read < length) {
        throw tooShort(length - read);
      }
    };
  }

  static ValueSource from(ReadableByteChannel source) {
    return (target, length) -> {
      ByteBuffer buffer = ByteBuffer.wrap(target, 0, length);
      while (buffer.hasRemaining()) {
        int read = source.read(buffer);
        if (read < 0) {
          throw tooShort(buffer.remaining());
        }
        if (read == 0) {
          throw new IllegalBlockingModeException();
        }
      }
    };
  }

  private static EOFException tooShort(int missing) {
    return new EOFException(
        "source of a value: expected at least "
            + missing
            + " bytes more, has ended; the former value stays");
  }

  // ---------------------------------------------------------------- out of it

  static long copy(RawMap map, byte[] key, OutputStream target) throws IOException {
    return copy(map, key, (bytes, length) -> target.write(bytes, 0, length));
  }

  static long copy(RawMap map, byte[] key, WritableByteChannel target) throws IOException {
    return copy(
        map,
        key,
        (bytes, length) -> {
          ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, length);
          while (buffer.hasRemaining()) {
            if (target.write(buffer) == 0) {
              throw new IllegalBlockingModeException();
            }
          }
        });
  }

  /** Takes the bytes of a value, from the first to the last. */
  @FunctionalInterface
  private interface Target {
    void write(byte[] bytes, int length) throws IOException;
  }

  private static long copy(RawMap map, byte[] key, Target target) throws IOException {
    try (Lease lease = map.lease(key)) {
      if (lease == null) {
        return -1;
      }
      long length = lease.length();
      byte[] chunk = new byte[(int) Math.min(CHUNK, length)];
      for (long at = 0; at < length; at += chunk.length) {
        int n = (int) Math.min(chunk.length, length - at);
        lease.copyTo(at, chunk, 0, n);
        target.write(chunk, n);
      }
      return length;
    }
  }

  static long copy(RawMap map, byte[] key, long offset, MemorySegment into) {
    if (offset < 0) {
      throw new IllegalArgumentException("offset: expected at least 0, was " + offset);
    }
    try (Lease lease = map.lease(key)) {
      if (lease == null) {
        return -1;
      }
      long length = Math.clamp(lease.length() - offset, 0, into.byteSize());
      if (length > 0) {
        lease.copyTo(offset, into, 0, length);
      }
      return length;
    }
  }
}
