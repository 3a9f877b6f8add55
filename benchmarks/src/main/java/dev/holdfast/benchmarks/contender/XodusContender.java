package dev.holdfast.benchmarks.contender;

import java.util.Arrays;
import jetbrains.exodus.ArrayByteIterable;
import jetbrains.exodus.ByteIterable;
import jetbrains.exodus.env.Cursor;
import jetbrains.exodus.env.Environment;
import jetbrains.exodus.env.EnvironmentConfig;
import jetbrains.exodus.env.Environments;
import jetbrains.exodus.env.Store;
import jetbrains.exodus.env.StoreConfig;
import jetbrains.exodus.env.Transaction;
import org.jspecify.annotations.Nullable;

/** JetBrains Xodus. */
final class XodusContender implements Contender {
  private static final int BATCH = 10_000;
  private static final long LOG_FILE_KILOBYTES = 32L << 10;
  private static final int CACHE_PERCENTAGE = 25;

  private final Environment environment;
  private final Store store;
  private final KeyKind keys;

  XodusContender(ContenderSettings settings) {
    this.keys = settings.keys();
    this.environment =
        Environments.newInstance(
            settings.directory().toFile(),
            new EnvironmentConfig()
                .setLogDurableWrite(settings.flushes())
                .setLogFileSize(LOG_FILE_KILOBYTES)
                .setMemoryUsagePercentage(CACHE_PERCENTAGE)
                // It refuses memory as a place otherwise.
                .setLogAllowRamDisk(true));
    this.store =
        environment.computeInTransaction(txn ->
            environment.openStore("entries", StoreConfig.WITHOUT_DUPLICATES_WITH_PREFIXING, txn));
  }

  private ByteIterable key(byte[] block, int offset) {
    return new ArrayByteIterable(Arrays.copyOfRange(block, offset, offset + keys.length()));
  }

  private static ByteIterable value(byte[] values, int offset) {
    return new ArrayByteIterable(Arrays.copyOfRange(values, offset, offset + Entries.VALUE_LENGTH));
  }

  private static long mark(ByteIterable value) {
    byte[] bytes = value.getBytesUnsafe();
    return value.getLength() == Entries.VALUE_LENGTH
        ? Entries.mark(Entries.word(bytes, 0), Entries.word(bytes, Entries.LAST_WORD))
        : Entries.NONE;
  }

  @Override
  public Access access() {
    return new TransactionAccess();
  }

  @Override
  public Bulk bulk(boolean ascending) {
    return new Bulk() {
      private Transaction transaction = environment.beginTransaction();
      private int waiting;

      @Override
      public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
        ByteIterable key = key(block, keyOffset);
        ByteIterable value = value(values, valueOffset);
        if (ascending) {
          store.putRight(transaction, key, value);
        } else {
          store.put(transaction, key, value);
        }
        if (++waiting == BATCH) {
          commit();
          transaction = environment.beginTransaction();
          waiting = 0;
        }
      }

      private void commit() {
        if (!transaction.commit()) {
          throw new IllegalStateException("expected to be the only writer, was not");
        }
      }

      @Override
      public void close() {
        commit();
      }
    };
  }

  @Override
  public void compact() {
    throw new UnsupportedOperationException("compact: it does so in the background, when it wants");
  }

  @Override
  public void close() {
    environment.close();
  }

  private final class TransactionAccess implements Access {
    private @Nullable Transaction reading;

    @Override
    public void beginReads() {
      reading = environment.beginReadonlyTransaction();
    }

    @Override
    public void endReads() {
      transaction().abort();
      reading = null;
    }

    private Transaction transaction() {
      Transaction transaction = reading;
      if (transaction == null) {
        throw new IllegalStateException("expected beginReads() before a read");
      }
      return transaction;
    }

    @Override
    public long get(byte[] block, int offset) {
      ByteIterable found = store.get(transaction(), key(block, offset));
      return found == null ? Entries.NONE : mark(found);
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      ByteIterable key = key(block, keyOffset);
      ByteIterable value = value(values, valueOffset);
      environment.executeInTransaction(txn -> store.put(txn, key, value));
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      try (Cursor cursor = store.openCursor(transaction())) {
        boolean found = reverse ? cursor.getLast() : cursor.getNext();
        for (long i = 0; found && i < limit; i++) {
          byte[] key = cursor.getKey().getBytesUnsafe();
          check.entry(
              Entries.high(keys, key, 0), Entries.low(keys, key, 0), mark(cursor.getValue()));
          found = reverse ? cursor.getPrev() : cursor.getNext();
        }
      }
    }

    @Override
    public void close() {
      Transaction transaction = reading;
      if (transaction != null) {
        transaction.abort();
      }
    }
  }
}
