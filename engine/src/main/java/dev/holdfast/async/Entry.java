package dev.holdfast.async;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * One write that was taken: how it is stored, and who is told.
 *
 * <p><b>Threads:</b> it is stored, or dropped, by whoever takes it first; its future may be
 * completed by several, of which the first one counts.
 */
final class Entry<T extends @Nullable Object> {
  private final WriteRing.Write<T> write;
  private final CompletableFuture<T> future = new CompletableFuture<>();
  private final AtomicBoolean taken = new AtomicBoolean();

  /** Its share of the room. */
  final int share;

  /** What the write answered; of who stores it until it is completed. */
  private @Nullable T answer;

  Entry(WriteRing.Write<T> write, int share) {
    this.write = write;
    this.share = share;
  }

  CompletableFuture<T> future() {
    return future;
  }

  /** Stores it, unless it was dropped; whether it did. What the write throws comes out. */
  boolean store() {
    if (!taken.compareAndSet(false, true)) {
      return false;
    }
    try {
      answer = write.store();
    } finally {
      write.release();
    }
    return true;
  }

  /** Has it not stored, if it was not begun. */
  void drop() {
    if (taken.compareAndSet(false, true)) {
      write.release();
    }
  }

  @SuppressWarnings("NullAway") // Null where the write answers nothing.
  void complete(@Nullable Throwable failure) {
    boolean _ = failure == null ? future.complete(answer) : future.completeExceptionally(failure);
  }
}
