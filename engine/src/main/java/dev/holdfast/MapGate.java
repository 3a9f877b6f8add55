package dev.holdfast;

import dev.holdfast.error.MapDroppedException;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Lets writers of a map pass until it is dropped, and says when the last of them is out: what they
 * wrote has to be there before it is removed, and the number of the map is not given to another one
 * before that.
 *
 * <p>Readers do not pass: they ask behind what they read whether the map still is open. Its number
 * is not used again before it is closed.
 *
 * <p><b>Threads:</b> any; writers on different stripes share no cache line.
 */
final class MapGate {
  private static final int STRIPES = 16;
  private static final int LINE = 16;

  private final AtomicLongArray inside = new AtomicLongArray((STRIPES + 1) * LINE);
  private volatile boolean closed;
  private volatile String name;
  private final long madeAt;

  /**
   * @param name the name of the map
   * @param madeAt the sequence behind which it was made; 0 if it was there when the store was
   *     opened
   */
  MapGate(String name, long madeAt) {
    this.name = name;
    this.madeAt = madeAt;
  }

  /** Whether it was there at a sequence; its number may have been that of another map then. */
  boolean existedAt(long sequence) {
    return madeAt <= sequence;
  }

  String name() {
    return name;
  }

  void rename(String to) {
    name = to;
  }

  /**
   * Lets a writer in.
   *
   * @return what {@link #exit} wants
   * @throws MapDroppedException if the map was dropped
   */
  int enter() {
    int stripe = ((int) Thread.currentThread().threadId() & STRIPES - 1) * LINE;
    inside.getAndIncrement(stripe);
    if (closed) {
      exit(stripe);
      throw dropped();
    }
    return stripe;
  }

  void exit(int stripe) {
    inside.getAndDecrement(stripe);
  }

  /** Behind a read: throws if what was read may be another map's. */
  void requireOpen() {
    if (closed) {
      throw dropped();
    }
  }

  private MapDroppedException dropped() {
    return new MapDroppedException("map " + name + ": expected one that is there, was dropped");
  }

  /** Lets nobody in any more. */
  void close() {
    closed = true;
  }

  /** Whether no writer is inside; of a gate that is closed that stays so. */
  boolean isEmpty() {
    for (int stripe = 0; stripe < STRIPES; stripe++) {
      if (inside.get(stripe * LINE) != 0) {
        return false;
      }
    }
    return true;
  }
}
