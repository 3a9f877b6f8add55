package dev.holdfast.rmap;

/** Is shown the live mappings of a range. */
@FunctionalInterface
public interface MappingVisitor {
  /**
   * One pin.
   *
   * @param offset the first byte pinned, volume-relative
   * @param length the number of bytes pinned
   * @param handle who pinned them
   */
  void visit(long offset, long length, MappingHandle handle);
}
