package dev.holdfast.benchmarks.contender;

/**
 * A load in the largest batches that the contender is good at: what was put is there when closed.
 *
 * <p><b>Threads:</b> the one that made it.
 */
public interface Bulk extends AutoCloseable {
  /** Adds an entry. */
  void put(byte[] keys, int keyOffset, byte[] values, int valueOffset);

  @Override
  void close();
}
