package dev.holdfast.rmap;

/** Something that can touch device memory now: the window of a leg, a cursor, a scoped read. */
public interface MappingHandle {
  /** What it is, in a few words, for people. */
  String describe();

  /**
   * Tells that a part of what this handle pinned is lost.
   *
   * <p><b>Threads:</b> any, several at once. It may come after the pin was dropped, when both
   * happen at the same time, and more than once for the same bytes. It must return soon: the rest
   * of the handles wait behind it.
   *
   * @param offset the first byte lost that this handle pinned, volume-relative
   * @param length the number of bytes, > 0
   */
  void invalidated(long offset, long length);
}
