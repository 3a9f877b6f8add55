package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class MicroLedgerTest {
  @TempDir private Path directory;
  private Path file = Path.of("");

  @BeforeEach
  void name() {
    file = directory.resolve("micro.json");
  }

  private static MicroRow row(String cell, int fork, boolean quick, Double... ours) {
    var key = new MicroRow.Key(cell, 1, "mirror", PersistenceMode.PROCESS, "lmdb", fork, quick);
    return MicroRow.of(key, MicroUnit.NANOS, List.of(ours), List.of(600.0, 400.0));
  }

  @Test
  void aRowIsInTheFileAtOnceAndThereInTheNextRun() throws IOException {
    MicroLedger first = MicroLedger.open(file);
    MicroRow row = row("get", 1, true, 250.25, 240.0, 1000.0);
    assertFalse(first.has(row.key()));
    first.note(Map.of("run", Map.of("say \"", List.of(1.5, true))));
    first.add(row);
    assertEquals(
        "{\"cell\":\"get\",\"threads\":1,\"mode\":\"mirror\",\"oursNanos\":250.25,\"peer\":"
            + "\"lmdb\",\"peerNanos\":500.0,\"ratio\":1.998,\"durability\":\"PROCESS\","
            + "\"fork\":1,\"quick\":true,\"oursSamples\":[250.25,240.0,1000.0],"
            + "\"peerSamples\":[600.0,400.0]}",
        Files.readAllLines(file).get(1));
    MicroLedger second = MicroLedger.open(file);
    assertTrue(second.has(row.key()));
    MicroRow read = second.merged(true).getFirst();
    assertEquals(250.25, read.ours());
    assertEquals(500, read.theirs());
    assertFalse(second.has(row("get", 2, true, 1.0).key()));
    assertFalse(second.has(row("get", 1, false, 1.0).key()));
    assertFalse(second.has(row("put", 1, true, 1.0).key()));
  }

  @Test
  void aLineThatWasCutOffIsMeasuredAgainAndDoesNotSpoilTheNext() throws IOException {
    MicroLedger first = MicroLedger.open(file);
    first.add(row("get", 1, true, 250.0));
    first.add(row("put", 1, true, 250.0));
    String text = Files.readString(file);
    Files.writeString(file, text.substring(0, text.length() - 20));
    MicroLedger second = MicroLedger.open(file);
    assertTrue(second.has(row("get", 1, true, 1.0).key()));
    assertFalse(second.has(row("put", 1, true, 1.0).key()));
    second.add(row("put", 1, true, 300.0));
    assertEquals(2, MicroLedger.open(file).merged(true).size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"[1]\n", "a table\n", "{\"cell\":\"get\"}\n", "{\"cell\":1,}\n", "no line"})
  void anotherFileIsRefusedAndLeftAsItIs(String text) throws IOException {
    Files.writeString(file, text);
    assertThrows(Place.BadPlaceException.class, () -> MicroLedger.open(file));
    assertEquals(text, Files.readString(file));
  }

  @Test
  void forksAreMergedByTheirMediansAndQuickRunsStandAlone() throws IOException {
    MicroLedger ledger = MicroLedger.open(null);
    ledger.add(row("get", 1, false, 100.0));
    ledger.add(row("get", 2, false, 900.0));
    ledger.add(row("get", 3, false, 200.0));
    ledger.add(row("get", 1, true, 1.0));
    assertEquals(1, ledger.merged(false).size());
    MicroRow merged = ledger.merged(false).getFirst();
    assertEquals(200, merged.ours());
    assertEquals(2.5, merged.ratio());
    assertEquals(500, ledger.merged(true).getFirst().ratio());
  }
}
