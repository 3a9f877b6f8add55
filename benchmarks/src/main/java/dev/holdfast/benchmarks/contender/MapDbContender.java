package dev.holdfast.benchmarks.contender;

import java.util.Arrays;
import java.util.Iterator;
import java.util.Map;
import org.mapdb.BTreeMap;
import org.mapdb.DB;
import org.mapdb.DBMaker;
import org.mapdb.Serializer;

/** MapDB. */
final class MapDbContender implements Contender {
  private static final int BATCH = 100_000;

  private final DB db;
  private final BTreeMap<byte[], byte[]> map;
  private final KeyKind keys;

  MapDbContender(ContenderSettings settings) {
    this.keys = settings.keys();
    this.db =
        DBMaker.fileDB(settings.directory().resolve("store.db").toFile())
            .fileMmapEnable()
            .transactionEnable()
            // After a kill its own mark for "not closed" is still set; the log puts things right.
            .checksumHeaderBypass()
            .make();
    this.map = db.treeMap("entries", Serializer.BYTE_ARRAY, Serializer.BYTE_ARRAY).createOrOpen();
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
        map.put(key(block, keyOffset), value(values, valueOffset));
        if (++waiting == BATCH) {
          db.commit();
          waiting = 0;
        }
      }

      @Override
      public void close() {
        db.commit();
      }
    };
  }

  @Override
  public void compact() {
    db.getStore().compact();
    db.commit();
  }

  @Override
  public void close() {
    db.close();
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
      map.put(key(block, keyOffset), value(values, valueOffset));
      db.commit();
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      Iterator<? extends Map.Entry<byte[], byte[]>> entries =
          reverse ? map.descendingEntryIterator() : map.entryIterator();
      for (long i = 0; i < limit && entries.hasNext(); i++) {
        Map.Entry<byte[], byte[]> entry = entries.next();
        byte[] key = entry.getKey();
        check.entry(
            Entries.high(keys, key, 0), Entries.low(keys, key, 0), Entries.mark(entry.getValue()));
      }
    }

    @Override
    public void close() {
      // It holds nothing.
    }
  }
}
