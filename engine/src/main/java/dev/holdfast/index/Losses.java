package dev.holdfast.index;

import dev.holdfast.volume.LossRecord;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;

/**
 * What the loss records say of keys. Immutable; made anew when the records change.
 *
 * <p>A key that is named is answered by its lost entry in the index. A record without a key stands
 * for any key: then no key that is not found is known to be absent, unless it was deleted since.
 */
final class Losses {
  private static final long NONE = -1;

  private final List<LossRecord> records;

  /** The highest watermark of a record without a key, or {@link #NONE}. */
  private final long anyKey;

  /** What was deleted, and the watermark of the losses before that. */
  private final TreeMap<byte[], Long> cleared = new TreeMap<>(Arrays::compareUnsigned);

  Losses(List<LossRecord> records) {
    this.records = records;
    long any = NONE;
    for (LossRecord record : records) {
      byte[] key = record.key();
      if (key == null) {
        any = Math.max(any, record.watermark());
      } else if (record.cleared()) {
        cleared.merge(key, record.watermark(), Math::max);
      }
    }
    this.anyKey = any;
  }

  boolean isEmpty() {
    return records.isEmpty();
  }

  List<LossRecord> records() {
    return records;
  }

  /** Whether a key that is not in the index may have been lost. */
  boolean mayHold(byte[] key) {
    Long deleted = anyKey == NONE ? null : cleared.get(key);
    return anyKey != NONE && (deleted == null || deleted < anyKey);
  }

  /** Whether a key is known to be absent though something without a name was lost. */
  boolean isCleared(byte[] key) {
    return !cleared.isEmpty() && cleared.containsKey(key);
  }

  /** The records once a key was written or deleted; what was lost since {@code before} stays. */
  static List<LossRecord> healed(
      List<LossRecord> records, byte[] key, boolean deleted, long before) {
    List<LossRecord> rest = new ArrayList<>();
    LossRecord any = null;
    for (LossRecord record : records) {
      byte[] named = record.key();
      if (named == null) {
        any = any == null || any.watermark() < record.watermark() ? record : any;
        rest.add(record);
      } else if (!Arrays.equals(named, key)
          || (!record.cleared() && record.watermark() >= before)) {
        rest.add(record);
      }
    }
    if (deleted && any != null) {
      rest.add(new LossRecord(key, true, any.offset(), any.length(), any.watermark()));
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
