package dev.holdfast.pmem;

import java.util.List;
import java.util.UUID;

/**
 * A range of persistent memory that can be mapped, poisoned and pulled out. Offsets and lengths are
 * bytes, {@code 0 ≤ offset} and {@code offset + length ≤ capacity()}, unless something else is
 * said.
 *
 * <p><b>Threads:</b> all methods are safe for any thread. <b>Lifetime:</b> a device is closed by
 * who opened it, after its windows were closed.
 */
public interface PmemDevice extends AutoCloseable {
  /** What a flush or fence without a name is called. */
  String UNNAMED_SITE = "unnamed";

  /** {@return the identity of the device, from its label; it stays through removal and return} */
  UUID id();

  /** {@return what to call the device in messages} */
  String name();

  /** {@return the number of bytes that can be used} It grows and never shrinks. */
  long capacity();

  /** {@return the state at this moment} */
  DeviceState state();

  /**
   * {@return how often the device has died or returned; a window belongs to the generation it was
   * mapped in}
   */
  long generation();

  /** {@return how far {@link #flush} and {@link #fence} carry a store} */
  PersistenceMode persistenceMode();

  /**
   * Carries stores at least as far as {@code mode} from the next flush on. What was flushed before
   * has come no further for it.
   *
   * @param mode the mode to reach
   * @throws IllegalArgumentException if the device cannot
   */
  default void raise(PersistenceMode mode) {
    if (!persistenceMode().reaches(mode)) {
      throw new IllegalArgumentException(
          name() + ": persistence: expected at most " + persistenceMode() + ", was " + mode);
    }
  }

  /**
   * Maps the whole device, with room to grow.
   *
   * @return a window over it; to be closed
   * @throws dev.holdfast.error.DeviceOfflineException if the device is not LIVE
   */
  Window map();

  /**
   * Writes the range back to where the mode promises. The stores must have passed a {@linkplain
   * Gateway#barrier() barrier} before.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @throws dev.holdfast.error.DeviceOfflineException if the device is DEAD
   * @throws dev.holdfast.error.DeviceIoException if the medium refused; the state of the range is
   *     unknown then, and flushing again proves nothing
   */
  void flush(long offset, long length);

  /**
   * As {@link #flush(long, long)}, by a name: the place in the code that needs it. What a test of
   * power loss takes away, it names by that.
   *
   * @param site a constant, one for each place
   * @param offset the first byte
   * @param length the number of bytes
   */
  default void flush(String site, long offset, long length) {
    flush(offset, length);
  }

  /**
   * Writes several ranges back, as {@link #flush(String, long, long)} does each: one completed
   * msync for all of them where the mode is {@link PersistenceMode#FILE}.
   *
   * @param site a constant, one for each place in the code
   * @param ranges offset and length of each range, one behind the other
   * @param count how many ranges there are
   */
  default void flush(String site, long[] ranges, int count) {
    for (int i = 0; i < count; i++) {
      flush(site, ranges[2 * i], ranges[2 * i + 1]);
    }
  }

  /**
   * Carries a range to the medium whatever the mode is: for what has to be there though the file
   * system forgets what it was given and had not written yet. Throws as {@link #flush} does.
   *
   * @param site its name, as {@link #flush(String, long, long)} has it
   * @param offset the first byte
   * @param length the number of bytes
   */
  default void writeBack(String site, long offset, long length) {
    flush(site, offset, length);
  }

  /**
   * Writes something that nobody needs to the medium, outside of what is mapped, and waits for it.
   * Stores to a mapping may go on without any fault when the file system under it is dead; this
   * tells. It may take as long as the medium lets it.
   *
   * @throws dev.holdfast.error.DeviceIoException if the medium refused; asking again proves nothing
   * @throws dev.holdfast.error.DeviceOfflineException if the device is DEAD
   */
  default void heartbeat() {}

  /** Orders what was flushed before everything that follows. */
  void fence();

  /**
   * As {@link #fence()}, by a name, as {@link #flush(String, long, long)} has it.
   *
   * @param site its name
   */
  default void fence(String site) {
    fence();
  }

