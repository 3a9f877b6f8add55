package dev.holdfast.tree;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Lends scratch to operations. Places are striped by thread, so that operations share no cache
 * line, and not thread-local, so that 10,000 virtual threads need no more than are running.
 *
 * <p><b>Threads:</b> any.
 */
final class ScratchPool {
  private static final int STRIPES = 32;

  /** References from one place to the next: two cache lines. */
  private static final int STRIDE = 32;

  private final AtomicReferenceArray<@Nullable Scratch> places =
      new AtomicReferenceArray<>((STRIPES + 1) * STRIDE);

  Scratch take() {
    int place = place();
    Scratch scratch = places.get(place);
    if (scratch != null && places.compareAndSet(place, scratch, null)) {
      return scratch;
    }
    return new Scratch();
  }

  void give(Scratch scratch) {
    scratch.forget();
    places.setRelease(place(), scratch);
  }

  private static int place() {
    long id = Thread.currentThread().threadId();
    int stripe = (int) ((id * 0x9E3779B97F4A7C15L) >>> 59);
    return (stripe + 1) * STRIDE;
  }
}
