package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.volume.LegMarks;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** L4: a bad range on every live leg, exclusions that everybody obeys, and the order of repair. */
final class L4LossOfAPageTest {
  private static final int NEVER_CLEARED = 1_000_000;

  /** Device offset 0 lies behind the label. */
  private static final int LABEL = 64 << 10;

  @TempDir(factory = FastPlace.class)
  Path directory;

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void everyLiveLegRecordsTheBadRangeTheDamagedOneIncluded(int damaged) throws Exception {
    Path image = directory.resolve("image");
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 100);
      long epoch = store.stats().epoch();
      device(store, damaged).faults().failClears(NEVER_CLEARED);
      BadRange pages = device(store, damaged).faults().poison(extent(store, key(7)).offset(), 1);
      assertTrue(store.stats().epoch() > epoch, "a new epoch");
      assertEquals(List.of(pages), store.health().legs().get(damaged).badRanges());
      assertEquals(LegState.DEGRADED, store.health().legs().get(damaged).state());
      CrashImage.of(directory.resolve("s"), image);
      for (int leg = 0; leg < 2; leg++) {
        assertEquals(
            List.of(pages), LegMarks.badRanges(CrashImage.leg(image, leg), damaged), "leg " + leg);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void getsAndPutsKeepOffAPageThatIsBad(int damaged) {
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 100);
      EmulatedDevice device = device(store, damaged);
      device.faults().failClears(NEVER_CLEARED);
      BadRange pages = device.faults().poison(extent(store, key(7)).offset(), 1);
      long caught = store.stats().faultsCaught();
      for (int round = 0; round < 3; round++) {
        assertHolds(store, 0, 100);
        put(store, 0, 100); // moves records off the page and onto others
      }
      assertEquals(caught, store.stats().faultsCaught(), "nobody touched the page again");
      assertEquals(List.of(pages), store.health().legs().get(damaged).badRanges());
    }
  }

  @Test
  void repairThatCannotClearIsTriedAgain() {
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 100);
      device(store, 0).faults().failClears(2);
      device(store, 0).faults().poison(extent(store, key(7)).offset(), 1);
      assertHolds(store, 0, 100);
      await().until(() -> device(store, 0).badBlocks().isEmpty());
      await().until(() -> store.health().state() == StoreState.ONLINE);
      device(store, 1).faults().remove();
      assertHolds(store, 0, 100);
    }
  }

  /** The page is clear and writable, the copy is not durable yet, and the process is gone. */
  @Test
  void pageWhoseRepairWasCutOffStaysBad() throws Exception {
    Path image = directory.resolve("image");
    BadRange pages;
    try (Store store = Entries.open(directory.resolve("s"))) {
      put(store, 0, 100);
      EmulatedDevice device = device(store, 0);
      device.faults().flushLatency(Duration.ofMillis(150));
      pages = device.faults().poison(extent(store, key(7)).offset(), 1);
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> store.health().legs().get(0).badRanges().isEmpty());
      CrashImage.of(directory.resolve("s"), image);
      assertFalse(device.badBlocks().isEmpty(), "the record is dropped last");
      device.faults().flushLatency(Duration.ZERO);
      await().until(() -> device.badBlocks().isEmpty());
    }
    try (EmulatedDevice device = device(image, 0)) {
      // A copy that was never flushed need not be there.
      device.faults().misdirectedWrite(pages.offset(), new byte[(int) pages.length()]);
    }
    try (Store store = Store.open(image)) {
      assertHolds(store, 0, 100);
      assertTrue(store.health().lost().isEmpty());
      await().until(() -> device(store, 0).badBlocks().isEmpty());
      await().until(() -> store.health().state() == StoreState.ONLINE);
      device(store, 1).faults().remove();
      assertHolds(store, 0, 100);
    }
  }

  /** The copy is there, its repair is not over, and then the page it came from is poisoned, too. */
  @Test
  void copyThatRepairMadeServesWhenItsSourceDies() throws Exception {
    Path place = directory.resolve("s");
    try (Store store = Entries.open(place)) {
      put(store, 0, 100);
      // Flushes take long: the repair stays between its copy and the drop of its record.
      device(store, 0).faults().flushLatency(Duration.ofMillis(300));
      BadRange page = device(store, 0).faults().poison(extent(store, key(7)).offset(), 1);
      await()
          .pollInterval(Duration.ofMillis(1))
          .until(() -> Arrays.equals(page(place, 0, page), page(place, 1, page)));
      assertFalse(device(store, 0).badBlocks().isEmpty(), "the repair is not over");
      device(store, 1).faults().poison(page.offset(), 1);
      assertHolds(store, 0, 100);
      device(store, 0).faults().flushLatency(Duration.ZERO);
      await().until(() -> store.health().state() == StoreState.ONLINE);
      assertHolds(store, 0, 100);
      assertTrue(store.health().lost().isEmpty());
    }
  }

  private static byte[] page(Path store, int leg, BadRange range) throws IOException {
    byte[] bytes = new byte[(int) range.length()];
    try (RandomAccessFile file = new RandomAccessFile(CrashImage.leg(store, leg).toFile(), "r")) {
      file.seek(LABEL + range.offset());
      file.readFully(bytes);
    }
    return bytes;
  }

  /** Pages are poisoned and repaired under writers that never leave them alone. */
  @Test
  void writersOfAPageUnderRepairLoseNothing() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("writersOfAPageUnderRepairLoseNothing: -Dseed=" + seed);
    Random random = new Random(seed);
    Path place = directory.resolve("s");
    try (Store store = Entries.open(place)) {
      AtomicBoolean stop = new AtomicBoolean();
      AtomicReference<Throwable> failed = new AtomicReference<>();
      int[] last = new int[3];
      List<Thread> writers = new ArrayList<>();
      for (int i = 0; i < last.length; i++) {
        int writer = i;
        writers.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    // Few small keys: places are freed and taken again within a page or two.
                    for (int n = 1; !stop.get(); n++) {
                      for (int k = 0; k < 8; k++) {
                        byte[] mine = Entries.key(writer * 8 + k);
                        store.put(mine, stamp(writer, k, n));
                        if (!Arrays.equals(stamp(writer, k, n), store.get(mine))) {
                          throw new AssertionError("writer " + writer + " round " + n);
                        }
                      }
                      last[writer] = n;
                    }
                  } catch (Throwable e) {
                    failed.set(e);
                  }
                }));
      }
      for (int round = 0; round < 40; round++) {
        int leg = random.nextInt(2);
        if (random.nextBoolean()) {
          device(store, leg).faults().notifyNever();
        } else {
          device(store, leg).faults().notifyAfter(Duration.ZERO);
        }
        // The second page may be a third one: whatever the allocator uses by now.
        device(store, leg).faults().poison((1 << 20) + 4096L * random.nextInt(2), 1);
        await()
            .pollInterval(Duration.ofMillis(1))
            .until(() -> failed.get() != null || device(store, leg).badBlocks().isEmpty());
      }
      stop.set(true);
      for (Thread writer : writers) {
        writer.join();
      }
      assertNull(failed.get(), () -> String.valueOf(failed.get()));
      await().until(() -> store.health().state() == StoreState.ONLINE);
      for (int leg = 0; leg < 2; leg++) {
        Path alone = CrashImage.of(place, directory.resolve("without-" + leg));
        CrashImage.remove(alone, leg);
        try (Store one = Store.open(alone)) {
          for (int writer = 0; writer < last.length; writer++) {
            for (int k = 0; k < 8; k++) {
              assertArrayEquals(
                  stamp(writer, k, last[writer]), one.get(Entries.key(writer * 8 + k)));
            }
          }
          assertEquals(24, one.stats().entries());
        }
      }
    }
  }

  private static byte[] stamp(int writer, int key, int round) {
    return (writer + "/" + key + "/" + round + "-".repeat(round % 50))
        .getBytes(java.nio.charset.StandardCharsets.US_ASCII);
  }
}
