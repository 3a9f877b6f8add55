package dev.holdfast;

import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/**
 * How a volume of a store is, and what can be done about it: its legs and their devices, what is
 * wrong with them, and what was lost. A {@link Store} is that of the volume with its entries;
 * {@link Store#bulk} has that of the BULK volume, of which all that is said here of the store
 * holds, too.
 *
 * <p><b>Threads:</b> any.
 */
public interface VolumeAdmin {
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
   * @return what was found
   * @throws IllegalStateException if somebody else has asked for it, and it is under way
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached
   */
  ScrubReport scrub(Consumer<ScrubProgress> progress);

  /**
   * Does what {@link #scrub(Consumer)} does, and tells nobody.
   *
   * @return what was found
   */
  default ScrubReport scrub() {
    return scrub(_ -> {});
  }

  /**
   * {@return how the store is} Takes no lock that operations hold; answers with every device gone.
   */
  StoreHealth health();

  /**
   * {@return which ranges of the legs are bad or were, by leg} What is on record belongs to the
   * device of a leg, by its UUID: it is there after a reopen, and goes where the device goes. A
   * range is UNACKED, ACKED, CLEARED, see {@link dev.holdfast.health.RangeState}; one that was
   * cleared is forgotten after 90 days in which it did not fail. What is bad is tried again every
   * second, and by each scrub.
   *
   * <p>Takes no lock that operations hold; answers with every device gone.
   */
  List<BadRanges> badRanges();

  /**
   * Clears what is bad in a range of a leg: rewrites it from another leg, and reads it back. What
   * no leg holds is cleared only where nobody owns it. When this returns, nothing in the range is
   * bad any more; harmless where nothing was. What was lost stays lost until it is written.
   *
   * <p>Operations go on meanwhile. It waits 10 seconds for repairs that are under way.
   *
   * @param leg the index of the leg
   * @param offset the first byte, as {@link #badRanges} has it
   * @param length the number of bytes, ≥ 1
   * @throws dev.holdfast.error.ClearFailedException if any part of it is bad still: the medium
   *     refused, the leg is not in use, writes were stopped, or no leg holds what lives there
   */
  void clearBadRange(int leg, long offset, long length);

  /**
   * Does what {@link #clearBadRange} does, and gives up what no leg holds any more: it is named as
   * lost first, see {@link StoreHealth#lost}. Metadata is never given up.
   *
   * @param leg the index of the leg
   * @param offset the first byte
   * @param length the number of bytes
   */
  void clearBadRangeAcceptingLoss(int leg, long offset, long length);

  /** {@return figures} Takes no lock that operations hold; answers with every device gone. */
  StoreStats stats();

  /** {@return the devices under the legs, by index} */
  List<PmemDevice> devices();

  /**
   * {@return what lives in a range of the legs, cold data included, ascending by offset} Offsets
   * are the same on every leg's device. Takes no lock: what writers move meanwhile may be missed.
   *
   * @param offset the first byte
   * @param length the number of bytes
   */
  List<StoreExtent> owners(long offset, long length);

  /**
   * Tells {@code listener} what happens from now on.
   *
   * @param listener who is told
   */
  void addListener(HealthListener listener);

  /**
   * Ends what {@link #addListener} began.
   *
   * @param listener who is told
   */
  void removeListener(HealthListener listener);

  /**
   * Takes a leg whose device returned back into use, as the store does by itself where it is told
   * of the return: what the leg missed is copied from legs that hold everything, verified, and it
   * is read again. A fresh device, or one that is not as it went, is copied to as a whole.
   * Operations go on meanwhile; {@link StoreStats#resilver} says how far it is. A copy that is cut
   * off, by a close or a crash, too, goes on where it was.
   *
   * @param leg the index of the leg
   * @throws dev.holdfast.error.DeviceOfflineException if its device is not there, or the medium of
   *     a leg does not answer: the copy goes on by itself then
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
   * @throws dev.holdfast.error.DeviceOfflineException if the medium of a leg does not answer: it is
   *     done once it does, or the leg is expelled, see {@link StoreBuilder#expelAfter}
   */
  void offline(int leg);

