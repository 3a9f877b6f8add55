package dev.holdfast.rmap;

import java.util.function.Consumer;

/** Knows who owns a range, from a structure of its own. */
@FunctionalInterface
public interface OwnerSource {
  /**
   * Shows {@code consumer} every owned extent that shares a byte with the range, ascending by
   * offset. Takes no lock.
   */
  void visit(long offset, long length, Consumer<? super OwnedExtent> consumer);
}
