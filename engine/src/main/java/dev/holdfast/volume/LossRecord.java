package dev.holdfast.volume;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Says durably that something acknowledged has no copy left.
 *
 * @param key the key that was lost, or null: any key that is not found may have been there
 * @param cleared whether the key was deleted since: then it is absent, whatever a record without a
 *     key says
 * @param offset the first byte that was lost
 * @param length the number of bytes that were lost
 * @param watermark records with a higher sequence were written after the loss
 */
@SuppressWarnings("ArrayRecordComponent") // equality is defined below
public record LossRecord(
    byte @Nullable [] key, boolean cleared, long offset, long length, long watermark) {
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof LossRecord o
        && Arrays.equals(key, o.key)
        && cleared == o.cleared
        && offset == o.offset
        && length == o.length
        && watermark == o.watermark;
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(key) * 31 + Long.hashCode(offset);
  }
}
