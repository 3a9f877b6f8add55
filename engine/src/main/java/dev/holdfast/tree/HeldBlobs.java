package dev.holdfast.tree;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The extents of former large values that a pin still needs; as soon as none does they are given
 * back. In memory only: at an open nobody needs them.
 *
 * <p><b>Threads:</b> any, within an operation; a lock of its own, inside which only those of {@link
 * Pins} and the allocator are taken.
 */
final class HeldBlobs {
  /** The extents of a value that was in force from one sequence until before another. */
  private record Held(BlobExtents extents, long from, long until) {
    long bytes() {
      return extents.bytes();
    }
  }

  private final Pins pins;
  private final BlobSpace blobs;
  private final PageMap pages;
  private final ReentrantLock lock = new ReentrantLock();

  /** By the newest pin that needs them. */
  private final Map<Pins.Pin, List<Held>> byPin = new HashMap<>();

  /** By {@link BlobExtents#identity}. */
  private final Map<Object, Held> byIdentity = new HashMap<>();

  private final AtomicLong bytes = new AtomicLong();

  HeldBlobs(Pins pins, BlobSpace blobs, PageMap pages) {
    this.pins = pins;
    this.blobs = blobs;
    this.pages = pages;
  }

  /** The bytes of all of them. */
  long bytes() {
    return bytes.get();
  }

  /**
   * Gives the extents of a value back that was replaced, once no pin needs them.
   *
   * @param from the sequence of its record
   * @param until the sequence that replaced it
   * @return whether they are held
   */
  boolean retire(BlobExtents extents, long from, long until) {
    if (pins.view().isEmpty()) {
      blobs.retire(extents);
      return false;
    }
    lock.lock();
    try {
      return place(new Held(extents, from, until));
    } finally {
      lock.unlock();
    }
  }

  /** Holds or gives back. The pins are asked under the lock: one that ends finds what it keeps. */
  private boolean place(Held held) {
    Pins.Pin pin = pins.view().newestIn(held.from, held.until);
    if (pin == null || held.extents.isNowhere()) {
      blobs.retire(held.extents);
      return false;
    }
    byPin.computeIfAbsent(pin, p -> new ArrayList<>()).add(held);
    byIdentity.put(held.extents.identity(), held);
    pin.bytes.addAndGet(held.bytes());
    bytes.addAndGet(held.bytes());
    return true;
  }

  /** Gives back what was kept for a pin that has ended, but for what others need. */
  void ended(Pins.Pin pin) {
    lock.lock();
    try {
      List<Held> former = byPin.remove(pin);
      if (former == null) {
        return;
      }
      for (Held held : former) {
        byIdentity.remove(held.extents.identity());
        pin.bytes.addAndGet(-held.bytes());
        bytes.addAndGet(-held.bytes());
        place(held);
      }
    } finally {
      lock.unlock();
    }
  }

  /** The record of a value is in another leaf now; nothing happens if the value is not held. */
  void moved(@Nullable BlobExtents extents, int leaf) {
    if (extents == null || extents.count == 0) {
      return;
    }
    lock.lock();
    try {
      if (byIdentity.containsKey(extents.identity())) {
        for (int i = 0; i < extents.count; i++) {
          pages.moveExtent(extents.page[i], leaf);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether values in the BULK volume are held. */
  boolean hasPlaces() {
    lock.lock();
    try {
      return byIdentity.values().stream().anyMatch(held -> held.extents.bulk != null);
    } finally {
      lock.unlock();
    }
  }

  /** Whether the value at a place in the BULK volume is held. */
  boolean holds(byte[] place) {
    lock.lock();
    try {
      return byIdentity.containsKey(ByteBuffer.wrap(place));
    } finally {
      lock.unlock();
    }
  }

  /** Whether a value is held: this one, and not one that was stored there since. */
  boolean holds(BlobExtents extents) {
    lock.lock();
    try {
      Held held = extents.isNowhere() ? null : byIdentity.get(extents.identity());
      return held != null && held.extents.isSame(extents);
    } finally {
      lock.unlock();
    }
  }
}
