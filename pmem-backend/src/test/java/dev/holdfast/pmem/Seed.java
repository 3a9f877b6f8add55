package dev.holdfast.pmem;

/** Where the randomness of a test comes from; {@code -Dseed=} replays it. */
final class Seed {
  private Seed() {}

  /** A seed of its own for each run, printed. */
  static long next(String test) {
    Long given = Long.getLong("seed");
    long seed = given != null ? given : System.nanoTime();
    System.out.println(test + ": -Dseed=" + seed);
    return seed;
  }
}
