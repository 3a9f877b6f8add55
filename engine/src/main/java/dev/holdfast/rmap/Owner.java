package dev.holdfast.rmap;

/** What lives in an extent of a volume. */
public sealed interface Owner {
  /**
   * A record of the store.
   *
   * @param key its key; not to be changed
   */
  @SuppressWarnings("ArrayRecordComponent") // compared by identity only: one owner, one record
  record Value(byte[] key) implements Owner {}

  /**
   * A leaf of the tree, or a part of a large value that a record of it leads to.
   *
   * @param leaf the number of the leaf
   * @param isValue whether it is a part of a large value
   */
  record Tree(int leaf, boolean isValue) implements Owner {}

  /**
   * A structure that the store needs to work.
   *
   * @param name which one, for people
   */
  record Metadata(String name) implements Owner {}
}