  /**
   * Adds a leg to the mirror: makes a device at {@code place}, as large as the others are now, and
   * copies everything to it. Operations go on meanwhile, and none fails by it; from the begin on
   * what is written goes to the new leg, too, and once it holds everything it is read. The store is
   * DEGRADED until then. When this returns the leg is ONLINE, and every later open finds it, also
   * one that is not told where it lies.
   *
   * <p>It takes as long as the copy does: {@link StoreStats#resilver} says how far it is, {@link
   * StoreBuilder#resilverRate} how fast it may be. Several at once come one after the other. Who is
   * interrupted waits all the same. Where the store is closed or its process dies meanwhile the
   * next open goes on with the copy; where the new device fails, it is taken out again.
   *
   * @param place a file that is not there yet, in a directory that is
   * @return the index of the leg: the first that is free
   * @throws IllegalArgumentException if something is at that place, be it a leg of this store or
   *     another one, a device that was detached, or any file; says what. Nothing changed then
   * @throws IllegalStateException if the store has 8 legs, or the leg was detached meanwhile
   * @throws dev.holdfast.error.OutOfSpaceException if the place has no room for all that the store
   *     holds; nothing changed then
   * @throws dev.holdfast.error.DeviceIoException if the device or the note of its place cannot be
   *     written; nothing changed then
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   * @throws dev.holdfast.error.DeviceOfflineException if a leg was lost, so that the copy did not
   *     come to its end. Unless it was the new one, which is taken out again, the store tries again
   *     by itself
   * @throws dev.holdfast.error.StoreClosedException if the store is closed
   */
  int attach(Path place);

  /**
   * Takes a leg out of the mirror for good: no operation fails, and when this returns none touches
   * the device any more, nothing misses it, and the store can be ONLINE without it. Its file stays
   * where it is, and never is a leg of this store again: remove it. The indexes of other legs stay;
   * the place is {@code DETACHED} until another leg is attached, which gets it.
   *
   * <p>The device need not be there. It waits for operations that are under way, for 6 seconds at
   * most, and for the region that is being copied or repaired.
   *
   * @param leg the index of the leg
   * @throws dev.holdfast.error.LastCopyException if no other leg holds everything, be it because
   *     something of it is being repaired; nothing changed then
   * @throws IllegalArgumentException if there is no such leg, or it was detached
   * @throws dev.holdfast.error.ReadOnlyStoreException if writes were stopped
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached, or the medium of
   *     one does not answer: it is done once it does, or the leg is expelled
   * @throws dev.holdfast.error.StoreClosedException if the store is closed
   */
  void detach(int leg);

  /**
   * Has a new device take the place of a leg, which may be away: does what {@link #attach} does,
   * and once the copy is complete what {@link #detach} does. There is no moment with one copy less.
   * What was asked for is durable: where the store is closed or its process dies meanwhile, the
   * next open goes on with the copy and takes the former leg out then; if the new device never got
   * as far as to be a leg, it is removed and all is as before.
   *
   * @param leg the index of the leg that goes
   * @param place where the new device is made, as for {@link #attach}
   * @return the index of the new leg
   * @throws IllegalArgumentException if there is no such leg, or as {@link #attach} does
   * @throws IllegalStateException if the leg is being replaced, or as {@link #attach} does
   * @throws dev.holdfast.error.LastCopyException if the new leg lost something before the former
   *     one went: both are legs then, and the former one goes as soon as that is repaired
   * @throws dev.holdfast.error.OutOfSpaceException as {@link #attach} does
   * @throws dev.holdfast.error.DeviceIoException as {@link #attach} does
   * @throws dev.holdfast.error.DeviceOfflineException as {@link #attach} does
   * @throws dev.holdfast.error.ReadOnlyStoreException as {@link #attach} does
   * @throws dev.holdfast.error.StoreClosedException if the store is closed
   */
  int replace(int leg, Path place);

  /**
   * Takes writes up again that were stopped, once what stopped them is gone: a witness that could
   * not be written, by its directory that was full or away; superblocks that were poisoned, which
   * are written anew; a policy that stopped writes. What is on the devices is read again; reads
   * wait outside meanwhile, as offline. Harmless where writes were not stopped.
   *
   * <p>Returns within about a second, also with every device gone or hanging. Where the devices
   * cannot be read again, nothing is served until the store is opened again.
   *
   * @throws dev.holdfast.error.ReadOnlyStoreException if it is not gone, and writes stay stopped;
   *     says what to do: after a flush that the last copy refused, or where the store was opened to
   *     read alone, close it and open it again
   * @throws dev.holdfast.error.DeviceOfflineException if no leg can be reached, or operations stand
   *     still: ask again
   * @throws dev.holdfast.error.StoreClosedException if the store is closed
   */
  void resume();
}
