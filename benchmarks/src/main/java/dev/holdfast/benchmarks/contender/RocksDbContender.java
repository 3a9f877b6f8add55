package dev.holdfast.benchmarks.contender;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.CompressionType;
import org.rocksdb.DataBlockIndexType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.ReadOptions;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;
import org.rocksdb.WriteOptions;

/** RocksDB through its JNI. */
final class RocksDbContender implements Contender {
  private static final long SMALLEST_CACHE = 64L << 20;
  private static final int BATCH = 10_000;
  private static final double FILTER_BITS = 10;
  private static final int JOBS = 2;

  /** What was made in native memory, the last first. */
  private final Deque<AutoCloseable> made = new ArrayDeque<>();

  private final KeyKind keys;
  private final ReadOptions readOptions;
  private final WriteOptions writeOptions;
  private final RocksDB db;

  RocksDbContender(ContenderSettings settings) {
    this(settings, false);
  }

  /**
   * @param mapped whether it maps its tables, to read and to write them
   */
  RocksDbContender(ContenderSettings settings, boolean mapped) {
    RocksDB.loadLibrary();
    this.keys = settings.keys();
    LRUCache cache = own(new LRUCache(Math.max(SMALLEST_CACHE, 2 * settings.payload())));
    BlockBasedTableConfig table =
        new BlockBasedTableConfig()
            .setBlockCache(cache)
            .setFilterPolicy(own(new BloomFilter(FILTER_BITS)))
            .setDataBlockIndexType(DataBlockIndexType.kDataBlockBinaryAndHash);
    Options options =
        own(new Options())
            .setCreateIfMissing(true)
            .setCompressionType(CompressionType.NO_COMPRESSION)
            .setMaxBackgroundJobs(JOBS)
            .setAllowMmapReads(mapped)
            .setAllowMmapWrites(mapped)
            .setTableFormatConfig(table);
    this.readOptions = own(new ReadOptions());
    this.writeOptions = own(new WriteOptions()).setSync(settings.flushes());
    try {
      this.db = own(RocksDB.open(options, settings.directory().toString()));
    } catch (RocksDBException e) {
      throw new IllegalStateException(e);
    }
  }

  private <T extends AutoCloseable> T own(T object) {
    made.push(object);
    return object;
  }

  @Override
  public Access access() {
    return new DbAccess();
  }

  @Override
  public Bulk bulk(boolean ascending) {
    return new BatchBulk();
  }

  @Override
  public void compact() {
    try {
      db.compactRange();
    } catch (RocksDBException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    for (AutoCloseable object : made) {
      try {
        object.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private final class DbAccess implements Access {
    private final ByteBuffer key = ByteBuffer.allocateDirect(keys.length());
    private final ByteBuffer value = ByteBuffer.allocateDirect(Entries.VALUE_LENGTH);

    @Override
    public long get(byte[] block, int offset) {
      key.clear().put(block, offset, keys.length()).flip();
      value.clear();
      try {
        return db.get(readOptions, key, value) == Entries.VALUE_LENGTH ? mark() : Entries.NONE;
      } catch (RocksDBException e) {
        throw new IllegalStateException(e);
      }
    }

    private long mark() {
      return Entries.mark(value.getLong(0), value.getLong(Entries.LAST_WORD));
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      key.clear().put(block, keyOffset, keys.length()).flip();
      value.clear().put(values, valueOffset, Entries.VALUE_LENGTH).flip();
      try {
        db.put(writeOptions, key, value);
      } catch (RocksDBException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      try (RocksIterator iterator = db.newIterator(readOptions)) {
        if (reverse) {
          iterator.seekToLast();
        } else {
          iterator.seekToFirst();
        }
        for (long i = 0; i < limit && iterator.isValid(); i++) {
          iterator.key(key.clear());
          boolean whole = iterator.value(value.clear()) == Entries.VALUE_LENGTH;
          long mark = whole ? mark() : Entries.NONE;
          if (keys == KeyKind.INT) {
            check.entry(key.getInt(0) & 0xffff_ffffL, 0, mark);
          } else {
            check.entry(key.getLong(0), key.getLong(Long.BYTES), mark);
          }
          if (reverse) {
            iterator.prev();
          } else {
            iterator.next();
          }
        }
        iterator.status();
      } catch (RocksDBException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      // The collector frees the buffers.
    }
  }

  private final class BatchBulk implements Bulk {
    private final ByteBuffer key = ByteBuffer.allocateDirect(keys.length());
    private final ByteBuffer value = ByteBuffer.allocateDirect(Entries.VALUE_LENGTH);
    private final WriteBatch batch = new WriteBatch();
    private int waiting;

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      try {
        batch.put(
            key.clear().put(block, keyOffset, keys.length()).flip(),
            value.clear().put(values, valueOffset, Entries.VALUE_LENGTH).flip());
        if (++waiting == BATCH) {
          write();
        }
      } catch (RocksDBException e) {
        throw new IllegalStateException(e);
      }
    }

    private void write() throws RocksDBException {
      db.write(writeOptions, batch);
      batch.clear();
      waiting = 0;
    }

    @Override
    public void close() {
      try {
        write();
      } catch (RocksDBException e) {
        throw new IllegalStateException(e);
      }
      batch.close();
    }
  }
}
