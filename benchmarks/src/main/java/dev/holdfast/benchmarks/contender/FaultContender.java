package dev.holdfast.benchmarks.contender;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** The stores whose files are taken away, each set up as {@link ContenderKind} says. */
public enum FaultContender {
  /** Ours, a leg on each of two file systems; one of them is lost. */
  HOLDFAST("Holdfast, mirror"),

  /** Ours without a mirror. */
  HOLDFAST_SINGLE("Holdfast, one leg"),

  /** Chronicle Map. */
  CHRONICLE("Chronicle Map"),

  /** LMDB. */
  LMDB("LMDB"),

  /** RocksDB as it is by default: without mappings. */
  ROCKSDB("RocksDB"),

  /** RocksDB that maps its tables. */
  ROCKSDB_MMAP("RocksDB, mmap"),

  /** H2's MVStore. */
  MVSTORE("MVStore"),

  /** MapDB. */
  MAPDB("MapDB"),

  /** JetBrains Xodus. */
  XODUS("Xodus");

  private final String title;

  FaultContender(String title) {
    this.title = title;
  }

  /** The name in a table. */
  public String title() {
    return title;
  }

  /** How many file systems it lies on. */
  public int fileSystems() {
    return this == HOLDFAST ? 2 : 1;
  }

  /**
   * Opens it.
   *
   * @param settings its directory is the store's own
   * @param fileSystems directories, one on each file system; the first is the one that is lost
   */
  public Contender open(ContenderSettings settings, List<Path> fileSystems) {
    return switch (this) {
      case HOLDFAST, HOLDFAST_SINGLE ->
          new HoldfastContender(
              settings,
              fileSystems.stream().map(place -> place.resolve("leg.pmem")).toArray(Path[]::new));
      case CHRONICLE -> ContenderKind.CHRONICLE.open(settings);
      case LMDB -> ContenderKind.LMDB.open(settings);
      case ROCKSDB -> ContenderKind.ROCKSDB.open(settings);
      case ROCKSDB_MMAP -> new RocksDbContender(settings, true);
      case MVSTORE -> ContenderKind.MVSTORE.open(settings);
      case MAPDB -> ContenderKind.MAPDB.open(settings);
      case XODUS -> ContenderKind.XODUS.open(settings);
    };
  }

  /** What state a store says that it is in; empty where it says nothing. */
  public static String state(Contender contender) {
    return contender instanceof HoldfastContender holdfast ? holdfast.state() : "";
  }

  /** The name on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
