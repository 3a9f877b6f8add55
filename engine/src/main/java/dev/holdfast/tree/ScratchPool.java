package dev.holdfast.tree;

import dev.holdfast.volume.GracePeriod;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Lends scratch to operations. Most get that of a place of the {@link GracePeriod}, and take it and
 * enter in one step; the others take turns with what lies about. Places are striped by thread, so
 * that operations share no cache line, and not thread-local, so that 10,000 virtual threads need no
 * more than are running.
 *
 * <p><b>Threads:</b> any.
 */
final class ScratchPool {
  private static final int STRIPES = 32;

  /** References from one to the next: two cache lines. */
  private static final int STRIDE = 32;

  private final GracePeriod grace;

  /** By place; each is touched only by who has the place. */
  private final @Nullable Scratch[] placed = new Scratch[(GracePeriod.PLACES + 1) * STRIDE];

  private final AtomicReferenceArray<@Nullable Scratch> others =
      new AtomicReferenceArray<>((STRIPES + 1) * STRIDE);

  ScratchPool(GracePeriod grace) {
    this.grace = grace;
  }

  /** Lends one to who may wait before the operation begins, and between its attempts. */
  Scratch take() {
    return take(false);
  }

  /** Lends one to who begins the operation at once: nothing may be waited for before. */
  Scratch takeToEnter() {
    return take(true);
  }

  private Scratch take(boolean enters) {
    int place = grace.claim(enters);
    if (place < 0) {
      return takeOther();
    }
    int at = (place + 1) * STRIDE;
    Scratch scratch = placed[at];
    if (scratch == null) {
      scratch = new Scratch();
      scratch.place = place;
      placed[at] = scratch;
    }
    scratch.entered = enters;
    return scratch;
  }

  private Scratch takeOther() {
    int stripe = stripe();
    Scratch scratch = others.get(stripe);
    if (scratch != null && others.compareAndSet(stripe, scratch, null)) {
      return scratch;
    }
    return new Scratch();
  }

  void give(Scratch scratch) {
    scratch.forget();
    if (scratch.place >= 0) {
      scratch.entered = false;
      grace.giveBack(scratch.place);
    } else {
      others.setRelease(stripe(), scratch);
    }
  }

  private static int stripe() {
    long id = Thread.currentThread().threadId();
    int stripe = (int) ((id * 0x9E3779B97F4A7C15L) >>> 59);
    return (stripe + 1) * STRIDE;
  }
}
