package dev.holdfast;

import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An ordered key-value store that survives the loss of the memory under it.
 *
 * <p>Keys are 1 to {@value #MAX_KEY_LENGTH} bytes, in unsigned lexicographic order; values are 0 to
 * {@value #MAX_VALUE_LENGTH} bytes.
 *
 * <h2>How far an acknowledged write has come</h2>
 *
 * When a method that writes returns, the write has come as far as the {@link PersistenceMode} that
 * the store was opened with, or the one that was passed in, says. With {@code FILE} that takes an
 * msync, which writers share: each stores, and then waits until the next commit carries what all of
 * them stored to the medium.
 *
 * <ul>
 *   <li>Others see a write from the moment it is stored, before it is acknowledged: a loss of power
 *       in between takes back what a {@code get} has returned. Who has to rely on what it read
 *       calls {@link #sync()}. A method that writes depending on what is there, {@link
 *       #putIfAbsent}, {@link #replace} or {@link #remove}, answers no earlier than what it depends
 *       on is durable, also where it changes nothing.
 *   <li>A mode weaker than that of the store acknowledges without waiting; what was written so is
 *       durable with the next commit. Writes to a leaf become durable in the order they were made:
 *       none is lost that is older than one that was acknowledged.
 *   <li>{@code FILE} on a store that was opened with {@code PROCESS} makes the whole store order
 *       its writes for it from then on: the first such operation writes everything back and may
 *       take long. Operations with no mode of their own go on not to wait.
 *   <li>{@code DAX} where the devices are no persistent memory is an {@link
 *       IllegalArgumentException}.
 *   <li>Where no leg takes a write any more that was stored and not yet acknowledged, the method
 *       throws, and it is unknown whether the write will be there.
 * </ul>
 *
 * <p><b>Threads:</b> all methods are safe for any thread, virtual ones too; interrupts break
 * nothing.
 */
public interface Store extends AutoCloseable {
  /** The longest key, in bytes. */
  int MAX_KEY_LENGTH = 4096;

  /** The longest value, in bytes. */
  int MAX_VALUE_LENGTH = 1 << 30;

  /**
   * Opens the store in a directory, creating it where it is not there: mirrored, growing by itself.
   */
  static Store open(Path directory) {
    return builder(directory).open();
  }

  /** Begins to open a store with options. */
  static StoreBuilder builder(Path directory) {
    return new StoreBuilder(directory);
  }

  /** The value of a key, a copy; null if there is none. */
  byte @Nullable [] get(byte[] key);

  /**
   * Copies the value of a key.
   *
   * @return the length of the value, or -1 if there is none; where it is larger than {@code into},
   *     nothing was copied
   */
  long get(MemorySegment key, MemorySegment into);

  /** Whether the key has a value. */
  boolean containsKey(byte[] key);

  /**
   * Calls {@code reader} with the value of a key, and returns what it made of it; null if there is
   * none.
   */
  <R extends @Nullable Object> @Nullable R read(byte[] key, ValueReader<R> reader);

  /** Sets the value of a key. When it returns, the write is acknowledged. */
  void put(byte[] key, byte[] value);

  /** As {@link #put(byte[], byte[])}, acknowledged as far as {@code mode} says. */
  void put(byte[] key, byte[] value, PersistenceMode mode);

  /** Sets the value of a key, from memory on or off the heap. */
  void put(MemorySegment key, MemorySegment value);

  /** As {@link #put(MemorySegment, MemorySegment)}, acknowledged as far as {@code mode} says. */
  void put(MemorySegment key, MemorySegment value, PersistenceMode mode);

  /** Sets the value of a key that has none; false if it has one. */
  boolean putIfAbsent(byte[] key, byte[] value);

  /** As {@link #putIfAbsent(byte[], byte[])}, acknowledged as far as {@code mode} says. */
  boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode);

  /** Sets the value of a key that has one; false if it has none. */
  boolean replace(byte[] key, byte[] value);

  /** As {@link #replace(byte[], byte[])}, acknowledged as far as {@code mode} says. */
  boolean replace(byte[] key, byte[] value, PersistenceMode mode);

  /** Sets the value of a key whose value equals {@code expected}; false if it does not. */
  boolean replace(byte[] key, byte[] expected, byte[] value);

  /** As {@link #replace(byte[], byte[], byte[])}, acknowledged as far as {@code mode} says. */
  boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode);

  /** Removes a key; false if it has no value. */
  boolean remove(byte[] key);

  /** As {@link #remove(byte[])}, acknowledged as far as {@code mode} says. */
  boolean remove(byte[] key, PersistenceMode mode);

  /**
   * Writes several operations: all of them or none, whatever happens. Readers see all of them or
   * none; a {@link Cursor} that walks on while a batch is written may see some keys from before it
   * and others from behind it, but of the keys of one step none half-way. While a batch is under
   * way other writes to its keys wait; batches come one after the other.
   *
   * <p>When it returns, the batch is acknowledged. When it throws, nothing of it was done, but for
   * {@code BatchUnsettledException}.
   *
   * @param batch what to do; it stays as it is. An empty one does nothing
   * @throws dev.holdfast.error.OutOfSpaceException if there is no room for all of it
   * @throws dev.holdfast.error.BatchUnsettledException if it was interrupted when it could not be
   *     taken back any more; says whether it is committed
   */
  void write(WriteBatch batch);

  /**
   * As {@link #write(WriteBatch)}, acknowledged at least as far as {@code mode} says; a batch never
   * is acknowledged for less than the store is.
   */
  void write(WriteBatch batch, PersistenceMode mode);

  /** Walks over a range of keys, ascending. */
  Cursor cursor(KeyRange range);

  /** Walks over a range of keys, descending. */
  Cursor reverseCursor(KeyRange range);

  /**
   * Shows the entries of a range to a visitor, without an allocation for each. What it sees is what
   * a cursor would.
   *
   * @param reverse whether to go from the greatest key down
   * @return how many entries were shown
   * @throws dev.holdfast.error.DataLostException if the scan came to where an entry is lost; those
   *     before it have been shown
   */
  long scan(KeyRange range, boolean reverse, EntryVisitor visitor);

  /**
   * Pins what the store holds now, for reads until it is closed. It takes microseconds, whatever
   * the store holds: it waits for the operations that are under way, and for nothing else.
   */
  Snapshot snapshot();

  /**
   * Carries everything that was acknowledged, however far, as far as the persistence mode of the
   * store goes: with FILE it is on the medium when this returns.
   *
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  void sync();

  /** As {@link #sync()}, as far as {@code mode} says. */
  void sync(PersistenceMode mode);

  /**
   * Writes everything anew as densely as it can be, and gives what is not used back to where the
   * legs lie, whose files keep their size and lose blocks. Operations go on meanwhile, somewhat
   * slower. An interrupt ends it early and stays set: what was done until then is kept.
   *
   * <p>Blocks that were given back are taken again, in steps, when the store needs room: a put may
   * then find that the place has none.
   *
   * @param progress is told how far it is, now and then, by the calling thread
   * @return how far it came
   * @throws IllegalStateException if the store is being compacted
   * @throws dev.holdfast.error.ReadOnlyStoreException if nothing may be written
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  CompactionProgress compact(Consumer<CompactionProgress> progress);

  /** Does what {@link #compact(Consumer)} does, and tells nobody. */
  default CompactionProgress compact() {
    return compact(_ -> {});
  }

  /**
   * Reads everything on every leg that is read, and verifies it: what finds the entries, the
   * entries themselves, and large values. What is wrong on one leg is repaired from another one
   * that is right; what is right on none is named as lost, see {@link StoreHealth#lost}. Nothing
   * that is right is written over. Operations go on meanwhile; each waits for one leaf at most.
   *
   * <p>It goes as fast as it can, on the calling thread; in the background it is done by itself,
   * see {@link StoreBuilder#scrubEvery}. An interrupt ends it early and stays set.
   *
   * @param progress is told how far it is, now and then, by the calling thread
   * @throws IllegalStateException if somebody else has asked for it, and it is under way
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  ScrubReport scrub(Consumer<ScrubProgress> progress);

  /** Does what {@link #scrub(Consumer)} does, and tells nobody. */
  default ScrubReport scrub() {
    return scrub(_ -> {});
  }

  /** How the store is. Takes no lock that operations hold; answers with every device gone. */
  StoreHealth health();

  /** Figures. Takes no lock that operations hold; answers with every device gone. */
  StoreStats stats();

  /** The devices under the legs, by index. */
  List<PmemDevice> devices();

  /**
   * What lives in a range of the legs, cold data included, ascending by offset. Offsets are the
   * same on every leg's device.
   */
  List<StoreExtent> owners(long offset, long length);

  /** Tells {@code listener} what happens from now on. */
  void addListener(HealthListener listener);

  /** Ends what {@link #addListener} began. */
  void removeListener(HealthListener listener);

  /**
   * Takes a leg whose device returned back into use, as the store does by itself where it is told
   * of the return: what the leg missed is copied from legs that hold everything, verified, and it
   * is read again. A fresh device, or one that is not as it went, is copied to as a whole.
   * Operations go on meanwhile; {@link StoreStats#resilver} says how far it is. A copy that is cut
   * off, by a close or a crash, too, goes on where it was.
   *
   * @param leg the index of the leg
   * @throws dev.holdfast.error.DeviceOfflineException if its device is not there
   */
  void online(int leg);

  /**
   * Takes a leg out of use in order, say to change its device: no operation fails, and when this
   * returns none touches the device any more. It stays out, though its device is there, until
   * {@link #online} or the next open; what it misses meanwhile is copied to it then. Harmless where
   * it is out already.
   *
   * @param leg the index of the leg
   * @throws dev.holdfast.error.LastCopyException if no other leg holds everything
   */
  void offline(int leg);

  /** Closes the store. Operations on it fail from now on; harmless when it was closed before. */
  @Override
  void close();
}
