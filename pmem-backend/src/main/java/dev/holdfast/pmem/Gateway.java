package dev.holdfast.pmem;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The only code that touches device memory. It offers loads, stores, release-stores, copies and
 * fills, which survive the loss of the page under them; compare-and-set, checksums, comparisons and
 * native calls do not, and are not here.
 *
 * <p><b>Failure:</b> HotSpot skips the instruction that faulted, and throws {@link InternalError}
 * at a later safepoint poll, in compiled code often after the method that caused it has returned.
 * So an access on its own means nothing. It counts only once {@link #barrier} came back behind it,
 * inside the same {@code try}:
 *
 * <pre>{@code
 * try {
 *   Gateway.copyOut(window, offset, target, 0, length);
 *   Gateway.barrier();
 * } catch (InternalError e) {
 *   throw ...; // the bytes in target are garbage
 * }
 * use(target);
 * }</pre>
 *
 * <p>A barrier proves that the pages were mapped, not that their bytes are on the medium.
 *
 * <p><b>Units:</b> offsets and lengths are bytes, offsets are device-relative. Words are little
 * endian. <b>Threads:</b> any.
 */
@SuppressWarnings("restricted") // one segment over the whole address space: see ALL
public final class Gateway {
  /*
   * A constant segment over everything costs no load and no check that C2 cannot fold; what bounds an
   * access is the window it is made through.
   */
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle ALIGNED_LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

  /** A word in an array. */
  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  /** Not final, so that no compiler knows how often the loop of the barrier goes round. */
  private static long rounds = 1;

  /** Any byte: what a touch compares with, so that its load is needed. */
  private static final byte NEEDED = 0x5a;

  private Gateway() {}

  /**
   * Delivers the faults of all accesses that this thread made before, as an {@link InternalError}
   * thrown from here.
   *
   * <p><b>Source:</b> measured, and proved by the tests of this module in every compiler and
   * collector: the back-edge of a loop with a {@code long} counter holds a safepoint poll, which is
   * where HotSpot delivers a pending memory fault.
   */
  public static void barrier() {
    // Keeps the accesses before the poll; on x86-64 it costs no instruction.
    VarHandle.acquireFence();
    VarHandle.storeStoreFence();
    for (long i = 0; i < rounds; i++) {
      // Something to do on every round, or the compiler might drop the loop and its poll.
      VarHandle.acquireFence();
    }
  }

  /**
   * {@return whether an error is the fault of a memory access, and not some other failure of the
   * JVM}
   *
   * @param error what was thrown
   */
  public static boolean isMemoryFault(InternalError error) {
    String message = error.getMessage();
    return message != null && message.contains("unsafe memory access");
  }

  /**
   * Loads a byte for no other reason than to see whether its page is there: the {@link #barrier}
   * tells.
   *
   * <p>A load whose result nobody uses is one that the compiler leaves out, and with it the fault.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   */
  public static void touch(Window window, long offset) {
    byte loaded = ALL.get(ValueLayout.JAVA_BYTE, at(window, offset, 1));
    if (loaded == NEEDED && rounds != 1) {
      throw new IllegalStateException("rounds: expected 1, was " + rounds);
    }
  }

  /**
   * Loads a word.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @return the word
   */
  public static long getLong(Window window, long offset) {
    return ALL.get(LONG, at(window, offset, Long.BYTES));
  }

  /**
   * Loads half a word.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @return it
   */
  public static int getInt(Window window, long offset) {
    return ALL.get(INT, at(window, offset, Integer.BYTES));
  }

  /**
   * Loads a byte.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @return it
   */
  public static byte getByte(Window window, long offset) {
    return ALL.get(ValueLayout.JAVA_BYTE, at(window, offset, 1));
  }

  /**
   * Stores a word.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param value what is stored
   */
  public static void putLong(Window window, long offset, long value) {
    DeviceTracker tracker = window.tracker;
    if (tracker != null) {
      storeTracked(tracker, window, offset, bytesOf(value));
      return;
    }
    ALL.set(LONG, at(window, offset, Long.BYTES), value);
  }

  /**
   * Stores a word after everything that this thread stored before.
   *
   * @param window a window over the device
   * @param offset a multiple of 8
   * @param value what is stored
   */
  public static void putLongRelease(Window window, long offset, long value) {
    if ((offset & 7) != 0) {
      throw new IllegalArgumentException("offset: expected a multiple of 8, was " + offset);
    }
    DeviceTracker tracker = window.tracker;
    if (tracker != null) {
      storeTracked(tracker, window, offset, bytesOf(value));
      return;
    }
    ALIGNED_LONG.setRelease(ALL, at(window, offset, Long.BYTES), value);
  }

  /**
   * Copies device bytes to an array.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param target gets the bytes
   * @param targetOffset where they go in it
   * @param n how many bytes
   */
  public static void copyOut(Window window, long offset, byte[] target, int targetOffset, int n) {
    MemorySegment.copy(ALL, ValueLayout.JAVA_BYTE, at(window, offset, n), target, targetOffset, n);
  }

  /**
   * Copies device bytes to a segment, which must not lie on a device.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param target gets the bytes
   * @param targetOffset where they go in it
   * @param n how many bytes
   */
  public static void copyOut(
      Window window, long offset, MemorySegment target, long targetOffset, long n) {
    MemorySegment.copy(ALL, at(window, offset, n), target, targetOffset, n);
  }

  /**
   * Copies an array to the device.
   *
   * @param source has the bytes
   * @param sourceOffset where they begin in it
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param n how many bytes
   */
  public static void copyIn(byte[] source, int sourceOffset, Window window, long offset, int n) {
    DeviceTracker tracker = window.tracker;
    if (tracker != null) {
      storeTracked(
          tracker, window, offset, Arrays.copyOfRange(source, sourceOffset, sourceOffset + n));
      return;
    }
    MemorySegment.copy(source, sourceOffset, ALL, ValueLayout.JAVA_BYTE, at(window, offset, n), n);
  }

  /**
   * Copies a segment, which must not lie on a device, to the device.
   *
   * @param source has the bytes
   * @param sourceOffset where they begin in it
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param n how many bytes
   */
  public static void copyIn(
      MemorySegment source, long sourceOffset, Window window, long offset, long n) {
    DeviceTracker tracker = window.tracker;
    if (tracker != null) {
      byte[] bytes = new byte[Math.toIntExact(n)];
      MemorySegment.copy(source, ValueLayout.JAVA_BYTE, sourceOffset, bytes, 0, bytes.length);
      storeTracked(tracker, window, offset, bytes);
      return;
    }
    MemorySegment.copy(source, sourceOffset, ALL, at(window, offset, n), n);
  }

  /**
   * Stores the same byte all over a range.
   *
   * @param window a window over the device
   * @param offset the first byte, device-relative
   * @param n how many bytes
   * @param value what is stored
   */
  public static void fill(Window window, long offset, long n, byte value) {
    DeviceTracker tracker = window.tracker;
    if (tracker != null) {
      byte[] bytes = new byte[Math.toIntExact(n)];
      Arrays.fill(bytes, value);
      storeTracked(tracker, window, offset, bytes);
      return;
    }
    ALL.asSlice(at(window, offset, n), n).fill(value);
  }

  /**
   * Writes the cache lines of a range back through a synchronous mapping of persistent memory. The
   * instruction that does it has no guard, and ends the process on a page that is gone, so each
   * page is loaded from first, through the same mapping, and the barrier must have come back.
   *
   * @param mapping a mapping that was made as READ_WRITE_SYNC
   * @throws InternalError if a page is gone; nothing was written back then
   */
  static void writeBack(MemorySegment mapping, long offset, long length) {
    long end = offset + length;
    for (long at = offset; at < end; at = (at / Posix.PAGE_SIZE + 1) * Posix.PAGE_SIZE) {
      touch(mapping, at);
    }
    barrier();
    mapping.asSlice(offset, length).force();
  }

  /** As {@link #touch(Window, long)}, on a mapping that is no window. */
  static void touch(MemorySegment mapping, long offset) {
    byte loaded = mapping.get(ValueLayout.JAVA_BYTE, offset);
    if (loaded == NEEDED && rounds != 1) {
      throw new IllegalStateException("rounds: expected 1, was " + rounds);
    }
  }

  private static byte[] bytesOf(long value) {
    byte[] bytes = new byte[Long.BYTES];
    WORD.set(bytes, 0, value);
    return bytes;
  }

  /** Stores bytes and tells of it, with nobody else's tracked store in between. */
  private static void storeTracked(
      DeviceTracker tracker, Window window, long offset, byte[] bytes) {
    long at = at(window, offset, bytes.length);
    tracker.begin(offset, bytes.length);
    try {
      if (bytes.length == Long.BYTES && (at & 7) == 0) {
        ALIGNED_LONG.setRelease(ALL, at, (long) WORD.get(bytes, 0));
      } else {
        MemorySegment.copy(bytes, 0, ALL, ValueLayout.JAVA_BYTE, at, bytes.length);
      }
      barrier();
    } finally {
      try {
        tracker.stored(window, offset, bytes);
      } finally {
        tracker.end();
      }
    }
  }

  private static long at(Window window, long offset, long n) {
    if ((offset | n) < 0 || offset > window.reserve - n) {
      throw outside(window, offset, n);
    }
    return window.address + offset;
  }

  private static IndexOutOfBoundsException outside(Window window, long offset, long n) {
    return new IndexOutOfBoundsException(
        window
            + ": expected a range inside [0, "
            + window.reserve
            + "), was ["
            + offset
            + ", +"
            + n
            + ")");
  }
}
