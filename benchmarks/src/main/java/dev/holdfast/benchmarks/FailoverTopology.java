package dev.holdfast.benchmarks;

import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.IntStream;

/** On how many legs the store lies. */
enum FailoverTopology {
  /** One leg: what is lost has no other copy. */
  SINGLE(1),
  /** Two legs. */
  MIRROR(2),
  /** Three legs. */
  MIRROR3(3);

  private final int legs;

  FailoverTopology(int legs) {
    this.legs = legs;
  }

  int legs() {
    return legs;
  }

  boolean isMirrored() {
    return legs > 1;
  }

  /** The device files of a store in a directory. */
  Path[] files(Path directory) {
    return IntStream.range(0, legs)
        .mapToObj(leg -> directory.resolve("leg-" + leg + ".pmem"))
        .toArray(Path[]::new);
  }

  /** As on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
