package dev.holdfast.examples.plugpull;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;

/**
 * The entries to import, in a fixed order: what the store is compared with.
 *
 * <p><b>Threads:</b> any.
 */
interface Input {
  /** What the input is, for people. */
  String name();

  /** The number of entries. */
  int count();

  /** The key of an entry; not to be changed. */
  byte[] key(int index);

  /** The bytes of an entry's value, as they were counted; a living file may have changed since. */
  long length(int index);

  /**
   * Reads the value of an entry from its source.
   *
   * @throws IOException if it cannot be read
   */
  InputStream read(int index) throws IOException;

  /** What was left out and why, one line each. */
  List<String> notes();

  /** The bytes of all values. */
  default long bytes() {
    long sum = 0;
    for (int i = 0; i < count(); i++) {
      sum += length(i);
    }
    return sum;
  }
}
