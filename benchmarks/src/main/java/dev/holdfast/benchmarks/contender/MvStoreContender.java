package dev.holdfast.benchmarks.contender;

import java.util.Arrays;
import org.h2.mvstore.Cursor;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.type.ByteArrayDataType;

/** H2's MVStore. */
final class MvStoreContender implements Contender {
  private static final int CACHE_MEGABYTES = 256;
  private static final int BATCH = 100_000;
  private static final int COMPACT_MILLIS = 60_000;

  private final MVStore store;
  private final MVMap<byte[], byte[]> map;
  private final KeyKind keys;
  private final boolean flushes;

  MvStoreContender(ContenderSettings settings) {
    this.keys = settings.keys();
    this.flushes = settings.flushes();
    this.store =
        new MVStore.Builder()
            .fileName(settings.directory().resolve("store.mv").toString())
            .autoCommitDisabled()
            .cacheSize(CACHE_MEGABYTES)
            .open();
    this.map =
        store.openMap(
            "entries",
            new MVMap.Builder<byte[], byte[]>()
                .keyType(ByteArrayDataType.INSTANCE)
                .valueType(ByteArrayDataType.INSTANCE));
  }

  private byte[] key(byte[] block, int offset) {
    return Arrays.copyOfRange(block, offset, offset + keys.length());
  }

  private static byte[] value(byte[] values, int offset) {
    return Arrays.copyOfRange(values, offset, offset + Entries.VALUE_LENGTH);
  }

  @Override
  public Access access() {
    return new MapAccess();
  }

  @Override
  public Bulk bulk(boolean ascending) {
    return new Bulk() {
      private int waiting;

      @Override
      public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
        byte[] key = key(block, keyOffset);
        byte[] value = value(values, valueOffset);
        if (ascending) {
          map.append(key, value);
        } else {
          map.put(key, value);
        }
        if (++waiting == BATCH) {
          store.commit();
          waiting = 0;
        }
      }

      @Override
      public void close() {
        store.commit();
      }
    };
  }

  @Override
  public void compact() {
    store.compactFile(COMPACT_MILLIS);
  }

  @Override
  public void close() {
    store.close();
  }

  private final class MapAccess implements Access {
    private final byte[] wanted = new byte[keys.length()];

    @Override
    public long get(byte[] block, int offset) {
      System.arraycopy(block, offset, wanted, 0, wanted.length);
      byte[] found = map.get(wanted);
      return found == null ? Entries.NONE : Entries.mark(found);
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      // It keeps what it is given.
      map.put(key(block, keyOffset), value(values, valueOffset));
      store.commit();
      if (flushes) {
        store.sync();
      }
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      byte[] begin = reverse ? map.lastKey() : map.firstKey();
      Cursor<byte[], byte[]> cursor = map.cursor(begin, null, reverse);
      for (long i = 0; i < limit && cursor.hasNext(); i++) {
        byte[] key = cursor.next();
        check.entry(
            Entries.high(keys, key, 0), Entries.low(keys, key, 0), Entries.mark(cursor.getValue()));
      }
    }

    @Override
    public void close() {
      // It holds nothing.
    }
  }
}
