package dev.holdfast.index;

import dev.holdfast.volume.LossRecord;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;

/**
 * What the loss records say of keys. Immutable; made anew when the records change.
 *
 * <p>A key that is named is answered by its lost entry in the index. A record without a key stands
 * for any key: then no key that is not found is known to be absent, unless it was deleted since.
 */
final class Losses {
  private final List<LossRecord> records;
  private final boolean anyKey;
  private final TreeSet<byte[]> cleared = new TreeSet<>(Arrays::compareUnsigned);

  Losses(List<LossRecord> records) {
    this.records = records;
    boolean any = false;
    for (LossRecord record : records) {
      byte[] key = record.key();
      if (key == null) {
        any = true;
      } else if (record.cleared()) {
        cleared.add(key);
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
    return anyKey && !cleared.contains(key);
  }

  /** The records once a key was written or deleted. */
  static List<LossRecord> healed(List<LossRecord> records, byte[] key, boolean deleted) {
    List<LossRecord> rest = new ArrayList<>();
    LossRecord any = null;
    for (LossRecord record : records) {
      byte[] named = record.key();
      if (named == null) {
        any = record;
        rest.add(record);
      } else if (!Arrays.equals(named, key)) {
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
