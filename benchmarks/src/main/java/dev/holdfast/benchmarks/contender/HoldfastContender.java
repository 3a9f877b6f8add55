package dev.holdfast.benchmarks.contender;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** Ours. What is to come to its interface is in {@link HoldfastApi}. */
final class HoldfastContender implements Contender {
  static final boolean COMPACTS = HoldfastApi.COMPACTS;

  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  private final Store store;
  private final KeyKind keys;

  HoldfastContender(ContenderSettings settings, int legs) {
    StoreBuilder builder = Store.builder(settings.directory()).persistence(settings.persistence());
    this.keys = settings.keys();
    this.store = (legs == 1 ? builder.single() : builder.mirror()).open();
  }

  /**
   * @param legs where its legs lie
   */
  HoldfastContender(ContenderSettings settings, Path... legs) {
    this.keys = settings.keys();
    this.store =
        Store.builder(settings.directory()).persistence(settings.persistence()).legs(legs).open();
  }

  String state() {
    return store.health().state().name();
  }

  @Override
  public Access access() {
    return new StoreAccess(store, keys);
  }

  @Override
  public Bulk bulk(boolean ascending) {
    return HoldfastApi.bulk(store, keys);
  }

  @Override
  public void compact() {
    HoldfastApi.compact(store);
  }

  @Override
  public void close() {
    store.close();
  }

  private static final class StoreAccess implements Access {
    private final Store store;
    private final KeyKind keys;
    private final int keyLength;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment key;
    private final MemorySegment value = arena.allocate(Entries.VALUE_LENGTH, Long.BYTES);

    StoreAccess(Store store, KeyKind keys) {
      this.store = store;
      this.keys = keys;
      this.keyLength = keys.length();
      this.key = arena.allocate(keyLength, Long.BYTES);
    }

    @Override
    public long get(byte[] block, int offset) {
      MemorySegment.copy(block, offset, key, ValueLayout.JAVA_BYTE, 0, keyLength);
      return store.get(key, value) == Entries.VALUE_LENGTH
          ? Entries.mark(value.get(WORD, 0), value.get(WORD, Entries.LAST_WORD))
          : Entries.NONE;
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      MemorySegment.copy(block, keyOffset, key, ValueLayout.JAVA_BYTE, 0, keyLength);
      MemorySegment.copy(
          values, valueOffset, value, ValueLayout.JAVA_BYTE, 0, Entries.VALUE_LENGTH);
      store.put(key, value);
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      HoldfastApi.scan(store, keys, reverse, limit, check);
    }

    @Override
    public void close() {
      arena.close();
    }
  }
}
