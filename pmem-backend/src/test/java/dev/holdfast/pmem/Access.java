package dev.holdfast.pmem;

/** Accesses to device memory as the engine makes them: with a barrier, inside one try. */
final class Access {
  private Access() {}

  /** Whether a load at {@code offset} faults. */
  static boolean faults(Window window, long offset) {
    try {
      Gateway.touch(window, offset);
      Gateway.barrier();
      return false;
    } catch (InternalError e) {
      return true;
    }
  }

  /** Loads a word that must be there. */
  static long load(Window window, long offset) {
    long word = Gateway.getLong(window, offset);
    Gateway.barrier();
    return word;
  }

  /** Stores a word that must arrive. */
  static void store(Window window, long offset, long word) {
    Gateway.putLong(window, offset, word);
    Gateway.barrier();
  }
}
