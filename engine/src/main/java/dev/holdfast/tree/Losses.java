package dev.holdfast.tree;

import dev.holdfast.volume.LossRecord;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the loss records say of keys. Immutable; made anew when the records change.
 *
 * <p>Where memory knew the slots that led to what was lost, the fingerprints of their hashes say
 * which keys of the range are meant. Where it did not, every key of the range is that has no record
 * and no tombstone of a higher sequence.
 */
final class Losses {
  static final Losses NONE = new Losses(List.of());
  private final List<LossRecord> records;

  Losses(List<LossRecord> records) {
    this.records = List.copyOf(records);
  }

  boolean isEmpty() {
    return records.isEmpty();
  }

  List<LossRecord> records() {
    return records;
  }

  /** Whether a key that is not found may have been lost. */
  boolean mayHold(byte[] key, int length, long hash) {
    for (LossRecord record : records) {
      if (record.covers(key, length) && isMeant(record, hash)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isMeant(LossRecord record, long hash) {
    long[] fingerprints = record.fingerprints();
    if (fingerprints == null) {
      return true;
    }
    for (long fingerprint : fingerprints) {
      if (PointIndex.matches(fingerprint, hash)) {
        return true;
      }
    }
    return false;
  }

  /** Whether something of a key that is newer than a sequence may have been lost. */
  boolean isNewer(byte[] key, int length, long hash, long sequence) {
    for (LossRecord record : records) {
      if (record.watermark() >= sequence && record.covers(key, length) && isMeant(record, hash)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Whether nobody can say any more what a key had, after a look at its versions.
   *
   * @param sequence that of the version that was found; -1 if none was
   * @param hasValue whether it certainly is the value
   */
  boolean hides(byte[] key, int length, long hash, long sequence, boolean hasValue) {
    for (LossRecord record : records) {
      if (record.covers(key, length) && isMeant(record, hash) && sequence <= record.watermark()) {
        // Where nobody knows which keys are meant, those are not that are found.
        boolean isUnknown = record.fingerprints() == null && record.key() == null;
        if (!isUnknown || !hasValue) {
          return true;
        }
      }
    }
    return false;
  }

  /** The watermark of the losses that only a tombstone can tell a key from; -1 if there is none. */
  long unknown(byte[] key, int length) {
    long watermark = -1;
    for (LossRecord record : records) {
      if (record.fingerprints() == null && record.key() == null && record.covers(key, length)) {
        watermark = Math.max(watermark, record.watermark());
      }
    }
    return watermark;
  }

  /** Whether something was lost in a range of keys. */
  boolean meets(byte[] from, byte @Nullable [] to) {
    for (LossRecord record : records) {
      if (record.meets(from, to)) {
        return true;
      }
    }
    return false;
  }

  /** The records once a key was written or deleted; what was lost since {@code before} stays. */
  static List<LossRecord> healed(
      List<LossRecord> records, byte[] key, int length, long hash, long before) {
    List<LossRecord> rest = new ArrayList<>();
    for (LossRecord record : records) {
      long[] fingerprints = record.fingerprints();
      if (!record.covers(key, length) || record.watermark() >= before) {
        rest.add(record);
      } else if (fingerprints != null) {
        long[] left =
            Arrays.stream(fingerprints).filter(f -> !PointIndex.matches(f, hash)).toArray();
        if (left.length > 0) {
          rest.add(left.length == fingerprints.length ? record : record.withFingerprints(left));
        }
      } else if (record.key() == null) {
        rest.add(record); // Nobody knows what else it stands for.
      }
    }
    return rest;
  }

  /** The records once more was lost. */
  static List<LossRecord> with(List<LossRecord> records, List<LossRecord> more) {
    List<LossRecord> all = new ArrayList<>(records);
    for (LossRecord record : more) {
      if (!all.contains(record)) {
        all.add(record);
      }
    }
    return all;
  }
}
