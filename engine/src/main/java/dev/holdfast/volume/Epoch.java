package dev.holdfast.volume;

/**
 * Names one arrangement of the legs. The counter orders epochs of one history; the random id tells
 * two histories with the same counter apart.
 *
 * @param counter grows by one with every change
 * @param id random, not 0
 */
public record Epoch(long counter, long id) {
  /** Before the first. */
  public static final Epoch NONE = new Epoch(0, 0);

  Epoch next(java.util.random.RandomGenerator random) {
    long id;
    do {
      id = random.nextLong();
    } while (id == 0);
    return new Epoch(counter + 1, id);
  }

  @Override
  public String toString() {
    return counter + "-" + Long.toHexString(id);
  }
}
