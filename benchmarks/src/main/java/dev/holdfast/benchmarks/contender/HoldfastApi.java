package dev.holdfast.benchmarks.contender;

import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.WriteBatch;
import java.lang.foreign.MemorySegment;

/** The parts of our interface that are more than a call, each in one method. */
final class HoldfastApi {
  /** Whether {@link #compact} does something. */
  static final boolean COMPACTS = true;

  /** As many as RocksDB gets in one. */
  private static final int BATCH = 10_000;

  private HoldfastApi() {}

  /** Loads in batches. */
  static Bulk bulk(Store store, KeyKind keys) {
    return new Bulk() {
      private final WriteBatch batch = new WriteBatch();

      @Override
      public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
        batch.put(
            MemorySegment.ofArray(block).asSlice(keyOffset, keys.length()),
            MemorySegment.ofArray(values).asSlice(valueOffset, Entries.VALUE_LENGTH));
        if (batch.size() == BATCH) {
          write();
        }
      }

      private void write() {
        store.write(batch);
        batch.clear();
      }

      @Override
      public void close() {
        write();
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

  /** Packs the leaves and gives back what is free. */
  static void compact(Store store) {
    var _ = store.compact();
  }
}
