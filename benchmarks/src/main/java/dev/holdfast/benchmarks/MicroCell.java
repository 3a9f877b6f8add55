package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.ContenderKind;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;
import java.util.ArrayList;
import java.util.List;

/**
 * One thing that is measured, of ours and of every peer that can do it.
 *
 * @param name its name in results; with the threads and the persistence mode it is unique
 * @param store what it is measured on
 * @param op what is done
 * @param threads how many threads do it at the same time
 */
record MicroCell(String name, MicroStore store, Op op, int threads) {
  private static final int MILLION = 1_000_000;

  /** What is done, in the order in which it is done to a store. */
  enum Op {
    /** Put new entries one by one, from empty to full, in random order. */
    PUT_NEW,
    /** Load in key order, in batches. */
    LOAD,
    SPACE_LOADED,
    GET_UNIFORM,
    GET_ZIPF,
    GET_IN_ORDER,
    SCAN_FORWARD,
    SCAN_REVERSE,
    OVERWRITE,
    /** What two threads do together, against what they do in the pointer chase; ours alone. */
    SCALING_GET,
    SCALING_PUT,
    SPACE_COMPACTED,
    /** Open what a killed process left, up to the first right get. */
    OPEN_KILLED;

    /** What its figures count. */
    MicroUnit unit() {
      return this == SPACE_LOADED || this == SPACE_COMPACTED ? MicroUnit.FACTOR : MicroUnit.NANOS;
    }
  }

  /** Whether a contender can do it. */
  boolean suits(ContenderKind kind) {
    return kind.offers(store.persistence())
        && switch (op) {
          case SCAN_FORWARD, SCAN_REVERSE -> kind.ordered();
          case SPACE_COMPACTED -> kind.compacts();
          default -> true;
        };
  }

  /**
   * All cells.
   *
   * @param quick without those of ten million entries
   * @param divisor by which the entries are fewer than the names say, for tests
   */
  static List<MicroCell> all(boolean quick, int divisor) {
    List<MicroCell> cells = new ArrayList<>();
    random(cells, "1M", MILLION / divisor);
    ordered(cells, KeyKind.STRING, MILLION / divisor);
    ordered(cells, KeyKind.INT, MILLION / divisor);
    var file = new MicroStore(KeyKind.STRING, false, MILLION / 10 / divisor, PersistenceMode.FILE);
    for (int threads = 1; threads <= 2; threads++) {
      cells.add(new MicroCell("put-overwrite-string-100K", file, Op.OVERWRITE, threads));
    }
    if (!quick) {
      random(cells, "10M", 10 * MILLION / divisor);
    }
    return List.copyOf(cells);
  }

  private static void random(List<MicroCell> cells, String size, int entries) {
    var store = new MicroStore(KeyKind.STRING, false, entries, PersistenceMode.PROCESS);
    cells.add(new MicroCell("put-new-string-" + size, store, Op.PUT_NEW, 1));
    cells.add(new MicroCell("space-after-load-" + size, store, Op.SPACE_LOADED, 1));
    for (int threads = 1; threads <= 2; threads++) {
      cells.add(
          new MicroCell("get-random-string-" + size + "-uniform", store, Op.GET_UNIFORM, threads));
    }
    cells.add(new MicroCell("get-random-string-" + size + "-zipf", store, Op.GET_ZIPF, 1));
    cells.add(new MicroCell("get-inorder-string-" + size, store, Op.GET_IN_ORDER, 1));
    cells.add(new MicroCell("scan-forward-random-string-" + size, store, Op.SCAN_FORWARD, 1));
    cells.add(new MicroCell("scan-reverse-random-string-" + size, store, Op.SCAN_REVERSE, 1));
    for (int threads = 1; threads <= 2; threads++) {
      cells.add(new MicroCell("put-overwrite-string-" + size, store, Op.OVERWRITE, threads));
    }
    cells.add(new MicroCell("scaling-get-string-" + size, store, Op.SCALING_GET, 2));
    cells.add(new MicroCell("scaling-put-string-" + size, store, Op.SCALING_PUT, 2));
    cells.add(new MicroCell("space-after-compact-" + size, store, Op.SPACE_COMPACTED, 1));
    cells.add(new MicroCell("open-after-kill-" + size, store, Op.OPEN_KILLED, 1));
  }

  private static void ordered(List<MicroCell> cells, KeyKind keys, int entries) {
    var store = new MicroStore(keys, true, entries, PersistenceMode.PROCESS);
    String suffix = (keys == KeyKind.INT ? "int" : "string") + "-1M";
    cells.add(new MicroCell("load-inorder-" + suffix, store, Op.LOAD, 1));
    if (keys == KeyKind.INT) {
      cells.add(new MicroCell("get-inorder-" + suffix, store, Op.GET_IN_ORDER, 1));
    }
    cells.add(new MicroCell("scan-forward-inorder-" + suffix, store, Op.SCAN_FORWARD, 1));
    cells.add(new MicroCell("scan-reverse-inorder-" + suffix, store, Op.SCAN_REVERSE, 1));
  }
}
