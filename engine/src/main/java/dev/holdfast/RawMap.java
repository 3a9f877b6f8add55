package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * An ordered map from bytes to bytes, in a store: its own, or one that has a name.
 *
 * <p>Keys are 1 to {@value Store#MAX_KEY_LENGTH} bytes, in unsigned lexicographic order; values are
 * 0 to {@value Store#MAX_VALUE_LENGTH} bytes. How far a write has come when the method returns is
 * what {@link Store} says.
 *
 * <h2>Read, modify, write</h2>
 *
 * {@link #compute}, {@link #computeIfAbsent}, {@link #computeIfPresent}, {@link #merge}, {@link
 * #getAndPut}, {@link #getAndPutIfAbsent}, {@link #getAndRemove} and {@link #add} are atomic for
 * their key, against every other writer of it: puts, removals, batches, transactions.
 *
 * <ul>
 *   <li>They are optimistic: read, call the function, write if the value is still what was read;
 *       else begin again. So a function may be called more than once, with no lock held; it may use
 *       the store. It gets copies, and whatever it does to them changes nothing. Some writer of the
 *       key succeeds in every round.
 *   <li>A function that throws changes nothing; what it throws is thrown.
 *   <li>A lost value is not taken for none: {@link dev.holdfast.error.DataLostException}. {@link
 *       #put} and {@link #remove(byte[])} heal it.
 *   <li>One that changes nothing answers, as one that writes, no earlier than what it read is as
 *       durable as the mode says.
 * </ul>
 *
 * <p><b>Threads:</b> all methods are safe for any thread, virtual ones too; interrupts break
 * nothing.
 *
 * <p><b>Failure:</b> what the {@link Store} throws.
 */
public interface RawMap extends ReadableMap {
  /** The value of a key, a copy; null if there is none. */
  @Override
  byte @Nullable [] get(byte[] key);

  /**
   * Copies the value of a key.
   *
   * @return the length of the value, or -1 if there is none; where it is larger than {@code into},
   *     nothing was copied
   */
  @Override
  long get(MemorySegment key, MemorySegment into);

  /** Whether the key has a value. */
  @Override
  boolean containsKey(byte[] key);

  /**
   * Calls {@code reader} with the value of a key, and returns what it made of it; null if there is
   * none.
   *
   * @param <R> what the reader makes of a value
   * @param key the key
   * @param reader is given the value
   * @return what the reader made of it; null if there is none
   */
  <R extends @Nullable Object> @Nullable R read(byte[] key, ValueReader<R> reader);

  /**
   * Leases the value that a key has now, to be read in parts where it lies, until the lease is
   * closed; null if there is none. The value is verified as a whole first, which reads all of it
   * once. It is pinned, not copied: see {@link Lease}.
   *
   * @param key the key
   * @return the lease, to be closed; null if there is no value
   * @throws dev.holdfast.error.DataLostException if it is lost
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  @Nullable Lease lease(byte[] key);

  /**
   * Sets the value of a key. When it returns, the write is acknowledged.
   *
   * @param key the key
   * @param value the value
   */
  void put(byte[] key, byte[] value);

  /**
   * As {@link #put(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param mode how far the write has come when this returns
   */
  void put(byte[] key, byte[] value, PersistenceMode mode);

  /**
   * Sets the value of a key, from memory on or off the heap.
   *
   * @param key the key
   * @param value the value
   */
  void put(MemorySegment key, MemorySegment value);

  /**
   * As {@link #put(MemorySegment, MemorySegment)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param mode how far the write has come when this returns
   */
  void put(MemorySegment key, MemorySegment value, PersistenceMode mode);

  /**
   * Sets the value of a key to bytes from a stream, for values that the heap should not hold as a
   * whole: it takes 256 KiB of it. A stream may be as slow as it likes: nothing waits for it. When
   * this returns, the write is acknowledged; the key has its former value until then, and keeps it
   * where this throws.
   *
   * @param key the key
   * @param source is read up to the length, and not closed
   * @param length how many bytes
   * @throws java.io.EOFException if the source ends before
   * @throws IOException what the source throws
   * @throws dev.holdfast.error.HoldfastException if pages that a part of the value was stored to
   *     were lost on all legs meanwhile; else as {@link #put(byte[], byte[])}
   */
  void put(byte[] key, InputStream source, long length) throws IOException;

  /**
   * As {@link #put(byte[], InputStream, long)}, from a channel that blocks.
   *
   * @param key the key
   * @param source is read up to the length, and not closed
   * @param length how many bytes
   * @throws java.io.EOFException if the source ends before
   */
  void put(byte[] key, ReadableByteChannel source, long length) throws IOException;

  /**
   * Writes the value of a key to a stream, with no copy of all of it on the heap: it is leased, and
   * read once more to be verified before. Each byte that the target gets is right.
   *
   * @param key the key
   * @param target is neither flushed nor closed
   * @return the length of the value, or -1 if there is none
   * @throws IOException what the target throws
   * @throws dev.holdfast.error.DataLostException if it is lost; nothing was written
   * @throws dev.holdfast.error.MappingRevokedException if it was lost on the way, or its pages were
   *     needed for a write: a part of it was written
   */
  default long read(byte[] key, OutputStream target) throws IOException {
    return ValueStreams.copy(this, key, target);
  }

  /**
   * As {@link #read(byte[], OutputStream)}, to a channel that blocks.
   *
   * @param key the key
   * @param target is not closed
   * @return what the reader made of it; null if there is none
   * @throws IOException what the target throws
   */
  default long read(byte[] key, WritableByteChannel target) throws IOException {
    return ValueStreams.copy(this, key, target);
  }

  /**
   * Copies a part of the value of a key. The value is verified as a whole first, which reads all of
   * it: who reads several parts takes a {@link #lease}.
   *
   * @param key the key
   * @param offset the first byte of the value to copy; ≥ 0
   * @param into gets as much of it as there is, and as fits
   * @return how many bytes were copied, 0 where the value ends before {@code offset}; -1 if the key
   *     has no value
   */
  default long get(byte[] key, long offset, MemorySegment into) {
    return ValueStreams.copy(this, key, offset, into);
  }

  /**
   * Sets the value of a key that has none; false if it has one.
   *
   * @param key the key
   * @param value the value
   * @return false if it has one
   */
  boolean putIfAbsent(byte[] key, byte[] value);

  /**
   * As {@link #putIfAbsent(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param mode how far the write has come when this returns
   * @return false if it has one
   */
  boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode);

  /**
   * Sets the value of a key that has one; false if it has none.
   *
   * @param key the key
   * @param value the value to set
   * @return false if nothing was set
   */
  boolean replace(byte[] key, byte[] value);

  /**
   * As {@link #replace(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value to set
   * @param mode how far the write has come when this returns
   * @return false if nothing was set
   */
  boolean replace(byte[] key, byte[] value, PersistenceMode mode);

  /**
   * Sets the value of a key whose value equals {@code expected}; false if it does not.
   *
   * @param key the key
   * @param expected the value that the key has to have
   * @param value the value to set
   * @return false if nothing was set
   */
  boolean replace(byte[] key, byte[] expected, byte[] value);

  /**
   * As {@link #replace(byte[], byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param expected the value that the key has to have
   * @param value the value to set
   * @param mode how far the write has come when this returns
   * @return false if nothing was set
   */
  boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode);

  /**
   * Removes a key; false if it has no value.
   *
   * @param key the key
   * @return false if nothing was removed
   */
  boolean remove(byte[] key);

  /**
   * As {@link #remove(byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param mode how far the write has come when this returns
   * @return false if nothing was removed
   */
  boolean remove(byte[] key, PersistenceMode mode);

  /**
   * Removes a key whose value equals {@code expected}; false if it does not.
   *
   * @param key the key
   * @param expected the value that the key has to have
   * @return false if nothing was removed
   */
  boolean remove(byte[] key, byte[] expected);

  /**
   * As {@link #remove(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param expected the value that the key has to have
   * @param mode how far the write has come when this returns
   * @return false if nothing was removed
   */
  boolean remove(byte[] key, byte[] expected, PersistenceMode mode);

  /**
   * Sets the value of a key to what a function makes of the one it has.
   *
   * @param key the key
   * @param function is given the key and its value, null if there is none; returns the value to
   *     set, or null to have none
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] compute(
      byte[] key, BiFunction<byte[], byte @Nullable [], byte @Nullable []> function);

  /**
   * As {@link #compute(byte[], BiFunction)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param function as there
   * @param mode how far the write has come when this returns
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] compute(
      byte[] key,
      BiFunction<byte[], byte @Nullable [], byte @Nullable []> function,
      PersistenceMode mode);

  /**
   * Sets the value of a key that has none to what a function gives for the key.
   *
   * @param key the key
   * @param function returns the value to set, or null to set none
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] computeIfAbsent(byte[] key, Function<byte[], byte @Nullable []> function);

  /**
   * As {@link #computeIfAbsent(byte[], Function)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param function as there
   * @param mode how far the write has come when this returns
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] computeIfAbsent(
      byte[] key, Function<byte[], byte @Nullable []> function, PersistenceMode mode);

  /**
   * Sets the value of a key that has one to what a function makes of it.
   *
   * @param key the key
   * @param function is given the key and its value; returns the value to set, or null to have none
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] computeIfPresent(
      byte[] key, BiFunction<byte[], byte[], byte @Nullable []> function);

  /**
   * As {@link #computeIfPresent(byte[], BiFunction)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param function as there
   * @param mode how far the write has come when this returns
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] computeIfPresent(
      byte[] key, BiFunction<byte[], byte[], byte @Nullable []> function, PersistenceMode mode);

  /**
   * Sets the value of a key to {@code value} if it has none, else to what a function makes of the
   * one it has and {@code value}.
   *
   * @param key the key
   * @param value the value to set, or to make one of
   * @param function is given the former value and {@code value}; returns the value to set, or null
   *     to have none
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] merge(
      byte[] key, byte[] value, BiFunction<byte[], byte[], byte @Nullable []> function);

  /**
   * As {@link #merge(byte[], byte[], BiFunction)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value to set, or to make one of
   * @param function as there
   * @param mode how far the write has come when this returns
   * @return the value that the key has now; null if there is none
   */
  byte @Nullable [] merge(
      byte[] key,
      byte[] value,
      BiFunction<byte[], byte[], byte @Nullable []> function,
      PersistenceMode mode);

  /**
   * Sets the value of a key; the one that it had, null if there was none.
   *
   * @param key the key
   * @param value the value
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndPut(byte[] key, byte[] value);

  /**
   * As {@link #getAndPut(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param mode how far the write has come when this returns
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndPut(byte[] key, byte[] value, PersistenceMode mode);

  /**
   * Sets the value of a key that has none; null if it did that, else the value that there is.
   *
   * @param key the key
   * @param value the value
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndPutIfAbsent(byte[] key, byte[] value);

  /**
   * As {@link #getAndPutIfAbsent(byte[], byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param mode how far the write has come when this returns
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndPutIfAbsent(byte[] key, byte[] value, PersistenceMode mode);

  /**
   * Removes a key; the value that it had, null if there was none.
   *
   * @param key the key
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndRemove(byte[] key);

  /**
   * As {@link #getAndRemove(byte[])}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param mode how far the write has come when this returns
   * @return the value that it had; null if there was none
   */
  byte @Nullable [] getAndRemove(byte[] key, PersistenceMode mode);

  /**
   * Adds to a counter: a value of 8 bytes, a signed number with its most significant byte first. A
   * key with no value counts as 0.
   *
   * @param key the key
   * @param delta what is added, negative to subtract
   * @return the sum
   * @throws IllegalStateException if the value is of another length; it stays as it is
   * @throws ArithmeticException if the sum is no 64-bit number; the counter stays as it is
   */
  long add(byte[] key, long delta);

  /**
   * As {@link #add(byte[], long)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param delta what is added, negative to subtract
   * @param mode how far the write has come when this returns
   * @return the sum
   */
  long add(byte[] key, long delta, PersistenceMode mode);

  /** Walks over a range of keys, ascending. */
  @Override
  Cursor cursor(KeyRange range);

  /** Walks over a range of keys, descending. */
  @Override
  Cursor reverseCursor(KeyRange range);

  /**
   * Shows the entries of a range to a visitor, without an allocation for each. What it sees is what
   * a cursor would.
   *
   * @param range which keys
   * @param reverse whether to go from the greatest key down
   * @param visitor is shown each entry
   * @return how many entries were shown
   * @throws dev.holdfast.error.DataLostException if the scan came to where an entry is lost; those
   *     before it have been shown
   */
  long scan(KeyRange range, boolean reverse, EntryVisitor visitor);
}
