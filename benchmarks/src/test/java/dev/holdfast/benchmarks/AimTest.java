package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class AimTest {
  @Test
  void itIsAimedAtUntilTheFirstSuccessBehindTheFault() {
    Aim aim = Aim.at(9, 4);
    var progress = new Aim.Progress(aim, index -> true);
    assertEquals(4, progress.next());
    progress.succeeded();
    assertEquals(9, progress.next());
    progress.succeeded();
    assertEquals(4, progress.next());
    aim.strike();
    progress.succeeded();
    // That one was chosen before the fault was there.
    assertEquals(9, progress.next());
    progress.succeeded();
    assertEquals(-1, progress.next());
  }

  @Test
  void whatNeverSucceedsIsTriedOnceBehindTheFault() {
    Aim aim = Aim.at(1, 2, 3);
    var progress = new Aim.Progress(aim, index -> true);
    aim.strike();
    assertEquals(1, progress.next());
    assertEquals(2, progress.next());
    assertEquals(3, progress.next());
    assertEquals(-1, progress.next());
  }

  @Test
  void aWorkerAimsAtItsOwnEntriesOnly() {
    Aim aim = Aim.at(1, 2, 3);
    var own = new Aim.Progress(aim, index -> index % 2 == 0);
    assertEquals(2, own.next());
    assertEquals(2, own.next());
    assertEquals(-1, new Aim.Progress(aim, index -> index > 3).next());
  }

  @Test
  void aLegThatIsGoneHitEverythingAndNothingHasToBeAimedAt() {
    assertTrue(Aim.atEverything().hit(5));
    assertEquals(-1, new Aim.Progress(Aim.atEverything(), index -> true).next());
    assertTrue(Aim.at(9, 4).hit(4));
    assertFalse(Aim.at(9, 4).hit(5));
  }
}
