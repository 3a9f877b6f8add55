package dev.holdfast.benchmarks.contender;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.jspecify.annotations.Nullable;
import org.lmdbjava.CopyFlags;
import org.lmdbjava.Cursor;
import org.lmdbjava.Dbi;
import org.lmdbjava.DbiFlags;
import org.lmdbjava.Env;
import org.lmdbjava.EnvFlags;
import org.lmdbjava.PutFlags;
import org.lmdbjava.Txn;

/** LMDB through lmdbjava. */
final class LmdbContender implements Contender {
  private static final String FILE = "data.mdb";
  private static final long SMALLEST_MAP = 64L << 20;
  private static final int READERS = 8;
  private static final PutFlags[] NO_FLAGS = {};
  private static final PutFlags[] APPEND = {PutFlags.MDB_APPEND};

  private final Path directory;
  private final KeyKind keys;
  private final Env<ByteBuffer> env;
  private final Dbi<ByteBuffer> dbi;

  LmdbContender(ContenderSettings settings) {
    this.directory = settings.directory();
    this.keys = settings.keys();
    EnvFlags[] flags =
        settings.flushes()
            ? new EnvFlags[0]
            : new EnvFlags[] {EnvFlags.MDB_WRITEMAP, EnvFlags.MDB_NOSYNC};
    this.env =
        Env.create()
            .setMapSize(Math.max(SMALLEST_MAP, 4 * settings.payload()))
            .setMaxDbs(1)
            .setMaxReaders(READERS)
            .open(directory.toFile(), flags);
    this.dbi =
        keys == KeyKind.INT
            ? env.openDbi("entries", DbiFlags.MDB_CREATE, DbiFlags.MDB_INTEGERKEY)
            : env.openDbi("entries", DbiFlags.MDB_CREATE);
  }

  @Override
  public Access access() {
    return new TxnAccess();
  }

  @Override
  public Bulk bulk(boolean ascending) {
    return new TxnBulk(ascending ? APPEND : NO_FLAGS);
  }

  @Override
  public void compact() {
    try {
      Path copy = Files.createDirectory(directory.resolve("copy"));
      env.copy(copy.toFile(), CopyFlags.MDB_CP_COMPACT);
      // The open environment keeps the old file; the next one to open finds the small one.
      Files.move(copy.resolve(FILE), directory.resolve(FILE), StandardCopyOption.REPLACE_EXISTING);
      Files.delete(copy);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    env.close();
  }

  /** Integer keys are in the order of the machine, which is how MDB_INTEGERKEY reads them. */
  private static void fill(KeyKind keys, ByteBuffer key, byte[] block, int offset) {
    key.clear();
    if (keys == KeyKind.INT) {
      key.putInt((int) Entries.high(keys, block, offset));
    } else {
      key.put(block, offset, keys.length());
    }
    key.flip();
  }

  private static ByteBuffer keyBuffer(KeyKind keys) {
    return ByteBuffer.allocateDirect(keys.length()).order(ByteOrder.nativeOrder());
  }

  private static long mark(ByteBuffer value) {
    // The order of a found buffer is whatever its maker left it at.
    value.order(ByteOrder.BIG_ENDIAN);
    return value.remaining() == Entries.VALUE_LENGTH
        ? Entries.mark(value.getLong(0), value.getLong(Entries.LAST_WORD))
        : Entries.NONE;
  }

  private final class TxnAccess implements Access {
    private final ByteBuffer key = keyBuffer(keys);
    private final ByteBuffer value = ByteBuffer.allocateDirect(Entries.VALUE_LENGTH);
    private @Nullable Txn<ByteBuffer> readTxn;

    @Override
    public void beginReads() {
      Txn<ByteBuffer> txn = readTxn;
      if (txn == null) {
        readTxn = env.txnRead();
      } else {
        txn.renew();
      }
    }

    @Override
    public void endReads() {
      txn().reset();
    }

    private Txn<ByteBuffer> txn() {
      Txn<ByteBuffer> txn = readTxn;
      if (txn == null) {
        throw new IllegalStateException("expected beginReads() before a read");
      }
      return txn;
    }

    @Override
    public long get(byte[] block, int offset) {
      fill(keys, key, block, offset);
      ByteBuffer found = dbi.get(txn(), key);
      return found == null ? Entries.NONE : mark(found);
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      fill(keys, key, block, keyOffset);
      value.clear().put(values, valueOffset, Entries.VALUE_LENGTH).flip();
      try (Txn<ByteBuffer> txn = env.txnWrite()) {
        dbi.put(txn, key, value, NO_FLAGS);
        txn.commit();
      }
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      try (Cursor<ByteBuffer> cursor = dbi.openCursor(txn())) {
        boolean found = reverse ? cursor.last() : cursor.first();
        for (long i = 0; found && i < limit; i++) {
          ByteBuffer at = cursor.key();
          if (keys == KeyKind.INT) {
            at.order(ByteOrder.nativeOrder());
            check.entry(at.getInt(0) & 0xffff_ffffL, 0, mark(cursor.val()));
          } else {
            at.order(ByteOrder.BIG_ENDIAN);
            check.entry(at.getLong(0), at.getLong(Long.BYTES), mark(cursor.val()));
          }
          found = reverse ? cursor.prev() : cursor.next();
        }
      }
    }

    @Override
    public void close() {
      Txn<ByteBuffer> txn = readTxn;
      if (txn != null) {
        txn.close();
      }
    }
  }

  private final class TxnBulk implements Bulk {
    private final PutFlags[] flags;
    private final Txn<ByteBuffer> txn = env.txnWrite();
    private final ByteBuffer key = keyBuffer(keys);
    private final ByteBuffer value = ByteBuffer.allocateDirect(Entries.VALUE_LENGTH);

    TxnBulk(PutFlags[] flags) {
      this.flags = flags;
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      fill(keys, key, block, keyOffset);
      value.clear().put(values, valueOffset, Entries.VALUE_LENGTH).flip();
      dbi.put(txn, key, value, flags);
    }

    @Override
    public void close() {
      txn.commit();
      txn.close();
    }
  }
}
