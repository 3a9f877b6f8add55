package dev.holdfast;

import dev.holdfast.tree.BatchOps;
import java.lang.foreign.MemorySegment;
import java.util.ConcurrentModificationException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Writes that count together or not at all; they do once {@link Store#write} is called. Of several
 * operations on one key the last one counts. Keys and values are copied when they are added.
 *
 * <p>A batch can be filled and written again after {@link #clear}, and as it is: memory that it has
 * is used again, up to a few MiB.
 *
 * <p><b>Threads:</b> one at a time.
 */
public final class WriteBatch {
  /** The most bytes of keys and values together. */
  public static final long MAX_BYTES = BatchOps.MAX_BYTES;

  private final BatchOps ops = new BatchOps();
  private final AtomicBoolean written = new AtomicBoolean();

  /** An empty batch. */
  public WriteBatch() {}

  /**
   * Sets the value of a key.
   *
   * @throws IllegalArgumentException if the key or the value is too long, or the batch too large
   */
  public WriteBatch put(byte[] key, byte[] value) {
    requireFree();
    ops.put(key, value);
    return this;
  }

  /**
   * Sets the value of a key, from memory on or off the heap.
   *
   * @throws IllegalArgumentException if the key or the value is too long, or the batch too large
   */
  public WriteBatch put(MemorySegment key, MemorySegment value) {
    requireFree();
    ops.put(key, value);
    return this;
  }

  /**
   * Removes a key, if it is there.
   *
   * @throws IllegalArgumentException if the key is too long, or the batch too large
   */
  public WriteBatch remove(byte[] key) {
    requireFree();
    ops.remove(key);
    return this;
  }

  /** The number of operations. */
  public int size() {
    return ops.size();
  }

  /** The bytes of the keys and values. */
  public long bytes() {
    return ops.bytes();
  }

  /** Forgets all operations. */
  public void clear() {
    requireFree();
    ops.clear();
  }

  private void requireFree() {
    if (written.getPlain()) {
      throw new ConcurrentModificationException("batch: it is being written by another thread");
    }
  }

  /** Lends the operations to who writes them. */
  BatchOps begin() {
    if (!written.compareAndSet(false, true)) {
      throw new ConcurrentModificationException("batch: it is being written by another thread");
    }
    return ops;
  }

  void end() {
    written.set(false);
  }
}
