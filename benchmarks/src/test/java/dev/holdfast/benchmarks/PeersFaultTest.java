package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.benchmarks.contender.FaultContender;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whether the judge of {@code peers-fault} sees what is gone, with no file system lost. */
final class PeersFaultTest {
  private static final int ENTRIES = 200;

  @TempDir Path directory;

  private PeersFaultJvm start(String what, Path place) throws IOException {
    Files.createDirectories(place.resolve("store"));
    return new PeersFaultJvm(
        what,
        FaultContender.HOLDFAST_SINGLE,
        place.resolve("store"),
        ENTRIES,
        "PROCESS",
        List.of(place),
        directory);
  }

  @Test
  void writesThatAreThereAreNotGoneAndWritesThatAreNotAre() throws Exception {
    Path place = directory.resolve("place");
    Path old = directory.resolve("old");
    try (PeersFaultJvm jvm = start("load", place)) {
      Awaitility.await().until(() -> jvm.isReady() || jvm.done() != null);
      assertTrue(jvm.isReady(), () -> "" + jvm.done());
      Files.createDirectories(old.resolve("store"));
      for (String file : List.of("leg.pmem", "store/witness")) {
        Files.copy(place.resolve(file), old.resolve(file));
      }
      jvm.lost();
      Awaitility.await().until(() -> jvm.acknowledgedAfter() > 20 * ENTRIES);
      jvm.send("stop");
      assertNull(jvm.awaitEnd(30_000));
      assertEquals("", jvm.done());
      assertEquals(0, jvm.wrong() + jvm.failedReads() + jvm.failedWrites());

      try (PeersFaultJvm looked = start("look", place)) {
        assertNull(looked.awaitEnd(30_000));
        assertEquals("", looked.done());
        assertEquals(0, jvm.goneAfter(looked));
        assertEquals(0, jvm.goneBefore(looked));
      }
      try (PeersFaultJvm looked = start("look", old)) {
        assertNull(looked.awaitEnd(30_000));
        assertEquals("", looked.done());
        assertTrue(jvm.goneAfter(looked) > 10 * ENTRIES, () -> "gone " + jvm.goneAfter(looked));
      }
    }
  }

  @Test
  void tablesHaveARowForEachStoreAndFault() {
    PeersFaultResult result =
        new PeersFaultResult(
            FaultContender.LMDB,
            true,
            "died (exit code 134)",
            1_000,
            999,
            1,
            2,
            3,
            4,
            "put: x",
            1,
            "opens when reopened");
    String markdown = PeersFaultReport.markdown(List.of(result));
    assertTrue(
        markdown.contains(
            "| LMDB | died (exit code 134) | 1,000 | 999 | 1 | 2 | 3 / 4 | – | opens when"
                + " reopened |"),
        markdown);
    assertTrue(markdown.startsWith("The files are truncated"), markdown);
    assertTrue(PeersFaultReport.table(List.of(result)).contains("LMDB"));
    assertEquals(999L, result.json().get("goneAfterRemount"));
    assertNull(result.json().get("longestStallMillis"), "nothing of it ended");
  }

  @Test
  void halfAMessageOfADyingJvmIsNone() {
    long now = System.nanoTime();
    assertTrue(PeersFaultJvm.isPossible(now, 0));
    assertTrue(PeersFaultJvm.isPossible(now - 5_000_000_000L, 5_000_000_000L));
    assertTrue(PeersFaultJvm.isPossible(0, 0));
    assertFalse(PeersFaultJvm.isPossible(now, -1));
    assertFalse(PeersFaultJvm.isPossible(now, 60_000_000_000L));
    assertFalse(PeersFaultJvm.isPossible(now - (1L << 60), 1L << 60));
    assertFalse(PeersFaultJvm.isPossible(Long.MAX_VALUE, 1_000));
  }

  @Test
  void deathIsCalledByItsSignal() throws IOException {
    Path said = directory.resolve("hs_err.log");
    assertEquals("exit code 1", PeersFaultJvm.causeOf(1, said));
    Files.writeString(said, "#\n#  SIGBUS (0x7) at pc=0x00007f, pid=1, tid=2\n#\n");
    assertEquals("SIGBUS", PeersFaultJvm.causeOf(1, said));
    Files.writeString(said, "# There is insufficient memory\n");
    assertEquals("exit code 1", PeersFaultJvm.causeOf(1, said));
  }
}
