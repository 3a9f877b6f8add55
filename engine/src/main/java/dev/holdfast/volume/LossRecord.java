package dev.holdfast.volume;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Says durably that something acknowledged has no copy left: entries with keys in a range.
 *
 * @param low the first key of the range
 * @param high the first key behind it, or null: it has no end
 * @param fingerprints which keys of the range they may be, as far as memory knew when it happened;
 *     null where it did not: then any key of the range that is not found may be one
 * @param offset the first byte that was lost
 * @param length the number of bytes that were lost
 * @param watermark records with a higher sequence were written after the loss
 */
@SuppressWarnings("ArrayRecordComponent") // equality is defined below
public record LossRecord(
    byte[] low,
    byte @Nullable [] high,
    long @Nullable [] fingerprints,
    long offset,
    long length,
    long watermark) {
  /** The loss of one entry. */
  public static LossRecord ofKey(byte[] key, long offset, long length, long watermark) {
    return new LossRecord(key, Arrays.copyOf(key, key.length + 1), null, offset, length, watermark);
  }

  /** The loss of nobody knows what. */
  public static LossRecord ofAnything(long offset, long length, long watermark) {
    return new LossRecord(new byte[0], null, null, offset, length, watermark);
  }

  /** The key, if it is one key that was lost; else null. */
  public byte @Nullable [] key() {
    byte[] end = high;
    return end != null
            && end.length == low.length + 1
            && end[low.length] == 0
            && Arrays.equals(low, 0, low.length, end, 0, low.length)
        ? low
        : null;
  }

  /** Whether a key lies in the range. */
  public boolean covers(byte[] key, int length) {
    return Arrays.compareUnsigned(low, 0, low.length, key, 0, length) <= 0
        && (high == null || Arrays.compareUnsigned(key, 0, length, high, 0, high.length) < 0);
  }

  /** Whether the range has a key in common with another. */
  public boolean meets(byte[] from, byte @Nullable [] to) {
    return (to == null || Arrays.compareUnsigned(low, to) < 0)
        && (high == null || Arrays.compareUnsigned(from, high) < 0);
  }

  /** The same, of other fingerprints. */
  public LossRecord withFingerprints(long[] rest) {
    return new LossRecord(low, high, rest, offset, length, watermark);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof LossRecord o
        && Arrays.equals(low, o.low)
        && Arrays.equals(high, o.high)
        && Arrays.equals(fingerprints, o.fingerprints)
        && offset == o.offset
        && length == o.length
        && watermark == o.watermark;
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(low) * 31 + Long.hashCode(offset);
  }
}
