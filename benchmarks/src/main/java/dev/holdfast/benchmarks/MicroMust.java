package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.ContenderKind;
import dev.holdfast.pmem.PersistenceMode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What ours must reach: the one table of it. All of it is for the mirror, the default, and for
 * PROCESS durability.
 *
 * @param cell the cell
 * @param threads with how many threads
 * @param peer beside whom; empty for the figure of ours alone
 * @param ratio the lowest peer / ours that passes; 0 if the ratio does not matter
 * @param limit the highest figure of ours that passes whatever the ratio is; 0 if none does
 * @param unit of the limit
 */
record MicroMust(
    String cell, int threads, Optional<String> peer, double ratio, double limit, MicroUnit unit) {
  static final String MODE = "mirror";

  private static final double OPEN_NANOS = 150e6;

  /** The table. */
  static List<MicroMust> all() {
    List<MicroMust> musts = new ArrayList<>();
    for (String skew : List.of("uniform", "zipf")) {
      musts.add(ratio("get-random-string-1M-" + skew, ContenderKind.CHRONICLE, 1.25));
      musts.add(ratio("get-random-string-1M-" + skew, ContenderKind.LMDB, 2));
      musts.add(ratio("get-random-string-1M-" + skew, ContenderKind.ROCKSDB, 5));
      musts.add(ratio("get-random-string-10M-" + skew, ContenderKind.CHRONICLE, 1));
    }
    musts.add(ratio("get-inorder-string-1M", ContenderKind.LMDB, 0.8));
    musts.add(ratio("get-inorder-int-1M", ContenderKind.LMDB, 0.8));
    for (String put : List.of("put-new-string-", "put-overwrite-string-")) {
      musts.add(ratio(put + "1M", ContenderKind.CHRONICLE, 1));
      musts.add(ratio(put + "1M", ContenderKind.LMDB, 3));
      musts.add(ratio(put + "1M", ContenderKind.ROCKSDB, 3));
      musts.add(ratio(put + "10M", ContenderKind.CHRONICLE, 0.6));
    }
    musts.add(ratio("load-inorder-string-1M", ContenderKind.LMDB, 0.7));
    musts.add(ratio("load-inorder-int-1M", ContenderKind.LMDB, 0.7));
    for (String scan : List.of("scan-forward-", "scan-reverse-")) {
      musts.add(ratio(scan + "random-string-1M", ContenderKind.LMDB, 1));
      musts.add(ratio(scan + "inorder-string-1M", ContenderKind.LMDB, 0.7));
      musts.add(ratio(scan + "inorder-int-1M", ContenderKind.LMDB, 0.7));
    }
    for (String size : List.of("1M", "10M")) {
      musts.add(scaling("scaling-get-string-" + size, 0.9));
      musts.add(scaling("scaling-put-string-" + size, 0.8));
      musts.add(space("space-after-load-" + size, 1.7));
      musts.add(space("space-after-compact-" + size, 1.1));
    }
    musts.add(
        new MicroMust(
            "open-after-kill-10M",
            1,
            Optional.of(ContenderKind.LMDB.toString()),
            1.0 / 5,
            OPEN_NANOS,
            MicroUnit.NANOS));
    return List.copyOf(musts);
  }

  private static MicroMust ratio(String cell, ContenderKind peer, double ratio) {
    return new MicroMust(cell, 1, Optional.of(peer.toString()), ratio, 0, MicroUnit.NANOS);
  }

  private static MicroMust scaling(String cell, double ratio) {
    return new MicroMust(cell, 2, Optional.of(MicroRow.CHASE), ratio, 0, MicroUnit.NANOS);
  }

  private static MicroMust space(String cell, double limit) {
    return new MicroMust(cell, 1, Optional.empty(), 0, limit, MicroUnit.FACTOR);
  }

  /**
   * The row that tells whether it is reached, if there is one.
   *
   * @param rows with the forks merged
   */
  Optional<MicroRow> rowIn(Collection<MicroRow> rows) {
    Predicate<MicroRow.Key> fits =
        key ->
            key.cell().equals(cell)
                && key.threads() == threads
                && key.mode().equals(MODE)
                && key.persistence() == PersistenceMode.PROCESS
                && (peer.isEmpty() || peer.get().equals(key.peer()));
    return rows.stream().filter(row -> fits.test(row.key())).findFirst();
  }

  /** Whether a row of it reaches it. */
  boolean passes(MicroRow row) {
    return (ratio > 0 && row.ratio() >= ratio) || (limit > 0 && row.ours() <= limit);
  }

  /** The verdict in a line. */
  String verdict(Optional<MicroRow> row) {
    String must =
        ratio == 0
            ? "≤ " + unit.text(limit)
            : "≥ %.2f × %s%s"
                .formatted(ratio, peer.orElse(""), limit == 0 ? "" : " or ≤ " + unit.text(limit));
    String measured =
        row.map(r ->
                ratio == 0
                    ? unit.text(r.ours())
                    : String.format(Locale.ROOT, "%.2f", r.ratio())
                        + (limit == 0 ? "" : ", " + unit.text(r.ours())))
            .orElse("could not be measured");
    boolean passes = row.isPresent() && passes(row.get());
    return "%s  %s: %s (must: %s)".formatted(passes ? "PASS" : "FAIL", cell, measured, must);
  }
}
