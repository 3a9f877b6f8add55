package dev.holdfast.tree;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The versions in leaves that are there for pins alone: which ones a rewrite keeps, and how many
 * bytes of each leaf they take for whom.
 *
 * <p>Their bytes are counted to the newest pin that needs them: pins end, as a rule, the oldest
 * first, and with that pin nobody needs them any more. A leaf is counted when it is written; what
 * has been replaced in it since is not held, but waits for the next time, as it would without pins.
 *
 * <p><b>Threads:</b> any; of one leaf, the holder of its lock.
 */
final class OldVersions {
  /** What a leaf keeps for a pin, in bytes. */
  private record Share(Pins.Pin pin, int bytes) {}

  private final ConcurrentHashMap<Integer, Share[]> shares = new ConcurrentHashMap<>();
  private final AtomicLong bytes = new AtomicLong();

  /** The bytes of all of them, those that nobody needs any more included. */
  long bytes() {
    return bytes.get();
  }

  /** The leaves that keep something for a pin that has ended. */
  Iterable<Integer> stale() {
    return () ->
        shares.entrySet().stream()
            .filter(entry -> isStale(entry.getValue()))
            .map(Map.Entry::getKey)
            .iterator();
  }

  private static boolean isStale(Share[] of) {
    for (Share share : of) {
      if (!share.pin.isOpen()) {
        return true;
      }
    }
    return false;
  }

  boolean isStale(int leaf) {
    Share[] of = shares.get(leaf);
    return of != null && isStale(of);
  }

  /** Is asked whether the index leads to a record. */
  @FunctionalInterface
  interface Led {
    boolean isLedTo(int record);
  }

  /**
   * Moves what stays to the front of {@link LeafImage#newest}: of each key, the newest first, the
   * newest version and what pins need.
   *
   * @param keepAbove tombstones with a higher sequence stay
   * @param led what the index leads to, where a part of the leaf is on no leg; null where all is
   * @return how many records stay
   */
  static int keep(LeafImage image, Pins.View pins, long keepAbove, @Nullable Led led) {
    image.sortVersions(pins);
    byte[] bytes = image.bytes;
    int[] records = image.newest;
    int kept = 0;
    int end;
    for (int begin = 0; begin < image.newestCount; begin = end) {
      int newest = records[begin];
      end = begin + 1;
      while (end < image.newestCount && image.compare(newest, records[end]) == 0) {
        end++;
      }
      if (led != null
          && RecordLayout.type(bytes, newest) != RecordLayout.TOMBSTONE
          && !led.isLedTo(newest)) {
        // What was the newest is lost: no older one may come to light in its place.
        continue;
      }
      int first = kept;
      long until = Long.MAX_VALUE;
      for (int i = begin; i < end; i++) {
        long sequence = RecordLayout.sequence(bytes, records[i]);
        if (i == begin || pins.newestIn(sequence, until) != null) {
          records[kept++] = records[i];
        }
        until = sequence;
      }
      // A tombstone hides what is older; where nothing is, it says no more than its absence.
      while (kept > first
          && RecordLayout.type(bytes, records[kept - 1]) == RecordLayout.TOMBSTONE
          && RecordLayout.sequence(bytes, records[kept - 1]) <= keepAbove) {
        kept--;
      }
    }
    return kept;
  }

  /** Whether a record that stays is not the newest of its key. */
  static boolean isOld(LeafImage image, int index, int from) {
    return image.pins != null
        && index > from
        && image.compare(image.newest[index - 1], image.newest[index]) == 0;
  }

  /** The lowest sequence of an old version that stays; the highest there is if none does. */
  static long oldest(LeafImage image, int count) {
    long lowest = Long.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      if (isOld(image, i, 0)) {
        lowest = Math.min(lowest, RecordLayout.sequence(image.bytes, image.newest[i]));
      }
    }
    return lowest;
  }

  /**
   * Counts what a leaf keeps from now on.
   *
   * @param from the index of the first of its records in {@link LeafImage#newest}
   * @param to the index behind the last one
   * @return the bytes of old versions in it
   */
  int placed(int leaf, LeafImage image, int from, int to) {
    Pins.View pins = image.pins;
    if (pins == null) {
      if (!shares.isEmpty()) {
        forget(leaf);
      }
      return 0;
    }
    Map<Pins.Pin, Integer> each = new HashMap<>();
    int sum = 0;
    for (int i = from; i < to; i++) {
      if (isOld(image, i, from)) {
        int at = image.newest[i];
        int size = RecordLayout.size(image.bytes, at);
        Pins.Pin pin =
            pins.newestIn(
                RecordLayout.sequence(image.bytes, at),
                RecordLayout.sequence(image.bytes, image.newest[i - 1]));
        sum += size;
        if (pin != null) { // Else it is a tombstone that hides what a pin needs.
          each.merge(pin, size, Integer::sum);
        }
      }
    }
    forget(leaf);
    if (!each.isEmpty()) {
      Share[] of = new Share[each.size()];
      int index = 0;
      for (Map.Entry<Pins.Pin, Integer> entry : each.entrySet()) {
        of[index++] = new Share(entry.getKey(), entry.getValue());
        entry.getKey().bytes.addAndGet(entry.getValue());
        bytes.addAndGet(entry.getValue());
      }
      shares.put(leaf, of);
    }
    return sum;
  }

  /** A leaf is no more, or written anew. */
  void forget(int leaf) {
    Share[] of = shares.remove(leaf);
    if (of != null) {
      for (Share share : of) {
        share.pin.bytes.addAndGet(-share.bytes);
        bytes.addAndGet(-share.bytes);
      }
    }
  }
}
