package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The BULK volume of a store, as its tree sees it: large values, each at a <em>place</em> of its
 * own that is used once. A place is the key in the tree, and eight bytes that no other value of
 * that key has; so it says whose value lies there.
 *
 * <p>What is stored here is durable, as far as the mode of the put goes and that of the volume,
 * before a record leads to it. What no record leads to any more is removed later.
 *
 * <p><b>Threads:</b> any. All but {@link #remove} and {@link #settled} wait for devices, and are
 * called outside of operations and with no lock held. <b>Errors:</b> {@link DeviceOfflineException}
 * while the volume is away, {@link DataLostException} where no leg of it holds the value any more.
 */
public interface BulkSpace {
  /** The bytes of a place that tell the values of one key apart. */
  int NUMBER = Long.BYTES;

  /**
   * Stores a value, to which a record is going to lead: until it does, see {@link #settled}.
   *
   * @param mode how far to carry it at least
   */
  void store(byte[] place, byte[] value, PersistenceMode mode);

  /** Stores a value from memory anywhere. */
  void store(byte[] place, MemorySegment value, PersistenceMode mode);

  /**
   * Stores what a source gives.
   *
   * @throws IOException what the source throws; nothing is stored then
   */
  void store(byte[] place, ValueSource source, long length, PersistenceMode mode)
      throws IOException;

  /**
   * The value at a place; null if there is none.
   *
   * @param length how long it is
   */
  byte @Nullable [] load(byte[] place, long length);

  /** Copies the value at a place, which is so long; its length, or -1 if there is none. */
  long load(byte[] place, long length, MemorySegment into);

  /** Leases the value at a place; null if there is none. */
  @Nullable TreeLease lease(byte[] place);

  /**
   * Whoever stored the value has led a record there, or never will.
   *
   * @return whether something may be there
   */
  boolean settled(byte[] place);

  /** Records are about to be carried farther than by the mode of the store: values before them. */
  void raise();

  /** No record leads there any more; the value goes once that is durable. */
  void remove(byte[] place);

  /** There may be values to which nothing leads, and of which nobody knows: they are looked for. */
  void lookForOthers();
}
