package dev.holdfast;

/**
 * Is shown entries by {@link Store#scan}, each as a place in an array: nothing is allocated.
 *
 * <p>The arrays are private copies of what was verified. They are the visitor's to read for the
 * time of the call: what it wants to keep it copies, and it changes nothing in them.
 */
@FunctionalInterface
public interface EntryVisitor {
  /**
   * Is shown an entry.
   *
   * @param keys the array that holds the key
   * @param keyAt the index of its first byte
   * @param keyLength its length in bytes, 1 to {@value Store#MAX_KEY_LENGTH}
   * @param values the array that holds the value; it may be another one
   * @param valueAt the index of its first byte
   * @param valueLength its length in bytes, 0 to {@value Store#MAX_VALUE_LENGTH}
   * @return whether to go on
   */
  boolean visit(byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength);
}
