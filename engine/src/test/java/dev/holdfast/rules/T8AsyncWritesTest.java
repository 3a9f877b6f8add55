package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.WriteBatch;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** T8: a future that completed stands for what a loss of power leaves. */
@Timeout(120)
final class T8AsyncWritesTest {
  private static final int ROUNDS = 12;
  private static final int EACH = 20;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(PersistenceMode mode) {
    return Store.builder(directory).initialCapacity(2 << 20).persistence(mode);
  }

  /** How many futures had completed at a point. */
  private record Completed(int point, int rounds) {}

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"FILE", "DAX"})
  void whatCompletedIsThereWhateverGotToTheMedium(PersistenceMode mode) throws Exception {
    List<Completed> points = new ArrayList<>();
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = builder(mode).open()) {
        for (int round = 0; round < ROUNDS; round++) {
          List<CompletableFuture<?>> futures = new ArrayList<>();
          // First: its own commit would stand for that of the others.
          futures.add(store.async().write(new WriteBatch().put(key(-1 - round), value(round))));
          for (int i = round * EACH; i < (round + 1) * EACH; i++) {
            futures.add(store.async().put(key(i), value(i)));
          }
          futures.add(store.async().remove(key(round * EACH)));
          for (CompletableFuture<?> future : futures) {
            future.get();
          }
          points.add(new Completed(recorder.position(), round + 1));
        }
        log = recorder.log();
      }
    }
    int images = 0;
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      for (Completed completed : points) {
        int number = 0;
        for (CrashImage image : log.images(completed.point, 4, completed.point)) {
          place.show(image);
          try (Store store = builder(mode).open()) {
            assertEquals(List.of(), store.health().lost());
            for (int i = 0; i < completed.rounds * EACH; i++) {
              byte[] expected = i % EACH == 0 ? null : value(i);
              assertArrayEquals(
                  expected, store.get(key(i)), completed + ", image " + number + ", key " + i);
            }
            for (int round = 0; round < completed.rounds; round++) {
              assertArrayEquals(value(round), store.get(key(-1 - round)), "batch " + round);
            }
          }
          images++;
          if (++number == 4) {
            break;
          }
        }
      }
    }
    assertTrue(images >= ROUNDS, images + " images");
  }
}
