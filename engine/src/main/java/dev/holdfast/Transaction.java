package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;

/**
 * Reads and writes that count together, at one moment, or not at all.
 *
 * <p>It reads the store as it was when it began, and what it has written itself; others see nothing
 * of it before {@link #commit}. That looks whether all that was read still is so, keys that were
 * not there and ranges without the keys that came into them included, and does all that was written
 * at that very moment; or it throws a {@link dev.holdfast.error.ConflictException}, and nothing was
 * done. So transactions are serializable, with one another and with every other write: each is as
 * if it had been alone at the moment of its commit. One that only read is as if it had been alone
 * when it began, and never conflicts. What was written without being read conflicts with nobody:
 * the last one counts.
 *
 * <p>No lock is held before the commit. During it, writers of keys that were read or are written
 * wait, and where ranges were read, all writers do: a few microseconds, and one for each key that
 * was read. A range counts as far as a cursor has come.
 *
 * <p><b>Lifetime:</b> until it is committed or closed. It holds a {@link Snapshot}: one that is
 * kept for long ends as that does ({@link dev.holdfast.error.SnapshotTooOldException}).
 * <b>Threads:</b> one at a time. <b>Limits:</b> what it writes is kept in memory, and may be 1 GiB
 * together.
 */
public interface Transaction extends TransactionMap, AutoCloseable {
  /**
   * Another map of the same store within this transaction.
   *
   * @param map a map that {@link Store#map} gave out
   * @return that map, within this transaction
   * @throws IllegalArgumentException if it is of another store
   */
  TransactionMap in(RawMap map);

  /**
   * Does what was written, and ends the transaction, whatever comes of it. When it returns, it is
   * acknowledged.
   *
   * @throws dev.holdfast.error.ConflictException if something that was read was changed
   * @throws dev.holdfast.error.BatchUnsettledException as {@link Store#write} throws it
   * @throws IllegalStateException if it has ended
   */
  void commit();

  /**
   * As {@link #commit()}, acknowledged at least as far as {@code mode} says.
   *
   * @param mode how far it has come when this returns
   */
  void commit(PersistenceMode mode);

  /** Ends it; what was not committed is forgotten. Harmless when it has ended. */
  @Override
  void close();
}
