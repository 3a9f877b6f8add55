package dev.holdfast.codec.chronicle;

import dev.holdfast.Store;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReferenceArray;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.bytes.BytesStore;
import org.jspecify.annotations.Nullable;

/**
 * The arrays that a key and a value pass through, and all objects that say which part of them. One
 * operation has it at a time; what it needed once it need not allocate again.
 */
final class Buffers {
  /** What is kept for the next operation has no more bytes for a value. */
  private static final int MOST_KEPT = 1 << 20;

  /** Slices of up to so many bytes are kept. */
  private static final int SLICES = Store.MAX_KEY_LENGTH;

  private final byte[] keys = new byte[Store.MAX_KEY_LENGTH];
  private final @Nullable MemorySegment[] keySlices = new MemorySegment[SLICES + 1];
  private @Nullable MemorySegment[] valueSlices = new MemorySegment[SLICES + 1];
  private byte[] values = new byte[SLICES];
  private MemorySegment room = MemorySegment.ofArray(values);
  private @Nullable Bytes<byte[]> lent;

  /** The bytes that can be read of a key, as the store wants them. */
  MemorySegment key(BytesStore<?, ?> key) {
    long length = key.readRemaining();
    if (length > keys.length) {
      return MemorySegment.ofArray(key.toByteArray()); // The store says what is wrong.
    }
    copy(key, keys, (int) length);
    return slice(keySlices, keys, (int) length);
  }

  /** The bytes that can be read of a value, as the store wants them. */
  MemorySegment value(BytesStore<?, ?> value) {
    long length = value.readRemaining();
    if (length > Store.MAX_VALUE_LENGTH) {
      throw new IllegalArgumentException(
          "value: expected at most " + Store.MAX_VALUE_LENGTH + " bytes, was " + length);
    }
    reserve((int) length);
    copy(value, values, (int) length);
    return length > SLICES ? room.asSlice(0, length) : slice(valueSlices, values, (int) length);
  }

  private static void copy(BytesStore<?, ?> from, byte[] into, int length) {
    long copied = length == 0 ? 0 : from.read(from.readPosition(), into, 0, length);
    if (copied < length && length > 0) {
      throw new IllegalStateException(
          "expected " + length + " bytes that can be read, were " + copied);
    }
  }

  private static MemorySegment slice(@Nullable MemorySegment[] kept, byte[] of, int length) {
    MemorySegment slice = kept[length];
    if (slice == null) {
      slice = MemorySegment.ofArray(of).asSlice(0, length);
      kept[length] = slice;
    }
    return slice;
  }

  /** Where a value can go. */
  MemorySegment room() {
    return room;
  }

  /** Makes room for a value. */
  void reserve(int length) {
    if (values.length < length) {
      values = new byte[Math.max(length, (int) Math.min(2L * values.length, MOST_KEPT))];
      room = MemorySegment.ofArray(values);
      valueSlices = new MemorySegment[SLICES + 1];
      lent = null;
    }
  }

  /** Appends the value that lies in the room. */
  void appendTo(Bytes<?> into, int length) {
    into.write(values, 0, length);
  }

  /** The value that lies in the room. */
  Bytes<byte[]> lend(int length) {
    Bytes<byte[]> view = lent;
    if (view == null || view.refCount() == 0) {
      view = Bytes.wrapForRead(values);
      view.singleThreadedCheckDisabled(true); // One thread has it at a time, and not always one.
      lent = view;
    }
    view.clear(); // Who had it before may have left it as he liked.
    view.lenient(false);
    view.readPositionRemaining(0, length);
    return view;
  }

  private boolean isWorthKeeping() {
    return values.length <= MOST_KEPT;
  }

  /** Those that nobody uses: striped by thread, so that 10,000 of them share a few. */
  static final class Pool {
    private static final int STRIPES = 64;

    private final AtomicReferenceArray<@Nullable Buffers> free =
        new AtomicReferenceArray<>(STRIPES);

    Buffers take() {
      Buffers kept = free.getAndSet(stripe(), null);
      return kept != null ? kept : new Buffers();
    }

    void give(Buffers buffers) {
      if (buffers.isWorthKeeping()) {
        free.setRelease(stripe(), buffers);
      }
    }

    private static int stripe() {
      long id = Thread.currentThread().threadId();
      return (int) (id ^ (id >>> 6)) & (STRIPES - 1);
    }
  }
}
