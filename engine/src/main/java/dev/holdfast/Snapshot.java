package dev.holdfast;

import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a store held at one moment, as a whole: every write that was acknowledged before it was
 * taken, none that began after that, and of those in between whatever belongs to one order of them.
 *
 * <p>As long as it is open, the store keeps the values that it shows and that were replaced or
 * removed since; so it is to be closed. What may be kept is bounded: see {@link
 * StoreBuilder#snapshotBytes}. One that is forgotten is reported to the log when it is found, with
 * the time when it was taken, and ends. It does not outlive the store, nor a reopen.
 *
 * <p><b>Threads:</b> all methods are safe for any thread, virtual ones too; cursors are for one at
 * a time.
 *
 * <p><b>Failure:</b> reads throw {@link dev.holdfast.error.DataLostException} where the value may
 * have been lost, before or since the snapshot was taken; {@link
 * dev.holdfast.error.SnapshotTooOldException} once the store ended it to make room; {@link
 * dev.holdfast.error.StoreClosedException} once it or the store is closed; else what the same reads
 * of the {@link Store} do.
 */
public interface Snapshot extends ReadableMap, AutoCloseable {
  /** The value of a key, a copy; null if there was none. */
  @Override
  byte @Nullable [] get(byte[] key);

  /**
   * Copies the value of a key.
   *
   * @return the length of the value, or -1 if there was none; where it is larger than {@code into},
   *     nothing was copied
   */
  @Override
  long get(MemorySegment key, MemorySegment into);

  /** Whether the key had a value. */
  @Override
  boolean containsKey(byte[] key);

  /** Walks over a range of keys, ascending: exactly over the entries of the snapshot. */
  @Override
  Cursor cursor(KeyRange range);

  /** Walks over a range of keys, descending: exactly over the entries of the snapshot. */
  @Override
  Cursor reverseCursor(KeyRange range);

  /**
   * {@return a map that had this name at that moment; null if there was none} What it was called
   * since, or that it was dropped, changes nothing.
   *
   * @param name the name
   */
  @Nullable ReadableMap map(String name);

  /** {@return the names that maps had at that moment, in the order of their characters} */
  List<String> mapNames();

  /**
   * {@return its place in the order of all writes of the store: of two snapshots, the one with the
   * higher sequence holds all that the other one's writes left, and what came later}
   */
  long sequence();

  /** {@return when it was taken} */
  Instant takenAt();

  /** Ends it; cursors over it throw from now on. Harmless when it was closed before. */
  @Override
  void close();
}
