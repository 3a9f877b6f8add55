package dev.holdfast;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Writes that the calling thread does not wait for. They go to a ring; one thread stores them in
 * the order in which they came, and what it finds there at once it makes durable at once. It pays
 * where durable takes an msync, and many writes are on their way; where a put waits for no medium,
 * {@link Store#put} is faster.
 *
 * <p>A future completes when the write is acknowledged, as far as the persistence mode of the store
 * goes; or exceptionally, by what the same method of {@link Store} throws. A write that fails fails
 * alone, unless no leg takes any. Until it completes it is unknown whether the write is there:
 * others may see it before. To cancel a future does not take the write back.
 *
 * <p>Order: writes of one thread are stored in the order in which it asked for them, also across
 * keys. Their futures complete in no order: each on a virtual thread of its own, which runs the
 * actions that hang on it. An action may block or throw, and keeps nobody but itself.
 *
 * <p>How much is on its way is bounded, see {@link StoreBuilder#asyncRing} and {@link
 * StoreBuilder#asyncBytes}: beyond that a call waits until something was stored, or, where its name
 * begins with {@code try}, does nothing. Keys and values are copied by the call.
 *
 * <p>A close completes what was taken, for up to 2 seconds while the media answer; what is left
 * then, and all of it where the store is closed by force, completes by {@link
 * dev.holdfast.error.StoreClosedException}: it may have been stored.
 *
 * <p><b>Threads:</b> any, virtual ones too. An interrupt does not end a wait; it is kept. All
 * methods throw {@link dev.holdfast.error.StoreClosedException} where the store is closed.
 */
public interface AsyncWrites {
  /**
   * Sets the value of a key.
   *
   * @param key the key
   * @param value the value
   * @return a future that is complete when the write is acknowledged
   */
  CompletableFuture<Void> put(byte[] key, byte[] value);

  /**
   * As {@link #put}, if there is room for it now; nothing is done where that is empty.
   *
   * @param key the key
   * @param value the value
   * @return as there; empty if there was no room
   */
  Optional<CompletableFuture<Void>> tryPut(byte[] key, byte[] value);

  /**
   * Removes a key; false if it had no value.
   *
   * @param key the key
   * @return a future that is complete when the removal is acknowledged, with false if the key had
   *     no value
   */
  CompletableFuture<Boolean> remove(byte[] key);

  /**
   * As {@link #remove}, if there is room for it now; nothing is done where that is empty.
   *
   * @param key the key
   * @return as there; empty if there was no room
   */
  Optional<CompletableFuture<Boolean>> tryRemove(byte[] key);

  /**
   * Writes several operations: all of them or none, as {@link Store#write} does.
   *
   * @param batch what to do. It is not copied: it must not be changed, or written again, before the
   *     future is completed, which is a {@link java.util.ConcurrentModificationException}
   * @return a future that is complete when the batch is acknowledged
   */
  CompletableFuture<Void> write(WriteBatch batch);

  /**
   * As {@link #write}, if there is room for it now; nothing is done where that is empty.
   *
   * @param batch what to do; not to be changed before the future is complete
   * @return as there; empty if there was no room
   */
  Optional<CompletableFuture<Void>> tryWrite(WriteBatch batch);
}
