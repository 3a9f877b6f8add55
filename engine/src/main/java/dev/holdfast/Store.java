package dev.holdfast;

import dev.holdfast.codec.Codec;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
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
public interface Store extends RawMap, VolumeAdmin, AutoCloseable {
  /** The longest key, in bytes. */
  int MAX_KEY_LENGTH = 4096;

  /** The longest value, in bytes. */
  int MAX_VALUE_LENGTH = 1 << 30;

  /**
   * Opens the store in a directory, creating it where it is not there: mirrored, growing by itself.
   *
   * @param directory where the store lies
   * @return the store; to be closed
   */
  static Store open(Path directory) {
    return builder(directory).open();
  }

  /**
   * Reads and verifies the store in a directory, which nobody has open, and changes nothing: see
   * {@link StoreBuilder#verify}.
   *
   * @param directory where the store lies
   * @return what was found
   */
  static VerifyReport verify(Path directory) {
    return builder(directory).verify();
  }

  /**
   * Begins to open a store with options.
   *
   * @param directory where the store lies
   * @return the options
   */
  static StoreBuilder builder(Path directory) {
    return new StoreBuilder(directory);
  }

  /**
   * A map of its own name in this store, which is made where there is none. It is a second space of
   * keys: the same key has another value there. Ask for it as often as you like: it is always the
   * same.
   *
   * <p>At most 254 maps have names. What a batch or a transaction writes to several maps of a store
   * counts together; a {@link Snapshot} and a backup hold all of them.
   *
   * @param name 1 to 255 bytes in UTF-8, no control characters
   * @return the map; an {@link ExpiringMap} where it was made as one
   * @throws IllegalArgumentException if the name is none
   * @throws IllegalStateException if there are 254 maps
   * @throws dev.holdfast.error.DataLostException if it is lost which maps there are
   * @throws dev.holdfast.error.ReadOnlyStoreException if it is not there, and nothing may be
   *     written
   */
  NamedMap map(String name);

  /**
   * As {@link #map(String)}, with keys and values of types.
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @param name as for {@link #map(String)}
   * @param keys turns keys into bytes, in their order where that is to mean something
   * @param values turns values into bytes
   * @return the map; it knows no types by itself: the codecs have to be those of the time before
   */
  default <K, V> TypedMap<K, V> map(String name, Codec<K> keys, Codec<V> values) {
    return TypedMap.of(map(name), keys, values);
  }

  /**
   * As {@link #map(String)}, of a map whose entries may have deadlines.
   *
   * @param name the name
   * @return the map
   * @throws IllegalArgumentException if there is a map of this name that was made without
   */
  ExpiringMap expiringMap(String name);

  /** {@return the names of the maps that have one, in the order of their characters} */
  List<String> mapNames();

  /**
   * Drops a map with all its entries, whatever it holds in milliseconds: their room is given back
   * in the background, also behind a crash. When this returns, the map is gone for good; who uses
   * it gets a {@link dev.holdfast.error.MapDroppedException}, and {@link #map(String)} makes an
   * empty one of that name. Snapshots from before show it still.
   *
   * @param name the name
   * @return false if there is no map of this name
   */
  boolean dropMap(String name);

  /**
   * Gives a map another name; who has it goes on using it.
   *
   * @param from where it begins
   * @param to where it ends
   * @throws IllegalArgumentException if there is none of the name {@code from}, or one of the name
   *     {@code to}
   */
  void renameMap(String from, String to);

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
   *
   * @param batch what to do
   * @param mode how far
   */
  void write(WriteBatch batch, PersistenceMode mode);

  /**
   * Begins a transaction on what the store holds now.
   *
   * @return the transaction; to be closed
   */
  Transaction transaction();

  /**
   * Runs a body in a transaction and commits it; again, on what there is then, where that conflicts
   * with other writes, after a short wait that grows from one time to the next.
   *
   * @param <R> what the body returns
   * @param body reads and writes by the transaction it gets, and does nothing else that counts: it
   *     may be run several times. What it throws is thrown, and nothing was done
   * @return what the body returned the time that counted
   * @throws dev.holdfast.error.ConflictException if it conflicted 100 times
   */
  default <R extends @Nullable Object> R transact(Function<? super Transaction, R> body) {
    return Retries.transact(this, body);
  }

