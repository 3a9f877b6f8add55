package dev.holdfast.tree;

import java.time.Instant;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The sequences at which somebody reads: what was in force at one of them is kept.
 *
 * <h2>Rule</h2>
 *
 * A version was in force from its own sequence until that of the next one of its key. Whoever is
 * about to let a version go asks {@link #view} <em>behind</em> the sequence that ended it: then
 * either he sees the pin, or the pin's sequence, which is read behind its announcement, is not less
 * than that one, and the pin needs the newer version. It is the reason for {@link View#announced}:
 * a pin is announced, then reads the counter.
 *
 * <p><b>Threads:</b> any. Taking and releasing a pin hold a lock inside which nothing else is
 * locked; who only looks takes it in the instant of an announcement, else not.
 */
final class Pins {
  /** Somebody who reads at a sequence. */
  static final class Pin {
    private enum State {
      OPEN,
      RELEASED,
      GAVE_WAY
    }

    final long sequence;
    final Instant takenAt = Instant.now();
    final long takenNanos = System.nanoTime();
    private final boolean givesWay;
    private volatile State state = State.OPEN;

    /** The bytes of former versions that would not be kept but for this pin and older ones. */
    final AtomicLong bytes = new AtomicLong();

    Pin(long sequence, boolean givesWay) {
      this.sequence = sequence;
      this.givesWay = givesWay;
    }

    /** Whether what was in force at its sequence is kept. */
    boolean isOpen() {
      return state == State.OPEN;
    }

    /** Whether it was ended because what it kept became too much. */
    boolean gaveWay() {
      return state == State.GAVE_WAY;
    }
  }

  /** The pins of one moment. */
  static final class View {
    private static final Pin[] NO_PINS = {};
    static final View NONE = new View(NO_PINS, false);

    /** In the order of their sequences. */
    private final Pin[] pins;

    /** Whether one more is about to be, of which only its holder knows the sequence. */
    private final boolean announced;

    private View(Pin[] pins, boolean announced) {
      this.pins = pins;
      this.announced = announced;
    }

    boolean isEmpty() {
      return pins.length == 0;
    }

    int count() {
      return pins.length;
    }

    /** The newest pin that needs what was in force from one sequence until before another. */
    @Nullable Pin newestIn(long from, long until) {
      int low = 0;
      int high = pins.length;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (pins[middle].sequence < until) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low > 0 && pins[low - 1].sequence >= from ? pins[low - 1] : null;
    }

    /** Whether a pin needs what is not newer than a sequence. */
    boolean hasUpTo(long sequence) {
      return pins.length > 0 && pins[0].sequence <= sequence;
    }

    /** The bytes that are kept for the pins. */
    long bytes() {
      long sum = 0;
      for (Pin pin : pins) {
        sum += pin.bytes.get();
      }
      return sum;
    }
  }

  private final ReentrantLock changing = new ReentrantLock();

  /** The oldest first. Changed under the lock. */
  private final LinkedHashSet<Pin> open = new LinkedHashSet<>();

  private volatile View view = View.NONE;

  /** Pins that ended, and of which what they kept has not been given back. */
  private final Queue<Pin> ended = new ConcurrentLinkedQueue<>();

  private final AtomicLong gaveWay = new AtomicLong();

  /**
   * Pins the present.
   *
   * @param present the highest sequence that was given out
   * @param givesWay whether it may be ended when what it keeps becomes too much
   */
  Pin take(LongSupplier present, boolean givesWay) {
    changing.lock();
    try {
      // A volatile store, and behind it a volatile load: nobody misses the one and precedes the
      // other.
      view = new View(view.pins, true);
      Pin pin = new Pin(present.getAsLong(), givesWay);
      open.add(pin);
      publish();
      return pin;
    } finally {
      changing.unlock();
    }
  }

  private void publish() {
    Pin[] pins = open.toArray(View.NO_PINS);
    Arrays.sort(pins, Comparator.comparingLong(pin -> pin.sequence)); // in order, nearly always
    view = pins.length == 0 ? View.NONE : new View(pins, false);
  }

  /** The pins of this moment. */
  View view() {
    View now = view;
    if (!now.announced) {
      return now;
    }
    changing.lock();
    try {
      return view;
    } finally {
      changing.unlock();
    }
  }

  /** Ends a pin; whether this call did. */
  boolean release(Pin pin) {
    changing.lock();
    try {
      boolean was = open.remove(pin);
      // First the state: who reads at the pin looks at it behind what it read.
      pin.state = Pin.State.RELEASED;
      if (was) {
        publish();
        ended.add(pin);
      }
      return was;
    } finally {
      changing.unlock();
    }
  }

  /**
   * Ends the oldest pin that gives way; null if there is none.
   *
   * @param from the lowest sequence that counts
   */
  @Nullable Pin endOldest(long from) {
    changing.lock();
    try {
      for (Pin pin : open) {
        if (pin.givesWay && pin.sequence >= from) {
          pin.state = Pin.State.GAVE_WAY;
          gaveWay.incrementAndGet();
          open.remove(pin);
          publish();
          ended.add(pin);
          return pin;
        }
      }
      return null;
    } finally {
      changing.unlock();
    }
  }

  /** A pin that ended, for who gives back what it kept; null if there is none. */
  @Nullable Pin nextEnded() {
    return ended.poll();
  }

  boolean hasEnded() {
    return !ended.isEmpty();
  }

  /** How many pins gave way. */
  long gaveWay() {
    return gaveWay.get();
  }

  /** The pins that give way, the oldest first. */
  List<Pin> givingWay() {
    return Arrays.stream(view().pins).filter(pin -> pin.givesWay).toList();
  }
}
