package dev.holdfast.tree;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * Ranges of keys of which a part of the leaf was lost while there were pins. Nobody knows which old
 * versions were there, so that a read at one of those pins that comes to the range, and has to look
 * for a version, has no answer. In memory only, as long as such a pin is there.
 *
 * <p><b>Threads:</b> any.
 */
final class PastLosses {
  /**
   * @param low the first key of the range
   * @param high the first key behind it; null if it has no end
   * @param watermark what was lost has a lower sequence
   */
  @SuppressWarnings("ArrayRecordComponent") // asked, never compared
  private record Loss(byte[] low, byte @Nullable [] high, long watermark) {}

  private final List<Loss> losses = new CopyOnWriteArrayList<>();

  void add(byte[] low, byte @Nullable [] high, long watermark) {
    losses.add(new Loss(low, high, watermark));
  }

  /** Whether the version of a key that was in force at a sequence may have been lost. */
  boolean covers(byte[] key, int length, long at) {
    for (Loss loss : losses) {
      if (at < loss.watermark
          && Arrays.compareUnsigned(loss.low, 0, loss.low.length, key, 0, length) <= 0
          && (loss.high == null
              || Arrays.compareUnsigned(key, 0, length, loss.high, 0, loss.high.length) < 0)) {
        return true;
      }
    }
    return false;
  }

  /** Whether versions that were in force at a sequence may have been lost in a range of keys. */
  boolean meets(byte[] from, byte @Nullable [] to, long at) {
    for (Loss loss : losses) {
      if (at < loss.watermark
          && (to == null || Arrays.compareUnsigned(loss.low, to) < 0)
          && (loss.high == null || Arrays.compareUnsigned(from, loss.high) < 0)) {
        return true;
      }
    }
    return false;
  }

  /** Forgets what no pin can come to any more. */
  void prune(Pins.View pins) {
    losses.removeIf(loss -> !pins.hasUpTo(loss.watermark));
  }
}
