package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.StoreBuilder;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example must find out a store that is broken, and acquit one that is not. */
class PlantedDefectTest {
  @TempDir Path directory;

  private CommandLineRun run(Run.Opener opener, String... more) throws Exception {
    Path input = CommandLineRun.smallTree(directory.resolve("input"), 60);
    return CommandLineRun.of(opener, directory, input.toString(), more);
  }

  @Test
  void undamagedStoreIsAcquittedWhenALegIsPulledOut() throws Exception {
    CommandLineRun run = run(StoreBuilder::open);
    assertEquals(Verdict.GOOD, run.code(), run.all());
    assertTrue(run.json().contains("\"lost\":0,\"wrong\":0,\"failed\":0,"), run.all());
    assertTrue(run.json().contains("\"state\":\"DEGRADED\""), run.all());
  }

  @Test
  void droppedAcknowledgedWriteIsFoundOut() throws Exception {
    CommandLineRun run =
        run(builder -> DefectiveStore.dropsOneWrite(builder.open(), 10), "--fault", "none");
    assertEquals(Verdict.DAMAGED, run.code(), run.all());
  }

  @Test
  void staleValueIsFoundOut() throws Exception {
    CommandLineRun run =
        run(builder -> DefectiveStore.returnsOneStaleValue(builder.open()), "--fault", "none");
    assertEquals(Verdict.DAMAGED, run.code(), run.all());
    assertTrue(run.all().contains("wrong: expected 0"), run.all());
  }

  @Test
  void acknowledgementBeforeTheBarrierIsFoundOut() throws Exception {
    CommandLineRun run =
        run(
            builder -> DefectiveStore.acknowledgesBeforeTheBarrier(builder.open()),
            "--fault",
            "remove-both",
            // The run waits for a write to be refused, and none is.
            "--patience",
            "3");
    assertEquals(Verdict.DAMAGED, run.code(), run.all());
    assertTrue(run.all().contains("acknowledged where nothing may be"), run.all());
  }

  @Test
  void totalLossEndsWithItsOwnExitCode() throws Exception {
    CommandLineRun run = run(StoreBuilder::open, "--fault", "remove-both");
    assertEquals(Verdict.UNAVAILABLE, run.code(), run.all());
  }

  @Test
  void tooFewOperationsAreTold() throws Exception {
    CommandLineRun run = run(StoreBuilder::open, "--patience", "0");
    assertEquals(Verdict.TOO_FEW_OPERATIONS, run.code(), run.all());
  }
}
