package dev.holdfast.async;

import dev.holdfast.error.StoreClosedException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Bounds what waits in a ring, by its number and by its bytes. Who finds no room waits here,
 * asleep: in the ring itself he would spin.
 *
 * <p><b>Threads:</b> any. An interrupt does not end a wait; it is kept.
 */
final class Room {
  /** Lets whoever waits through, one behind the other. */
  private static final int OPEN = 1 << 30;

  private final int bytesMost;
  private final Semaphore places;
  private final Semaphore bytes;
  private final AtomicBoolean ended = new AtomicBoolean();

  Room(int places, int bytes) {
    this.bytesMost = bytes;
    this.places = new Semaphore(places, true);
    this.bytes = new Semaphore(bytes, true); // Fair: a large one gets its turn.
  }

  /** What so many bytes take: what is larger than all of the room takes all of it. */
  int share(long length) {
    return Math.clamp(length, 1, bytesMost);
  }

  /**
   * Waits for a place and for a share of the bytes.
   *
   * @throws StoreClosedException if it is ended, now or meanwhile
   */
  void enter(int share) {
    requireOpen();
    // The bytes first: who waits for many of them keeps no place from others.
    bytes.acquireUninterruptibly(share);
    if (ended.get()) {
      bytes.release(share);
      throw closed();
    }
    places.acquireUninterruptibly();
    if (ended.get()) {
      leave(1, share);
      throw closed();
    }
  }

  /** Takes a place and a share of the bytes, if they are there. */
  boolean tryEnter(int share) {
    requireOpen();
    if (!bytes.tryAcquire(share)) {
      return false;
    }
    if (!places.tryAcquire()) {
      bytes.release(share);
      return false;
    }
    return true;
  }

  void leave(int count, int shares) {
    places.release(count);
    bytes.release(shares);
  }

  /** Lets nobody in any more; who waits is told. */
  void end() {
    if (ended.compareAndSet(false, true)) {
      places.release(OPEN);
      bytes.release(OPEN);
    }
  }

  private void requireOpen() {
    if (ended.get()) {
      throw closed();
    }
  }

  static StoreClosedException closed() {
    return new StoreClosedException("asynchronous write: the store is closed");
  }
}
