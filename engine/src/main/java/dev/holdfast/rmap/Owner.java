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
   * A structure that the store needs to work.
   *
   * @param name which one, for people
   */
  record Metadata(String name) implements Owner {}
}
