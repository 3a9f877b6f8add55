package dev.holdfast.benchmarks;

/**
 * How many threads read and write back to back.
 *
 * @param name what to call it
 * @param readers threads that read, ≥ 0
 * @param writers threads that write, ≥ 0
 */
record LoadMix(String name, int readers, int writers) {
  LoadMix {
    if (readers < 0 || writers < 0 || readers + writers < 1) {
      throw new IllegalArgumentException(
          "load: expected one reader or writer or more, was "
              + readers
              + " readers and "
              + writers
              + " writers");
    }
  }

  /** The loads that the command line has names for. */
  enum Named {
    READ,
    MIXED,
    WRITE;

    /** With the numbers of threads of {@link #MIXED}; the others have one kind alone. */
    LoadMix of(int readers, int writers) {
      return switch (this) {
        case READ -> new LoadMix("read", readers, 0);
        case MIXED -> new LoadMix("mixed", readers, writers);
        case WRITE -> new LoadMix("write", 0, writers);
      };
    }
  }
}
