package dev.holdfast.benchmarks.contender;

import dev.holdfast.pmem.PersistenceMode;
import java.util.Locale;

/** The stores that can be measured, and how each is set up: as its own documentation recommends. */
public enum ContenderKind {
  /** Ours as it is by default. */
  MIRROR(
      2,
      true,
      HoldfastContender.COMPACTS,
      true,
      "two legs, checksums verified by every get, defaults"),

  /** Ours without a mirror. */
  SINGLE(
      1,
      true,
      HoldfastContender.COMPACTS,
      true,
      "one leg, checksums verified by every get, else defaults"),

  /** Chronicle Map. */
  CHRONICLE(
      1,
      false,
      false,
      false,
      "createPersistedTo, entries() as many as there are, constantKeySizeBySample,"
          + " constantValueSizeBySample, putReturnsNull, getUsing; entry checksums as by default"
          + " (written, not verified by get); after a kill recoverPersistedTo. PROCESS: a put."
          + " FILE: not offered"),

  /** LMDB. */
  LMDB(
      1,
      true,
      true,
      true,
      "lmdbjava, direct ByteBuffers, checks off, map of 4 x the data, int keys with"
          + " MDB_INTEGERKEY; reads in one read transaction, renewed for each slice. Bulk: one"
          + " transaction, MDB_APPEND in order. PROCESS: MDB_WRITEMAP and MDB_NOSYNC, one"
          + " transaction per put. FILE: no flags, one transaction per put. Compact: copy with"
          + " MDB_CP_COMPACT"),

  /** RocksDB. */
  ROCKSDB(
      1,
      true,
      true,
      true,
      "direct ByteBuffers, no compression, block cache of 2 x the data, Bloom filter of 10 bits,"
          + " data block hash index, 2 background jobs. Bulk: WriteBatches of 10,000. PROCESS:"
          + " write-ahead log on, sync false. FILE: sync true. Compact: compactRange"),

  /** H2's MVStore. */
  MVSTORE(
      1,
      true,
      true,
      true,
      "ByteArrayDataType, autoCommitDisabled, cache of 256 MB, else defaults; append() in order."
          + " Bulk: a commit every 100,000. PROCESS: commit() per put. FILE: commit() and sync()"
          + " per put. Compact: compactFile for up to 60 s"),

  /** MapDB. */
  MAPDB(
      1,
      true,
      true,
      true,
      "fileMmapEnable, BTreeMap of BYTE_ARRAY, transactionEnable (write-ahead log), commit() per"
          + " put; its commit flushes in both classes. Bulk: a commit every 100,000"),

  /** JetBrains Xodus. */
  XODUS(
      1,
      true,
      false,
      true,
      "WITHOUT_DUPLICATES_WITH_PREFIXING, log files of 32 MB, cache of a quarter of the heap; reads"
          + " in one read-only transaction a slice. Bulk: transactions of 10,000, putRight in"
          + " order. PROCESS: one transaction per put, durableWrite false. FILE: durableWrite"
          + " true");

  private final int legs;
  private final boolean ordered;
  private final boolean compacts;
  private final boolean flushes;
  private final String setUp;

  ContenderKind(int legs, boolean ordered, boolean compacts, boolean flushes, String setUp) {
    this.legs = legs;
    this.ordered = ordered;
    this.compacts = compacts;
    this.flushes = flushes;
    this.setUp = setUp;
  }

  /** Opens the store, creating it where it is not there. */
  public Contender open(ContenderSettings settings) {
    return switch (this) {
      case MIRROR -> new HoldfastContender(settings, 2);
      case SINGLE -> new HoldfastContender(settings, 1);
      case CHRONICLE -> new ChronicleContender(settings);
      case LMDB -> new LmdbContender(settings);
      case ROCKSDB -> new RocksDbContender(settings);
      case MVSTORE -> new MvStoreContender(settings);
      case MAPDB -> new MapDbContender(settings);
      case XODUS -> new XodusContender(settings);
    };
  }

  /** Whether it is the store that the others are compared with. */
  public boolean ours() {
    return this == MIRROR || this == SINGLE;
  }

  /** How often it holds each byte. */
  public int legs() {
    return legs;
  }

  /** Whether it can scan. */
  public boolean ordered() {
    return ordered;
  }

  /** Whether it can compact. */
  public boolean compacts() {
    return compacts;
  }

  /** Whether it can promise this. */
  public boolean offers(PersistenceMode persistence) {
    return switch (persistence) {
      case PROCESS -> true;
      case FILE -> flushes;
      case DAX -> false;
    };
  }

  /** How it is set up, for people. */
  public String setUp() {
    return setUp;
  }

  /** The name on the command line and in results. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
