package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.jupiter.api.Test;

class ReadChoiceTest {
  private static final int ENTRIES = 1000;
  private static final int LARGE = 3;
  private static final int SMALL = 5;
  private static final int DRAWS = 64_000;

  private static int drawn(int entry, int... preferred) {
    Ledger ledger = new Ledger(ENTRIES);
    for (int i = 0; i < ENTRIES; i++) {
      ledger.source(i, i == LARGE ? 16 << 20 : 100, new byte[Ledger.DIGEST_LENGTH]);
      ledger.issue(i, 0);
      ledger.acknowledge(i, 0);
    }
    ReadChoice choice = new ReadChoice(ledger);
    choice.prefer(preferred);
    SplittableRandom random = new SplittableRandom(1);
    int count = 0;
    for (int i = 0; i < DRAWS; i++) {
      if (choice.next(random) == entry) {
        count++;
      }
    }
    return count;
  }

  @Test
  void largeEntryThatIsHitIsReadSeldom() {
    int drawn = drawn(LARGE, LARGE);
    assertTrue(drawn > DRAWS / 128 && drawn < DRAWS / 32, "drawn " + drawn);
  }

  @Test
  void smallEntryThatIsHitIsReadEverySecondTime() {
    int drawn = drawn(SMALL, SMALL, LARGE);
    assertTrue(drawn > DRAWS * 2 / 5 && drawn < DRAWS * 3 / 5, "drawn " + drawn);
  }

  @Test
  void nothingIsChosenWhereNothingWasAcknowledged() {
    assertEquals(-1, new ReadChoice(new Ledger(1)).next(new SplittableRandom(1)));
  }

  @Test
  void readersBesideTheFirstAcknowledgementFindIt() throws InterruptedException {
    int rounds = 200_000;
    AtomicInteger reading = new AtomicInteger(-1);
    AtomicReferenceArray<ReadChoice> choices = new AtomicReferenceArray<>(rounds);
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread reader =
        new Thread(() -> {
          SplittableRandom random = new SplittableRandom(1);
          for (int i = 0; i < rounds; i++) {
            ReadChoice choice = choices.get(i);
            while (choice == null) {
              Thread.onSpinWait();
              choice = choices.get(i);
            }
            reading.setRelease(i);
            while (choice.next(random) < 0) {
              Thread.onSpinWait();
            }
          }
        });
    reader.setUncaughtExceptionHandler((thread, throwable) -> thrown.set(throwable));
    reader.start();
    for (int i = 0; i < rounds; i++) {
      Ledger ledger = new Ledger(1);
      ledger.source(0, 1, new byte[Ledger.DIGEST_LENGTH]);
      ledger.issue(0, 0);
      choices.set(i, new ReadChoice(ledger));
      while (reader.isAlive() && reading.getAcquire() < i) {
        Thread.onSpinWait();
      }
      ledger.acknowledge(0, 0);
    }
    reader.join();
    assertNull(thrown.get());
  }
}
