package dev.holdfast.volume;

import dev.holdfast.health.LegState;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** One copy of a volume: a device and what is known of it. */
public final class Leg {
  /** Longs from one counter to the next: two cache lines. */
  private static final int STRIDE = 16;

  private final int index;
  private volatile PmemDevice device;
  private final LongAdder reads = new LongAdder();

  /** By place of the grace period; each counted by who has the place. */
  private final AtomicLongArray placedReads =
      new AtomicLongArray((GracePeriod.PLACES + 1) * STRIDE);

  private final LongAdder faults = new LongAdder();
  private volatile LegState state;

  /** Whether somebody took it out of use, who will say when it is to be used again. */
  private volatile boolean held;

  /** Whether it refused a flush of its superblock, and was not copied to since. */
  private volatile boolean refused;

  Leg(int index, PmemDevice device, LegState state) {
    this.index = index;
    this.device = device;
    this.state = state;
  }

  /** Its place in the volume. */
  public int index() {
    return index;
  }

  /** The device under it. */
  public PmemDevice device() {
    return device;
  }

  /** Gives the leg another device object: the one that was absent is there now. */
  void device(PmemDevice present) {
    device = present;
  }

  /** Its state. */
  public LegState state() {
    return state;
  }

  void state(LegState next) {
    LegState former = state;
    state = next;
    if (next == LegState.RESILVERING) {
      refused = false;
    }
    LegStateNotice.emit(this, former, next);
  }

  /** Notes that it refused a flush: what of it is on its medium nobody knows. */
  void refuse() {
    refused = true;
  }

  /** Whether it refused a flush of its superblock, and was not copied to since. */
  boolean hasRefused() {
    return refused;
  }

  /** Whether it stays out of use until somebody asks for it, though its device is there. */
  public boolean isHeld() {
    return held;
  }

  /** Says whether it stays out of use until somebody asks for it. */
  public void hold(boolean out) {
    held = out;
  }

  /** How many records were read from it. */
  public long reads() {
    long sum = reads.sum();
    for (int place = 0; place < GracePeriod.PLACES; place++) {
      sum += placedReads.getOpaque((place + 1) * STRIDE);
    }
    return sum;
  }

  /** How many memory faults were attributed to it. */
  public long faults() {
    return faults.sum();
  }

  /** Counts a read of who has a place of the grace period, or -1 if it has none. */
  void countRead(int place) {
    if (place < 0) {
      reads.increment();
    } else {
      int at = (place + 1) * STRIDE;
      placedReads.setOpaque(at, placedReads.getOpaque(at) + 1);
    }
  }

  void countFault() {
    faults.increment();
  }

  /** Whether a byte of the window can be read. */
  static boolean answers(Window window, long offset) {
    try {
      Gateway.touch(window, offset);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      return false;
    }
  }

  /**
   * A leg and the window through which it is used now.
   *
   * @param leg the leg
   * @param window its window
   */
  record Mapped(Leg leg, Window window) {}
}
