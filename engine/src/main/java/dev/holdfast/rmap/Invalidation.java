package dev.holdfast.rmap;

import org.jspecify.annotations.Nullable;

/** One telling of all handles in {@code [offset, end)}. Confined to the thread that tells. */
final class Invalidation implements MappingVisitor {
  private final long offset;
  private final long end;
  private int told;
  private @Nullable RuntimeException failure;

  Invalidation(long offset, long end) {
    this.offset = offset;
    this.end = end;
  }

  @Override
  @SuppressWarnings("ReferenceEquality") // an exception cannot be suppressed in itself
  public void visit(long pinned, long length, MappingHandle handle) {
    long from = Math.max(pinned, offset);
    long to = Math.min(pinned + length, end);
    told++;
    try {
      handle.invalidated(from, to - from);
    } catch (RuntimeException e) {
      if (failure == null) {
        failure = e;
      } else if (failure != e) {
        failure.addSuppressed(e);
      }
    }
  }

  int outcome() {
    if (failure != null) {
      throw failure;
    }
    return told;
  }
}
