package dev.holdfast.tree;

import dev.holdfast.volume.LossRecord;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the holes of a leaf may have held, where nothing but the records around them tells.
 *
 * <p>A leaf begins with records that were written with it, in the order of their keys, each key
 * once, but for older ones behind it that say so; their sequences are lower than its generation.
 * Behind them are those that were appended, in the order of their sequences, which are higher; but
 * for those of batches, which got theirs earlier. So a hole among the former held keys between its
 * neighbours, and none of any other record. A hole among the latter may have held any key of the
 * leaf, also a newer record of one that is found before it: unless the next record says that until
 * then nothing had been overwritten.
 */
final class LeafDamage {
  private final LeafImage image;
  private final long generation;
  private final boolean overwritten;

  /**
   * @param overwritten whether something of the leaf may have been overwritten or removed since it
   *     was written, as far as its end goes
   */
  LeafDamage(LeafImage image, long generation, boolean overwritten) {
    this.image = image;
    this.generation = generation;
    this.overwritten = overwritten;
  }

  /**
   * What may be said of each hole.
   *
   * @param offset of the leaf
   * @param low the first key of its range
   * @param high the first key behind its range
   * @param now a sequence that nothing lost has reached
   */
  List<LossRecord> losses(long offset, byte[] low, byte @Nullable [] high, long now) {
    List<LossRecord> losses = new ArrayList<>();
    for (int i = 0; i < image.holes.size(); i += 2) {
      int from = image.holes.get(i);
      int to = image.holes.get(i + 1);
      int before = recordBefore(from);
      int after = recordFrom(to);
      byte[] first = low;
      byte[] end = high;
      long watermark = generation;
      if (isAmongSorted(to, after)) {
        if (before >= 0) {
          byte[] key = image.key(before);
          first = Arrays.copyOf(key, key.length + 1); // the least key behind it
        }
        if (after >= 0 && !isAppended(after)) {
          end = image.key(after);
          if (RecordLayout.isOld(image.bytes, after)) {
            end = Arrays.copyOf(end, end.length + 1); // the newest one of its key was in the hole
          }
        }
        if (end != null && Arrays.compareUnsigned(first, end) >= 0) {
          continue; // Only old versions of one key were there.
        }
      } else {
        int ordinary = ordinaryFrom(to);
        watermark = ordinary < 0 ? now : RecordLayout.sequence(image.bytes, ordinary) - 1;
      }
      losses.add(new LossRecord(first, end, null, offset + from, to - from, watermark));
    }
    return losses;
  }

  /** Records that begin before this place are in doubt: a newer one of their keys may be lost. */
  int doubtfulBefore() {
    int doubtful = 0;
    for (int i = 0; i < image.holes.size(); i += 2) {
      int to = image.holes.get(i + 1);
      int after = recordFrom(to);
      boolean mayHide = after < 0 ? overwritten : RecordLayout.isAfterOverwrite(image.bytes, after);
      if (!isAmongSorted(to, after) && mayHide) {
        doubtful = image.holes.get(i);
      }
    }
    return doubtful;
  }

  private boolean isAmongSorted(int to, int after) {
    return to <= image.sortedEnd() || (after >= 0 && !isAppended(after));
  }

  private boolean isAppended(int record) {
    return RecordLayout.sequence(image.bytes, record) > generation
        || (RecordLayout.isOfBatch(image.bytes, record)
            && image.sortedEnd() > 0
            && image.place(record) >= image.sortedEnd());
  }

  /** The first record from a place on whose sequence is higher than of all before it. */
  private int ordinaryFrom(int at) {
    for (int i = 0; i < image.count; i++) {
      if (image.place(image.records[i]) >= at
          && !RecordLayout.isOfBatch(image.bytes, image.records[i])) {
        return image.records[i];
      }
    }
    return -1;
  }

  private int recordBefore(int at) {
    int before = -1;
    for (int i = 0; i < image.count && image.place(image.records[i]) < at; i++) {
      before = image.records[i];
    }
    return before;
  }

  private int recordFrom(int at) {
    for (int i = 0; i < image.count; i++) {
      if (image.place(image.records[i]) >= at) {
        return image.records[i];
      }
    }
    return -1;
  }
}
