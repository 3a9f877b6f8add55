package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class MicroMustTest {
  private static MicroRow row(
      String cell,
      int threads,
      String mode,
      String peer,
      MicroUnit unit,
      double ours,
      double ratio) {
    var key = new MicroRow.Key(cell, threads, mode, PersistenceMode.PROCESS, peer, 0, false);
    return new MicroRow(key, unit, ours, ours * ratio, ratio, List.of(), List.of());
  }

  private static MicroMust must(String cell, String peer) {
    return MicroMust.all().stream()
        .filter(m -> m.cell().equals(cell) && m.peer().orElse("").equals(peer))
        .findFirst()
        .orElseThrow();
  }

  private static boolean passes(String cell, int threads, String peer, double ratio) {
    MicroRow row = row(cell, threads, "mirror", peer, MicroUnit.NANOS, 1e9, ratio);
    MicroMust must = must(cell, peer);
    Optional<MicroRow> found = must.rowIn(List.of(row));
    assertEquals(Optional.of(row), found);
    assertEquals(must.passes(row), must.verdict(found).startsWith("PASS"));
    return must.passes(row);
  }

  @ParameterizedTest
  @CsvSource({
    "get-random-string-1M-uniform, 1, chronicle, 1.25",
    "get-random-string-1M-zipf, 1, chronicle, 1.25",
    "get-random-string-1M-uniform, 1, lmdb, 2",
    "get-random-string-1M-zipf, 1, lmdb, 2",
    "get-random-string-1M-uniform, 1, rocksdb, 5",
    "get-random-string-1M-zipf, 1, rocksdb, 5",
    "get-random-string-10M-uniform, 1, chronicle, 1",
    "get-random-string-10M-zipf, 1, chronicle, 1",
    "get-inorder-string-1M, 1, lmdb, 0.8",
    "get-inorder-int-1M, 1, lmdb, 0.8",
    "put-new-string-1M, 1, chronicle, 1",
    "put-overwrite-string-1M, 1, chronicle, 1",
    "put-new-string-1M, 1, lmdb, 3",
    "put-overwrite-string-1M, 1, lmdb, 3",
    "put-new-string-1M, 1, rocksdb, 3",
    "put-overwrite-string-1M, 1, rocksdb, 3",
    "put-new-string-10M, 1, chronicle, 0.6",
    "put-overwrite-string-10M, 1, chronicle, 0.6",
    "load-inorder-string-1M, 1, lmdb, 0.7",
    "load-inorder-int-1M, 1, lmdb, 0.7",
    "scan-forward-random-string-1M, 1, lmdb, 1",
    "scan-reverse-random-string-1M, 1, lmdb, 1",
    "scan-forward-inorder-string-1M, 1, lmdb, 0.7",
    "scan-reverse-inorder-int-1M, 1, lmdb, 0.7",
    "scaling-get-string-1M, 2, chase, 0.9",
    "scaling-put-string-1M, 2, chase, 0.8",
    "open-after-kill-10M, 1, lmdb, 0.2"
  })
  void aRatioPassesFromTheMustOnAndNotBelow(String cell, int threads, String peer, double must) {
    assertTrue(passes(cell, threads, peer, must));
    assertFalse(passes(cell, threads, peer, must - 0.001));
  }

  @ParameterizedTest
  @CsvSource({
    "space-after-load-1M, 1.7", "space-after-load-10M, 1.7",
    "space-after-compact-1M, 1.1", "space-after-compact-10M, 1.1"
  })
  void spaceIsJudgedByOurFigureAloneBesideAnyPeer(String cell, double limit) {
    MicroMust must = must(cell, "");
    MicroRow at = row(cell, 1, "mirror", "xodus", MicroUnit.FACTOR, limit, 0.01);
    MicroRow above = row(cell, 1, "mirror", "xodus", MicroUnit.FACTOR, limit + 0.001, 100);
    assertTrue(must.passes(must.rowIn(List.of(at)).orElseThrow()));
    assertFalse(must.passes(must.rowIn(List.of(above)).orElseThrow()));
  }

  @Test
  void anOpenPassesByItsTimeAloneToo() {
    MicroMust must = must("open-after-kill-10M", "lmdb");
    String cell = must.cell();
    assertTrue(must.passes(row(cell, 1, "mirror", "lmdb", MicroUnit.NANOS, 150e6, 0.01)));
    assertFalse(must.passes(row(cell, 1, "mirror", "lmdb", MicroUnit.NANOS, 150e6 + 1, 0.01)));
  }

  @Test
  void whatWasNotMeasuredFailsAndTheSingleLegAndTwoThreadsDoNotCount() {
    String cell = "get-random-string-1M-uniform";
    MicroMust must = must(cell, "chronicle");
    List<MicroRow> others = new ArrayList<>();
    others.add(row(cell, 1, "single", "chronicle", MicroUnit.NANOS, 1, 9));
    others.add(row(cell, 2, "mirror", "chronicle", MicroUnit.NANOS, 1, 9));
    others.add(row(cell, 1, "mirror", "lmdb", MicroUnit.NANOS, 1, 9));
    assertEquals(Optional.empty(), must.rowIn(others));
    assertTrue(must.verdict(Optional.empty()).startsWith("FAIL  " + cell + ": could not"));
  }

  @Test
  void everyMustIsOfACellThatThereIs() {
    Set<String> cells =
        MicroCell.all(false, 1).stream()
            .map(cell -> cell.name() + cell.threads())
            .collect(Collectors.toSet());
    for (MicroMust must : MicroMust.all()) {
      assertTrue(cells.contains(must.cell() + must.threads()), must.cell());
    }
  }

  @Test
  void scalingIsOursByThatOfTheChase() {
    var key = new MicroRow.Key("x", 2, "mirror", PersistenceMode.PROCESS, "chase", 1, true);
    // Ours does 1.5 times as much with two threads, the chase 2 times as much.
    MicroRow row = MicroRun.scalingRow(key, List.of(new double[] {300, 200, 100, 50}));
    assertEquals(0.75, row.ratio(), 1e-9);
    assertEquals(200, row.ours());
    assertEquals(50, row.theirs());
  }
}
