package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.PmemDevice;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Some of a volume's regions, a bit each, as the dirty map of a leg has them.
 *
 * <p><b>Threads:</b> any.
 */
final class RegionSet {
  /** The words that stand for all regions that a volume can have. */
  static final int WORDS = VolumeLayout.DIRTY_MAP_SIZE / Long.BYTES;

  private static final int PAGE = 4096;

  private final AtomicLongArray words = new AtomicLongArray(WORDS);

  /** The words that have a bit for a region of a volume so large. */
  static int words(long capacity) {
    return (int) Math.ceilDiv(capacity, (long) Long.SIZE * VolumeLayout.REGION_SIZE);
  }

  long word(int word) {
    return words.get(word);
  }

  void word(int word, long bits) {
    words.set(word, bits);
  }

  /** Empties a word, and returns what was in it. */
  long take(int word) {
    return words.getAndSet(word, 0);
  }

  /** Adds the regions of a word. */
  void add(int word, long bits) {
    if ((words.get(word) & bits) != bits) {
      long _ = words.getAndAccumulate(word, bits, (a, b) -> a | b);
    }
  }

  /** Adds each region that a range touches. */
  void addRange(long offset, long length) {
    long last = (offset + Math.max(1, length) - 1) / VolumeLayout.REGION_SIZE;
    for (long region = offset / VolumeLayout.REGION_SIZE; region <= last; region++) {
      add((int) (region / Long.SIZE), 1L << (region % Long.SIZE));
    }
  }

  void remove(long region) {
    long bit = 1L << (region % Long.SIZE);
    long _ = words.getAndAccumulate((int) (region / Long.SIZE), bit, (a, b) -> a & ~b);
  }

  boolean contains(long region) {
    return (words.get((int) (region / Long.SIZE)) & 1L << (region % Long.SIZE)) != 0;
  }

  /** The first region of the set from one on; -1 if there is none. */
  long next(long from) {
    long bits = 0;
    int word = (int) (from / Long.SIZE);
    if (word < WORDS) {
      bits = words.get(word) & -1L << (from % Long.SIZE);
    }
    while (bits == 0) {
      if (++word >= WORDS) {
        return -1;
      }
      bits = words.get(word);
    }
    return (long) word * Long.SIZE + Long.numberOfTrailingZeros(bits);
  }

  int count() {
    int count = 0;
    for (int word = 0; word < WORDS; word++) {
      count += Long.bitCount(words.get(word));
    }
    return count;
  }

  /**
   * Adds what the dirty map of a device says; a part that cannot be read counts as dirty, also
   * where the device is going away.
   *
   * @param capacity of the volume: what lies behind it is not read
   */
  void addFrom(PmemDevice device, long capacity) {
    byte[] bytes = new byte[PAGE];
    int used = words(capacity);
    for (int first = 0; first < used; first += PAGE / Long.BYTES) {
      try {
        device.read(VolumeLayout.DIRTY_MAP_OFFSET + (long) first * Long.BYTES, bytes, 0, PAGE);
      } catch (PoisonedRangeException | DeviceOfflineException | DeviceIoException e) {
        Arrays.fill(bytes, (byte) -1);
      }
      for (int i = 0; i < PAGE / Long.BYTES && first + i < used; i++) {
        long bits = 0;
        for (int b = Long.BYTES - 1; b >= 0; b--) {
          bits = (bits << Byte.SIZE) | (bytes[i * Long.BYTES + b] & 0xff);
        }
        add(first + i, bits & within(first + i, capacity));
      }
    }
  }

  /** The bits of a word that stand for regions of a volume so large. */
  private static long within(int word, long capacity) {
    long regions = Math.ceilDiv(capacity, (long) VolumeLayout.REGION_SIZE);
    long left = regions - (long) word * Long.SIZE;
    return left >= Long.SIZE ? -1L : left <= 0 ? 0 : (1L << left) - 1;
  }
}
