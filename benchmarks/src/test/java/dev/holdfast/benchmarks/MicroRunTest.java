package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.benchmarks.contender.ContenderKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark beside two peers, small: no word on times. */
final class MicroRunTest {
  private static final MicroRun.Settings SMALL =
      new MicroRun.Settings(true, 1, 0, 1, 5, 5, 1, 1_000, 1);
  private static final List<ContenderKind> PEERS =
      List.of(ContenderKind.CHRONICLE, ContenderKind.LMDB);

  @TempDir private Path directory;

  private List<String> run(Path json, List<MicroCell> cells)
      throws IOException, InterruptedException {
    List<String> progress = new ArrayList<>();
    Path stores = Files.createDirectories(directory.resolve("stores"));
    try (MicroRun run = new MicroRun(SMALL, PEERS, stores, MicroLedger.open(json), progress::add)) {
      run.run(cells);
      assertEquals(List.of(), run.failures());
    }
    try (var left = Files.list(stores)) {
      assertEquals(0, left.count());
    }
    return progress;
  }

  @Test
  void everyCellIsMeasuredOnceBesideEveryPeerThatCanAndNotAgain()
      throws IOException, InterruptedException {
    Path json = directory.resolve("micro.json");
    List<MicroCell> cells = MicroCell.all(true, 500);
    run(json, cells);
    List<MicroRow> rows = MicroLedger.open(json).merged(true);
    for (MicroCell cell : cells) {
      boolean scales = cell.name().startsWith("scaling");
      for (String mode : List.of("mirror", "single")) {
        assertEquals(
            !cell.suits(ContenderKind.valueOf(mode.toUpperCase(Locale.ROOT)))
                ? List.of()
                : scales
                    ? List.of("chase")
                    : PEERS.stream().filter(cell::suits).map(ContenderKind::toString).toList(),
            rows.stream()
                .map(MicroRow::key)
                .filter(key -> key.cell().equals(cell.name()))
                .filter(key -> key.threads() == cell.threads() && key.mode().equals(mode))
                .map(MicroRow.Key::peer)
                .toList(),
            cell + " " + mode);
      }
    }
    assertTrue(rows.stream().allMatch(row -> row.ours() > 0 && row.theirs() > 0));

    assertEquals(List.of(), run(json, cells));

    // One row less: its cell is measured again, and no other.
    String lost = "\"cell\":\"get-random-string-1M-zipf\"";
    Files.writeString(
        json,
        Files.readAllLines(json).stream()
            .filter(line -> !(line.contains(lost) && line.contains("\"peer\":\"lmdb\"")))
            .collect(Collectors.joining("\n", "", "\n")));
    List<String> measured =
        run(json, cells).stream().filter(line -> line.contains(": mirror ")).toList();
    assertEquals(1, measured.size(), measured.toString());
    assertTrue(measured.getFirst().startsWith("get-random-string-1M-zipf: "), measured.getFirst());
    assertEquals(rows.size(), MicroLedger.open(json).merged(true).size());
  }

  @Test
  void aWrongAnswerFails() throws Exception {
    for (ContenderKind kind : List.of(ContenderKind.SINGLE, ContenderKind.LMDB)) {
      MicroWorker worker = new MicroWorker(kind);
      Path place = Files.createDirectories(directory.resolve(kind.toString()));
      worker.run(List.of("open", place.toString(), "STRING", "false", "1000", "PROCESS", "false"));
      worker.run(List.of("new", "0", "999", "9999"));
      List<String> get = List.of("slice", "GET_UNIFORM", "1", "10");
      List<String> scan = List.of("slice", "SCAN_FORWARD", "1", "10");
      assertThrows(Exception.class, () -> worker.run(get));
      assertThrows(Exception.class, () -> worker.run(scan));
      worker.run(List.of("new", "999", "1", "9999"));
      assertEquals(2, worker.run(get).length);
      assertEquals(1000, worker.run(scan)[0]);
      worker.run(List.of("close"));
    }
  }

  @Test
  void aZipfMeetsTheFirstRankAsOftenAsItShouldAndTheLastOnesToo() {
    Zipf zipf = new Zipf(1000);
    SplittableRandom random = new SplittableRandom(1);
    int[] met = new int[1000];
    for (int i = 0; i < 1_000_000; i++) {
      met[zipf.next(random)]++;
    }
    // The sum of 1 / n^0.99 up to 1,000 is 7.73.
    assertEquals(1 / 7.73, met[0] / 1e6, 0.003);
    assertEquals(Math.pow(0.5, 0.99), (double) met[1] / met[0], 0.02);
    assertTrue(met[999] > 50 && met[999] < 250, "" + met[999]);
  }
}
