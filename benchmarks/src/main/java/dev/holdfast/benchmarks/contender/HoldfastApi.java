package dev.holdfast.benchmarks.contender;

import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import java.util.Arrays;

/**
 * The parts of our interface that will be replaced by faster ones, each in one method: batches,
 * scans that allocate nothing, compaction.
 */
final class HoldfastApi {
  /** Whether {@link #compact} does something. */
  static final boolean COMPACTS = false;

  private HoldfastApi() {}

  /** Loads one by one: there are no batches. */
  static Bulk bulk(Store store, KeyKind keys) {
    return new Bulk() {
      @Override
      public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
        store.put(
            Arrays.copyOfRange(block, keyOffset, keyOffset + keys.length()),
            Arrays.copyOfRange(values, valueOffset, valueOffset + Entries.VALUE_LENGTH));
      }

      @Override
      public void close() {
        // Each put was acknowledged.
      }
    };
  }

  /** Scans with a callback. */
  static void scan(Store store, KeyKind keys, boolean reverse, long limit, ScanCheck check) {
    long[] left = {limit};
    if (limit <= 0) {
      return;
    }
    long _ =
        store.scan(
            KeyRange.all(),
            reverse,
            (block, keyAt, keyLength, values, valueAt, valueLength) -> {
              long mark =
                  valueLength == Entries.VALUE_LENGTH
                      ? Entries.mark(
                          Entries.word(values, valueAt),
                          Entries.word(values, valueAt + Entries.LAST_WORD))
                      : Entries.NONE;
              check.entry(Entries.high(keys, block, keyAt), Entries.low(keys, block, keyAt), mark);
              return --left[0] > 0;
            });
  }

  /** There is no compaction: what can be done is to bring everything to its file. */
  static void compact(Store store) {
    if (!COMPACTS) {
      throw new UnsupportedOperationException("compact");
    }
    store.sync();
  }
}
