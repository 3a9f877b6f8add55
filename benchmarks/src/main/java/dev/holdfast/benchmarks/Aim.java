package dev.holdfast.benchmarks;

import java.util.Arrays;
import java.util.function.IntPredicate;

/**
 * What a fault hit. Workers go for it at once, so that it shows when it can be read and written
 * again, and go back to what they did before after the first success behind the fault, or once
 * every entry was tried.
 *
 * <p><b>Threads:</b> any.
 */
final class Aim {
  private final boolean everything;
  private final int[] entries;
  private volatile boolean struck;

  private Aim(boolean everything, int[] entries) {
    this.everything = everything;
    this.entries = entries;
    Arrays.sort(entries);
  }

  /** A whole leg: whatever a worker does goes for it. */
  static Aim atEverything() {
    return new Aim(true, new int[0]);
  }

  /** Single entries. */
  static Aim at(int... entries) {
    return new Aim(false, entries.clone());
  }

  /** Tells the workers that the fault is there. */
  void strike() {
    struck = true;
  }

  /** Whether it hit an entry. */
  boolean hit(int entry) {
    return everything || Arrays.binarySearch(entries, entry) >= 0;
  }

  /** Where a worker is with what it aims at. */
  static final class Progress {
    private final Aim aim;
    private final int[] own;
    private int next;

    /** How many entries are left, once the fault is there; more than that before. */
    private int left = Integer.MAX_VALUE;

    private boolean struckBefore;

    /** Of a worker that may touch the entries that {@code may} says. */
    Progress(Aim aim, IntPredicate may) {
      this.aim = aim;
      this.own = Arrays.stream(aim.entries).filter(may).toArray();
      if (own.length == 0) {
        left = 0;
      }
    }

    boolean isOf(Aim other) {
      return aim == other;
    }

    /** The entry to go for; -1 for any. */
    int next() {
      if (left == 0) {
        return -1;
      }
      if (aim.struck && !struckBefore) {
        struckBefore = true;
        left = own.length;
      }
      if (struckBefore) {
        left--;
      }
      int entry = own[next];
      next = (next + 1) % own.length;
      return entry;
    }

    /** An operation on what {@link #next} chose succeeded. */
    void succeeded() {
      if (struckBefore) {
        left = 0;
      }
    }
  }
}