  /**
   * {@return writes that the calling thread does not wait for: each is acknowledged by a future, as
   * far as the persistence mode of the store goes}
   */
  AsyncWrites async();

  /**
   * Pins what the store holds now, for reads until it is closed. It takes microseconds, whatever
   * the store holds: it waits for the operations that are under way, and for nothing else.
   *
   * @return the snapshot; to be closed
   */
  Snapshot snapshot();

  /**
   * Copies what the store holds now, of one moment, to a store of its own: a backup, which is
   * opened where it lies, or copied to where it is wanted. Operations go on meanwhile. It has one
   * leg, and is on the medium when this returns.
   *
   * <p>It is made in a directory beside, named {@code NAME.unfinished-…}, which gets its name once
   * it is whole, and is removed where this throws. What the death of the process left of one is to
   * be removed by hand. It takes as much heap as the largest value.
   *
   * @param directory where nothing is yet, in a directory that is there
   * @return what was copied
   * @throws IllegalArgumentException if something is there
   * @throws dev.holdfast.error.OutOfSpaceException if it has no room there
   * @throws dev.holdfast.error.DataLostException if an entry is lost, see {@link
   *     CheckpointOptions#leaveOutLost}
   * @throws dev.holdfast.error.SnapshotTooOldException if more was overwritten meanwhile than may
   *     be kept, see {@link StoreBuilder#snapshotBytes}
   * @throws dev.holdfast.error.DeviceIoException if the place cannot be written to
   * @throws dev.holdfast.error.DeviceOfflineException if no leg of this store can be reached
   */
  default CheckpointReport checkpoint(Path directory) {
    return checkpoint(directory, new CheckpointOptions());
  }

  /**
   * Does what {@link #checkpoint(Path)} does, with options.
   *
   * @param directory where nothing is yet, or an earlier checkpoint of this store that is to be
   *     brought up to date, see {@link CheckpointOptions#update}; in a directory that is there
   * @param options what else it is told
   * @return what was copied
   * @throws dev.holdfast.error.StoreLockedException if the earlier checkpoint is open
   */
  CheckpointReport checkpoint(Path directory, CheckpointOptions options);

  /**
   * Carries everything that was acknowledged, however far, as far as the persistence mode of the
   * store goes: with FILE it is on the medium when this returns.
   *
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  void sync();

  /**
   * As {@link #sync()}, as far as {@code mode} says.
   *
   * @param mode how far
   */
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

  /**
   * Does what {@link #compact(Consumer)} does, and tells nobody.
   *
   * @return how far it came
   */
  default CompactionProgress compact() {
    return compact(_ -> {});
  }

  /**
   * {@return the BULK volume, see {@link StoreBuilder#bulk}; null if the store has none, or it
   * could not be opened yet} Its legs can be attached, replaced and so on as those of the store,
   * and it is scrubbed by itself. It ends with the store.
   */
  @Nullable VolumeAdmin bulk();

  /**
   * Closes the store in order: what is under way ends or is told, everything is flushed. Operations
   * on it fail from now on; harmless when it was closed before.
   *
   * <p>It takes as long as the media need to take what is not on them, one flush after the other;
   * for what {@link #async} has taken it waits 2 seconds at most. Where one flush has no answer for
   * 0.4 s, and the close has taken 0.6 s, the medium counts as one that hangs: the store was closed
   * as by {@link #forceClose} then. Nothing that was acknowledged is lost by that; the next open
   * takes longer.
   */
  @Override
  void close();

  /**
   * Ends the store at once, as the death of the process would, but for the process: nothing is
   * flushed and nothing waited for. What was acknowledged is there at the next open, as far as the
   * persistence mode goes, which then reads what was written last. Operations under way are told
   * that the store is closed. Returns within about a second, whatever hangs, also while a {@link
   * #close} waits, which returns, too; harmless when the store was closed before.
   *
   * <p>Where a device does not even let go of its file, the directory stays locked until it does or
   * the process ends.
   */
  void forceClose();
}
