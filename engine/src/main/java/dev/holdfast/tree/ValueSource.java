package dev.holdfast.tree;

import java.io.IOException;

/** Gives the bytes of a value once, from the first to the last. */
@FunctionalInterface
public interface ValueSource {
  /**
   * Gives the next bytes, all that are asked for. It may take any time: no operation is under way.
   *
   * @throws IOException if they cannot be had, or the source ends before
   */
  void read(byte[] target, int length) throws IOException;
}