  /**
   * Makes the device at least {@code capacity} bytes large; the new bytes are zero and
   * preallocated.
   *
   * @param capacity the bytes that it has to have
   * @throws dev.holdfast.error.OutOfSpaceException if the place has no room; nothing changed then
   * @throws dev.holdfast.error.DeviceOfflineException if the device is not LIVE
   */
  void grow(long capacity);

  /**
   * Gives the blocks of a range back to the place that the device lies on, as far as it can; its
   * bytes are zero then. Nobody may store there before {@link #reserve}: there may be no room.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @return whether it was done
   */
  default boolean giveBack(long offset, long length) {
    return false;
  }

  /**
   * Takes blocks again for a range of which some may have been given back; what it holds stays.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @throws dev.holdfast.error.OutOfSpaceException if the place has no room
   * @throws dev.holdfast.error.DeviceOfflineException if the device is not LIVE
   */
  default void reserve(long offset, long length) {}

  /**
   * Gives up a device whose medium refused: it is DEAD, every access to a window faults, and
   * nothing keeps what it lies on from being unmounted. The holder is told that it was removed.
   * Harmless when it is DEAD already.
   */
  default void abandon() {}

  /**
   * Looks whether a device that was {@linkplain #abandon abandoned} is there again, and has it
   * serve if its medium takes a label. The holder is told that it returned.
   *
   * @param asked whether somebody said that it is; if not, it must have been seen to be away: a
   *     medium that refused once and takes the next write is not trusted for that
   * @return whether the device is LIVE
   */
  default boolean comeBack(boolean asked) {
    return state() == DeviceState.LIVE;
  }

  /** {@return the ranges known to be poisoned, ascending, disjoint} */
  List<BadRange> badBlocks();

  /**
   * Asks which blocks are bad, for people: says, too, where no list is kept and where it cannot be
   * read, which {@link #badBlocks} answers with what is known. Answers with the device gone.
   *
   * @return the answer
   */
  default BadBlockAnswer queryBadBlocks() {
    return state() == DeviceState.DEAD
        ? new BadBlockAnswer.Failed(name() + ": the device is not there")
        : new BadBlockAnswer.Listed(badBlocks());
  }

  /**
   * Reads without a window, as recovery and scrub do.
   *
   * @param offset the first byte
   * @param target gets the bytes
   * @param targetOffset where they go in it
   * @param length the number of bytes
   * @throws dev.holdfast.error.PoisonedRangeException if the range touches a bad block
   * @throws dev.holdfast.error.DeviceOfflineException if the device is DEAD
   */
  void read(long offset, byte[] target, int targetOffset, int length);

  /**
   * Makes poisoned pages accessible again. Their bytes are zero and their bad blocks stay listed
   * until {@link #dropBadBlocks}, which must follow rewriting and flushing them: a crash in between
   * leaves the range bad, not silently empty.
   *
   * <p><b>Source:</b> {@code pmem_recovery_write} of Linux: clear, write, then drop the record.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @return the page-aligned range that was cleared: all of it needs to be rewritten
   * @throws dev.holdfast.error.DeviceIoException if the medium refused
   * @throws dev.holdfast.error.DeviceOfflineException if the device is not LIVE
   */
  BadRange clearPoison(long offset, long length);

  /**
   * Drops the bad blocks of a range that was cleared, rewritten and flushed.
   *
   * @param offset the first byte
   * @param length the number of bytes
   */
  void dropBadBlocks(long offset, long length);

  /**
   * Makes {@code holder} the one that is told of faults.
   *
   * @param holder who is told
   * @throws IllegalStateException if the device has a holder
   */
  void hold(DeviceHolder holder);

  /**
   * Ends what {@link #hold} began. When it returns, no notification is running, unless this is
   * called from one or a notification does not end within half a second. Harmless when the holder
   * does not hold the device any more.
   *
   * @param holder who is told
   */
  void release(DeviceHolder holder);

  /** Gives up the device. Harmless when it was closed before, or when the device is gone. */
  @Override
  void close();
}
