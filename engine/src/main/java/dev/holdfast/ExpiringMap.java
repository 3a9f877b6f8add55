package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A map whose entries may have a deadline each, from which on they are absent: for every read and
 * write at once, whatever is left of them. What they took is given back in the background, see
 * {@link StoreBuilder#sweepExpiredEvery}.
 *
 * <ul>
 *   <li>{@link #put(byte[], byte[])} and {@link #putIfAbsent(byte[], byte[])}, batches and
 *       transactions set entries with no deadline. What depends on the value before it, {@link
 *       #replace}, {@link #compute}, {@link #merge}, {@link #add} and their like, keeps the
 *       deadline of the entry that is there.
 *   <li>A deadline is a time of day, in milliseconds, by the clock of the machine or {@link
 *       StoreBuilder#clock}, and means the same behind a reopen. Where the clock is put back, an
 *       entry that was not yet swept is there again.
 *   <li>A {@link Snapshot} shows what had not expired when it was taken, as long as it is held.
 *   <li>Values are 8 bytes shorter at most than those of other maps. Reads copy a value on the
 *       heap.
 * </ul>
 */
public interface ExpiringMap extends NamedMap {
  /**
   * Sets the value of a key, until some time from now.
   *
   * @param key the key
   * @param value the value
   * @param timeToLive how long from now on; more than 0
   */
  void put(byte[] key, byte[] value, Duration timeToLive);

  /**
   * As {@link #put(byte[], byte[], Duration)}, acknowledged as far as {@code mode} says.
   *
   * @param key the key
   * @param value the value
   * @param timeToLive how long from now on; more than 0
   * @param mode how far the write has come when this returns
   */
  void put(byte[] key, byte[] value, Duration timeToLive, PersistenceMode mode);

  /**
   * Sets the value of a key, until some time of day.
   *
   * @param key the key
   * @param value the value
   * @param deadline when it is absent; one that is past leaves the key with no value
   */
  void putUntil(byte[] key, byte[] value, Instant deadline);

  /**
   * Sets the value of a key that has none, until some time from now; false if it has one.
   *
   * @param key the key
   * @param value the value
   * @param timeToLive how long from now on; more than 0
   * @return false if it has one
   */
  boolean putIfAbsent(byte[] key, byte[] value, Duration timeToLive);

  /**
   * When the entry of a key expires.
   *
   * @param key the key
   * @return {@link Instant#MAX} if it never does; null if there is no entry
   */
  @Nullable Instant deadline(byte[] key);

  /**
   * Gives the entry of a key another deadline; false if there is no entry.
   *
   * @param key the key
   * @param deadline {@link Instant#MAX} to have none
   * @return false if there is no entry
   */
  boolean setDeadline(byte[] key, Instant deadline);
}
